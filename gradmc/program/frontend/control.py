"""How often a `while` runs, and what numbers a loop carries, where that depends on data only.

From a traced `while`, the slice that decides when it ends is cut out: the test, and the part of the body that
computes what the test reads. If it depends on nothing that is traced, it is run at once, and the `while` is a
`for` of known length (`i < n` with `i += 1`, a search in data, a step size halved until it is small). In the same
way a number that a `for` carries (`k += 1`) is computed for every iteration when an inner range needs it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var, jaxpr_as_fun

from gradmc.program import ir
from gradmc.program.frontend import interpret, tables
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.tables import Table
from gradmc.program.frontend.values import is_traced
from gradmc.program.middle.depends import prune
from gradmc.program.middle.whole import exceeds

MOST_STARTS = 100_000
"""A loop inside others is counted for at most so many combinations of their indices."""
MOST_HERE = 10_000
"""Iterations counted in NumPy (about 20 us each); more are left to compiled code."""
MOST = 10_000_000
"""A loop that has not ended after so many iterations is not counted further."""


def trips(ev: Evaluation, jaxpr: Jaxpr, inputs: Sequence[Any]) -> Table | None:
    """The number of iterations of the one `while` in a jaxpr.

    It may depend on the indices of loops around it. None if it depends on parameters, or is too large.
    """
    control = _control(jaxpr)
    before = _prune(jaxpr, control.start)
    used = _read(before.eqns, before.outvars)
    every = [*zip(jaxpr.invars, inputs, strict=True), *zip(jaxpr.constvars, jaxpr.consts, strict=True)]
    traced = [k for k, (var, value) in enumerate(every) if var in used and is_traced(value)]
    found = [tables.known(ev, every[k][1]) for k in traced]
    if any(t is None for t in found):
        return None
    known = [t for t in found if t is not None]
    loops, columns = tables.side_by_side(known)
    if columns and columns[0].size > MOST_STARTS:
        return None

    flat = [c.reshape(-1).astype(every[k][1].dtype) for k, c in zip(traced, columns, strict=True)]

    def start(*values: Any) -> list[Any]:
        given = dict(zip(traced, values, strict=True))
        return [given.get(k, _stand_in(v, x)) for k, (v, x) in enumerate(every)]

    before = before.replace(constvars=[], invars=[*jaxpr.invars, *jaxpr.constvars])
    try:
        counts = control.count_here(interpret.run(before, start(*flat)))
    except interpret.Beyond:
        return None
    except interpret.NotSimple:
        if exceeds(jaxpr, inputs):
            return None
        counts = _compiled(lambda *v: control.count(jaxpr_as_fun(before)(*start(*v))), flat)
    if counts is None:
        return None
    shape = columns[0].shape if columns else ()
    return Table.of(np.broadcast_to(counts, (columns[0].size,) if columns else ()).reshape(shape), loops)


def _compiled(count: Callable[..., Any], starts: Sequence[np.ndarray]) -> np.ndarray | None:
    with jax.ensure_compile_time_eval():
        counts, more = map(np.asarray, jax.jit(jax.vmap(count) if starts else count)(*starts))
    return None if more.any() else counts


def _stand_in(var: Var, value: Any) -> Any:
    """A value of an input that is not used, in place of a traced one."""
    return np.zeros(var.aval.shape, var.aval.dtype) if is_traced(value) else value  # type: ignore[attr-defined]


@dataclass(frozen=True, eq=False, slots=True)
class DataCarry:
    """A value that a `for` carries and that depends on data only.

    Attributes:
        step: the part of the body that computes it: (index, constants, carried values) -> carried values.
        consts: the constants.
        start: the carried values before the loop.
        at: which of them it is.
        length: number of iterations.
    """

    step: Jaxpr
    consts: list[Any]
    start: list[Any]
    at: int
    length: int

    @staticmethod
    def of(jaxpr: Jaxpr, inputs: Sequence[Any], leaf: int) -> "DataCarry | None":
        """A carried value of the one `for` in a jaxpr, applied to `inputs`; None if it depends on anything traced."""
        (loop,) = (eqn for eqn in jaxpr.eqns if eqn.primitive is ir.for_p)
        body, n = loop.params["body"], 1 + loop.params["n_consts"]
        kept = sorted(_closed({0, n + leaf}, body, n))
        start = _values(jaxpr, inputs, [loop.invars[k - 1] for k in kept if k])
        if start is None:
            return None
        carry = [k for k in kept if k >= n]
        step = _over(_prune(body, [body.outvars[k - n] for k in carry]), kept)
        split = len(kept) - 1 - len(carry)
        return DataCarry(step, start[:split], start[split:], carry.index(n + leaf), loop.params["length"])

    def along(self) -> np.ndarray:
        """What it is at the start of every iteration, and at the end."""
        if self.length <= MOST_HERE:
            with suppress(interpret.NotSimple):
                return np.asarray([np.asarray(carry[self.at]) for carry in self._here()])
        later = self._compiled(lambda c, once, index: jax.lax.scan(once, c, index)[1])
        return np.concatenate([np.asarray(self.start[self.at])[None], later])

    def last(self) -> np.ndarray:
        """What it is at the end."""
        if self.length <= MOST_HERE:
            with suppress(interpret.NotSimple):
                *_, carry = self._here()
                return np.asarray(carry[self.at])
        return self._compiled(
            lambda c, once, index: jax.lax.fori_loop(0, self.length, lambda i, c: once(c, i)[0], c)[self.at]
        )

    def _here(self) -> Iterator[list[Any]]:
        carry = list(self.start)
        yield carry
        for i in range(self.length):
            carry = interpret.run(self.step, [np.asarray(i), *self.consts, *carry])
            yield carry

    def _compiled(self, run: Callable[..., Any]) -> np.ndarray:
        step = jaxpr_as_fun(self.step)
        kind = ir.types(self.step.in_avals)[0].dtype

        def once(carry: tuple, i: Any) -> tuple[tuple, Any]:
            new = tuple(step(jnp.asarray(i, kind), *self.consts, *carry))
            return new, new[self.at]

        with jax.ensure_compile_time_eval():
            index = jnp.arange(self.length, dtype=kind)
            return np.asarray(jax.jit(lambda c: run(c, once, index))(tuple(self.start)))


def _closed(needed: set[int], body: Jaxpr, first: int) -> set[int]:
    """The inputs of a loop's body on which these depend, over all iterations; carried ones begin at `first`."""
    while True:
        outs = [body.outvars[k - first] for k in sorted(needed) if k >= first]
        wider = needed | _inputs(body, outs)
        if wider == needed:
            return needed
        needed = wider


