"""Loads: `array[i, j, ...]` where the indices have loop axes.

Known indices (the loop's own index, arithmetic on it, integer data) make slices where they follow each other
in even steps and gathers with known positions otherwise; the axis of the loop takes the place of the
dimension. Indices that depend on parameters are dynamic: an index beyond the array then yields NaN.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import JaxprEqn
from jax.extend.core.primitives import dynamic_slice_p

from gradmc.errors import ProgramError, SourceLocation
from gradmc.program import ir
from gradmc.program.middle.emit import RULES, Context, spread
from gradmc.program.middle.folding import LARGEST
from gradmc.program.middle.named_axes import Axis, Value, guarded, move_axis_in, move_axis_out, traced, union
from gradmc.program.middle.take import take

# Up to this many comparisons a dynamic load is a masked sum over the array, whose transpose needs no scatter.
ONE_HOT_LIMIT = 4096


def _load_rule(eqn: JaxprEqn, args: list[Any], context: Context) -> list[Any]:
    array, *indices = args
    if not isinstance(array, Value):
        return type(array).RULE(eqn, args, context)
    return [load(array, indices, context, eqn.params["source"])]


RULES[ir.load_p] = _load_rule


def load(array: Value, indices: Sequence[Value], context: Context, source: Any = None) -> Value:
    """`array[indices]`; indices that are arrays themselves select along their common shape."""
    batch = np.broadcast_shapes(*(i.element for i in indices))
    extra = [Axis(n, 1_000 + k) for k, n in enumerate(batch)]
    indices = [_spread_batch(i, extra) for i in indices]
    if all(i.known for i in indices):
        tables = [_checked(i, n, context, source) for i, n in zip(indices, array.element, strict=False)]
        out = _known(array, tables)
    else:
        out = _dynamic(array, list(indices), context)
    for pred in context.guards:
        if set(pred.axes) <= set(out.axes) and not set(pred.axes) <= set(array.axes):
            out = guarded(out, pred)
    for axis in reversed(extra):
        out = move_axis_in(out, axis)
    return out


def _spread_batch(index: Value, extra: Sequence[Axis]) -> Value:
    """An index array as a scalar index with one more axis per dimension."""
    for axis in extra[len(extra) - len(index.element) :]:
        if index.element[0] == axis.size:
            index = move_axis_out(index, axis)
        else:
            index = Value(index.array.reshape(*index.array.shape[: len(index.axes)], *index.element[1:]), index.axes)
    return index


def _checked(index: Value, size: int, context: Context, source: Any) -> Value:
    """A known index counted from 0; one beyond the array raises, as it would in Python."""
    table = np.asarray(index.array, np.int64)
    table = np.where(table < 0, table + size, table)
    beyond = (table < 0) | (table >= size)
    if beyond.any():
        if not context.masked:
            raise out_of_range(int(np.asarray(index.array)[beyond].flat[0]), size, source)
        table = np.clip(table, 0, max(size - 1, 0))
    return Value(table, index.axes)


def out_of_range(index: int, size: int, source: Any) -> ProgramError:
    """The error for a known index that lies beyond its array."""
    location = source if isinstance(source, SourceLocation) else None
    return ProgramError(
        f"index {index} is out of range for an axis of size {size}",
        location=location,
        remedy="Correct the loop's range or the index; indices go from 0 to size - 1, negative ones from the end.",
    )


def _known(array: Value, tables: list[Value]) -> Value:
    size = int(np.prod([a.size for a in union([array, *tables])])) * int(np.prod(array.element[len(tables) :]))
    if array.known and size <= LARGEST:
        return _lookup(array, tables)
    return _Picture(array, len(tables)).select(tables)


def _lookup(array: Value, tables: list[Value]) -> Value:
    """A known array at known places: a known value."""
    axes = union([array, *tables])
    rank = len(axes)
    grids = [_along(np.arange(a.size), (a,), axes) for a in array.axes]
    grids += [_along(t.array, t.axes, axes) for t in tables]
    out = array.array[tuple(grids)] if grids else array.array
    shape = (*(a.size for a in axes), *out.shape[rank:])
    return Value(np.broadcast_to(out, shape), axes)


def _along(table: np.ndarray, mine: Sequence[Axis], axes: Sequence[Axis]) -> np.ndarray:
    return np.expand_dims(table, [k for k, a in enumerate(axes) if a not in mine])


class _Picture:
    """A traced array whose dimensions bear labels: a loop axis, or a number for one not yet indexed."""

    def __init__(self, array: Value, count: int) -> None:
        self.x = traced(array)
        self.labels: list[Any] = [*array.axes, *range(len(array.element))]
        self.count = count

    def select(self, tables: list[Value]) -> Value:
        pending = dict(enumerate(tables))
        fixed = {k: int(t.array) for k, t in pending.items() if not t.axes}
        if fixed:
            self.pick(fixed)
            pending = {k: t for k, t in pending.items() if k not in fixed}
        for k, table in list(pending.items()):
            if len(table.axes) == 1 and not self.taken(table.axes[0], k, pending):
                self.along(k, table)
                del pending[k]
        if pending:
            self.jointly(pending)
        return self.value()

    def taken(self, axis: Axis, k: int, pending: dict[int, Value]) -> bool:
        return axis in self.labels or any(axis in t.axes for m, t in pending.items() if m != k)

    def pick(self, fixed: dict[int, int]) -> None:
        """Cut out one position of some dimensions."""
        dims = {self.labels.index(k): index for k, index in fixed.items()}
        low = [dims.get(d, 0) for d in range(self.x.ndim)]
        high = [dims.get(d, n - 1) + 1 for d, n in enumerate(self.x.shape)]
        self.x = lax.squeeze(lax.slice(self.x, low, high), tuple(dims))
        self.labels = [label for d, label in enumerate(self.labels) if d not in dims]

    def along(self, k: int, table: Value) -> None:
        dim = self.labels.index(k)
        self.front([dim])
        self.x = take(self.x, table.array)
        self.labels[0] = table.axes[0]

    def front(self, dims: list[int]) -> None:
        order = [*dims, *(d for d in range(len(self.labels)) if d not in dims)]
        self.labels = [self.labels[d] for d in order]
        self.x = self.x if order == sorted(order) else jnp.transpose(self.x, order)

    def jointly(self, pending: dict[int, Value]) -> None:
        """Indices that share axes: one gather in the flattened dimensions."""
        axes = union(pending.values())
        shared = [a for a in axes if a in self.labels]
        self.front([self.labels.index(label) for label in (*shared, *pending)])
        count = len(shared) + len(pending)
        shape = self.x.shape[:count]
        grids = [_along(np.arange(a.size), (a,), axes) for a in shared]
        grids += [_along(t.array, t.axes, axes) for t in pending.values()]
        flat = np.zeros((1,) * len(axes), np.int64)
        for grid, n in zip(grids, shape, strict=True):
            flat = flat * n + grid
        flat = np.broadcast_to(flat, [a.size for a in axes])
        rest = self.x.shape[count:]
        taken = take(self.x.reshape(-1, *rest), flat.reshape(-1))
        self.x = taken.reshape(*flat.shape, *rest)
        self.labels = [*axes, *self.labels[count:]]

    def value(self) -> Value:
        axes = tuple(sorted((a for a in self.labels if isinstance(a, Axis)), key=lambda a: a.level))
        rest = sorted(k for k in self.labels if not isinstance(k, Axis))
        self.front([self.labels.index(label) for label in (*axes, *rest)])
        return Value(self.x, axes)


def _dynamic(array: Value, indices: list[Value], context: Context) -> Value:
    """Indices that are computed by the program; those without a loop axis are cut out first."""
    array, indices = _cut_out(array, indices, context)
    axes = union([array, *indices])
    sizes = array.element[: len(indices)]
    sure = all(inside(i, n) for i, n in zip(indices, sizes, strict=True))
    if all(i.known for i in indices):
        return _known(
            array,
            [Value(np.where(i.array < 0, i.array + n, i.array), i.axes) for i, n in zip(indices, sizes, strict=True)],
        )
    if not axes:
        where = [wrapped(i, n) for i, n in zip(indices, sizes, strict=True)]
        return Value(_slice(traced(array), where, sure))
    cells = int(np.prod([a.size for a in axes])) * int(np.prod(array.element))
    fn = _one_hot if cells <= ONE_HOT_LIMIT else ir.load_plain
    return spread(lambda x, *where: [fn(x, *where)], [array, *indices], context, axes)[0]


def _cut_out(array: Value, indices: list[Value], context: Context) -> tuple[Value, list[Value]]:
    """Traced indices without axes, next to others with axes: their row first, as one slice."""
    if not any(i.axes for i in indices):
        return array, indices
    rest = []
    for index in indices:
        size, dim = array.element[len(rest)], len(array.axes) + len(rest)
        if index.known or index.axes or not inside(index, size):
            rest.append(index if not index.known else _checked(index, size, context, None))
            continue
        x = traced(array)
        start = [np.int32(0)] * x.ndim
        start[dim] = int32(wrapped(index, size))
        cut = dynamic_slice(x, start, [1 if d == dim else n for d, n in enumerate(x.shape)])
        array = Value(lax.squeeze(cut, (dim,)), array.axes)
    return array, rest


def inside(index: Value, size: int) -> bool:
    """Whether an index is known to lie in an axis of this size."""
    if index.known:
        return bool(((index.array >= -size) & (index.array < size)).all())
    return index.bounds is not None and -size <= index.bounds[0] and index.bounds[1] < size


def _slice(x: Any, indices: list[Any], sure: bool) -> Any:
    """One element (or sub-array), without a gather: its transpose needs no scatter."""
    n = len(indices)
    start = [*indices, *[np.zeros((), indices[0].dtype)] * (x.ndim - n)]
    start = [int32(s) for s in start]
    got = lax.squeeze(dynamic_slice(x, start, (*[1] * n, *x.shape[n:])), range(n))
    return got if sure else jnp.where(within(indices, x.shape), got, missing(got.dtype))


def dynamic_slice(x: Any, start: Sequence[Any], sizes: Sequence[int]) -> Any:
    """`lax.dynamic_slice` for indices that count from 0."""
    return dynamic_slice_p.bind(x, *start, slice_sizes=tuple(sizes))


def int32(index: Any) -> Any:
    """The index in the type that slices take."""
    return np.asarray(index, np.int32) if isinstance(index, np.ndarray) else lax.convert_element_type(index, np.int32)


def wrapped(index: Value, size: int) -> Any:
    """An index counted from 0; one that is known not to be negative is left alone."""
    if index.known:
        return np.where(index.array < 0, index.array + size, index.array)
    x = traced(index)
    return x if index.bounds is not None and index.bounds[0] >= 0 else ir.wrap_index(x, size)


def within(indices: Sequence[Any], shape: Sequence[int]) -> Any:
    """Whether indices counted from 0 lie in an array."""
    ok = True
    for index, size in zip(indices, shape, strict=False):
        ok = (index >= 0) & (index < size) & ok
    return ok


def missing(dtype: Any) -> Any:
    """What an index beyond the array yields, as in `ir.load_plain`."""
    if jnp.issubdtype(dtype, jnp.inexact):
        return np.asarray(np.nan, dtype)
    if dtype == np.bool_:
        return np.asarray(True)
    limits = np.iinfo(dtype)
    return np.asarray(limits.min if limits.min else limits.max, dtype)


def _one_hot(x: Any, *indices: Any) -> Any:
    """One element by comparing all positions with the index."""
    where = [ir.wrap_index(i, n) for i, n in zip(indices, x.shape, strict=False)]
    hit = np.asarray(True)
    for k, index in enumerate(where):
        hit = hit & (lax.broadcasted_iota(index.dtype, x.shape, k) == index)
    dims = tuple(range(len(where)))
    if x.dtype == np.bool_:
        got = jnp.any(hit & x, axis=dims)
    else:
        got = jnp.sum(jnp.where(hit, x, jnp.zeros((), x.dtype)), axis=dims, dtype=x.dtype)
    return jnp.where(within(where, x.shape), got, missing(x.dtype))
