"""Calls: the user's own functions are converted in turn, others get what a traced value needs.

In order: builtins whose meaning changes for traced values (`builtin`), the user's functions (`converting`), functions
that are methods in other words (`methods`), classes of the user's, everything else (`library_calls`).
"""

import copy
import dataclasses
import functools
import operator
from collections.abc import Callable
from types import (
    BuiltinFunctionType,
    BuiltinMethodType,
    FunctionType,
    MethodDescriptorType,
    MethodWrapperType,
    WrapperDescriptorType,
)
from typing import Any

import numpy as np

from gradmc.errors import ProgramError
from gradmc.program.frontend import (
    builtin,
    caches,
    choices,
    copying,
    decorated,
    nullable,
    operators,
    partial,
    special_methods,
    user_line,
)
from gradmc.program.frontend.array_methods import arranged, putmask, refuse_change
from gradmc.program.frontend.attributes import (
    attribute,
    delete_attribute,
    get_attribute,
    has_attribute,
    set_attribute,
    set_plainly,
)
from gradmc.program.frontend.container_methods import is_container, list_method
from gradmc.program.frontend.converting import users_function, users_initialiser
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.iterables import Once, refuse_twice, taken
from gradmc.program.frontend.library_calls import fresh, library
from gradmc.program.frontend.methods import ITEMS, method
from gradmc.program.frontend.numpy_views import VIEWS
from gradmc.program.frontend.stores import delete_item, store
from gradmc.program.frontend.subscripts import load
from gradmc.program.frontend.values import CannotRoll, Choice, is_traced


def call(ev: Evaluation, function: Any, /, *args: Any, **kwargs: Any) -> Any:
    """`function(*args, **kwargs)`."""
    function = decorated.underneath(nullable.used(ev, function))
    handler = (builtin.HANDLERS.get(function) or REFLECTING.get(function)) if _hashable(function) else None
    if len(args) == 1 and isinstance(args[0], partial.Selected) and function in (len, sum) and not kwargs:
        return partial.counted(args[0]) if function is len else partial.reduced(ev, args[0], "sum")
    if isinstance(function, Choice):
        raise CannotRoll("one of several functions is called at a symbolic place", choices.REMEDY)
    if choices.involved(args) and not any(function is f for f in TAKING_ITEMS):
        target = None if handler is not None else users_function(ev, function)
        if target is None:
            return choices.mapped(ev, lambda *values: call(ev, function, *values, **kwargs), *args)
    if handler is not None:
        given = args if function in builtin.ASKING else tuple(_given(ev, function, a) for a in args)
        given = given if function in KEEPING else _taken(ev, function, given)
        made = operators.made(ev, handler(ev, *given, **kwargs))
        return ev.heap.allocate_object(made) if isinstance(made, Once) else made
    if (managing := special_methods.of_generator(ev, function)) is not None:
        return ev.heap.allocate_object(managing(*args, **kwargs))
    target = users_function(ev, function)
    if target is not None and isinstance(function, caches.CACHED):
        return fresh(ev, caches.called(ev, function, target, args, kwargs), args)
    if target is not None:
        return fresh(ev, target(*args, **kwargs), args)
    if isinstance(function, MethodWrapperType) and function.__name__ == "__setattr__":
        return set_plainly(ev, function.__self__, *args)
    bound = _as_method(function, args)
    if bound is not None and bound[1] in ITEMS:
        return ITEMS[bound[1]](ev, bound[0], *bound[2])
    if bound is not None and isinstance(bound[0], list):
        return list_method(ev, *bound, kwargs)
    if bound is not None:
        return method(ev, bound[0], bound[1], *bound[2], **kwargs)
    if isinstance(function, type) and (initialise := users_initialiser(ev, function)) is not None:
        made = ev.heap.allocate_object(object.__new__(function))
        initialise(made, *args, **kwargs)
        return made
    if isinstance(function, functools.partial):
        return call(ev, function.func, *function.args, *args, **{**function.keywords, **kwargs})
    return library(ev, function, args, kwargs)


