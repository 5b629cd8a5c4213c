"""Storing by subscript: `x[i] = v`, `x[i] += v` and `del x[i]`, on arrays, lists, dicts and views of them."""

import functools
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
    lasting,
    moving_slices,
    nullable,
    operators,
    partial,
    special_methods,
    tables,
    user_line,
)
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.identity import has_identity, objects, shared_always
from gradmc.program.frontend.listing import Listing, Stack, fitted
from gradmc.program.frontend.rearranging import Rearranged
from gradmc.program.frontend.slots import REMEDY, UNLIKE, Slots
from gradmc.program.frontend.subscripts import (
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
    LEAF,
    CannotRoll,
    Choice,
    Selected,
    Unbound,
    any_traced,
    is_array,
    is_leaf,
    is_traced,
)

MOST_NAMES = 100
"""Items of a dict that are stored into by a key that is one of several: each costs a selection."""


def store(ev: Evaluation, owner: Any, index: Any, value: Any) -> None:
    """`owner[index] = value`."""
    owner = nullable.used(ev, owner)
    users = special_methods.method_of(ev, owner, "__setitem__") or functools.partial(store_plainly, ev, owner)
    users(index, value)


def store_plainly(ev: Evaluation, owner: Any, index: Any, value: Any) -> None:
    """`owner[index] = value`, whatever the class of a list or dict has made of it."""
    heap = ev.heap
    index = present_index(ev, index)
    if isinstance(value, Unbound):
        value.complain()
    lasting.refuse(ev, owner, value)
    if isinstance(owner, dict):
        _store_in_dict(ev, owner, index, value)
        return
    dicts.before_store(ev, owner)
    if choices.involved((owner, *(index if isinstance(index, tuple) else (index,)))):
        raise CannotRoll("a store at a symbolic place that is no number", choices.REMEDY)
    if isinstance(owner, list):
        heap.rebind(owner, index)
        _store_in_list(ev, owner, index, value)
    elif is_array(owner) and isinstance(value, Selected) and is_mask(index):
        replace(ev, owner, partial.stored(ev, heap.content(owner), index, value))
    elif is_array(owner):
        replace(ev, owner, _stored(ev, heap.content(owner), index, operand(ev, value)))
    elif isinstance(owner, np.ndarray | jax.Array):
        raise TypeError("a number cannot be indexed; store into an array with at least one axis")
    else:
        _store_in_object(ev, owner, index, value)


def _store_in_dict(ev: Evaluation, owner: dict, index: Any, value: Any) -> None:
    """`owner[index] = value`."""
    key = dicts.key_of(ev, index)
    content = ev.heap.content(owner)
    if isinstance(key, Choice) and not isinstance(content, Slots) and not dicts.alike(ev, content, value):
        _store_by_name(ev, owner, key, value)
    else:
        dicts.store(ev, owner, key, value)


def _store_by_name(ev: Evaluation, owner: dict, key: Choice, value: Any) -> None:
    """`owner[key] = value`, where the key is one of several: the items of all of them, each where it is the one.

    Raises:
        CannotRoll: an item is no number, or not there yet, or there are too many.
    """
    value = ev.heap.content(value)
    with dicts.changed(ev, owner) as content:
        for n, option in enumerate(key.options):
            before: Any = content.get(option)
            if not _is_number(value) or not _is_number(before) or len(key.options) > MOST_NAMES:
                raise CannotRoll(UNLIKE, REMEDY)
            here = tables.apply(ev, jnp.equal(key.code, n), lambda code, n=n: code == n, key.code)
            content[option] = jnp.where(here, value, before)


def _is_number(value: Any) -> bool:
    return is_leaf(value) and np.ndim(value) == 0


def operand(ev: Evaluation, value: Any) -> Any:
    """A value to be stored: a list becomes the array it stands for."""
    whole = operators.whole_array(ev, operators.content(ev, value))
    return operators.as_array(ev, whole) if isinstance(whole, list | tuple) else whole


def replace(ev: Evaluation, owner: Any, content: Any) -> None:
    """Give an array new content; a view passes it on to what it is a part of."""
    heap = ev.heap
    view = heap.parent(owner)
    if view is None:
        dicts.before_store(ev, owner)
        heap.write(owner, heap.own(content))
    elif isinstance(view.index, Rearranged):
        replace(ev, view.parent, view.index.back(content))
    else:
        if isinstance(view.parent, list) and any_traced(view.index):
            _check_distinct(view.parent)
        if isinstance(view.parent, list):
            heap.aliases.store_inside(heap.root(view.parent))
            _store_in_list(ev, view.parent, view.index, content, row=False)
        else:
            store(ev, view.parent, view.index, content)


def _check_distinct(rows: list) -> None:
    """Refuse a store into one of several items where two are one object: `[[0.0] * 3] * n`."""
    mutable = [id(row) for row in rows if has_identity(row)]
    if len(set(mutable)) < len(mutable):
        raise shared_always()