def _values(jaxpr: Jaxpr, inputs: Sequence[Any], atoms: Sequence[Any]) -> list[Any] | None:
    """The values of variables of a jaxpr; None if they depend on something traced."""
    before = _prune(jaxpr, atoms)
    used = _read(before.eqns, before.outvars)
    every = [*zip(jaxpr.invars, inputs, strict=True), *zip(jaxpr.constvars, jaxpr.consts, strict=True)]
    if any(is_traced(value) for var, value in every if var in used):
        return None
    plain = [_stand_in(v, x) for v, x in every]
    with jax.ensure_compile_time_eval():
        opened = before.replace(constvars=[], invars=[*jaxpr.invars, *jaxpr.constvars])
        return jaxpr_as_fun(opened)(*plain)


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

    def count_here(self, start: Sequence[Any]) -> np.ndarray | None:
        """`count` in NumPy, for all starts at once; None if it takes too long.

        Raises:
            NotSimple: only JAX can.
        """
        consts, carry = list(start[: self.n_consts]), list(start[self.n_consts :])
        counts = np.zeros((), np.int64)
        for _ in range(MOST_HERE):
            (more,) = interpret.run(self.test, [*consts, *carry])
            if not np.any(more):
                return counts
            counts = counts + more
            new = interpret.run(self.step, [*consts, *carry])
            carry = [np.where(more, b, a) for a, b in zip(carry, new, strict=True)]
        raise interpret.NotSimple

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
    needed = _closed(_inputs(cond, cond.outvars), body, n)
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
    return prune(jaxpr.replace(outvars=list(outvars)), range(len(outvars)))


def _read(eqns: Iterable[JaxprEqn], atoms: Sequence[Any]) -> set[Var]:
    """The variables that equations or a list of results read."""
    every = [*atoms, *(v for eqn in eqns for v in eqn.invars)]
    return {v for v in every if not isinstance(v, Literal)}


def _inputs(jaxpr: Jaxpr, outvars: Sequence[Any]) -> set[int]:
    """Positions of the inputs on which these results depend."""
    pruned = _prune(jaxpr, outvars)
    used = _read(pruned.eqns, outvars)
    return {k for k, v in enumerate(jaxpr.invars) if v in used}
