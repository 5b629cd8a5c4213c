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
from gradmc.program.middle.named_axes import Axis, Value, repeated, traced, union
from gradmc.program.middle.roles import is_logaddexp
from gradmc.program.middle.take import take


@dataclass(frozen=True, slots=True, eq=False)
class Addend:
    """Something added, once for each position along the axes `pending`."""

    value: Value
    pending: tuple[Axis, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Accumulator:
    """A running sum (or maximum, ...) as the list of what has been added to it so far; `name` tells it apart."""

    name: object
    operation: str
    aval: Any
    terms: tuple[Addend, ...] = ()

    def plus(self, *terms: Addend) -> "Accumulator":
        """With more terms."""
        return replace(self, terms=(*self.terms, *terms))

    def fresh(self) -> "Accumulator":
        """Without terms."""
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
        return [running.plus(Addend(repeated(other, eqn.outvars[0].aval.shape)))]


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


_COMBINE_NOW: dict[str, Callable[[Any, Any], Any]] = {
    "add": np.add,
    "max": np.maximum,
    "min": np.minimum,
    "and": np.logical_and,
    "or": np.logical_or,
    "logaddexp": np.logaddexp,
}
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
        return Value(np.asarray(_COMBINE_NOW[operation](a.array, b.array), a.dtype), axes)
    return Value(_COMBINE[operation](traced(a), traced(b)), axes)


def total(running: Accumulator, init: Value | None, context: Context) -> Value:
    """The accumulated value: all terms reduced over their pending axes, and what there was before."""
    if init is not None and running.terms and _neutral(running.operation, init):
        init = None
    groups: dict[Any, Value] = {}
    for term in running.terms:
        key = (term.value.axes, term.pending)
        old = groups.get(key)
        groups[key] = term.value if old is None else combine(running.operation, old, term.value, context)
    result = init
    for (_, pending), value in groups.items():
        reduced = reduce_axes(running.operation, value, pending, context)
        result = reduced if result is None else combine(running.operation, result, reduced, context)
    if result is None:
        result = Value(np.broadcast_to(identity(running.operation, running.aval.dtype), running.aval.shape))
    return result


def _neutral(operation: str, value: Value) -> bool:
    return value.known and bool((value.array == identity(operation, value.dtype)).all())


def spread_back(running: Accumulator, context: Context) -> Accumulator:
    """The same with terms that stand on a part of a loop still going on spread over all its iterations."""
    return replace(running, terms=tuple(_spread_term(t, running.operation, context) for t in running.terms))


def _spread_term(term: Addend, operation: str, context: Context) -> Addend:
    for part in term.pending:
        around = part.parent(context.loops)
        if around is None:
            continue
        pending = tuple(a for a in term.pending if a is not part)
        axes = tuple(sorted({*term.value.axes, part}, key=lambda a: a.level))
        value = context.widen(term.value, axes)
        while part is not None and part is not around:
            value, part = _filled(value, part, operation), part.within
        term = Addend(value, pending)
    return term


def _filled(value: Value, part: Axis, operation: str) -> Value:
    """A value on a part of an axis, on the whole of it; elsewhere it changes nothing."""
    whole, k = part.within, value.axes.index(part)
    assert whole is not None
    assert part.index is not None
    axes = tuple(whole if a is part else a for a in value.axes)
    table = np.full(whole.size, -1)
    table[part.index] = np.arange(part.size)
    hole = (table < 0).reshape(*[1] * k, -1, *[1] * (value.array.ndim - k - 1))
    neutral = identity(operation, value.dtype)
    if value.known:
        return Value(np.where(hole, neutral, value.array.take(np.maximum(table, 0), k)), axes)
    array = jnp.moveaxis(take(jnp.moveaxis(value.array, k, 0), table), 0, k)
    return Value(array if operation == "add" else jnp.where(hole, neutral, array), axes)


def reduce_axes(operation: str, value: Value, pending: Sequence[Axis], context: Context) -> Value:
    """Reduce a value over loop axes, those it does not depend on included."""
    times = prod(a.size for a in pending if a not in value.axes)
    if operation == "add" and value.factors is not None:
        value = _contracted(value, pending, context)
    dims = tuple(k for k, a in enumerate(value.axes) if a in pending)
    rest = tuple(a for a in value.axes if a not in pending)
    if value.known:
        array = np.asarray(_reduced(operation, value.array, dims, times, _REDUCE_NOW), value.dtype)
    else:
        array = _reduced(operation, value.array, dims, times, _REDUCE)
    return Value(array, rest)


def _contracted(value: Value, pending: Sequence[Axis], context: Context) -> Value:
    """A large sum of products as a product of matrices, as far as both factors depend on what is summed over."""
    assert value.factors is not None
    a, b = value.factors
    summed = [x for x in a.axes if x in b.axes and x in pending]
    small = prod(x.size for x in value.axes) <= context.options.dot_limit
    if small or not summed or a.axes == b.axes or not jnp.issubdtype(value.dtype, jnp.floating):
        return value
    batch = [x for x in a.axes if x in b.axes and x not in pending]
    numbers = tuple((tuple(v.axes.index(x) for x in summed), tuple(v.axes.index(x) for x in batch)) for v in (a, b))
    (sum_a, batch_a), (sum_b, batch_b) = numbers
    out = lax.dot_general(traced(a), traced(b), ((sum_a, sum_b), (batch_a, batch_b)))
    axes = [*batch, *(x for v in (a, b) for x in v.axes if x not in summed and x not in batch)]
    order = sorted(range(len(axes)), key=lambda k: axes[k].level)
    return Value(lax.transpose(out, order), tuple(axes[k] for k in order))


def _reduced(operation: str, x: Any, dims: tuple[int, ...], times: int, reduce: dict[str, Any]) -> Any:
    if dims:
        x = reduce[operation](x, dims)
    if times != 1 and operation == "add":
        return x * np.asarray(times, x.dtype)
    if times != 1 and operation == "logaddexp":
        return x + np.asarray(np.log(times), x.dtype)
    return x


def _logsumexp(x: Any, dims: tuple[int, ...]) -> Any:
    """Shifted by the maximum, so that no exponential overflows."""
    top = lax.stop_gradient(lax.reduce_max(x, dims))
    top = lax.select(lax.is_finite(top), top, jnp.zeros_like(top))
    kept = [k for k in range(x.ndim) if k not in dims]
    return lax.log(lax.reduce_sum(lax.exp(x - lax.broadcast_in_dim(top, x.shape, kept)), dims)) + top


_REDUCE: dict[str, Callable[[Any, tuple[int, ...]], Any]] = {
    "add": lax.reduce_sum,
    "max": lax.reduce_max,
    "min": lax.reduce_min,
    "and": lax.reduce_and,
    "or": lax.reduce_or,
    "logaddexp": _logsumexp,
}
_REDUCE_NOW: dict[str, Callable[[Any, tuple[int, ...]], Any]] = {
    "add": np.sum,
    "max": np.max,
    "min": np.min,
    "and": np.all,
    "or": np.any,
    "logaddexp": lambda x, dims: np.logaddexp.reduce(x, axis=dims),
}
