"""Subscripts: reading `x[i]` and storing `x[i] = v`, on arrays and lists, with plain and symbolic indices."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradmc.program import ir
from gradmc.program.frontend import context, tables, where, windows
from gradmc.program.frontend.listing import Listing
from gradmc.program.frontend.values import CannotRoll, Unbound, any_traced, is_array, is_traced

KEYED = "is indexed by a value that is not known while compiling"
KEYED_REMEDY = "Put the values into an array, and index that with whole numbers."


def load(owner: Any, index: Any) -> Any:
    """`owner[index]`."""
    here = context.current()
    content = here.memory.content(owner)
    index = _index(index)
    if isinstance(content, Listing):
        result = _from_listing(content, index)
        if (is_array(result) or isinstance(result, list)) and content.stacks(index):
            _part(result, owner, index)
        return result
    if is_array(content):
        result = _element(content, index)
        if is_array(result):
            here.memory.bear(result)
            if _is_basic(index):
                here.memory.view(result, owner, index)
        return result
    if isinstance(content, Unbound):
        content.complain()
    if not _symbolic_index(index):
        return content[index]
    return _symbolic(owner, content, index)


def _part(result: Any, owner: Any, index: Any) -> None:
    """Note that a value just made from a part of its owner stands for that part: stores into it reach the owner."""
    memory = context.current().memory
    memory.bear(result)
    memory.view(result, owner, index)


def _symbolic(owner: Any, content: Any, index: Any) -> Any:
    """An item of a Python container at a symbolic index."""
    if isinstance(content, list | tuple) and content:
        result = Listing.of(content).item(index)
        if isinstance(content, list) and (is_array(result) or isinstance(result, list)):
            _part(result, owner, index)
        return result
    if isinstance(content, range):
        return content.start + content.step * index
    raise CannotRoll(f"a {type(content).__name__} {KEYED}", KEYED_REMEDY)


def _from_listing(content: Listing, index: Any) -> Any:
    if isinstance(index, slice):
        n = content.length()
        if is_traced(n) or any_traced([index.start, index.stop, index.step]):
            return windows.of_listing(content, index)
        picked = range(*index.indices(n))
        return fresh_list(Listing.of([content.item(k) for k in picked]))
    return content.item(index)


def item(owner: Any, k: Any) -> Any:
    """Item `k` of an array that a loop runs over; `k` is within bounds."""
    return load(owner, k)


def element(content: Any, index: Any) -> Any:
    """`content[index]` for an array or a listing."""
    if isinstance(content, Listing):
        return content.item(index)
    if isinstance(content, list):
        return Listing.of(content).item(index)
    return _element(content, index)


def fresh_list(content: Listing) -> list:
    """A new list with this content."""
    memory = context.current().memory
    token: list = []
    memory.bear(token)
    memory.write(token, content)
    return token


def _index(index: Any) -> Any:
    memory = context.current().memory
    if isinstance(index, tuple):
        return tuple(_index(part) for part in index)
    if isinstance(index, list | np.ndarray | jax.Array):
        content = memory.content(index)
        return np.asarray(content) if isinstance(content, list) and not any_traced(content) else content
    return index


def _is_basic(index: Any) -> bool:
    """Whether numpy would return a view: integers and slices only."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(_is_integer(p) or isinstance(p, slice) or p is Ellipsis for p in parts)


def _is_integer(part: Any) -> bool:
    if isinstance(part, bool | np.bool_):
        return False
    if isinstance(part, int | np.integer):
        return True
    return isinstance(part, jax.Array | np.ndarray) and part.ndim == 0 and jnp.issubdtype(part.dtype, jnp.integer)


def _is_full(part: Any) -> bool:
    return isinstance(part, slice) and part.start is None and part.stop is None and part.step is None


