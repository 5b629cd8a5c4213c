"""Subscripts: reading `x[i]` and storing `x[i] = v`, on arrays and lists, with plain and symbolic indices."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradmc.program import ir
from gradmc.program.frontend import (
    bounds,
    choices,
    dicts,
    frames,
    gaps,
    mask_rows,
    moving_slices,
    nullable,
    partial,
    pythons,
    special_methods,
    tables,
    user_line,
)
from gradmc.program.frontend.dicts import KEYED, KEYED_REMEDY
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.identity import has_identity, objects_inside
from gradmc.program.frontend.libraries.arrays import array
from gradmc.program.frontend.listing import Listing, Stack
from gradmc.program.frontend.rearranging import Rearranged
from gradmc.program.frontend.values import (
    LEAF,
    CannotRoll,
    Choice,
    Selected,
    any_traced,
    at_once,
    is_array,
    is_plain_jax,
    is_traced,
    representable,
)


def load(ev: Evaluation, owner: Any, index: Any) -> Any:
    """`owner[index]`."""
    if isinstance(owner, Selected) and owner.length is not None:
        return _of_moving(ev, owner, index)
    owner = nullable.used(ev, owner)
    if isinstance(owner, Choice) and is_traced(index):
        return choices.item(ev, owner, index)
    users = special_methods.method_of(ev, owner, "__getitem__")
    return load_plainly(ev, owner, index) if users is None else users(index)


def load_plainly(ev: Evaluation, owner: Any, index: Any) -> Any:
    """`owner[index]`, whatever the class of a list or dict has made of it."""
    if isinstance(owner, dict):
        return dicts.load(ev, owner, present_index(ev, index))
    places = index if isinstance(index, tuple) else (index,)
    if choices.involved((owner, *places)):
        if is_array(owner):
            raise CannotRoll("an array is indexed by something that is no number", choices.REMEDY)
        if not isinstance(index, tuple):
            return choices.mapped(ev, lambda o, k: load(ev, o, k), owner, index)
        return choices.mapped(ev, lambda o, *parts: load(ev, o, parts), owner, *index)
    if isinstance(owner, frames.ROWS) or frames.is_pandas(owner):
        return frames.load(ev, owner, index, lambda o, k: load(ev, o, k))
    content = ev.heap.content(owner)
    picked = partial.of_list(ev, index)
    if isinstance(picked, Selected) and is_array(content):
        if content.ndim > 1:
            picked.complain()
        return partial.elementwise(ev, lambda places: load(ev, owner, places), picked)
    index = present_index(ev, index)
    if type(owner) in JOINING and any_traced(index):
        return ev.heap.allocate(_joined(JOINING[type(owner)], index))
    if isinstance(content, Listing):
        result = _from_listing(ev, owner, content, index)
        if content.stacks(index):
            return _part(ev, result, owner, _from_front(ev, index, content.length()))
        return result
    if is_array(content) and _holds_objects(content) and symbolic_index(index):
        return _of_objects(ev, owner, content, index)
    if is_array(content):
        result = ev.heap.own(_element(ev, content, index), content)
        if is_array(result):
            ev.heap.allocate(result)
            if _is_basic(index):
                ev.heap.view(result, owner, index)
        return partial.part(ev, result, owner)
    if isinstance(content, list) and not symbolic_index(index):
        try:
            return _inner(ev, list.__getitem__(content, index), owner, index)
        except IndexError:
            ev.heap.may_grow(owner)  # pyright: ignore[reportArgumentType]
            raise
    if not symbolic_index(index):
        return _inner(ev, content[index], owner, index)
    return _symbolic(ev, owner, content, index)


JOINING = {type(np.r_): jnp.r_, type(np.c_): jnp.c_}
"""numpy's objects that join what they are indexed with, and JAX's."""


def _joined(joining: Any, index: Any) -> Any:
    parts = index if isinstance(index, tuple) else (index,)
    return joining[tuple(array(p) if isinstance(p, list) else p for p in parts)]


NUMBERS = "biufcV"
"""Kinds of numpy's types that compiled code has, and those of JAX's own."""


def _holds_objects(content: Any) -> bool:
    """Whether an array holds text, dates, records or objects."""
    return content.dtype.kind not in NUMBERS or getattr(content.dtype, "names", None) is not None


def _of_objects(ev: Evaluation, owner: Any, content: np.ndarray, index: Any) -> Any:
    """An item of an array of text, dates, records or objects at a symbolic place."""
    first, *rest = index if isinstance(index, tuple) else (index,)
    found = _symbolic(ev, owner, list(content), first) if symbolic_index(first) else content[first]
    for part in rest:
        found = load(ev, found, part)
    return found


def _of_moving(ev: Evaluation, owner: Selected, index: Any) -> Any:
    """An element of a slice whose length changes, or the slice from its end to its beginning."""
    index = present_index(ev, index)
    if is_integer(index):
        return partial.item(ev, owner, index)
    if index != slice(None, None, -1):
        owner.complain()
    return partial.reversed_(ev, owner)


def _from_front(ev: Evaluation, index: Any, length: Any) -> Any:
    """An index counted from the front: the list may grow."""
    if isinstance(index, slice) or is_traced(index) or index >= 0:
        return index
    return tables.apply(ev, length + index, lambda n: n + index, length)


def _part(ev: Evaluation, result: Any, owner: Any, index: Any) -> Any:
    """Note that a value just made from a part of its owner stands for that part; returns it.

    Stores into an array, list or dict reach the owner; those into what a tuple holds are seen to miss it.
    """
    heap = ev.heap
    if has_identity(result):
        heap.allocate(result)
        heap.view(result, owner, index)
    elif isinstance(result, tuple):
        heap.aliases.copied(owner, list(map(heap.allocate, objects_inside(result, heap))))
    return result


def _inner(ev: Evaluation, result: Any, owner: Any, index: Any) -> Any:
    """An item of a container; if that is itself a row of a list, it has no object of its own either."""
    row = isinstance(owner, list | dict) and ev.heap.parent(owner) is not None
    return _part(ev, result, owner, index) if row and not isinstance(index, slice) else result


def _symbolic(ev: Evaluation, owner: Any, content: Any, index: Any) -> Any:
    """An item of a Python container at a symbolic index, or a slice of a list that moves."""
    return _moving(ev, owner, content, index) if isinstance(index, slice) else _item(ev, owner, content, index)


def _moving(ev: Evaluation, owner: Any, content: Any, part: slice) -> Any:
    """A moving slice of a Python container."""
    if not isinstance(content, list | tuple):
        raise CannotRoll(f"a slice of a {type(content).__name__} moves with the loop", KEYED_REMEDY)
    return _from_listing(ev, owner, Listing.of(content), part)


def _item(ev: Evaluation, owner: Any, content: Any, index: Any) -> Any:
    """An item of a Python container at a symbolic index."""
    if isinstance(content, str | list | tuple) and content and not _stacks(ev, content):
        bounds.check(ev, index, len(content))
        place = jnp.where(index < 0, index + len(content), index) if _negative(ev, index) else index
        result = choices.pick(ev, content, place)
        return _part(ev, result, owner, index) if isinstance(owner, list) and isinstance(result, dict) else result
    if isinstance(content, list | tuple) and content:
        result = Listing.of(content).item(ev, index)
        return _part(ev, result, owner, index) if isinstance(content, list) else result
    if isinstance(content, range):
        return content.start + content.step * index
    raise CannotRoll(f"a {type(content).__name__} {KEYED}", KEYED_REMEDY)


def _negative(ev: Evaluation, index: Any) -> bool:
    table = tables.known(ev, index)
    return table is None or bool((table.values < 0).any())


def _stacks(ev: Evaluation, content: Any) -> bool:
    """Whether the items of a list are numbers or arrays, or lists and tuples of them, of one form."""
    if isinstance(content, str) or any(isinstance(v, str | dict) for v in content):
        return False
    try:
        Listing.of(content).stacked(ev)
    except CannotRoll:
        return any_traced(content)
    return True


def _from_listing(ev: Evaluation, owner: Any, content: Listing, index: Any) -> Any:
    if isinstance(index, slice):
        n = content.length()
        if is_traced(n) or any_traced([index.start, index.stop, index.step]):
            return fresh_list(ev, moving_slices.of_listing(ev, content, index))
        picked = range(*index.indices(n))
        return fresh_list(ev, Listing.of([load_plainly(ev, owner, k) for k in picked]))
    return content.item(ev, index)


def item(ev: Evaluation, owner: Any, k: Any) -> Any:
    """Item `k` of an array or list that a loop runs over; `k` is within bounds."""
    return load_plainly(ev, owner, k)


def element(ev: Evaluation, content: Any, index: Any) -> Any:
    """`content[index]` for an array or a listing."""
    if isinstance(index, Rearranged):
        return index.there(content)
    if isinstance(content, Listing):
        return content.item(ev, index)
    if isinstance(content, list):
        return Listing.of(content).item(ev, index) if is_traced(index) else content[index]
    if isinstance(content, dict):
        return content[index]
    return _element(ev, content, index)


def fresh_list(ev: Evaluation, content: Listing) -> list:
    """A new list with this content."""
    heap = ev.heap
    token: list = []
    heap.allocate(token)
    heap.write(token, content)
    return token


def copied_list(ev: Evaluation, items: list) -> list:
    """A new list of the same items; those that can change are the same objects."""
    content = ev.heap.listing(items)
    stacks = [p for p in content.parts if isinstance(p, Stack)]
    if content.grows or all(p.form == LEAF and p.leaves[0].ndim == 1 for p in stacks):
        return fresh_list(ev, content)
    return ev.heap.allocate([load_plainly(ev, items, k) for k in range(content.length())])


def present_index(ev: Evaluation, index: Any) -> Any:
    """An index with the present contents of lists and arrays in it."""
    heap = ev.heap
    index = frames.as_array(nullable.used(ev, index))
    if isinstance(index, tuple):
        return tuple(present_index(ev, part) for part in index)
    if isinstance(index, list | np.ndarray | jax.Array):
        content = heap.content(index)
        return np.asarray(content) if isinstance(content, list) and not any_traced(content) else content
    return index


def _is_basic(index: Any) -> bool:
    """Whether numpy would return a view: integers, slices and new axes only."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(is_integer(p) or isinstance(p, slice) or p is Ellipsis or p is None for p in parts)


