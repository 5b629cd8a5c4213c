"""Attributes: reading, setting and deleting them.

What a traced loop or branch sets stays on the heap of the evaluation (`Fields`) until the loop or branch is over.
"""

import dataclasses
import functools
import inspect
from types import MappingProxyType
from typing import Any

import jax
import numpy as np

from gradmc.program.frontend import choices, frames, lasting, nullable, operators, partial, special_methods
from gradmc.program.frontend.array_methods import array_method, flat, member
from gradmc.program.frontend.container_methods import is_shared
from gradmc.program.frontend.converting import users_function
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.heap import TOKENS, Fields, set_as_it_is
from gradmc.program.frontend.listing import Listing
from gradmc.program.frontend.subscripts import load
from gradmc.program.frontend.values import CannotRoll, Choice, TracedSeries, Unbound, is_array


def attribute(ev: Evaluation, owner: Any, name: str) -> Any:
    """`owner.name`."""
    if isinstance(owner, partial.Selected) and name in ("size", "shape"):
        return partial.counted(owner) if name == "size" else (partial.counted(owner),)
    if isinstance(owner, Choice):
        return choices.mapped(ev, lambda o: attribute(ev, o, name), owner)
    if isinstance(owner, TracedSeries):
        return frames.attribute(owner, name)
    if isinstance(owner, frames.FrameRow):
        return owner.entry(name, lambda *parts: load(ev, *parts))
    owner = nullable.used(ev, owner)
    if name == "T" and is_array(owner):
        return array_method(ev, owner, "transpose", (), {})
    if name == "flat" and is_array(owner):
        return flat(ev, owner)
    if name == "real" and is_array(owner) and not np.iscomplexobj(owner):
        return owner
    if isinstance(owner, TOKENS):
        token, owner = owner, operators.content(ev, owner)
        if isinstance(owner, Listing):
            return getattr([] if type(token) is list else token, name)
    changed_fields = ev.heap.fields(owner)
    if name == "__dict__" and is_shared(ev, owner):
        return MappingProxyType({**vars(owner), **changed_fields})
    if name in changed_fields:
        if isinstance(changed_fields[name], Unbound):
            raise _unset(owner, name)
        return changed_fields[name]
    found = getattr(type(owner), name, None)
    if isinstance(found, property) and (getter := users_function(ev, found.fget)) is not None:
        return getter(owner)
    if isinstance(found, functools.cached_property) and name not in vars(owner):
        return ev.call(found.func, owner)  # anew each time: it may be another in the loop or branch at hand
    if isinstance(owner, np.ndarray | jax.Array):
        return member(owner, name)
    return _found(ev, owner, name)


def _found(ev: Evaluation, owner: Any, name: str) -> Any:
    """An attribute of an object, by its class's descriptor or `__getattr__` where the user wrote one."""
    descriptor = inspect.getattr_static(type(owner), name, None)
    getter = special_methods.method_of(ev, descriptor, "__get__")
    if getter is not None and (hasattr(type(descriptor), "__set__") or name not in getattr(owner, "__dict__", ())):
        return getter(owner, type(owner))
    missing = special_methods.method_of(ev, owner, "__getattr__")
    if missing is None:
        return getattr(owner, name)
    try:
        return object.__getattribute__(owner, name)
    except AttributeError:
        return missing(name)


def _unset(owner: Any, name: str) -> CannotRoll:
    return CannotRoll(
        f"attribute {name!r} of a {type(owner).__name__} is read in the loop or branch, and may not be set there",
        "Set the attribute before it, so that it has a value on every path.",
    )


def has_attribute(ev: Evaluation, owner: Any, name: str) -> bool:
    """`hasattr`: what the loop or branch at hand has set counts, too."""
    changed_fields = ev.heap.fields(owner)
    if name not in changed_fields:
        return hasattr(owner, name)
    value = changed_fields[name]
    if isinstance(value, Unbound) and value.late is not None:
        raise _unset(owner, name)
    return not isinstance(value, Unbound)


def set_attribute(ev: Evaluation, owner: Any, name: str, value: Any) -> None:
    """`owner.name = value`."""
    owner = nullable.used(ev, owner)
    if isinstance(owner, Choice):
        raise CannotRoll(f"attribute {name!r} is set at a symbolic place", choices.REMEDY)
    lasting.refuse(ev, owner, value)
    if (users := special_methods.method_of(ev, owner, "__setattr__")) is not None:
        users(name, value)
        return
    if getattr(getattr(type(owner), "__dataclass_params__", None), "frozen", False):
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
    set_plainly(ev, owner, name, value)


def set_plainly(ev: Evaluation, owner: Any, name: str, value: Any) -> None:
    """`object.__setattr__(owner, name, value)`."""
    descriptor = inspect.getattr_static(type(owner), name, None)
    if isinstance(descriptor, property):
        if descriptor.fset is None:
            raise AttributeError(f"property {name!r} of {type(owner).__name__!r} object has no setter")
        ev.call(descriptor.fset, owner, value)
        return
    if (setter := special_methods.method_of(ev, descriptor, "__set__")) is not None:
        setter(owner, value)
        return
    heap = ev.heap
    if not is_shared(ev, owner):
        set_as_it_is(owner, name, value)
    else:
        heap.write(owner, Fields({**heap.fields(owner), name: nullable.bound(ev, value)}))


def delete_attribute(ev: Evaluation, owner: Any, name: str) -> None:
    """`del owner.name`."""
    if is_shared(ev, owner):
        raise CannotRoll(f"attribute {name!r} of a {type(owner).__name__} is deleted inside the loop or branch")
    delattr(owner, name)


def get_attribute(ev: Evaluation, owner: Any, name: str, *default: Any) -> Any:
    """`getattr(owner, name, default)`."""
    if default and not has_attribute(ev, owner, name):
        return default[0]
    try:
        return attribute(ev, owner, name)
    except AttributeError:
        if default:
            return default[0]
        raise
