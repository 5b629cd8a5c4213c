"""Which loops that close in on a number by comparisons (`closing`) the result of a program is computed from."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any

from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as jp

from gradmc.program import ir
from gradmc.program.blame.tape import scan_layout
from gradmc.program.frontend.closing import Closing, closing
from gradmc.program.frontend.flows import Body, is_real

WHILE = 60
"""Iterations of a loop of unknown length that are tried."""
MOST = 200
"""Iterations of a longer loop that are tried."""


@dataclass(frozen=True, slots=True)
class Status:
    """Whether a value depends on parameters, which closing loops it is computed from, and its value if constant."""

    touched: bool = False
    loops: frozenset[JaxprEqn] = frozenset()
    value: Any = field(default=None, compare=False)

    def __or__(self, other: "Status") -> "Status":
        return Status(self.touched or other.touched, self.loops | other.loops)


@dataclass(eq=False, slots=True)
class Search:
    """Follows which closing loops the values of a program are computed from.

    Attributes:
        found: the closing loops, whether or not anything is computed from them.
        solved: for those of them whose ends get their derivatives after the loop, which carried values are then right.
        seen: what is known of loops, by whether what goes in depends on parameters.
    """

    found: dict[JaxprEqn, Closing] = field(default_factory=dict)
    solved: Mapping[JaxprEqn, Container[int]] = field(default_factory=dict)
    seen: dict[tuple[JaxprEqn, tuple[bool, ...]], Closing | None] = field(default_factory=dict)

    def follow(self, jaxpr: Jaxpr, inputs: Sequence[Status]) -> list[Status]:
        """The statuses of the results, given those of the inputs."""
        env = {v: Status(value=c) for v, c in zip(jaxpr.constvars, jaxpr.consts, strict=True)}
        env |= zip(jaxpr.invars, inputs, strict=True)

        def read(atom: Var | Literal) -> Status:
            return Status(value=atom.val) if isinstance(atom, Literal) else env[atom]

        for eqn in jaxpr.eqns:
            out = self._through(eqn, [read(v) for v in eqn.invars])
            kept = [s if is_real(v) else Status(s.touched) for v, s in zip(eqn.outvars, out, strict=True)]
            env |= zip(eqn.outvars, kept, strict=True)
        return [read(v) for v in jaxpr.outvars]

    def _through(self, eqn: JaxprEqn, given: list[Status]) -> list[Status]:
        match eqn.primitive:
            case ir.if_p:
                sides = [self.follow(eqn.params[name], given[1:]) for name in ("then", "otherwise")]
                return [Status(given[0].touched) | a | b for a, b in zip(*sides, strict=True)]
            case ir.for_p:
                return self._loop(eqn, [Status()], given)
            case ir.while_p:
                return self._loop(eqn, [], given)
            case jp.scan_p:
                return self._scan(eqn, given)
            case jp.jit_p:
                return self.follow(eqn.params["jaxpr"], given)
            case jp.stop_gradient_p:
                return [Status(s.touched) for s in given]
        return [reduce(or_, given, Status())] * len(eqn.outvars)

    def _loop(self, eqn: JaxprEqn, before: list[Status], given: list[Status]) -> list[Status]:
        n = eqn.params["n_consts"]
        fixed, start = [*before, *given[:n]], given[n:]
        carry = self._settled(eqn, fixed, start)
        found = self._closing(eqn, fixed, carry, start)
        if found is not None:
            self.found[eqn] = found
            own = [Status(True, frozenset({eqn})) if k in found.ends else Status() for k in range(len(carry))]
            carry = self._settled(eqn, fixed, [a | b for a, b in zip(carry, own, strict=True)])
        stacked = self.follow(eqn.params["body"], [*fixed, *carry])[len(carry) :]
        if found is not None and eqn in self.solved:
            carry = [Status(True) if k in self.solved[eqn] else s for k, s in enumerate(carry)]
        return [*carry, *stacked]

    def _scan(self, eqn: JaxprEqn, given: list[Status]) -> list[Status]:
        """A loop of JAX, or one of the program's under `jax.vmap`."""
        first, m = scan_layout(eqn)
        body, n = eqn.params["jaxpr"], first - m
        start, out = given[n:first], given[n:first]
        carry = start
        while True:
            out = self.follow(body, [*given[:n], *carry, *given[first:]])
            wider = [a | b for a, b in zip(carry, out, strict=False)]
            if wider == carry:
                break
            carry = wider
        touched = tuple(s.touched for s in (*given[:n], *carry, *given[first:]))
        if (eqn, touched) not in self.seen:
            values = [s.value for s in given]
            self.seen[eqn, touched] = closing(
                Body(body, n, m, touched, values, min(eqn.params["length"], MOST), counts=False), self.found
            )
        found = self.seen[eqn, touched]
        if found is None:
            return [*carry, *out[m:]]
        self.found[eqn] = found
        return [s | Status(True, frozenset({eqn})) for s in (*carry, *out[m:])]

    def _settled(self, eqn: JaxprEqn, fixed: list[Status], carry: list[Status]) -> list[Status]:
        """The statuses of carried values over all iterations."""
        while True:
            test = Status()
            if eqn.primitive is ir.while_p:
                test = Status(self.follow(eqn.params["cond"], [*fixed, *carry])[0].touched)
            out = self.follow(eqn.params["body"], [*fixed, *carry])
            wider = [a | b | test for a, b in zip(carry, out, strict=False)]
            if wider == carry:
                return carry
            carry = wider

    def _closing(self, eqn: JaxprEqn, fixed: list[Status], carry: list[Status], start: list[Status]) -> Closing | None:
        touched = tuple(s.touched for s in (*fixed, *carry))
        if (eqn, touched) not in self.seen:
            counts = eqn.primitive is ir.for_p
            length = min(eqn.params["length"], MOST) if counts else WHILE
            values = [s.value for s in (*fixed, *start)]
            test = eqn.params.get("cond")
            body = Body(eqn.params["body"], len(fixed), len(carry), touched, values, length, counts, test)
            self.seen[eqn, touched] = closing(body, self.found)
        return self.seen[eqn, touched]
