"""Methods of lists and dicts. Sets and the like are not followed: they must not change in a traced loop or branch."""

import collections
from typing import Any

import jax
import numpy as np

from gradmc.program.frontend import builtin, dicts, operators
from gradmc.program.frontend.comprehensions import Generation
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.iterables import iterate, taken, view
from gradmc.program.frontend.lasting import CHANGING
from gradmc.program.frontend.listing import Listing
from gradmc.program.frontend.slots import REMEDY, Slots
from gradmc.program.frontend.subscripts import copied_list
from gradmc.program.frontend.values import CannotRoll, any_traced, is_traced

UNFOLLOWED = (set, collections.deque, bytearray)
"""Containers that are changed as they are: in a traced loop or branch they must not be."""


def is_container(value: Any) -> bool:
    """Whether a value is an array, or a container of Python's that can change."""
    return isinstance(value, (list, dict, np.ndarray, jax.Array, *UNFOLLOWED))


def is_shared(ev: Evaluation, owner: Any) -> bool:
    """Whether an object was made outside of the loop or branch at hand."""
    frames = ev.heap.frames
    return bool(frames) and id(owner) not in frames[-1].born


def dict_method(ev: Evaluation, owner: dict, name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
    """A method of a dict."""
    slotted = isinstance(ev.heap.content(owner), Slots)
    if name in BY_KEY and not kwargs and args and (slotted or any_traced(args[0])):
        return BY_KEY[name](ev, owner, *args)
    if name == "update":
        return dicts.update(ev, owner, *args, **kwargs)
    if slotted:
        return _of_slotted(ev, owner, name, args, kwargs)
    args = tuple(dicts.mapping(ev, a) for a in args)
    if name in CHANGING:
        with dicts.changed(ev, owner) as content:
            return getattr(content, name)(*args, **kwargs)
    return operators.made(ev, getattr(ev.heap.content(owner), name)(*args, **kwargs))


BY_KEY = {"get": dicts.get, "setdefault": dicts.set_default, "pop": dicts.pop, "__contains__": dicts.contains}
"""Methods of dicts that take a key."""


def _of_slotted(ev: Evaluation, owner: dict, name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
    """A method of a dict with slots that takes no key."""
    if name in ("keys", "values", "items") and not args:
        return view(ev, owner, name)
    if name == "copy":
        return dicts.copied(ev, ev.heap.content(owner))
    if name == "clear":
        return dicts.clear(ev, owner)
    if name in CHANGING:
        raise CannotRoll(f"a dict that a loop stores into by keys that change is changed by {name}", REMEDY)
    return operators.made(ev, getattr(dicts.mapping(ev, owner), name)(*args, **kwargs))


def list_method(ev: Evaluation, owner: list, name: str, args: tuple, kwargs: dict[str, Any] | None = None) -> Any:
    """A method of a list."""
    heap = ev.heap
    if name == "append":
        heap.append(owner, *args)
        return None
    if name == "extend":
        more = taken(ev, *args)
        content = heap.content(more)
        if isinstance(content, Listing):
            heap.append(owner, content)
        elif isinstance(more, Generation):
            more.run(lambda value: heap.append(owner, value), None, ())
        else:
            for value in list(iterate(ev, more)):
                heap.append(owner, value)
        return None
    content = heap.content(owner)
    if name == "sort":
        return builtin.sort(ev, owner, *args, **(kwargs or {}))
    reads = name in ("copy", "index", "count")
    if content is owner and (heap.owns(owner) or reads):
        if not reads:
            heap.note_change(owner)
        return operators.made(ev, getattr(list, name)(owner, *args, **(kwargs or {})))
    if name == "copy":
        return copied_list(ev, owner)
    listing = heap.listing(owner)
    if is_traced(listing.length()):
        raise CannotRoll(f"list.{name} changes the list in the loop that appends to it")
    items = list(listing.items(ev))
    result = getattr(items, name)(*args, **(kwargs or {}))
    heap.rebind(owner)
    heap.write(owner, Listing.of(items))
    return result