def _symbolic_index(index: Any) -> bool:
    """Whether a traced value is in an index, in the bounds of a slice too."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(any_traced([p.start, p.stop, p.step]) if isinstance(p, slice) else any_traced(p) for p in parts)


def _parts(content: Any, index: Any) -> list[Any]:
    """The index as one entry per axis it touches; an ellipsis is written out, full slices at the end dropped."""
    parts = list(index) if isinstance(index, tuple) else [index]
    if any(p is Ellipsis for p in parts):
        at = next(k for k, p in enumerate(parts) if p is Ellipsis)
        given = sum(p is not None for p in parts) - 1
        parts[at : at + 1] = [slice(None)] * (content.ndim - given)
    while parts and _is_full(parts[-1]):
        parts.pop()
    return parts


def _element(content: Any, index: Any) -> Any:
    if isinstance(content, np.ndarray) and not _symbolic_index(index):
        return content[index]
    context.current().traced += 1
    parts = _parts(content, index)
    _check_bounds(content, parts)
    if all(map(_is_integer, parts)):
        if not parts:
            return content
        context.current().looked_up += any_traced(parts)
        result = ir.load(content, *parts, source=where.here())
        return tables.look_up(result, content, parts)
    if any(isinstance(p, slice) and any_traced([p.start, p.stop, p.step]) for p in parts):
        context.current().looked_up += 1
        return windows.load(content, parts)
    if not any_traced(parts):
        return content[tuple(parts)]
    if all(_is_integer(p) or isinstance(p, slice) for p in parts):
        return _integers_first(content, parts)
    return jnp.asarray(content)[tuple(parts)]


def _integers_first(content: Any, parts: Sequence[Any]) -> Any:
    """Integers and plain slices: slice, then load along the axes of the integers."""
    axes = [k for k, p in enumerate(parts) if _is_integer(p)]
    slices = tuple(slice(None) if k in axes else p for k, p in enumerate(parts))
    if not all(map(_is_full, slices)):
        content = content[slices]
    numpy = np if isinstance(content, np.ndarray) else jnp
    moved = numpy.moveaxis(content, axes, range(len(axes)))
    return ir.load(moved, *(parts[k] for k in axes), source=where.here())


def _check_bounds(content: Any, parts: Sequence[Any]) -> None:
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


# --- stores --------------------------------------------------------------------------------------


def store(owner: Any, index: Any, value: Any) -> None:
    """`owner[index] = value`."""
    memory = context.current().memory
    index = _index(index)
    if isinstance(owner, Unbound):
        owner.complain()
    if isinstance(value, Unbound):
        value.complain()
    if isinstance(owner, list):
        _store_in_list(owner, index, value)
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


def operand(value: Any) -> Any:
    """A value to be stored: a list becomes the array it stands for."""
    from gradmc.program.frontend.operators import content, whole_array

    return whole_array(content(value))


def replace(owner: Any, content: Any) -> None:
    """Give an array new content; a view passes it on to what it is a part of."""
    memory = context.current().memory
    view = memory.parent(owner)
    if view is None:
        memory.write(owner, content)
    else:
        store(view.parent, view.index, content)


def _store_in_list(owner: list, index: Any, value: Any) -> None:
    memory = context.current().memory
    present = memory.peek(owner)
    plain = present is owner and memory.parent(owner) is None
    if plain and memory.owns(owner) and not any_traced(index):
        owner[index] = value
        return
    if isinstance(index, slice):
        raise CannotRoll("a slice of a list is replaced")
    memory.content(owner)
    new = memory.listing(owner).store(index, value)
    view = memory.parent(owner)
    if view is None:
        memory.write(owner, new)
    else:
        store(view.parent, view.index, fresh_list(new))


def _store_in_object(owner: Any, index: Any, value: Any) -> None:
    memory = context.current().memory
    if any_traced(index):
        raise CannotRoll(f"a {type(owner).__name__} {KEYED}", KEYED_REMEDY)
    if memory.frames and id(owner) not in memory.frames[-1].born:
        raise CannotRoll(f"a {type(owner).__name__} is changed inside the loop or branch")
    owner[index] = value


def _stored(content: Any, index: Any, value: Any, *, owned: bool) -> Any:
    """The content after a store."""
    if isinstance(content, np.ndarray) and not _symbolic_index(index) and not is_traced(value):
        new = content if owned else content.copy()
        new[index] = value
        return new
    context.current().traced += 1
    parts = _parts(content, index)
    _check_bounds(content, parts)
    if all(map(_is_integer, parts)):
        return ir.store(content, value, *parts, source=where.here())
    if any(isinstance(p, slice) and any_traced([p.start, p.stop, p.step]) for p in parts):
        return windows.store(content, parts, value)
    if all(_is_integer(p) or isinstance(p, slice) for p in parts) and any_traced(parts):
        return _store_moved(content, parts, value)
    value = jnp.asarray(value)
    array = jnp.asarray(content)
    return array.at[tuple(parts)].set(value.astype(array.dtype))


def _store_moved(content: Any, parts: Sequence[Any], value: Any) -> Any:
    """Store along the axes of the integers, which are moved to the front."""
    if any(isinstance(p, slice) and not _is_full(p) for p in parts):
        return jnp.asarray(content).at[tuple(parts)].set(value)
    axes = [k for k, p in enumerate(parts) if _is_integer(p)]
    front = list(range(len(axes)))
    moved = jnp.moveaxis(jnp.asarray(content), axes, front)
    new = ir.store(moved, value, *(parts[k] for k in axes), source=where.here())
    return jnp.moveaxis(new, front, axes)


def store_inplace(op: str, owner: Any, index: Any, value: Any) -> None:
    """`owner[index] op= value`."""
    from gradmc.program.frontend.operators import inplace

    was = load(owner, index)
    now = inplace(op, was, value)
    if now is not was or context.current().memory.parent(was) is None:
        store(owner, index, now)


def delete_item(owner: Any, index: Any) -> None:
    """`del owner[index]`."""
    from gradmc.program.frontend.calls import list_method

    if isinstance(owner, list) and not isinstance(index, slice):
        list_method(owner, "pop", (index,))
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
        yield owner
        return
    new = copy.copy(present)
    yield new
    memory.write(owner, new)


def slice_(start: Any, stop: Any, step: Any) -> slice:
    """`start:stop:step`."""
    return slice(start, stop, step)


def unpack(value: Any, before: int, after: int | None) -> Any:
    """The right side of `a, b, *c = value`."""
    from gradmc.program.frontend.iterables import iterate

    items = list(iterate(value))
    if after is None:
        if len(items) != before:
            many = "too many" if len(items) > before else "not enough"
            raise ValueError(f"{many} values to unpack (expected {before}, got {len(items)})")
        return items
    if len(items) < before + after:
        raise ValueError(f"not enough values to unpack (expected at least {before + after}, got {len(items)})")
    end = len(items) - after
    return [*items[:before], items[before:end], *items[end:]]
