"""Branches, by what their predicate is.

known and the same everywhere    the side that is taken, alone
known, along one loop            the iterations are divided: each side runs where it is taken
                                 (unless dividing costs more than computing both sides)
otherwise, in a vectorised loop  both sides for all iterations, and a selection. The inputs of each side are
                                 guarded, so that no NaN of a side not taken reaches a gradient
in sequential code               a real branch, unless both sides are a few operations
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Jaxpr, JaxprEqn

from gradmc.program import ir
from gradmc.program.middle.accumulate import Accumulator, Addend, identity, spread_back, total
from gradmc.program.middle.cost_model import GATHER, loads, tame, weight
from gradmc.program.middle.deferred_stores import DeferredStore, Stores
from gradmc.program.middle.depends import needed, operands
from gradmc.program.middle.emit import RULES, Context, NotVectorisable, run
from gradmc.program.middle.folding import uniform
from gradmc.program.middle.loads import load
from gradmc.program.middle.named_axes import Axis, Value, guarded, traced, union, widen
from gradmc.program.middle.take import take

# In sequential code a branch costs about as much as this (in nanoseconds of arithmetic, measured on a CPU).
BRANCH = 2.0


def _if_rule(eqn: JaxprEqn, args: list[Any], context: Context) -> list[Any]:
    pred, *values = args
    if not isinstance(pred, Value):
        raise NotVectorisable
    sides = (eqn.params["then"], eqn.params["otherwise"])
    if pred.known and uniform(pred.array):
        return run(sides[0] if pred.array.flat[0] else sides[1], values, context)
    if pred.known and len(pred.axes) == 1 and _worth_dividing(sides, pred, values):
        return _divided(sides, pred, values, context)
    if pred.axes or eqn.params.get("both") or _short(sides, values):
        return _selected(sides, pred, values, context)
    return _branched(eqn, pred, values, context)


RULES[ir.if_p] = _if_rule


def _short(sides: Sequence[Jaxpr], values: Sequence[Any]) -> bool:
    if any(isinstance(v, Value) and (v.axes or v.element) for v in values):
        return False
    return sum(map(weight, sides)) <= BRANCH


# --- divided ---------------------------------------------------------------------------------------


def _worth_dividing(sides: Sequence[Jaxpr], pred: Value, values: Sequence[Any]) -> bool:
    """Whether computing each side where it is taken costs less than both everywhere."""
    table = pred.array
    if int((np.diff(table.astype(np.int8)) != 0).sum()) == 1:
        return True
    moved = sum(isinstance(v, Value) and not v.known and pred.axes[0] in v.axes for v in values)
    merged = max(0, len(sides[0].outvars) - sum(not isinstance(v, Value) for v in values))
    taken = int(table.sum())
    wasted = weight(sides[0]) * (len(table) - taken) + weight(sides[1]) * taken
    gathers = (loads(sides[0]) * taken + loads(sides[1]) * (len(table) - taken)) + (moved + merged) * len(table)
    return wasted > GATHER * gathers


def _divided(sides: Sequence[Jaxpr], pred: Value, values: Sequence[Any], context: Context) -> list[Any]:
    axis = pred.axes[0]
    outs, parts = [], []
    for side, positions in zip(sides, (np.flatnonzero(pred.array), np.flatnonzero(~pred.array)), strict=True):
        part = Axis(len(positions), axis.level, axis, positions)
        live = needed(side, side.outvars)
        inner = [_fresh(_part(v, axis, part)) if var in live else v for v, var in zip(values, side.invars, strict=True)]
        guards = tuple(_part(g, axis, part) for g in context.guards)
        loops = tuple(part if a is axis else a for a in context.loops)
        outs.append(run(side, inner, replace(context.inside(), guards=guards, loops=loops)))
        parts.append(part)
    return [_merged(a, b, parts, pred, _before(a, b, values), context) for a, b in zip(*outs, strict=True)]


def _part(value: Any, axis: Axis, part: Axis) -> Any:
    """The value on a part of an axis."""
    if not isinstance(value, Value) or axis not in value.axes:
        return value
    axes = tuple(part if a is axis else a for a in value.axes)
    k = value.axes.index(axis)
    if value.known:
        return Value(value.array.take(part.index, k), axes)
    return Value(jnp.moveaxis(take(jnp.moveaxis(value.array, k, 0), part.index), 0, k), axes)


def _fresh(value: Any) -> Any:
    """A running sum as it enters a side: what is added there is kept apart."""
    if isinstance(value, Accumulator):
        return value.fresh()
    return replace(value, entries=()) if isinstance(value, Stores) else value


def _before(a: Any, b: Any, values: Sequence[Any]) -> Any:
    """The running sum or array that entered the branch and comes out as `a` and `b`."""
    symbol = a if not isinstance(a, Value) else b
    if isinstance(symbol, Accumulator):
        return next(v for v in values if isinstance(v, Accumulator) and v.name is symbol.name)
    if isinstance(symbol, Stores):
        return next(v for v in values if isinstance(v, Stores) and v.name is symbol.name)
    return None


def _merged(a: Any, b: Any, parts: Sequence[Axis], pred: Value, before: Any, context: Context) -> Any:
    if isinstance(before, Accumulator):
        return before.plus(*a.closed(parts[0]).terms, *b.closed(parts[1]).terms)
    if isinstance(before, Stores):
        entries = (*a.closed(parts[0]).entries, *b.closed(parts[1]).entries)
        return replace(before, entries=(*before.entries, *entries))
    axis = pred.axes[0]
    if parts[0] not in a.axes and parts[1] not in b.axes:
        return _select(pred, a, b, context)
    firsts = [p.index[0] for p in parts if p.index is not None]
    if firsts[1] < firsts[0]:
        a, b, parts = b, a, parts[::-1]
    both = [_along(v, p, union((a, b)), parts, context) for v, p in zip((a, b), parts, strict=True)]
    axes = tuple(axis if x is parts[0] else x for x in both[0].axes)
    k = axes.index(axis)
    order = np.argsort(np.concatenate([p.index for p in parts]))
    if both[0].known and both[1].known:
        return Value(np.concatenate([v.array for v in both], k).take(order, k), axes)
    rows = jnp.concatenate([jnp.moveaxis(traced(v), k, 0) for v in both])
    return Value(jnp.moveaxis(take(rows, order), 0, k), axes)


def _along(value: Value, part: Axis, axes: Any, parts: Sequence[Axis], context: Context) -> Value:
    """The value with its own part of the axis and all other axes of both sides."""
    mine = [x for x in axes if x not in parts]
    return context.inside().widen(value, tuple(sorted((*mine, part), key=lambda x: x.level)))


# --- selected --------------------------------------------------------------------------------------


def _selected(sides: Sequence[Jaxpr], pred: Value, values: Sequence[Any], context: Context) -> list[Any]:
    """Both sides for all iterations."""
    outs = []
    for side, keep in zip(sides, (pred, _negated(pred)), strict=True):
        inner = replace(context.inside(), masked=True)
        mine = [_fresh(v) for v in values]
        if not tame(side):
            inner = replace(inner, guards=(*context.guards, keep))
            live = needed(side, side.outvars)
            mine = [_guarded(v, keep) if x in live else v for v, x in zip(mine, side.invars, strict=True)]
        outs.append(run(side, mine, inner))
    return [_chosen(a, b, pred, _before(a, b, values), context) for a, b in zip(*outs, strict=True)]


def _negated(pred: Value) -> Value:
    return Value(~pred.array, pred.axes)


def _guarded(value: Any, keep: Value) -> Any:
    """An input of a side: its cotangent counts where the side is taken, or if it is taken anywhere."""
    if not isinstance(value, Value) or not value.differentiable:
        return value
    beyond = tuple(k for k, a in enumerate(keep.axes) if a not in value.axes)
    if beyond:
        rest = tuple(a for a in keep.axes if a in value.axes)
        anywhere = keep.array.any(axis=beyond) if keep.known else jnp.any(keep.array, axis=beyond)
        keep = Value(np.asarray(anywhere) if keep.known else anywhere, rest)
    return value if keep.known and keep.array.all() else guarded(value, keep)


def _chosen(a: Any, b: Any, pred: Value, before: Any, context: Context) -> Any:
    if isinstance(before, Accumulator):
        return _chosen_terms(a, b, pred, before, context)
    if isinstance(before, Stores):
        return _chosen_entries(a, b, pred, before, context)
    if not isinstance(a, Value) or not isinstance(b, Value):
        raise NotVectorisable
    return a if a is b else _select(pred, a, b, context)


def _select(pred: Value, a: Value, b: Value, context: Context) -> Value:
    axes = union((pred, a, b))
    a, b, keep = context.widen(a, axes), context.widen(b, axes), context.widen(pred, axes)
    if a.known and b.known and keep.known:
        mask = keep.array.reshape(*keep.array.shape, *[1] * len(a.element))
        return Value(np.where(mask, a.array, b.array), axes)
    shape = a.array.shape
    mask = lax.broadcast_in_dim(traced(keep), shape, range(len(axes)))
    return Value(lax.select(mask, traced(a), traced(b)), axes)


def _chosen_terms(a: Accumulator, b: Accumulator, pred: Value, before: Accumulator, context: Context) -> Accumulator:
    if not a.terms and not b.terms:
        return before
    nothing = Value(np.broadcast_to(identity(before.operation, before.aval.dtype), before.aval.shape))
    one, two = (total(spread_back(x, context), None, context) if x.terms else nothing for x in (a, b))
    return before.plus(Addend(_select(pred, one, two, context)))


def _chosen_entries(a: Stores, b: Stores, pred: Value, before: Stores, context: Context) -> Stores:
    """What both sides store, each where it is taken: as said by a known predicate, or by the values stored."""
    if any(x.parent(context.loops) for e in (*a.entries, *b.entries) for x in e.pending):
        raise NotVectorisable
    if not any(e.adds for e in (*a.entries, *b.entries)):
        if len(a.entries) == len(b.entries) == 1 and _same_place(a.entries[0], b.entries[0]):
            one, two = a.entries[0], b.entries[0]
            return replace(
                before, entries=(*before.entries, replace(one, value=_select(pred, one.value, two.value, context)))
            )
        if before.entries and not pred.known:
            raise NotVectorisable
    added = [_masked(e, pred, before.base, context) for e in a.entries]
    added += [_masked(e, _negated(pred), before.base, context) for e in b.entries]
    return replace(before, entries=(*before.entries, *added))


def _same_place(a: DeferredStore, b: DeferredStore) -> bool:
    if a.where is not None or b.where is not None or a.conditional or b.conditional:
        return False
    return a.pending == b.pending and all(
        i is j or (i.known and j.known and i.axes == j.axes and np.array_equal(i.array, j.array))
        for i, j in zip(a.indices, b.indices, strict=True)
    )


def _masked(entry: DeferredStore, pred: Value, base: Value, context: Context) -> DeferredStore:
    """The store where `pred` holds. Elsewhere nothing is added, or what was there before the loop is stored."""
    if pred.known and (not entry.adds or _may_miss(entry, base)):
        return replace(entry, where=_both(entry.where, pred))
    unchanged = (
        Value(np.zeros(entry.value.element, entry.value.dtype))
        if entry.adds
        else load(base, entry.indices, replace(context, masked=True))
    )
    chosen = _select(pred, entry.value, unchanged, context)
    return replace(entry, value=chosen, conditional=entry.conditional or not pred.known)


def _may_miss(entry: DeferredStore, base: Value) -> bool:
    """Whether a place lies beyond the array in some iteration."""
    sizes = zip(entry.indices, base.element, strict=False)
    return any(i.known and bool(((i.array < -n) | (i.array >= n)).any()) for i, n in sizes)


def _both(a: Value | None, b: Value) -> Value:
    """The conjunction of known truth values."""
    if a is None:
        return b
    axes = union((a, b))
    return Value(widen(a, axes).array & widen(b, axes).array, axes)


# --- branched --------------------------------------------------------------------------------------


def _branched(eqn: JaxprEqn, pred: Value, values: Sequence[Any], context: Context) -> list[Any]:
    """A real branch; the results have the axes of whatever they may depend on."""
    if any(isinstance(v, Stores) for v in values):
        raise NotVectorisable
    axes = [_axes_of(eqn, k, values) for k in range(len(eqn.outvars))]
    before = [_running(eqn, k, values) for k in range(len(eqn.outvars))]

    def side(name: str) -> Any:
        def taken() -> list[Any]:
            outs = run(eqn.params[name], [_fresh(v) for v in values], context.inside())
            return [_array(o, a, context) for o, a in zip(outs, axes, strict=True)]

        return taken

    outs = lax.cond(traced(pred), side("then"), side("otherwise"))
    results = [Value(o, a) for o, a in zip(outs, axes, strict=True)]
    return [r if b is None else b.plus(Addend(r)) for r, b in zip(results, before, strict=True)]


def _axes_of(eqn: JaxprEqn, k: int, values: Sequence[Any]) -> tuple[Axis, ...]:
    used = {id(a) for a in operands(eqn, k)[1:]}
    return union(v for a, v in zip(eqn.invars[1:], values, strict=True) if id(a) in used and isinstance(v, Value))


def _running(eqn: JaxprEqn, k: int, values: Sequence[Any]) -> Accumulator | None:
    used = {id(a) for a in operands(eqn, k)[1:]}
    found = [v for a, v in zip(eqn.invars[1:], values, strict=True) if id(a) in used and isinstance(v, Accumulator)]
    return found[0] if found else None


def _array(out: Any, axes: tuple[Axis, ...], context: Context) -> Any:
    if isinstance(out, Accumulator):
        out = total(spread_back(out, context.inside()), None, context.inside())
    return traced(context.inside().widen(out, axes))
