"""Arrays whose shape is not known while compiling: operations that do not depend on it.

A variable may be an array on one side of a branch and a number on the other (`Spread`): what is computed with it entry
by entry is right for both, and beside an array of the full shape the difference is gone. A mask that depends on
parameters selects some number of elements (`Selected`): what is computed of them entry by entry is computed of all, and
they may be stored where the same mask holds, or summed. So does a slice whose length changes along a loop; its elements
may be looped over, too. All else asks for the shape, and is refused.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from gradmc.program import ir
from gradmc.program.frontend import bounds, failing, tables
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.listing import Growing
from gradmc.program.frontend.values import LEAF, CannotRoll, Selected, Spread, is_traced

PARTIAL = (Spread, Selected)
DENSITIES = frozenset(["logpdf", "logpmf", "pdf", "pmf", "logcdf", "cdf", "logsf", "sf", "ppf", "isf"])
"""Methods of the distributions of scipy.stats that work entry by entry."""


def any_partial(values: Sequence[Any]) -> bool:
    """Whether one of the values is of these."""
    return any(isinstance(v, PARTIAL) for v in values)


def elementwise(ev: Evaluation, operation: Callable[..., Any], *operands: Any) -> Any:
    """An operation that works entry by entry, on operands some of which are of these."""
    chosen = [o for o in operands if isinstance(o, Selected)]
    result = operation(*(o.value if isinstance(o, PARTIAL) else o for o in operands))
    if chosen:
        first, *others = (unchanged(ev, o) for o in chosen)
        rest = [o for o in operands if not isinstance(o, Selected)]
        if any(o.key != first.key for o in others) or any(
            isinstance(o, Spread) or np.ndim(_array(ev, o)) for o in rest
        ):
            first.complain()
        return _filled(ev, Selected(result, first.mask, first.key, first.length))
    smaller = np.broadcast_shapes(*(o.shape if isinstance(o, Spread) else np.shape(_array(ev, o)) for o in operands))
    if smaller == np.shape(result):
        return result
    spread = next(o for o in operands if isinstance(o, Spread))
    return Spread(result, smaller, spread.name, spread.why)


SAFE = 0.5
"""Stands for the elements where none is selected: what functions make of it, and their derivatives, are finite."""


def _filled(ev: Evaluation, selected: Selected) -> Selected:
    """Something to compute with where nothing is selected: NaN and infinite derivatives would stay, even times 0."""
    table = None if selected.length is None else tables.known(ev, selected.length)
    if not jnp.issubdtype(selected.value.dtype, jnp.floating) or (table is not None and table.values.all()):
        return selected
    some = jnp.any(selected.mask) if selected.length is None else selected.length > 0
    return replace(selected, value=jnp.where(some, selected.value, SAFE))


def _array(ev: Evaluation, value: Any) -> Any:
    return ev.heap.content(value)


def is_elementwise(function: Any) -> bool:
    """Whether a function of numpy or scipy works entry by entry."""
    if isinstance(function, np.ufunc):
        return function.signature is None
    owner = getattr(function, "__self__", None)
    if getattr(function, "__name__", "") in DENSITIES and type(owner).__module__.startswith("scipy.stats"):
        return type(owner).__name__.startswith("multi") is False and hasattr(owner, "_argcheck")
    return function is np.where


SUMS: dict[Any, str] = {
    np.sum: "sum",
    np.mean: "mean",
    np.var: "var",
    np.std: "std",
    np.prod: "prod",
    np.max: "max",
    np.min: "min",
    np.any: "any",
    np.all: "all",
    sum: "sum",
}
EMPTY = {"sum": 0, "prod": 1, "max": -np.inf, "min": np.inf, "any": False, "all": True}


def reduced(ev: Evaluation, selected: Selected, name: str) -> Any:
    """The sum, mean, product, maximum or minimum of the elements that a mask selects, or whether any or all hold."""
    unchanged(ev, selected)
    if name == "mean":
        return reduced(ev, selected, "sum") / counted(selected)
    if name == "var":
        away = selected.value - reduced(ev, selected, "mean")
        return reduced(ev, replace(selected, value=away * away), "mean")
    if name == "std":
        return jnp.sqrt(reduced(ev, selected, "var"))
    if name in ("max", "min"):
        failing.note(ev, jnp.logical_not(jnp.any(selected.mask)), ValueError)
    return getattr(jnp, name)(jnp.where(selected.mask, selected.value, EMPTY[name]))


def item(ev: Evaluation, selected: Selected, k: Any) -> Any:
    """Element `k` of a slice whose length changes, Python's rules for negative ones."""
    bounds.check(ev, k, selected.length)
    place = jnp.where(k < 0, k + selected.length, k)
    return ir.load(unchanged(ev, selected).value, jnp.clip(place, 0, selected.mask.shape[0] - 1))


