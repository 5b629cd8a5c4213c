"""What the values in a loop's body are computed from, and what decides them.

To be computed from a carried value is to see its derivative; a comparison, a sign or a whole number has none, and only
decides.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any

import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as jp

from gradmc.program import ir
from gradmc.program.jaxprs import bodies

TESTS = frozenset({jp.lt_p, jp.le_p, jp.gt_p, jp.ge_p, jp.eq_p, jp.ne_p, jp.sign_p})
"""What decides by comparing real numbers."""


@dataclass(frozen=True, eq=False, slots=True)
class Body:
    """The body of a loop: its inputs are others, then what it carries; its first results are the carried values.

    Attributes:
        jaxpr: the body.
        first: how many inputs come before the carried ones.
        count: how many are carried.
        touched: for each input, whether it depends on parameters.
        values: for each input, its value where that is a constant, else None; for carried ones at the start.
        length: how many iterations to try.
        counts: whether the first input is the iteration's number.
        test: of the same inputs, whether another iteration follows; else there are `length`.
    """

    jaxpr: Jaxpr
    first: int
    count: int
    touched: Sequence[bool]
    values: Sequence[Any]
    length: int
    counts: bool
    test: Jaxpr | None = None

    def carried(self) -> range:
        """The inputs that are carried."""
        return range(self.first, self.first + self.count)


@dataclass(frozen=True, slots=True)
class Flow:
    """What a value in a loop's body is computed from, and what decides it.

    Attributes:
        data: carried values that it is computed from.
        outside: whether it is computed from something else that depends on parameters.
        deciders: carried values on which comparisons depend that decide it.
        decided: whether comparisons decide it that depend on something else that depends on parameters.
        tests: those comparisons, of real numbers.
    """

    data: frozenset[int] = frozenset()
    outside: bool = False
    deciders: frozenset[int] = frozenset()
    decided: bool = False
    tests: frozenset[JaxprEqn] = frozenset()

    def __or__(self, other: "Flow") -> "Flow":
        return Flow(
            self.data | other.data,
            self.outside or other.outside,
            self.deciders | other.deciders,
            self.decided or other.decided,
            self.tests | other.tests,
        )

    def decision(self) -> "Flow":
        """What depends on it as on a truth value or whole number, which have no derivative."""
        return Flow(frozenset(), False, self.data | self.deciders, self.outside or self.decided, self.tests)


@dataclass(eq=False, slots=True)
class Flows:
    """Follows what the values of a body are computed from.

    Attributes:
        whole: loops within it whose results count as computed from all that goes in.
        env: what each variable is computed from.
    """

    whole: Container[JaxprEqn] = ()
    env: dict[Var, Flow] = field(default_factory=dict)

    def follow(self, jaxpr: Jaxpr, inputs: Sequence[Flow]) -> list[Flow]:
        """The flows of the results, given those of the inputs."""
        self.env |= dict.fromkeys(jaxpr.constvars, Flow())
        self.env |= zip(jaxpr.invars, inputs, strict=True)
        for eqn in jaxpr.eqns:
            self.env |= zip(eqn.outvars, self._through(eqn, [self.read(v) for v in eqn.invars]), strict=True)
        return [self.read(v) for v in jaxpr.outvars]

    def read(self, atom: Var | Literal) -> Flow:
        """The flow of a variable or constant."""
        return Flow() if isinstance(atom, Literal) else self.env[atom]

    def _through(self, eqn: JaxprEqn, given: list[Flow]) -> list[Flow]:
        if eqn.primitive is ir.if_p:
            sides = [self.follow(eqn.params[name], given[1:]) for name in ("then", "otherwise")]
            out = [given[0].decision() | a | b for a, b in zip(*sides, strict=True)]
        elif eqn.primitive is jp.jit_p:
            out = self.follow(eqn.params["jaxpr"], given)
        elif eqn.primitive is jp.select_n_p:
            out = [reduce(or_, given[1:], given[0].decision())]
        elif eqn.primitive in (ir.for_p, ir.while_p) and eqn not in self.whole:
            out = self._around(eqn, given)
        else:
            whole = reduce(or_, given, Flow())
            if eqn.primitive in TESTS and all(is_real(v) for v in eqn.invars):
                whole = Flow(whole.data, whole.outside, whole.deciders, whole.decided, whole.tests | {eqn}).decision()
            out = [whole] * len(eqn.outvars)
        return [f if is_real(v) else f.decision() for v, f in zip(eqn.outvars, out, strict=True)]

    def _around(self, eqn: JaxprEqn, given: list[Flow]) -> list[Flow]:
        """The flows of a loop's results: those of its body over and over, until nothing is added."""
        n = eqn.params["n_consts"]
        index = [Flow()] if eqn.primitive is ir.for_p else []
        fixed, carry = given[:n], given[n:]
        while True:
            test = Flow()
            if eqn.primitive is ir.while_p:
                test = self.follow(eqn.params["cond"], [*fixed, *carry])[0].decision()
            out = self.follow(eqn.params["body"], [*index, *fixed, *carry])
            wider = [a | b | test for a, b in zip(carry, out, strict=False)]
            if wider == carry:
                return [*carry, *out[len(carry) :]]
            carry = wider


def is_real(atom: Any) -> bool:
    """Whether a variable holds real (or complex) numbers, which have derivatives."""
    return bool(jnp.issubdtype(atom.aval.dtype, jnp.inexact))


def inside(eqn: JaxprEqn) -> list[Jaxpr]:
    """The jaxprs of a branch or call."""
    if eqn.primitive is ir.if_p:
        return [eqn.params["then"], eqn.params["otherwise"]]
    return [eqn.params["jaxpr"]] if eqn.primitive is jp.jit_p else []


def has_while(eqn: JaxprEqn) -> bool:
    """Whether an equation is a loop that may not end, or holds one."""
    if eqn.primitive in (ir.while_p, jp.while_p):
        return True
    return any(has_while(e) for body in bodies(eqn) for e in body.eqns)
