"""The loop of a program that takes more iterations than its bound at a point.

Such a loop turns the value into NaN by a flag, which no operation on numbers has made. The program is run equation by
equation, each of them by JAX; of branches, calls and other loops only those are gone into that have such loops inside.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as jp

from gradmc.program import ir
from gradmc.program.blame.origin import Origin, origin

MOST = 100_000
"""Equations that are run; where there are more, nothing is found."""


def endless(program: Jaxpr, inputs: Sequence[Any], most: int) -> Origin | None:
    """The first loop that takes more than `most` iterations, if there is one."""
    return _Walk(most).run(program, inputs)[1] if _has_loops(program) else None


def _has_loops(jaxpr: Jaxpr) -> bool:
    return any(eqn.primitive is ir.while_p or any(map(_has_loops, _bodies(eqn))) for eqn in jaxpr.eqns)


def _bodies(eqn: JaxprEqn) -> list[Jaxpr]:
    names = ("jaxpr",) if eqn.primitive is jp.jit_p else ir.BODIES.get(eqn.primitive, ())
    return [eqn.params[name] for name in names]


class _Walk:
    """One evaluation."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.left = MOST

    def run(self, jaxpr: Jaxpr, inputs: Sequence[Any]) -> tuple[list[Any], Origin | None]:
        """The results, and the loop; without results where it is found."""
        env: dict[Var, Any] = dict(zip(jaxpr.constvars, jaxpr.consts, strict=True))
        env |= zip(jaxpr.invars, inputs, strict=True)

        def read(atom: Any) -> Any:
            return atom.val if isinstance(atom, Literal) else env[atom]

        for eqn in jaxpr.eqns:
            self.left -= 1
            if self.left < 0:
                return [], None
            out, found = self.equation(eqn, [read(v) for v in eqn.invars])
            if found is not None or len(out) != len(eqn.outvars):
                return [], found
            env |= zip(eqn.outvars, out, strict=True)
        return [read(v) for v in jaxpr.outvars], None

    def equation(self, eqn: JaxprEqn, given: list[Any]) -> tuple[list[Any], Origin | None]:
        """The results of an equation, as of a program."""
        if any(map(_has_loops, _bodies(eqn))):
            if eqn.primitive is jp.jit_p:
                return self.run(eqn.params["jaxpr"], given)
            if eqn.primitive is ir.if_p:
                return self.run(eqn.params["then" if bool(given[0]) else "otherwise"], given[1:])
            if eqn.primitive is ir.for_p:
                return self.loop(eqn, given)
            if eqn.primitive is ir.while_p:
                return self.outer(eqn, given)
        out = eqn.primitive.bind(*given, **eqn.primitive.get_bind_params(eqn.params))
        out = list(out) if eqn.primitive.multiple_results else [out]
        return out, origin(eqn) if eqn.primitive is ir.while_p and self.exceeds(out) else None

    def exceeds(self, carry: Sequence[Any]) -> bool:
        """Whether a loop of unknown length has taken too many iterations: it counts them in its first carried value."""
        count = np.asarray(carry[0])
        return count.ndim == 0 and count.dtype.kind == "i" and int(count) > self.most

    def loop(self, eqn: JaxprEqn, given: list[Any]) -> tuple[list[Any], Origin | None]:
        """A `for`, iteration by iteration."""
        n, m, body = eqn.params["n_consts"], eqn.params["n_carry"], eqn.params["body"]
        carry, rows = given[n:], []
        for i in range(eqn.params["length"]):
            out, found = self.run(body, [np.asarray(i, body.invars[0].aval.dtype), *given[:n], *carry])
            if found is not None or len(out) != len(body.outvars):
                return [], found
            carry, ys = out[:m], out[m:]
            rows.append(ys)
        return [*carry, *(np.stack(column) for column in zip(*rows, strict=True))], None

    def outer(self, eqn: JaxprEqn, given: list[Any]) -> tuple[list[Any], Origin | None]:
        """A `while` with others inside, iteration by iteration."""
        n, carry = eqn.params["n_consts"], given[eqn.params["n_consts"] :]
        while True:
            more, found = self.run(eqn.params["cond"], [*given[:n], *carry])
            if found is not None or len(more) != 1:
                return [], found
            if not bool(more[0]):
                return carry, origin(eqn) if self.exceeds(carry) else None
            carry, found = self.run(eqn.params["body"], [*given[:n], *carry])
            if found is not None or len(carry) != len(given) - n:
                return [], found
