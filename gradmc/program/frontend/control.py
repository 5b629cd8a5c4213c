"""How often a `while` runs, where that depends on data only.

From a traced `while`, the slice that decides when it ends is cut out: the test, and the part of the body that
computes what the test reads. If it depends on nothing that is traced, it is run at once, and the `while` is a
`for` of known length (`i < n` with `i += 1`, a search in data, a step size halved until it is small).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var, jaxpr_as_fun

from gradmc.program import ir
from gradmc.program.frontend.values import is_traced

MOST = 10_000_000
"""A loop that has not ended after so many iterations is not counted further."""


def trips(jaxpr: Jaxpr, inputs: Sequence[Any]) -> int | None:
    """The number of iterations of the one `while` in a jaxpr; None if it is not known, or too large."""
    control = _control(jaxpr)
    before = _prune(jaxpr, control.start)
    used = _read(before.eqns, before.outvars)
    values = [*zip(jaxpr.invars, inputs, strict=True), *zip(jaxpr.constvars, jaxpr.consts, strict=True)]
    if any(is_traced(value) for var, value in values if var in used):
        return None
    blank = [np.zeros(v.aval.shape, v.aval.dtype) if is_traced(x) else x for v, x in values[: len(inputs)]]
    consts = [np.zeros(v.aval.shape, v.aval.dtype) if is_traced(x) else x for v, x in values[len(inputs) :]]
    with jax.ensure_compile_time_eval():
        start = jax.core.eval_jaxpr(before, consts, *blank)
        count, more = jax.jit(control.count)(start)
    return None if more else int(count)


@dataclass(frozen=True, eq=False, slots=True)
class _Control:
    """The part of a `while` that decides when it ends.

    Attributes:
        start: operands of the loop that it needs: constants, then carried values.
        n_consts: how many of them are constants.
        test: from `start` to a truth value.
        step: from `start` to the next carried values.
    """

    start: list[Any]
    n_consts: int
    test: Jaxpr
    step: Jaxpr

    def count(self, start: Sequence[Any]) -> tuple[Any, Any]:
        """The number of iterations, and whether the loop is still not at its end."""
        consts, carry = start[: self.n_consts], start[self.n_consts :]

        def more(state: tuple) -> Any:
            k, values = state
            return jnp.logical_and(k < MOST, jaxpr_as_fun(self.test)(*consts, *values)[0])

        def step(state: tuple) -> tuple:
            k, values = state
            return k + 1, list(jaxpr_as_fun(self.step)(*consts, *values))

        k, values = jax.lax.while_loop(more, step, (0, list(carry)))
        return k, jaxpr_as_fun(self.test)(*consts, *values)[0]


def _control(jaxpr: Jaxpr) -> _Control:
    (loop,) = (eqn for eqn in jaxpr.eqns if eqn.primitive is ir.while_p)
    cond, body, n = loop.params["cond"], loop.params["body"], loop.params["n_consts"]
    needed = _inputs(cond, cond.outvars)
    while True:
        outs = [body.outvars[k - n] for k in sorted(needed) if k >= n]
        wider = needed | _inputs(body, outs)
        if wider == needed:
            break
        needed = wider
    kept = sorted(needed)
    return _Control(
        start=[loop.invars[k] for k in kept],
        n_consts=sum(k < n for k in kept),
        test=_over(_prune(cond, cond.outvars), kept),
        step=_over(_prune(body, [body.outvars[k - n] for k in kept if k >= n]), kept),
    )


def _over(jaxpr: Jaxpr, kept: Sequence[int]) -> Jaxpr:
    """The jaxpr with only these inputs."""
    return jaxpr.replace(invars=[jaxpr.invars[k] for k in kept])


def _prune(jaxpr: Jaxpr, outvars: Sequence[Any]) -> Jaxpr:
    """The jaxpr with only these results, and only the equations they need."""
    wanted, eqns = _read([], outvars), []
    for eqn in reversed(jaxpr.eqns):
        if any(v in wanted for v in eqn.outvars):
            if eqn.primitive is ir.if_p:
                eqn = _prune_branch(eqn, wanted)
            eqns.append(eqn)
            wanted |= _read([eqn], [])
    return jaxpr.replace(outvars=list(outvars), eqns=eqns[::-1])


def _prune_branch(eqn: JaxprEqn, wanted: set[Var]) -> JaxprEqn:
    """An `if` with only the results that are wanted, and the operands that they need."""
    places = [k for k, v in enumerate(eqn.outvars) if v in wanted]
    sides = {
        name: _prune(eqn.params[name], [eqn.params[name].outvars[k] for k in places])
        for name in ("then", "otherwise")
    }
    kept = sorted(set().union(*(_inputs(side, side.outvars) for side in sides.values())))
    return eqn.replace(
        invars=[eqn.invars[0], *(eqn.invars[k + 1] for k in kept)],
        outvars=[eqn.outvars[k] for k in places],
        params={**eqn.params, **{name: _over(side, kept) for name, side in sides.items()}},
    )


def _read(eqns: Iterable[JaxprEqn], atoms: Sequence[Any]) -> set[Var]:
    """The variables that equations or a list of results read."""
    every = [*atoms, *(v for eqn in eqns for v in eqn.invars)]
    return {v for v in every if not isinstance(v, Literal)}


def _inputs(jaxpr: Jaxpr, outvars: Sequence[Any]) -> set[int]:
    """Positions of the inputs on which these results depend."""
    pruned = _prune(jaxpr, outvars)
    used = _read(pruned.eqns, outvars)
    return {k for k, v in enumerate(jaxpr.invars) if v in used}