def is_integer(part: Any) -> bool:
    """Whether a part of an index is a whole number, traced or not."""
    if isinstance(part, bool | np.bool_):
        return False
    if isinstance(part, int | np.integer):
        return True
    return isinstance(part, jax.Array | np.ndarray) and part.ndim == 0 and jnp.issubdtype(part.dtype, jnp.integer)


def is_mask(index: Any) -> bool:
    """Whether an index is a mask that is not known while compiling."""
    return is_traced(index) and index.ndim > 0 and index.dtype == bool


def is_full(part: Any) -> bool:
    """Whether a part of an index is `:`."""
    return isinstance(part, slice) and part.start is None and part.stop is None and part.step is None


def symbolic_index(index: Any) -> bool:
    """Whether a traced value is in an index, in the bounds of a slice too."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(any_traced([p.start, p.stop, p.step]) if isinstance(p, slice) else any_traced(p) for p in parts)


def parts_of(content: Any, index: Any) -> list[Any]:
    """The index as one entry per axis it touches; an ellipsis is written out, full slices at the end dropped."""
    parts = list(index) if isinstance(index, tuple) else [index]
    if any(p is Ellipsis for p in parts):
        at = next(k for k, p in enumerate(parts) if p is Ellipsis)
        given = sum(p is not None for p in parts) - 1
        parts[at : at + 1] = [slice(None)] * (content.ndim - given)
    while parts and is_full(parts[-1]):
        parts.pop()
    return parts


def _element(ev: Evaluation, content: Any, index: Any) -> Any:
    if isinstance(content, np.ndarray) and not symbolic_index(index):
        return content[index]
    if is_plain_jax(content) and not symbolic_index(index):
        return at_once(lambda: content[index])
    ev.traced += 1
    parts = parts_of(content, index)
    if any(map(is_mask, parts)):
        if len(parts) > 1 or parts[0].shape != content.shape:
            Selected(None, None, None).complain()
        return partial.select(ev, content, parts[0])
    check_bounds(content, parts)
    representable(content)
    if all(map(is_integer, parts)):
        if not parts:
            return content
        ev.looked_up += any_traced(parts)
        bounds.check_element(ev, content, parts)
        result = _loaded(ev, content, parts)
        return gaps.loaded(ev, result, content, lambda other: _loaded(ev, other, parts))
    if any(isinstance(p, slice) and any_traced([p.start, p.stop, p.step]) for p in parts):
        ev.looked_up += 1
        return moving_slices.load(ev, content, parts)
    if not any_traced(parts):
        result = pythons.note(ev, content[tuple(parts)], False)
        return gaps.loaded(ev, result, content, lambda other: other[tuple(parts)])
    if all(is_integer(p) or isinstance(p, slice) for p in parts):
        result = _integers_first(ev, content, parts)
        return gaps.loaded(ev, result, content, lambda other: _integers_first(ev, other, parts))
    return jnp.asarray(content)[tuple(parts)]


def _loaded(ev: Evaluation, content: Any, parts: Sequence[Any]) -> Any:
    if isinstance(content, np.ndarray) and content.dtype == bool and len(parts) < content.ndim:
        mask = mask_rows.row(ev, content, parts)
        if mask is not None:
            return mask
    result = pythons.note(ev, ir.load(content, *parts, source=user_line.here()), False)
    return tables.look_up(ev, result, content, parts)


def _integers_first(ev: Evaluation, content: Any, parts: Sequence[Any]) -> Any:
    """Integers and plain slices: slice, then load along the axes of the integers."""
    axes = [k for k, p in enumerate(parts) if is_integer(p)]
    slices = tuple(slice(None) if k in axes else p for k, p in enumerate(parts))
    if not all(map(is_full, slices)):
        content = content[slices]
    numpy = np if isinstance(content, np.ndarray) else jnp
    moved = numpy.moveaxis(content, axes, range(len(axes)))
    bounds.check_element(ev, moved, [parts[k] for k in axes])
    return ir.load(moved, *(parts[k] for k in axes), source=user_line.here())


def check_bounds(content: Any, parts: Sequence[Any]) -> None:
    """Python's IndexError for plain integers beyond the array."""
    if len([p for p in parts if p is not None]) > content.ndim:
        raise IndexError(
            f"too many indices for array: array is {content.ndim}-dimensional, but {len(parts)} were indexed"
        )
    if any(p is None or (isinstance(p, np.ndarray | jax.Array) and p.ndim) for p in parts):
        return
    for axis, p in enumerate(parts):
        n = content.shape[axis]
        if isinstance(p, int | np.integer) and not isinstance(p, bool) and not -n <= p < n:
            raise IndexError(f"index {p} is out of bounds for axis {axis} with size {n}")


def slice_(start: Any, stop: Any, step: Any) -> slice:
    """`start:stop:step`."""
    return slice(start, stop, step)


def unpack(ev: Evaluation, value: Any, before: int, after: int | None) -> Any:
    """The right side of `a, b, *c = value`."""
    items = list(ev.iterate(value))
    if after is None:
        if len(items) != before:
            many = "too many" if len(items) > before else "not enough"
            raise ValueError(f"{many} values to unpack (expected {before}, got {len(items)})")
        return items
    if len(items) < before + after:
        raise ValueError(f"not enough values to unpack (expected at least {before + after}, got {len(items)})")
    end = len(items) - after
    return [*items[:before], items[before:end], *items[end:]]
