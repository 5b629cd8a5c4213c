"""Storing by subscript: `x[i] = v`, `x[i] += v` and `del x[i]`, on arrays, lists, dicts and views of them."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradmc.program import ir
from gradmc.program.frontend import bounds, choices, context, lasting, nullable, partial, tables, where, windows
from gradmc.program.frontend.identity import has_identity, objects, shared_always
from gradmc.program.frontend.rearranging import Rearranged
from gradmc.program.frontend.subscripts import (
    KEYED,
    KEYED_REMEDY,
    check_bounds,
    fresh_list,
    is_full,
    is_integer,
    is_mask,
    load,
    parts_of,
    present_index,
    symbolic_index,
)
from gradmc.program.frontend.values import (
    CannotRoll,
    Choice,
    Selected,
    Unbound,
    any_traced,
    is_array,
    is_leaf,
    is_traced,
)

NAMED = "(of numbers it may be, at most 100, all of which are there before the loop)"
NAMED_REMEDY = "Make the dict with all its keys before the loop, or an array instead: index it with places[key]."
MOST_NAMES = 100
"""Items of a dict that are stored into by a key that is one of several: each costs a selection."""


def store(owner: Any, index: Any, value: Any) -> None:
    """`owner[index] = value`."""
    memory = context.current().memory
    index = present_index(index)
    owner = nullable.used(owner)
    if isinstance(value, Unbound):
        value.complain()
    lasting.refuse(owner, value)
    if isinstance(owner, dict) and isinstance(index, Choice):
        _store_by_name(owner, index, value)
        return
    if choices.involved((owner, *(index if isinstance(index, tuple) else (index,)))):
        raise CannotRoll("a store at a symbolic place that is no number", choices.REMEDY)
    if isinstance(owner, list):
        _store_in_list(owner, index, value)
    elif is_array(owner) and isinstance(value, Selected) and is_mask(index):
        replace(owner, partial.stored(memory.content(owner), index, value))
    elif is_array(owner):
        content = memory.content(owner)
        replace(owner, _stored(content, index, operand(value), owned=content is not owner and memory.owns(owner)))
    elif isinstance(owner, np.ndarray | jax.Array):
        raise TypeError("a number cannot be indexed; store into an array with at least one axis")
    elif isinstance(owner, dict):
        with changed(owner, index) as content:
            content[index] = value
    else:
        _store_in_object(owner, index, value)


def _store_by_name(owner: dict, key: Choice, value: Any) -> None:
    """`owner[key] = value`, where the key is one of several: the items of all of them, each where it is the one.

    Raises:
        CannotRoll: an item is no number, or not there yet, or there are too many.
    """
    value = context.current().memory.content(value)
    with changed(owner) as content:
        for n, option in enumerate(key.options):
            before: Any = content.get(option)
            if not _is_number(value) or not _is_number(before) or len(key.options) > MOST_NAMES:
                raise CannotRoll(f"a store into a dict by a key that changes {NAMED}", NAMED_REMEDY)
            here = tables.apply(jnp.equal(key.code, n), lambda code, n=n: code == n, key.code)
            content[option] = jnp.where(here, value, before)


def _is_number(value: Any) -> bool:
    return is_leaf(value) and np.ndim(value) == 0


def operand(value: Any) -> Any:
    """A value to be stored: a list becomes the array it stands for."""
    from gradmc.program.frontend.operators import as_array, content, whole_array

    whole = whole_array(content(value))
    return as_array(whole) if isinstance(whole, list | tuple) else whole


def replace(owner: Any, content: Any) -> None:
    """Give an array new content; a view passes it on to what it is a part of."""
    memory = context.current().memory
    view = memory.parent(owner)
    if view is None:
        memory.write(owner, content)
    elif isinstance(view.index, Rearranged):
        replace(view.parent, view.index.back(content))
    else:
        if isinstance(view.parent, list) and any_traced(view.index):
            _check_distinct(view.parent)
        if isinstance(view.parent, list):
            memory.store_inside(memory.root(view.parent))
        store(view.parent, view.index, content)


def _check_distinct(rows: list) -> None:
    """Refuse a store into one of several items where two are one object: `[[0.0] * 3] * n`."""
    mutable = [id(row) for row in rows if has_identity(row)]
    if len(set(mutable)) < len(mutable):
        raise shared_always()


def _store_in_list(owner: list, index: Any, value: Any) -> None:
    memory = context.current().memory
    present = memory.peek(owner)
    plain = present is owner and memory.parent(owner) is None
    if plain and memory.owns(owner) and not any_traced(index):
        memory.note_change(owner)
        owner[index] = value
        return
    if isinstance(index, slice):
        raise CannotRoll("a slice of a list is replaced")
    memory.content(owner)
    listing = memory.listing(owner)
    new = listing.store(index, value)
    view = memory.parent(owner)
    if view is None:
        memory.write(owner, new)
    else:
        replace(owner, fresh_list(new))
    if listing.stacks(index):
        memory.copied(owner, objects(value, memory))


def _store_in_object(owner: Any, index: Any, value: Any) -> None:
    memory = context.current().memory
    if any_traced(index):
        raise CannotRoll(f"a {type(owner).__name__} {KEYED}", KEYED_REMEDY)
    if memory.frames and id(owner) not in memory.frames[-1].born:
        raise CannotRoll(f"a {type(owner).__name__} is changed inside the loop or branch")
    owner[index] = value


def _stored(content: Any, index: Any, value: Any, *, owned: bool) -> Any:
    """The content after a store."""
    if isinstance(content, np.ndarray) and not symbolic_index(index) and not is_traced(value):
        new = content if owned else content.copy()
        new[index] = value
        return new
    context.current().traced += 1
    if is_mask(index) and np.ndim(value) == 0:
        return _masked(content, index, value)
    parts = parts_of(content, index)
    check_bounds(content, parts)
    if all(map(is_full, parts)):
        return jnp.broadcast_to(value, content.shape).astype(content.dtype)
    if all(map(is_integer, parts)):
        bounds.check_places(content, parts)
        return ir.store(content, value, *parts, source=where.here())
    if any(isinstance(p, slice) and any_traced([p.start, p.stop, p.step]) for p in parts):
        return windows.store(content, parts, value)
    if all(is_integer(p) or isinstance(p, slice) for p in parts) and any_traced(parts):
        return _store_moved(content, parts, value)
    value = jnp.asarray(value)
    array = jnp.asarray(content)
    return array.at[tuple(parts)].set(value.astype(array.dtype))


def _masked(content: Any, mask: Any, value: Any) -> Any:
    """A number, or the elements of an array of the same shape, stored wherever a mask holds."""
    array = jnp.asarray(content)
    if mask.shape != array.shape[: mask.ndim]:
        raise IndexError(f"the mask has shape {mask.shape}, the array {array.shape}")
    mask = mask.reshape(*mask.shape, *[1] * (array.ndim - mask.ndim))
    return jnp.where(mask, jnp.asarray(value).astype(array.dtype), array)


def _store_moved(content: Any, parts: Sequence[Any], value: Any) -> Any:
    """Store along the axes of the integers, which are moved to the front."""
    if any(isinstance(p, slice) and not is_full(p) for p in parts):
        return jnp.asarray(content).at[tuple(parts)].set(value)
    axes = [k for k, p in enumerate(parts) if is_integer(p)]
    front = list(range(len(axes)))
    moved = jnp.moveaxis(jnp.asarray(content), axes, front)
    bounds.check_places(moved, [parts[k] for k in axes])
    new = ir.store(moved, value, *(parts[k] for k in axes), source=where.here())
    return jnp.moveaxis(new, front, axes)


def store_inplace(op: str, owner: Any, index: Any, value: Any) -> None:
    """`owner[index] op= value`."""
    from gradmc.program.frontend.operators import BINARY, applied, binary, inplace

    content, mask = context.current().memory.content(owner), present_index(index)
    if isinstance(value, Selected) and is_mask(mask) and is_array(content):
        store(owner, mask, binary(op, load(owner, mask), value))
        return
    number = operand(value)
    if is_mask(mask) and is_array(content) and np.ndim(number) == 0:
        replace(owner, _masked(content, mask, applied(BINARY[op], content, number)))
        return
    was = load(owner, index)
    now = inplace(op, was, value)
    if now is not was or context.current().memory.parent(was) is None:
        store(owner, index, now)


def delete_item(owner: Any, index: Any) -> None:
    """`del owner[index]`."""
    from gradmc.program.frontend.calls import list_method

    if isinstance(owner, list):
        list_method(owner, "__delitem__", (present_index(index),))
        return
    if isinstance(owner, dict):
        with changed(owner, index) as content:
            del content[index]
        return
    memory = context.current().memory
    if memory.frames and id(owner) not in memory.frames[-1].born:
        raise CannotRoll(f"an item of a {type(owner).__name__} is deleted inside the loop or branch")
    del owner[index]


@contextmanager
def changed(owner: dict, key: Any = None) -> Iterator[dict]:
    """The dict to change in place of `owner`: itself, or a copy that becomes its content."""
    memory = context.current().memory
    if any_traced(key):
        raise CannotRoll(f"a dict {KEYED}", KEYED_REMEDY)
    present = memory.content(owner)
    if present is owner and memory.owns(owner):
        memory.note_change(owner)
        yield owner
        return
    new = copy.copy(present)
    yield new
    memory.write(owner, new)