def _given(ev: Evaluation, function: Any, value: Any) -> Any:
    """An argument of a builtin: what may be None is not; a slice whose length changes may be iterated."""
    moving = isinstance(value, partial.Selected) and value.length is not None
    return value if moving and function in ITERATING else nullable.used(ev, value)


def _taken(ev: Evaluation, function: Any, args: tuple) -> tuple:
    """The arguments of a builtin, which runs through iterators among them."""
    refuse_twice(args)
    return tuple(taken(ev, a, early=function in LEAVING) for a in args)


ITERATING = (enumerate, zip, reversed, map)
KEEPING = (isinstance, type, bool, len, str, repr, format, print)
"""Builtins that do not run through an iterator."""
LEAVING = (any, all, iter, next, enumerate, zip, map, filter)
"""Builtins that may leave an iterator before its end, or make one that may be left."""
TAKING_ITEMS = (list, tuple, zip, enumerate, map, filter, print, str, repr, format)
"""Builtins that take things at symbolic places as they are."""


def _as_method(function: Any, args: tuple) -> tuple[Any, str, tuple] | None:
    """Owner, name and arguments, where a function is a method of a list, array or dict in other words.

    `add = out.append; add(v)`, `list.append(out, v)` and `operator.setitem(x, i, v)`.
    """
    owner = getattr(function, "__self__", None)
    if isinstance(function, BuiltinMethodType | MethodWrapperType) and is_container(owner):
        return owner, function.__name__, args
    if isinstance(function, MethodDescriptorType | WrapperDescriptorType) and args and is_container(args[0]):
        return args[0], function.__name__, args[1:]
    return None


def _hashable(function: Any) -> bool:
    return isinstance(function, BuiltinFunctionType | type | FunctionType | type(np.fill_diagonal))


REFLECTING: dict[Any, Callable[..., Any]] = {
    copy.copy: copying.shallow,
    copy.deepcopy: copying.deep,
    dataclasses.asdict: copying.as_dict,
    dataclasses.astuple: copying.as_tuple,
    vars: lambda ev, owner: attribute(ev, owner, "__dict__"),
    **VIEWS,
    getattr: get_attribute,
    hasattr: has_attribute,
    setattr: set_attribute,
    object.__setattr__: set_plainly,
    delattr: delete_attribute,
    operator.setitem: store,
    operator.getitem: load,
    operator.delitem: delete_item,
    np.reshape: lambda ev, x, *args, **options: arranged(ev, "reshape", np.reshape, x, args, options),
    np.ravel: lambda ev, x, *args, **options: arranged(ev, "ravel", np.ravel, x, args, options),
    np.transpose: lambda ev, x, *args, **options: arranged(ev, "transpose", np.transpose, x, args, options),
    np.swapaxes: lambda ev, x, *args, **options: arranged(ev, "swapaxes", np.swapaxes, x, args, options),
    np.squeeze: lambda ev, x, *args, **options: arranged(ev, "squeeze", np.squeeze, x, args, options),
    np.put: lambda *_: refuse_change("numpy.put"),
    np.place: lambda *_: refuse_change("numpy.place"),
    np.putmask: lambda ev, array, mask, values: putmask(ev, array, mask, values),
    np.put_along_axis: lambda *_: refuse_change("numpy.put_along_axis"),
}
"""Functions that read and change objects by name or place."""


def subject(value: Any) -> Any:
    """What a `match` statement looks at."""
    if isinstance(value, Choice):
        raise CannotRoll("match looks at something that is no number, at a symbolic place", choices.REMEDY)
    if is_traced(value):
        raise ProgramError(
            "match cannot look at a value that is not known while compiling",
            location=user_line.here(),
            remedy="Use if and elif.",
        )
    return value
