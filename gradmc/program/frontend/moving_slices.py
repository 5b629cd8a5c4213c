"""Slices whose bounds move with a loop: `y[t - 3:t]`.

A slice that has one length in all iterations, which the tables of its bounds tell, is a `load` (or a store) at a row of
indices that moves along. One whose length changes, `y[:t]`, is loaded at its largest length, and a mask says how many
of its elements there are in the iteration at hand (`partial`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from gradmc.program import ir
from gradmc.program.frontend import partial, tables, user_line
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.listing import Growing, Listing, Stack
from gradmc.program.frontend.values import LENGTH, LENGTH_REMEDY, CannotRoll, Selected, any_traced, is_traced


@dataclass(frozen=True, eq=False, slots=True)
class MovingRow:
    """The places that a moving slice picks.

    Attributes:
        places: as many as it picks at most; known where the slice begins at one place in all iterations.
        count: how many there are in the iteration at hand, if that changes.
    """

    places: Any
    count: Any = None

    def same(self) -> Any:
        """The places, of which there must be the same number in all iterations."""
        if self.count is not None:
            raise CannotRoll(LENGTH, LENGTH_REMEDY)
        return self.places


def load(ev: Evaluation, content: Any, parts: Sequence[Any]) -> Any:
    """`content[parts]`, where one of the parts is a moving slice."""
    axis, row, rest = _plan(ev, content, parts)
    if row.count is not None:
        return _selected(ev, row, ev.element(content, tuple(rest)) if rest else content)
    numpy = np if isinstance(content, np.ndarray) else jnp
    moved = numpy.moveaxis(content, axis, 0)
    window = jnp.moveaxis(ir.load(moved, row.places, source=user_line.here()), 0, axis)
    return ev.element(window, tuple(rest)) if rest else window


def _selected(ev: Evaluation, row: MovingRow, content: Any) -> Selected:
    """The elements that a slice whose length changes picks of an array with one axis."""
    if content.ndim > 1:
        row.same()
    mask, key = partial.first(ev, row.places.shape[0], row.count)
    if isinstance(row.places, np.ndarray):
        window = jnp.asarray(content[row.places])  # no gather in any iteration
    else:
        window = ir.load(jnp.asarray(content), row.places, source=user_line.here())
    return Selected(jnp.where(mask, window, window[0]), mask, key, row.count)


def of_listing(ev: Evaluation, content: Listing, part: slice) -> Listing:
    """A moving slice of a list."""
    whole = content if isinstance(content, Growing) else content.stacked(ev)
    n = content.length()
    start, stop = _counted(ev, part.start, 0, n), _counted(ev, part.stop, n, n)
    row = indices(ev, slice(start, stop, part.step), whole.leaves[0].shape[0])
    leaves = tuple(ir.load(jnp.asarray(leaf), row.places, source=user_line.here()) for leaf in whole.leaves)
    if row.count is not None:
        return Growing((), leaves=leaves, form=whole.form, count=row.count, over=True)
    return Listing((Stack(leaves, whole.form, len(row.places)),))


def _counted(ev: Evaluation, end: Any, default: Any, n: Any) -> Any:
    """An end of a slice, counted from the front of a list of (perhaps traced) length `n`."""
    if end is None:
        return default
    if is_traced(end) or end >= 0:
        return end
    return tables.apply(ev, jnp.maximum(n + end, 0), lambda n: np.maximum(n + end, 0), n)


def store(ev: Evaluation, content: Any, parts: Sequence[Any], value: Any) -> Any:
    """`content` after `content[parts] = value`."""
    axis, row, rest = _plan(ev, content, parts)
    places = row.same()
    parts = [*rest[:axis], places, *rest[axis + 1 :]] if rest else [*[slice(None)] * axis, places]
    array = jnp.asarray(content)
    return array.at[tuple(parts)].set(jnp.asarray(value).astype(array.dtype))


def _plan(ev: Evaluation, content: Any, parts: Sequence[Any]) -> tuple[int, MovingRow, list[Any]]:
    """The axis of the moving slice, the row of its indices, and the other parts (a full slice in its place)."""
    moving = [k for k, p in enumerate(parts) if isinstance(p, slice) and any_traced([p.start, p.stop, p.step])]
    if len(moving) > 1:
        raise CannotRoll("more than one slice of the subscript moves with the loop")
    (axis,) = moving
    row = indices(ev, parts[axis], content.shape[axis])
    rest = [slice(None) if k == axis else p for k, p in enumerate(parts)]
    return axis, row, rest if len(rest) > axis + 1 or axis else []


def indices(ev: Evaluation, part: slice, size: int) -> MovingRow:
    """The indices that a moving slice picks."""
    step = 1 if part.step is None else part.step
    if is_traced(step) or step <= 0:
        raise CannotRoll("the step of a moving slice must be a positive number that is known while compiling")
    ends = []
    for end, default in ((part.start, 0), (part.stop, size)):
        ends.append(default if end is None else end)
    start, stop = (tables.demand(ev, e) for e in ends)
    if start is None or stop is None:
        raise CannotRoll(LENGTH, LENGTH_REMEDY)

    def clipped(end: np.ndarray) -> np.ndarray:
        return np.clip(np.where(end < 0, end + size, end), 0, size)

    def count(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.maximum(0, -((clipped(a) - clipped(b)) // step))

    table = tables.combine(ev, count, [start, stop])
    if table is None:
        raise CannotRoll(LENGTH, LENGTH_REMEDY)
    length = tables.same(table)
    first = ends[0]
    if is_traced(first) and (start.values.min(initial=0) < 0 or start.values.max(initial=0) > size):
        counted = jnp.where(first < 0, first + size, first)
        first = tables.apply(ev, jnp.clip(counted, 0, size), clipped, first)
    elif not is_traced(first):
        first = int(clipped(np.asarray(first)))
    if length is not None:
        return MovingRow(first + np.arange(length, dtype=np.int64) * step)
    most = int(table.values.max(initial=0))
    now = tables.look(ev, table)
    places = first + np.arange(most, dtype=np.int64) * step
    return MovingRow(jnp.minimum(places, size - 1) if is_traced(places) else places, now)