def _store_in_list(ev: Evaluation, owner: list, index: Any, value: Any, *, row: bool = True) -> None:
    """Store a `row`, or what an item holds from now on."""
    heap = ev.heap
    present = heap.peek(owner)
    plain = present is owner and heap.parent(owner) is None
    if plain and heap.owns(owner) and not any_traced(index):
        heap.note_change(owner)
        owner[index] = list(ev.iterate(value)) if isinstance(index, slice) else value
        return
    heap.content(owner)
    listing = heap.listing(owner)
    if isinstance(index, slice):
        _replace_slice(ev, owner, listing, index, value)
        return
    new = listing.store(ev, index, fitted(ev, value, listing) if id(owner) in heap.items else value)
    view = heap.parent(owner)
    if view is None:
        heap.write(owner, new)
    else:
        replace(ev, owner, fresh_list(ev, new))
    if listing.stacks(index):
        part = heap.parent(value)
        apart = part is not None and tables.different(tables.known(ev, part.index))
        heap.aliases.copied(owner, objects(value, heap), stored=row, apart=apart)
        if row and part is not None and heap.root(value) is heap.root(owner):
            heap.aliases.double(heap.root(owner))


def _replace_slice(ev: Evaluation, owner: list, listing: Listing, index: slice, value: Any) -> None:
    """Give a list of numbers others in place of some of them."""
    numbers = all(not isinstance(p, Stack) or (p.form == LEAF and np.ndim(p.leaves[0]) == 1) for p in listing.parts)
    if not numbers or listing.grows or any_traced(index) or ev.heap.parent(owner) is not None:
        raise CannotRoll("a slice of a list is replaced")
    items = list(listing.items(ev))
    items[index] = list(ev.iterate(value))
    ev.heap.write(owner, Listing.of(items))


def _store_in_object(ev: Evaluation, owner: Any, index: Any, value: Any) -> None:
    heap = ev.heap
    if frames.is_pandas(owner) and any_traced(value):
        frames.refuse(f"what is stored into a {type(owner).__name__}")
    if any_traced(index):
        raise CannotRoll(f"a {type(owner).__name__} {dicts.KEYED}", dicts.KEYED_REMEDY)
    if heap.frames and id(owner) not in heap.frames[-1].born:
        raise CannotRoll(f"a {type(owner).__name__} is changed inside the loop or branch")
    owner[index] = value


def _stored(ev: Evaluation, content: Any, index: Any, value: Any) -> Any:
    """The content after a store: another array, since operations that were traced may hold the one before."""
    if isinstance(content, np.ndarray) and not symbolic_index(index) and not is_traced(value):
        new = content.copy()
        new[index] = value
        return new
    ev.traced += 1
    if is_mask(index) and np.ndim(value) == 0:
        return _masked(content, index, value)
    parts = parts_of(content, index)
    check_bounds(content, parts)
    if all(map(is_full, parts)):
        return jnp.broadcast_to(value, content.shape).astype(content.dtype)
    if all(map(is_integer, parts)):
        bounds.check_places(ev, content, parts)
        return ir.store(content, value, *parts, source=user_line.here())
    if any(isinstance(p, slice) and any_traced([p.start, p.stop, p.step]) for p in parts):
        return moving_slices.store(ev, content, parts, value)
    if all(is_integer(p) or isinstance(p, slice) for p in parts) and any_traced(parts):
        return _store_moved(ev, content, parts, value)
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


def _store_moved(ev: Evaluation, content: Any, parts: Sequence[Any], value: Any) -> Any:
    """Store along the axes of the integers, which are moved to the front."""
    if any(isinstance(p, slice) and not is_full(p) for p in parts):
        return jnp.asarray(content).at[tuple(parts)].set(value)
    axes = [k for k, p in enumerate(parts) if is_integer(p)]
    front = list(range(len(axes)))
    moved = jnp.moveaxis(jnp.asarray(content), axes, front)
    bounds.check_places(ev, moved, [parts[k] for k in axes])
    new = ir.store(moved, value, *(parts[k] for k in axes), source=user_line.here())
    return jnp.moveaxis(new, front, axes)


def store_inplace(ev: Evaluation, op: str, owner: Any, index: Any, value: Any) -> None:
    """`owner[index] op= value`."""
    content, mask = ev.heap.content(owner), present_index(ev, index)
    if isinstance(value, Selected) and is_mask(mask) and is_array(content):
        store(ev, owner, mask, operators.binary(ev, op, load(ev, owner, mask), value))
        return
    number = operand(ev, value)
    if is_mask(mask) and is_array(content) and np.ndim(number) == 0:
        replace(ev, owner, _masked(content, mask, operators.applied(ev, operators.BINARY[op], content, number)))
        return
    was = load(ev, owner, index)
    now = operators.inplace(ev, op, was, value)
    if now is not was or ev.heap.parent(was) is None:
        store(ev, owner, index, now)


def delete_item(ev: Evaluation, owner: Any, index: Any) -> None:
    """`del owner[index]`."""
    users = special_methods.method_of(ev, owner, "__delitem__") or functools.partial(delete_plainly, ev, owner)
    users(index)


def delete_plainly(ev: Evaluation, owner: Any, index: Any) -> None:
    """`del owner[index]`, whatever the class of a list or dict has made of it."""
    if isinstance(owner, list):
        ev.list_method(owner, "__delitem__", (present_index(ev, index),))
        return
    if isinstance(owner, dict):
        dicts.delete(ev, owner, present_index(ev, index))
        return
    heap = ev.heap
    if heap.frames and id(owner) not in heap.frames[-1].born:
        raise CannotRoll(f"an item of a {type(owner).__name__} is deleted inside the loop or branch")
    del owner[index]
