"""The loop of a program that does not end within its bound at a point.

Such a loop turns the value into NaN by a flag, which no operation on numbers has made. The program is run equation by
equation, each of them by JAX; of branches, calls and other loops only those are gone into that have such loops inside.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var, jaxpr_as_fun
from jax.extend.core import primitives as jp

from gradmc.program import ir
from gradmc.program.jaxprs import walk

MOST = 100_000
"""Equations that are run; where there are more, nothing is found."""


class LoopFound(Exception):
    """The walk is over: here is the loop, or there were too many equations."""

    def __init__(self, loop: JaxprEqn | None) -> None:
        super().__init__()
        self.loop = loop


def endless(program: Jaxpr, inputs: Sequence[Any]) -> JaxprEqn | None:
    """The first loop that would take more iterations than it may, if there is one."""
    if _has_loops(program):
        try:
            _Walk().run(program, inputs)
        except LoopFound as found:
            return found.loop
    return None


def _has_loops(jaxpr: Jaxpr) -> bool:
    return any(eqn.primitive is ir.while_p for eqn in walk(jaxpr, _bodies))


def _bodies(eqn: JaxprEqn) -> list[Jaxpr]:
    names = ("jaxpr",) if eqn.primitive is jp.jit_p else ir.BODIES.get(eqn.primitive, ())
    return [eqn.params[name] for name in names]


class _Walk:
    """One evaluation."""

    def __init__(self) -> None:
        self.left = MOST

    def run(self, jaxpr: Jaxpr, inputs: Sequence[Any]) -> list[Any]:
        """The results of a jaxpr.

        Raises:
            LoopFound: a loop does not end.
        """
        env: dict[Var, Any] = dict(zip(jaxpr.constvars, jaxpr.consts, strict=True))
        env |= zip(jaxpr.invars, inputs, strict=True)

        def read(atom: Any) -> Any:
            return atom.val if isinstance(atom, Literal) else env[atom]

        for eqn in jaxpr.eqns:
            self.left -= 1
            if self.left < 0:
                raise LoopFound(None)
            env |= zip(eqn.outvars, self.results(eqn, [read(v) for v in eqn.invars]), strict=True)
        return [read(v) for v in jaxpr.outvars]

    def results(self, eqn: JaxprEqn, given: list[Any]) -> list[Any]:
        """The results of an equation."""
        inside = any(map(_has_loops, _bodies(eqn)))
        if inside and eqn.primitive is jp.jit_p:
            return self.run(eqn.params["jaxpr"], given)
        if inside and eqn.primitive is ir.if_p:
            return self.run(eqn.params["then" if bool(given[0]) else "otherwise"], given[1:])
        if inside and eqn.primitive is ir.for_p:
            return self.counted(eqn, given)
        if inside and eqn.primitive is ir.while_p:
            return self.outer(eqn, given)
        out = eqn.primitive.bind(*given, **eqn.primitive.get_bind_params(eqn.params))
        out = list(out) if eqn.primitive.multiple_results else [out]
        if eqn.primitive is ir.while_p and self.goes_on(eqn, given, out):
            raise LoopFound(eqn)
        return out

    def goes_on(self, loop: JaxprEqn, given: Sequence[Any], carry: Sequence[Any]) -> bool:
        """Whether a loop's test holds."""
        return bool(jaxpr_as_fun(loop.params["cond"])(*given[: loop.params["n_consts"]], *carry)[0])

    def counted(self, loop: JaxprEqn, given: list[Any]) -> list[Any]:
        """A `for`, iteration by iteration."""
        n, m, body = loop.params["n_consts"], loop.params["n_carry"], loop.params["body"]
        carry, rows = given[n:], []
        for i in range(loop.params["length"]):
            out = self.run(body, [np.asarray(i, ir.types(body.in_avals)[0].dtype), *given[:n], *carry])
            carry, ys = out[:m], out[m:]
            rows.append(ys)
        return [*carry, *self.stacked(rows, body, m)]

    def stacked(self, rows: Sequence[Sequence[Any]], body: Jaxpr, first: int) -> Iterator[Any]:
        """What a loop stacks along its iterations."""
        for k, aval in enumerate(ir.types(body.out_avals)[first:]):
            column = [np.asarray(row[k]) for row in rows]
            yield np.stack(column) if column else np.zeros((0, *aval.shape), aval.dtype)

    def outer(self, loop: JaxprEqn, given: list[Any]) -> list[Any]:
        """A `while` with others inside, iteration by iteration."""
        n, carry = loop.params["n_consts"], given[loop.params["n_consts"] :]
        for _ in range(loop.params["max_steps"] or MOST):
            if not self.goes_on(loop, given, carry):
                return carry
            carry = self.run(loop.params["body"], [*given[:n], *carry])
        raise LoopFound(loop if loop.params["max_steps"] and self.goes_on(loop, given, carry) else None)
