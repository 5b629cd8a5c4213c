"""Stores as symbols: an array filled by a loop is put together once, after the loop.

`x[i] = v` in a loop that runs on all iterations at once adds an entry (the value, its index, the axes of the
loops) to the `Stores` of x. Since the places are known, so is the last store to each of them, and the array
is a slice, a concatenation or a gather of the values. `x[k] += v` adds up by place instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import JaxprEqn
from jax.extend.core import primitives as jp
from jax.extend.core.primitives import dynamic_update_slice_p

from gradmc.program import ir
from gradmc.program.middle.accumulate import closed, reduce_axes
from gradmc.program.middle.emit import RULES, Context, NotVectorisable, spread
from gradmc.program.middle.loads import dynamic_slice, inside, int32, out_of_range, within, wrapped
from gradmc.program.middle.named_axes import Axis, Value, repeated, traced, union
from gradmc.program.middle.take import KnownIndices, sum_by, take

# Up to this many elements an array is rewritten as a whole by comparing positions with the index.
SMALL = 64


@dataclass(frozen=True, slots=True, eq=False)
class DeferredStore:
    """A store, once for each position along the axes `pending`; `adds` if it adds to what is there.

    `where`, a known truth value, says in which iterations it is made. `conditional` if a traced condition does: where
    it does not hold nothing is added, or what was there before the loop is stored (then the store must not meet
    another one), and the place may lie beyond the array.
    """

    value: Value
    indices: tuple[Value, ...]
    adds: bool
    pending: tuple[Axis, ...] = ()
    source: Any = None
    where: Value | None = None
    conditional: bool = False

    @property
    def own_axes(self) -> tuple[Axis, ...]:
        """The axes along which the place, or whether there is a store, changes."""
        return union(self.indices if self.where is None else (*self.indices, self.where))

    @property
    def parts(self) -> tuple[Axis, ...]:
        """The parts of loops, for which a branch is taken, in which it is made."""
        return tuple(a for a in self.pending if a.within is not None)


@dataclass(frozen=True, slots=True, eq=False)
class Stores:
    """An array that a loop fills: what it was before and what has been stored since; `name` tells it apart."""

    name: object
    base: Value
    entries: tuple[DeferredStore, ...] = ()

    def closed(self, axis: Axis) -> "Stores":
        """The same after the loop of `axis`, or the part of it for which a branch is taken, has ended."""
        return replace(self, entries=tuple(replace(e, pending=closed(e.pending, axis)) for e in self.entries))

    @staticmethod
    def RULE(eqn: JaxprEqn, args: list[Any], context: Context) -> list[Any]:
        """A load from the array begins `x[k] += v`; nothing else may look at it."""
        if eqn.primitive is ir.load_p and isinstance(args[0], Stores):
            return [AddedElement(args[0], tuple(args[1:]))]
        if eqn.primitive is not ir.store_p or not isinstance(args[0], Stores):
            raise NotVectorisable
        array, value, *indices = args
        if isinstance(value, AddedElement):
            if value.stores is not array or not value.names(indices) or value.delta is None:
                raise NotVectorisable
            entry = DeferredStore(value.delta, tuple(indices), True, source=eqn.params["source"])
        elif isinstance(value, Value):
            entry = DeferredStore(value, tuple(indices), False, source=eqn.params["source"])
        else:
            raise NotVectorisable
        return [replace(array, entries=(*array.entries, entry))]


@dataclass(frozen=True, slots=True, eq=False)
class AddedElement:
    """The element of an array that is about to be added to."""

    stores: Stores
    indices: tuple[Value, ...]
    delta: Value | None = None

    def names(self, indices: Sequence[Value]) -> bool:
        """Whether `indices` say the same place."""
        return len(indices) == len(self.indices) and all(
            a is b or (a.known and b.known and a.axes == b.axes and np.array_equal(a.array, b.array))
            for a, b in zip(indices, self.indices, strict=True)
        )

    @staticmethod
    def RULE(eqn: JaxprEqn, args: list[Any], context: Context) -> list[Any]:
        """An addition to what was loaded."""
        where = next(k for k, a in enumerate(args) if isinstance(a, AddedElement))
        if eqn.primitive not in (jp.add_p, jp.sub_p) or len(args) != 2 or (eqn.primitive is jp.sub_p and where):
            raise NotVectorisable
        slot, other = args[where], args[1 - where]
        if not isinstance(other, Value):
            raise NotVectorisable
        if eqn.primitive is jp.sub_p:
            other = Value(-other.array, other.axes)
        other = repeated(other, eqn.outvars[0].aval.shape)
        if slot.delta is not None:
            axes = union((slot.delta, other))
            a, b = context.widen(slot.delta, axes), context.widen(other, axes)
            other = Value(traced(a) + traced(b), axes)
        return [replace(slot, delta=other)]


def _store_rule(eqn: JaxprEqn, args: list[Any], context: Context) -> list[Any]:
    if not all(isinstance(a, Value) for a in args):
        return Stores.RULE(eqn, args, context)
    array, value, *indices = args
    sizes = array.element[: len(indices)]
    for index, size in zip(indices, sizes, strict=True):
        if index.known and not context.masked and ((index.array < -size) | (index.array >= size)).any():
            raise out_of_range(int(index.array.flat[0]), size, eqn.params["source"])
    axes = union(args)
    if not axes:
        return [Value(_update(traced(array), traced(value), indices))]
    fn = _rewrite if prod(array.element) <= SMALL else ir.store_plain
    return spread(lambda *a: [fn(*a)], args, context, axes)


RULES[ir.store_p] = _store_rule


def _rewrite(x: Any, value: Any, *indices: Any) -> Any:
    """The whole array, by comparing positions with the index: mapped over an axis it needs no scatter."""
    hit = np.asarray(True)
    for k, index in enumerate(indices):
        hit = hit & (lax.broadcasted_iota(index.dtype, x.shape, k) == ir.wrap_index(index, x.shape[k]))
    return lax.select(hit, lax.broadcast_in_dim(value, x.shape, range(len(indices), x.ndim)), x)


def _update(x: Any, value: Any, indices: Sequence[Value]) -> Any:
    n = len(indices)
    where = [wrapped(i, size) for i, size in zip(indices, x.shape, strict=False)]
    start = [int32(i) for i in (*where, *[np.zeros((), np.int32)] * (x.ndim - n))]
    shape = (*[1] * n, *x.shape[n:])
    value = value.reshape(shape)
    if not all(inside(i, size) for i, size in zip(indices, x.shape, strict=False)):
        value = jnp.where(within(where, x.shape), value, dynamic_slice(x, start, shape))
    return dynamic_update_slice_p.bind(x, value, *start)


# --- assembling -----------------------------------------------------------------------------------


def assemble(stores: Stores, context: Context) -> Value:
    """The array after the loops of all pending axes."""
    entries = stores.entries
    if not entries:
        return stores.base
    if not all(i.known for e in entries for i in e.indices) or len({len(e.indices) for e in entries}) != 1:
        raise NotVectorisable
    if len({e.adds for e in entries}) != 1:
        raise NotVectorisable
    outer = _outer_axes(stores)
    rank = len(entries[0].indices)
    shape = stores.base.element[:rank]
    rows = [_rows(e, shape, outer, context) for e in entries]
    base = _flat(stores.base, outer, rank, context)
    known = stores.base.known and all(e.value.known for e in entries)
    arrays = [base, *(r for r, _ in rows)]
    indices = [index for _, index in rows]
    if known and (len(entries) == 1 or entries[0].adds):
        out = _stored_now(arrays[0], arrays[1:], indices, entries[0].adds)
    elif entries[0].adds:
        out = _added(arrays[0], arrays[1:], indices)
    else:
        out = _placed(arrays[0], arrays[1:], indices, ordered=_in_step(entries))
    return _unflat(out, outer, stores.base.element)


def _outer_axes(stores: Stores) -> tuple[Axis, ...]:
    """Axes of loops that go on around the array: each position along them has an array of its own."""
    found = dict.fromkeys(stores.base.axes)
    for entry in stores.entries:
        done = {a.root for a in entry.pending}
        if any(a.root not in done for a in entry.own_axes):
            raise NotVectorisable
        found |= dict.fromkeys(a for a in entry.value.axes if a.root not in done)
    return tuple(sorted(found, key=lambda a: a.level))


def _flat(value: Value, outer: tuple[Axis, ...], rank: int, context: Context) -> Any:
    """(rows, *outer, *rest), the first `rank` dimensions of the array flattened into rows."""
    x = context.widen(value, outer).array
    n = len(outer)
    x = x.reshape(*x.shape[:n], prod(x.shape[n : n + rank]), *x.shape[n + rank :])
    return np.moveaxis(x, n, 0) if value.known else jnp.moveaxis(x, n, 0)


def _unflat(x: Any, outer: tuple[Axis, ...], element: tuple[int, ...]) -> Value:
    move = np.moveaxis if isinstance(x, np.ndarray) else jnp.moveaxis
    x = move(x, 0, len(outer))
    return Value(x.reshape(*(a.size for a in outer), *element), outer)


def _rows(
    entry: DeferredStore, shape: Sequence[int], outer: tuple[Axis, ...], context: Context
) -> tuple[Any, np.ndarray]:
    """The stored values as rows (rows, *outer, *rest) in the order of time, and the place of each, -1 for none."""
    mine = entry.own_axes
    value = entry.value
    others = [a for a in entry.pending if a not in mine]
    value = reduce_axes("add", value, others, context) if entry.adds else _last(value, others)
    made = np.ones([a.size for a in mine], bool)
    if entry.where is not None:
        made &= _spread(entry.where, mine)
    made = made.reshape(-1)
    tables = [np.broadcast_to(_spread(i, mine), [a.size for a in mine]).reshape(-1) for i in entry.indices]
    beyond = np.any([(t < -n) | (t >= n) for t, n in zip(tables, shape, strict=True)], axis=0)
    if entry.conditional:
        made &= ~beyond
    if (made & beyond).any():
        _complain(entry, [t[made & beyond][0] for t in tables], shape)
    places = np.zeros(made.size, np.int64)
    for table, size in zip(tables, shape, strict=True):
        places = places * size + table % size
    places[~made] = -1
    if entry.conditional and not entry.adds:
        once = all(a.size == 1 for a in others) and np.unique(places[made]).size == made.sum()
        if not once:
            raise NotVectorisable
    wide = context.widen(value, tuple(sorted((*outer, *mine), key=lambda a: a.level)))
    order = [wide.axes.index(a) for a in (*mine, *outer)]
    rest = range(len(order), wide.array.ndim)
    move = np.transpose if wide.known else jnp.transpose
    x = move(wide.array, [*order, *rest])
    return x.reshape(made.size, *x.shape[len(mine) :]), places


def _complain(entry: DeferredStore, index: Sequence[int], shape: Sequence[int]) -> None:
    """Raise for an index beyond the array."""
    raise next(out_of_range(int(i), n, entry.source) for i, n in zip(index, shape, strict=True) if not -n <= i < n)


def _spread(value: Value, axes: Sequence[Axis]) -> np.ndarray:
    """A known value with a dimension for each of the axes, of length 1 where it does not depend on it."""
    return np.expand_dims(value.array, [k for k, a in enumerate(axes) if a not in value.axes])


def _kept(x: Any, places: np.ndarray) -> tuple[Any, np.ndarray]:
    """The rows that are stored, and their places."""
    made = places >= 0
    if made.all():
        return x, places
    return x[made] if isinstance(x, np.ndarray) else take(x, np.flatnonzero(made)), places[made]


def _last(value: Value, axes: Sequence[Axis]) -> Value:
    """The value in the last iteration along some axes."""
    for axis in axes:
        if axis in value.axes:
            k = value.axes.index(axis)
            rest = tuple(a for a in value.axes if a is not axis)
            cut = value.array.take(-1, k) if value.known else lax.index_in_dim(value.array, -1, k, keepdims=False)
            value = Value(cut, rest)
    return value


def _in_step(entries: Sequence[DeferredStore]) -> bool:
    """Whether the stores are made in the same iterations of the same loops, one after the other in each."""
    first = entries[0]
    return all(e.own_axes == first.own_axes and e.parts == first.parts and not e.conditional for e in entries)


def _placed(base: Any, rows: Sequence[Any], places: Sequence[np.ndarray], *, ordered: bool) -> Any:
    """`base` with rows put in their places; of several stores to one place the last counts."""
    owner, when = np.full(base.shape[0], -1, np.int64), np.full(base.shape[0], -1, np.int64)
    offset = 0
    for k, index in enumerate(places):
        mine = np.full(base.shape[0], -1, np.int64)
        made = np.flatnonzero(index >= 0)
        mine[index[made]] = made
        if not ordered and ((mine >= 0) & (owner >= 0)).any():
            raise NotVectorisable
        now = mine * len(places) + k
        later = (mine >= 0) & (now > when)
        owner, when = np.where(later, mine + offset, owner), np.where(later, now, when)
        offset += index.size
    new = _joined(rows)
    stored = np.flatnonzero(owner >= 0)
    if not stored.size:
        return base
    low, high = stored[0], stored[-1] + 1
    if stored.size == base.shape[0]:
        return take(new, owner)
    if stored.size == high - low:
        return _joined([base[:low], take(new, owner[low:high]), base[high:]])
    where = np.where(owner >= 0, owner + base.shape[0], np.arange(base.shape[0]))
    return take(_joined([base, new]), where)


def _joined(parts: Sequence[Any]) -> Any:
    parts = [jnp.asarray(p) for p in parts if p.shape[0]]
    return parts[0] if len(parts) == 1 else lax.concatenate(parts, 0)


def _added(base: Any, rows: Sequence[Any], places: Sequence[np.ndarray]) -> Any:
    out = None if isinstance(base, np.ndarray) and not base.any() else jnp.asarray(base)
    for x, index in map(_kept, rows, places):
        alone = index.size <= base.shape[0] and (np.bincount(index, minlength=1) <= 1).all()
        inverse = np.full(base.shape[0], -1, np.int64)
        inverse[index] = np.arange(index.size)
        more = (
            take(jnp.asarray(x), inverse)
            if alone
            else sum_by(jnp.asarray(x), KnownIndices(index.astype(np.int32), base.shape[0]))
        )
        out = more if out is None else out + more
    return out


def _stored_now(base: np.ndarray, rows: Sequence[np.ndarray], places: Sequence[np.ndarray], adds: bool) -> np.ndarray:
    out = np.array(base)
    for x, index in map(_kept, rows, places):
        if adds:
            np.add.at(out, index, x)
        else:
            out[index] = x
    return out
