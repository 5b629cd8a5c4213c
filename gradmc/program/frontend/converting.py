"""The user's functions, methods and classes in their converted form."""

import functools
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

import jax

from gradmc.program.frontend import callbacks, lasting, users
from gradmc.program.frontend.convert import bound_to, convert, is_converted
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.libraries import registry


def users_function(ev: Evaluation, function: Any) -> Callable[..., Any] | None:
    """The converted form of a function that the user wrote; None for a library's."""
    if isinstance(function, FunctionType):
        if is_converted(function.__code__):
            return bound_to(function, ev)
        if not users.is_users(function) and not registry.followed(function):
            return None
        lasting.note(ev, function)
        return convert(function, ev)
    if isinstance(function, callbacks.Callback):
        return function.function
    if isinstance(function, MethodType):
        inner = users_function(ev, function.__func__)
        return None if inner is None else functools.partial(inner, function.__self__)
    if isinstance(function, type):
        return None
    if isinstance(function, jax.custom_jvp | jax.custom_vjp):
        return None  # its derivative rule is the user's, and would be lost with the wrapper
    wrapped = getattr(function, "__wrapped__", None)
    if isinstance(wrapped, FunctionType | callbacks.Callback) and type(function).__module__.split(".")[0] in (
        "jax",
        "jaxlib",
        "functools",
    ):
        return users_function(ev, wrapped)
    program = getattr(function, "fn", None)
    if isinstance(program, FunctionType) and type(function).__module__.startswith("gradmc.program"):
        return users_function(ev, program)
    method = next((vars(kind)["__call__"] for kind in type(function).__mro__ if "__call__" in vars(kind)), None)
    if isinstance(method, FunctionType) and users.is_users(method):
        inner = users_function(ev, method)
        return None if inner is None else functools.partial(inner, function)
    return None


def users_initialiser(ev: Evaluation, kind: type) -> Callable[..., Any] | None:
    """The converted `__init__` of a class that the user wrote, if that is all there is to making an object of it."""
    initialise = kind.__init__
    plain = type(kind).__call__ is type.__call__ and kind.__new__ is object.__new__
    if not plain or not isinstance(initialise, FunctionType) or initialise.__code__.co_filename == "<string>":
        return None
    return users_function(ev, initialise)
