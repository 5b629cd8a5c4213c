"""Accumulators and stores as symbols: what a loop adds up is collected as terms and reduced once, at its end.

While a body is emitted for all iterations at once, a carried sum is not a number but an `Accumulator`, the list of
what was added to it. A term keeps the axes of the loops it was added in (*pending*): a double loop reduces
both axes in one go, a term that does not depend on an axis is multiplied by its length, and a term added in
one side of a branch on data stands only on the iterations that take this side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import JaxprEqn
from jax.extend.core import primitives as jp

from gradmc.program.middle.emit import Context, NotVectorisable
from gradmc.program.middle.known import run_now
from gradmc.program.middle.roles import is_logaddexp
from gradmc.program.middle.values import Axis, Value, traced, union


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """Something added, once for each position along the axes `pending`."""

    value: Value
    pending: tuple[Axis, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Accumulator:
    """A running sum (or maximum, ...) as the list of what has been added to it so far; `name` tells it apart."""

    name: object
    operation: str
    aval: Any
    terms: tuple[Term, ...] = ()

    def plus(self, *terms: Term) -> "Accumulator":
        return replace(self, terms=(*self.terms, *terms))

    def fresh(self) -> "Accumulator":
        return replace(self, terms=())

    def closed(self, axis: Axis) -> "Accumulator":
        """The same after the loop of `axis`, or the part of it for which a branch is taken, has ended."""
        return replace(self, terms=tuple(replace(t, pending=closed(t.pending, axis)) for t in self.terms))

    @staticmethod
    def RULE(eqn: JaxprEqn, args: list[Any], context: Context) -> list[Any]:
        """A step of the chain that `roles` has found."""
        where = next(k for k, a in enumerate(args) if isinstance(a, Accumulator))
        running, other = args[where], args[1 - where]
        if not isinstance(other, Value) or (eqn.primitive is jp.sub_p and where):
            raise NotVectorisable
        if eqn.primitive is jp.sub_p:
            other = Value(-other.array, other.axes)
        elif not is_logaddexp(eqn) and eqn.primitive not in (jp.add_p, jp.max_p, jp.min_p, jp.and_p, jp.or_p):
            raise NotVectorisable
        return [running.plus(Term(other))]


def closed(pending: tuple[Axis, ...], axis: Axis) -> tuple[Axis, ...]:
    """Pending axes once the loop of `axis` is over; a part of the axis already counted stands for it."""
    return pending if any(a.root is axis.root for a in pending) else (*pending, axis)


def identity(operation: str, dtype: Any) -> np.ndarray:
    """What leaves a running value as it is."""
    if operation in ("max", "min") and not jnp.issubdtype(dtype, jnp.inexact):
        if dtype == np.bool_:
            return np.asarray(operation == "min")
        limits = np.iinfo(dtype)
        return np.asarray(limits.min if operation == "max" else limits.max, dtype)
    start = {"add": 0, "max": -np.inf, "min": np.inf, "and": True, "or": False, "logaddexp": -np.inf}
    return np.asarray(start[operation], dtype)


_COMBINE: dict[str, Callable[[Any, Any], Any]] = {
    "add": lax.add,
    "max": lax.max,
    "min": lax.min,
    "and": lax.bitwise_and,
    "or": lax.bitwise_or,
    "logaddexp": jnp.logaddexp,
}


def combine(operation: str, a: Value, b: Value, context: Context) -> Value:
    """One step between two values."""
    axes = union((a, b))
    a, b = context.widen(a, axes), context.widen(b, axes)
    if a.known and b.known:
        return Value(run_now(_COMBINE[operation], [a.array, b.array]), axes)
    return Value(_COMBINE[operation](traced(a), traced(b)), axes)


def total(running: Accumulator, init: Value | None, context: Context) -> Value:
    """The accumulated value: all terms reduced over their pending axes, and what there was before."""
    groups: dict[Any, Value] = {}
    for term in running.terms:
        key = (term.value.axes, term.pending)
        old = groups.get(key)
        groups[key] = term.value if old is None else combine(running.operation, old, term.value, context)
    result = init
    for (_, pending), value in groups.items():
        reduced = reduce_axes(running.operation, value, pending)
        result = reduced if result is None else combine(running.operation, result, reduced, context)
    if result is None:
        result = Value(np.broadcast_to(identity(running.operation, running.aval.dtype), running.aval.shape))
    return result


def reduce_axes(operation: str, value: Value, pending: Sequence[Axis]) -> Value:
    """Reduce a value over loop axes, those it does not depend on included."""
    dims = tuple(k for k, a in enumerate(value.axes) if a in pending)
    rest = tuple(a for a in value.axes if a not in pending)
    times = prod(a.size for a in pending if a not in value.axes)
    if value.known:
        array = run_now(lambda x: _reduced(operation, x, dims, times), [value.array])
    else:
        array = _reduced(operation, value.array, dims, times)
    return Value(array, rest)


def _reduced(operation: str, x: Any, dims: tuple[int, ...], times: int) -> Any:
    if dims:
        x = _REDUCE[operation](x, dims)
    if times != 1 and operation == "add":
        return x * np.asarray(times, x.dtype)
    if times != 1 and operation == "logaddexp":
        return x + np.asarray(np.log(times), x.dtype)
    return x


def _logsumexp(x: Any, dims: tuple[int, ...]) -> Any:
    top = jnp.max(x, axis=dims, keepdims=True)
    top = lax.stop_gradient(jnp.where(jnp.isfinite(top), top, 0.0))
    return jnp.log(jnp.sum(jnp.exp(x - top), axis=dims)) + jnp.squeeze(top, dims)


_REDUCE: dict[str, Callable[[Any, tuple[int, ...]], Any]] = {
    "add": lambda x, dims: jnp.sum(x, axis=dims, dtype=x.dtype),
    "max": lambda x, dims: jnp.max(x, axis=dims),
    "min": lambda x, dims: jnp.min(x, axis=dims),
    "and": lambda x, dims: jnp.all(x, axis=dims),
    "or": lambda x, dims: jnp.any(x, axis=dims),
    "logaddexp": _logsumexp,
}
