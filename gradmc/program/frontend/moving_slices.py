"""Slices whose bounds move with a loop: `y[t - 3:t]`.

The slice must have one length in all iterations, which the tables of its bounds tell. It is then a `load` (or a
store) at a row of indices that moves along.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from gradmc.program import ir
from gradmc.program.frontend import tables, user_line
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.values import CannotRoll, any_traced, is_traced

LENGTH = "a slice has a length that changes from iteration to iteration, or that depends on parameters"
REMEDY = "Loop over the elements, with an if that says which ones count."


def load(ev: Evaluation, content: Any, parts: Sequence[Any]) -> Any:
    """`content[parts]`, where one of the parts is a moving slice."""
    axis, row, rest = _plan(ev, content, parts)
    numpy = np if isinstance(content, np.ndarray) else jnp
    moved = numpy.moveaxis(content, axis, 0)
    window = jnp.moveaxis(ir.load(moved, row, source=user_line.here()), 0, axis)
    return ev.element(window, tuple(rest)) if rest else window


def of_listing(ev: Evaluation, content: Any, part: slice) -> Any:
    """A moving slice of a list of numbers, as an array."""
    leaves = content.leaves if content.grows else content.stacked(ev).leaves
    if len(leaves) != 1:
        raise CannotRoll("a slice of a list of tuples moves with the loop")
    n = content.length()
    start, stop = _counted(ev, part.start, 0, n), _counted(ev, part.stop, n, n)
    row = indices(ev, slice(start, stop, part.step), leaves[0].shape[0])
    return ir.load(jnp.asarray(leaves[0]), row, source=user_line.here())


def _counted(ev: Evaluation, end: Any, default: Any, n: Any) -> Any:
    """An end of a slice, counted from the front of a list of (perhaps traced) length `n`."""
    if end is None:
        return default
    return ev.binary("Add", n, end) if not is_traced(end) and end < 0 else end


def store(ev: Evaluation, content: Any, parts: Sequence[Any], value: Any) -> Any:
    """`content` after `content[parts] = value`."""
    axis, row, rest = _plan(ev, content, parts)
    parts = [*rest[:axis], row, *rest[axis + 1 :]] if rest else [*[slice(None)] * axis, row]
    array = jnp.asarray(content)
    return array.at[tuple(parts)].set(jnp.asarray(value).astype(array.dtype))


def _plan(ev: Evaluation, content: Any, parts: Sequence[Any]) -> tuple[int, Any, list[Any]]:
    """The axis of the moving slice, the row of its indices, and the other parts (a full slice in its place)."""
    moving = [k for k, p in enumerate(parts) if isinstance(p, slice) and any_traced([p.start, p.stop, p.step])]
    if len(moving) > 1:
        raise CannotRoll("more than one slice of the subscript moves with the loop")
    (axis,) = moving
    row = indices(ev, parts[axis], content.shape[axis])
    rest = [slice(None) if k == axis else p for k, p in enumerate(parts)]
    return axis, row, rest if len(rest) > axis + 1 or axis else []


def indices(ev: Evaluation, part: slice, size: int) -> Any:
    """The indices that a moving slice picks, as one traced row."""
    step = 1 if part.step is None else part.step
    if is_traced(step) or step <= 0:
        raise CannotRoll("the step of a moving slice must be a positive number that is known while compiling")
    ends = []
    for end, default in ((part.start, 0), (part.stop, size)):
        ends.append(default if end is None else end)
    start, stop = (tables.demand(ev, e) for e in ends)
    if start is None or stop is None:
        raise CannotRoll(LENGTH, REMEDY)

    def clipped(end: np.ndarray) -> np.ndarray:
        return np.clip(np.where(end < 0, end + size, end), 0, size)

    def count(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.maximum(0, -((clipped(a) - clipped(b)) // step))

    length = tables.same(tables.combine(ev, count, [start, stop]))
    if length is None:
        raise CannotRoll(LENGTH, REMEDY)
    first = ends[0]
    if start.values.min(initial=0) < 0 or start.values.max(initial=0) > size:
        counted = jnp.where(first < 0, first + size, first)
        first = tables.apply(ev, jnp.clip(counted, 0, size), clipped, first)
    return first + np.arange(length, dtype=np.int64) * step