def reversed_(ev: Evaluation, selected: Selected) -> Selected:
    """The elements of a slice whose length changes, the last one first."""
    places = jnp.maximum(selected.length - 1 - np.arange(selected.mask.shape[0]), 0)
    return replace(selected, value=jnp.asarray(unchanged(ev, selected).value)[places])


def counted(selected: Selected) -> Any:
    """How many elements a mask selects."""
    return jnp.sum(selected.mask) if selected.length is None else selected.length


def unchanged(ev: Evaluation, selected: Selected) -> Selected:
    """The elements of a slice, which must be those that its array has now; others as they are."""
    if selected.part_of is not None:
        array, version = selected.part_of
        ev.heap.content(array)
        if ev.heap.version(array) != version:
            raise CannotRoll("a slice whose length changes is read after a store into its array", "Slice it anew.")
    return selected


def part(ev: Evaluation, selected: Any, array: Any) -> Any:
    """A slice of an array, as a part of it: the array may change."""
    sliced = isinstance(selected, Selected) and selected.length is not None
    return replace(selected, part_of=(array, ev.heap.version(array))) if sliced else selected


def select(ev: Evaluation, content: Any, mask: Any) -> Selected:
    """`content[mask]`, for a mask of the same shape."""
    flat, first = jnp.asarray(content).reshape(-1), jnp.argmax(mask.reshape(-1))
    return _filled(ev, Selected(jnp.where(mask, content, flat[first]), mask, key(ev, mask)))


def of_list(ev: Evaluation, value: Any) -> Any:
    """A list of numbers whose length depends on parameters, as the part of an array that it fills; others as they are.

    A loop that may end early, or appends on one side of a branch, leaves such lists.
    """
    content = ev.heap.content(value) if isinstance(value, list) else value
    if not isinstance(content, Growing) or not content.over or content.form != LEAF or content.leaves[0].ndim != 1:
        return value
    (numbers,) = content.leaves
    mask, key = first(ev, content.room, content.count)
    return Selected(jnp.where(mask, numbers, numbers[0]), mask, key)


def first(ev: Evaluation, room: int, count: Any) -> tuple[Any, Any]:
    """The mask of the first `count` of `room` elements, and what tells it apart."""
    table = tables.known(ev, count)
    key = ("list", id(count)) if table is None else ("first", room, table.loops, table.values.tobytes())
    return jnp.arange(room) < count, key


def stored(ev: Evaluation, content: Any, mask: Any, value: Selected) -> Any:
    """`content` after `content[mask] = value`."""
    if value.key != key(ev, mask) or mask.shape != content.shape:
        value.complain()
    array = jnp.asarray(content)
    return jnp.where(mask, value.value.astype(array.dtype), array)


# --- which mask is which -------------------------------------------------------------------------


def key(ev: Evaluation, value: Any) -> Any:
    """What tells masks apart: how they were made, of which values."""
    entry = ev.masks.get(id(value))
    return entry[1] if entry is not None and entry[0] is value else ("is", id(value))


def note(ev: Evaluation, mask: Any, op: str, operands: Sequence[Any], tokens: Sequence[Any]) -> Any:
    """Note how a mask was made; returns it.

    Args:
        mask: the result.
        op: the name of the operator.
        operands: the contents of its operands.
        tokens: the operands.
    """
    if is_traced(mask) and mask.ndim and mask.dtype == bool:
        heap = ev.heap
        parts = tuple(
            ("value", type(v), v) if isinstance(v, int | float) else (key(ev, v), heap.version(t))
            for v, t in zip(operands, tokens, strict=True)
        )
        ev.masks[id(mask)] = (mask, (op, *parts), (*operands, *tokens))
    return mask
