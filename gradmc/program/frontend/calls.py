"""Calls: the user's own functions are converted in turn, others get what a traced value needs.

In order: builtins whose meaning changes for traced values (`builtin`), the user's functions and methods
(converted), functions of math, numpy and scipy (`routing`, when an argument is traced), everything else as it is,
with the present contents of arrays and lists, and with converted functions for function arguments.
"""

import collections
import functools
import math
import operator
import os
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from types import (
    BuiltinFunctionType,
    BuiltinMethodType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any, NoReturn

import jax
import numpy as np

from gradmc.errors import ProgramError
from gradmc.program import exact
from gradmc.program.frontend import (
    builtin,
    caches,
    choices,
    columns,
    context,
    foreign,
    frames,
    gaps,
    given,
    heavy,
    lasting,
    nullable,
    operators,
    partial,
    pythons,
    rearranging,
    risks,
    routing,
    tables,
    text,
    where,
)
from gradmc.program.frontend.comprehensions import Generation, as_list
from gradmc.program.frontend.convert import convert, is_converted
from gradmc.program.frontend.iterables import iterate
from gradmc.program.frontend.lasting import CHANGING
from gradmc.program.frontend.libraries import registry
from gradmc.program.frontend.libraries.arrays import like
from gradmc.program.frontend.libraries.standard_library import MATH
from gradmc.program.frontend.listing import Listing
from gradmc.program.frontend.memory import TOKENS, Fields
from gradmc.program.frontend.stores import changed, delete_item, replace, store
from gradmc.program.frontend.subscripts import KEYED, KEYED_REMEDY, load, present_index
from gradmc.program.frontend.values import (
    CannotRoll,
    Choice,
    Column,
    Nullable,
    Unbound,
    any_traced,
    at_once,
    is_array,
    is_plain_jax,
    is_traced,
)


def call(function: Any, /, *args: Any, **kwargs: Any) -> Any:
    """`function(*args, **kwargs)`."""
    function = foreign.underneath(nullable.used(function))
    handler = (builtin.HANDLERS.get(function) or REFLECTING.get(function)) if _hashable(function) else None
    if len(args) == 1 and isinstance(args[0], partial.Selected) and function in (len, sum) and not kwargs:
        return partial.counted(args[0]) if function is len else partial.reduced(args[0], "sum")
    if isinstance(function, Choice):
        raise CannotRoll("one of several functions is called at a symbolic place", choices.REMEDY)
    if choices.involved(args) and not any(function is f for f in TAKING_ITEMS):
        target = None if handler is not None else users_function(function)
        if target is None:
            return choices.mapped(lambda *values: call(function, *values, **kwargs), *args)
    if handler is not None:
        given = args if function in builtin.ASKING else tuple(map(nullable.used, args))
        return operators.made(handler(*given, **kwargs))
    target = users_function(function)
    if target is not None and isinstance(function, caches.CACHED):
        return _fresh(caches.called(function, target, args, kwargs), args)
    if target is not None:
        return _fresh(target(*args, **kwargs), args)
    bound = _as_method(function, args)
    if bound is not None:
        return method(bound[0], bound[1], *bound[2], **kwargs)
    if isinstance(function, type) and (initialise := _users_initialiser(function)) is not None:
        made = context.current().memory.bear_object(object.__new__(function))
        initialise(made, *args, **kwargs)
        return made
    if isinstance(function, functools.partial):
        return call(function.func, *function.args, *args, **{**function.keywords, **kwargs})
    return library(function, args, kwargs)


TAKING_ITEMS = (list, tuple, zip, enumerate, map, filter, print, str, repr, format)
"""Builtins that take things at symbolic places as they are."""


def _as_method(function: Any, args: tuple) -> tuple[Any, str, tuple] | None:
    """Owner, name and arguments, where a function is a method of a list, array or dict in other words.

    `add = out.append; add(v)`, `list.append(out, v)` and `operator.setitem(x, i, v)`.
    """
    owner = getattr(function, "__self__", None)
    if isinstance(function, BuiltinMethodType | MethodWrapperType) and _is_container(owner):
        return owner, function.__name__, args
    if isinstance(function, MethodDescriptorType | WrapperDescriptorType) and args and _is_container(args[0]):
        return args[0], function.__name__, args[1:]
    return None


def _is_container(value: Any) -> bool:
    return type(value) is list or isinstance(value, (dict, np.ndarray, jax.Array, *UNFOLLOWED))


def _hashable(function: Any) -> bool:
    return isinstance(function, BuiltinFunctionType | type | FunctionType | type(np.fill_diagonal))


def users_function(function: Any) -> Callable[..., Any] | None:
    """The converted form of a function that the user wrote; None for a library's."""
    from gradmc.program.frontend import hooks

    if isinstance(function, FunctionType):
        if is_converted(function.__code__):
            return function
        if not is_users(function) and not registry.followed(function):
            return None
        lasting.note(function)
        return convert(function, hooks)
    if isinstance(function, given.Given):
        return function.function
    if isinstance(function, MethodType):
        inner = users_function(function.__func__)
        return None if inner is None else functools.partial(inner, function.__self__)
    if isinstance(function, type):
        return None
    if isinstance(function, jax.custom_jvp | jax.custom_vjp):
        return None  # its derivative rule is the user's, and would be lost with the wrapper
    wrapped = getattr(function, "__wrapped__", None)
    if isinstance(wrapped, FunctionType | given.Given) and type(function).__module__.split(".")[0] in (
        "jax",
        "jaxlib",
        "functools",
    ):
        return users_function(wrapped)
    program = getattr(function, "fn", None)
    if isinstance(program, FunctionType) and type(function).__module__.startswith("gradmc.program"):
        return users_function(program)
    method = vars(type(function)).get("__call__")
    if isinstance(method, FunctionType) and is_users(method):
        inner = users_function(method)
        return None if inner is None else functools.partial(inner, function)
    return None


def _users_initialiser(kind: type) -> Callable[..., Any] | None:
    """The converted `__init__` of a class that the user wrote, if that is all there is to making an object of it."""
    initialise = kind.__init__
    plain = type(kind) is type and kind.__new__ is object.__new__
    if not plain or not isinstance(initialise, FunctionType) or initialise.__code__.co_filename == "<string>":
        return None
    return users_function(initialise)


@functools.cache
def _libraries() -> tuple[str, ...]:
    places = sysconfig.get_paths()
    roots = {places[k] for k in ("stdlib", "platstdlib", "purelib", "platlib")}
    roots |= {str(Path(m.__file__).parent) for m in (jax, np) if m.__file__}
    roots.add(str(Path(__file__).parents[2]))
    return tuple(f"{root}{os.sep}" for root in roots)  # another folder may begin with the same name


def is_users(function: FunctionType) -> bool:
    """Whether a function is the user's own: not the standard library's, not an installed package's."""
    name = function.__code__.co_filename
    if name.startswith((*_libraries(), "<frozen")):
        return False
    return (function.__module__ or "").split(".")[0] not in sys.stdlib_module_names or function.__module__ == "__main__"


# --- library functions ---------------------------------------------------------------------------


def library(function: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """Call a function that is not the user's."""
    args = tuple(map(partial.of_list, args))
    if partial.any_partial(args) or partial.any_partial(tuple(kwargs.values())):
        return _of_partial(function, args, kwargs)
    if any(frames.is_pandas(a) or isinstance(a, Column) for a in args) and any_traced((args, kwargs)):
        return _of_columns(function, args, kwargs)
    plain_args = tuple(present(a) for a in args)
    plain_kwargs = {k: present(v) for k, v in kwargs.items()}
    if _is_jaxs(function):
        plain_args = tuple(map(given.to_jax, plain_args))
        plain_kwargs = {k: given.to_jax(v) for k, v in plain_kwargs.items()}
    here = context.current()
    given_functions = registry.given_functions(function)
    if given_functions is not None:
        if here.attempts:
            risks.note(function, plain_args, plain_kwargs, None)
        return _new(given_functions(*plain_args, **plain_kwargs), args)
    traced = any_traced(plain_args) or any_traced(plain_kwargs)
    here.traced += traced
    if traced:
        plain_args = tuple(map(like, plain_args)) if _computes(function) else plain_args
        other = routing.counterpart(function)
        if other is not None:
            plain_args = heavy.apart(function, plain_args)
            computed = _with_gaps(function, other, plain_args, plain_kwargs)
            if here.attempts:
                risks.note(function, plain_args, plain_kwargs, computed)
            if heavy.is_long(function):
                heavy.mark(computed)
            whose = getattr(function, "__module__", None) == "math"
            return _new(pythons.note(computed, whose), args)
        if here.attempts:
            risks.note(function, plain_args, plain_kwargs, None)
    else:
        routing.refuse_random(function)
        if _is_jaxs(function) and not any(map(callable, plain_args)):
            return _new(at_once(function, *plain_args, **plain_kwargs), args)
        if getattr(function, "__module__", None) in ON_PYTHONS:
            return function(*map(exact.python, plain_args), **{k: exact.python(v) for k, v in plain_kwargs.items()})
        return _new(exact.exactly(function, *plain_args, **plain_kwargs), args)
    return _new(function(*plain_args, **plain_kwargs), args)


def _computes(function: Any) -> bool:
    """Whether a function takes ranges and lists as arrays: a log density of scipy's."""
    return partial.is_elementwise(function) and function is not np.where


def _with_gaps(function: Any, other: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
    """The counterpart of a library function, where NaN may be among the data."""
    if not context.current().missing:
        return other(*args, **kwargs)
    if function is np.where and len(args) == 3:
        return gaps.where(*args)
    if function in gaps.SKIPPING and args and (form := gaps.of(args[0])) is not None:
        return gaps.SKIPPING[function](form, *args[1:], **kwargs)
    if not kwargs and (partial.is_elementwise(function) or function in MATH):
        if function in (np.isnan, np.isfinite, math.isnan, math.isfinite):
            return other(*args)
        return gaps.elementwise(other, *args)
    return other(*args, **kwargs)


def _of_partial(function: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """A function of an array whose shape is not known."""
    if partial.is_elementwise(function) and kwargs.get("out") is None:
        given = [*args, *kwargs.values()]

        def operation(*values: Any) -> Any:
            named = dict(zip(kwargs, values[len(args) :], strict=True))
            return library(function, tuple(values[: len(args)]), named)

        return partial.elementwise(operation, *given)
    if len(args) == 1 and not kwargs and isinstance(args[0], partial.Selected):
        if function in partial.SUMS:
            return partial.reduced(args[0], partial.SUMS[function])
        if function in (np.array, np.asarray):
            return args[0]
    return library(function, tuple(map(nullable.used, args)), {k: nullable.used(v) for k, v in kwargs.items()})


def _of_columns(function: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """A function of columns of a frame, some of traced values."""
    if isinstance(function, np.ufunc) and frames.involved(args) and not kwargs:
        return frames.elementwise(lambda *values: library(function, values, {}), *args)
    if function in columns.FUNCTIONS and isinstance(args[0], Column) and len(args) == 1:
        return columns.method(args[0], *columns.FUNCTIONS[function], kwargs)
    return library(function, tuple(map(frames.as_array, args)), {k: frames.as_array(v) for k, v in kwargs.items()})


ON_PYTHONS = ("math", "statistics", "fractions", "decimal")
"""Modules of Python's whose functions compute with whole numbers one by one."""


def _is_jaxs(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).split(".")[0] == "jax"


def _new(result: Any, args: tuple) -> Any:
    """Note that a call made its result, unless it returned one of its arguments."""
    if isinstance(result, TOKENS) and all(result is not a for a in args):
        return context.current().memory.bear(result)
    return _fresh(result, args)


def _fresh(result: Any, args: tuple) -> Any:
    """Note that a call made the iterator that it returned."""
    if isinstance(result, Iterator) and all(result is not a for a in args):
        return context.current().memory.bear_object(result)
    return result


def present(value: Any) -> Any:
    """What a library function is to see: present contents, arrays for stacked lists, converted functions."""
    value = nullable.used(value)
    if isinstance(value, Choice):
        raise CannotRoll("something that is no number is used at a symbolic place", choices.REMEDY)
    if isinstance(value, Generation):
        value = as_list(value)
    if isinstance(value, TOKENS):
        content = context.current().memory.content(value)
        if isinstance(content, Listing):
            return _whole(content)
        if isinstance(content, list):
            new = [present(v) for v in content]
            return new if any(a is not b for a, b in zip(new, content, strict=True)) else content
        if type(content) is dict:
            return {k: present(v) for k, v in content.items()}
        return tables.plain(content)
    if type(value) is tuple:
        return tuple(present(v) for v in value)
    if isinstance(value, FunctionType):
        return users_function(value) or value
    return value


def _whole(content: Listing) -> Any:
    try:
        return operators.whole_array(content)
    except CannotRoll:
        return list(content.items())


# --- methods and attributes ----------------------------------------------------------------------


def method(owner: Any, name: str, /, *args: Any, **kwargs: Any) -> Any:
    """`owner.name(*args, **kwargs)`."""
    if isinstance(owner, ModuleType):
        return call(getattr(owner, name), *args, **kwargs)
    if isinstance(owner, Choice) or (isinstance(owner, str | tuple | dict | list) and choices.involved(args)):
        if name in CHANGING or name in ("sort", "reverse", *ITEMS):
            raise CannotRoll(f"{name} at a symbolic place, with something that is no number", choices.REMEDY)
        return choices.mapped(lambda o, *values: method(o, name, *values, **kwargs), owner, *args)
    if isinstance(owner, Column | columns.Windows | columns.Groups) or (
        frames.is_pandas(owner) and any_traced((args, kwargs))
    ):
        return _method_of_frames(owner, name, args, kwargs)
    if isinstance(owner, partial.Selected) and name in partial.SUMS.values() and not args and not kwargs:
        return partial.reduced(owner, name)
    owner = nullable.used(owner)
    if name in CHANGING and _is_container(owner):
        lasting.refuse(owner, args)
    if name in ITEMS and _is_container(owner):
        return ITEMS[name](owner, *args)
    if type(owner) is list:
        return list_method(owner, name, args, kwargs)
    if isinstance(owner, np.ndarray | jax.Array):
        return _array_method(owner, name, args, kwargs)
    if isinstance(owner, dict):
        return dict_method(owner, name, args, kwargs)
    if isinstance(owner, UNFOLLOWED):
        if name in CHANGING and _shared(owner):
            kind = type(owner).__name__
            raise CannotRoll(f"a {kind} is changed ({name}) inside the loop or branch", "Use a list or an array.")
        return library(getattr(owner, name), args, kwargs)
    if isinstance(owner, np.ufunc) and name == "at":
        return ufunc_at(owner, *args)
    if isinstance(owner, str) and (any_traced((args, kwargs)) or text.is_untold((owner, present(args), kwargs))):
        return text.method(owner, name, args, kwargs)
    return call(attribute(owner, name), *args, **kwargs)


def _method_of_frames(owner: Any, name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
    """A method of a column, or one of a frame or Series with traced arguments."""
    if name in columns.OPERATORS and len(args) == 1 and not kwargs:
        return operators.binary(columns.OPERATORS[name], owner, *args)
    if not frames.is_pandas(owner):
        return columns.method(owner, name, args, kwargs)
    if name == "dot" and len(args) == 1:
        return frames.product(owner, *args)
    return columns.of_series(owner, name, args, kwargs)


UNFOLLOWED = (set, collections.deque, bytearray)
"""Containers that are changed as they are: in a traced loop or branch they must not be."""
ITEMS = {"__setitem__": store, "__getitem__": load, "__delitem__": delete_item}


def ufunc_at(ufunc: np.ufunc, array: Any, index: Any, *values: Any) -> None:
    """`np.add.at(array, index, values)` and its like."""
    content, index, more = present(array), present_index(index), tuple(map(present, values))
    if not any_traced((content, index, more)):
        made = np.array(content)
        ufunc.at(made, index, *more)
    else:
        context.current().traced += 1
        before = jax.numpy.asarray(content)
        made = getattr(jax.numpy, ufunc.__name__).at(before, index, *more, inplace=False).astype(before.dtype)
    replace(array, made)


def _shared(owner: Any) -> bool:
    frames = context.current().memory.frames
    return bool(frames) and id(owner) not in frames[-1].born


def dict_method(owner: dict, name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
    """A method of a dict."""
    if name in CHANGING:
        key = args[0] if args and name in ("pop", "setdefault") else None
        with changed(owner, key) as content:
            return getattr(content, name)(*args, **kwargs)
    if args and is_traced(args[0]):
        raise CannotRoll(f"a dict {KEYED}", KEYED_REMEDY)
    return operators.made(getattr(context.current().memory.content(owner), name)(*args, **kwargs))


def list_method(owner: list, name: str, args: tuple, kwargs: dict[str, Any] | None = None) -> Any:
    """A method of a list."""
    memory = context.current().memory
    if name == "append":
        memory.append(owner, *args)
        return None
    if name == "extend":
        (more,) = args
        content = memory.content(more)
        if isinstance(content, Listing):
            memory.append(owner, content)
        elif isinstance(more, Generation):
            more.run(lambda value: memory.append(owner, value), None, ())
        else:
            for value in list(iterate(more)):
                memory.append(owner, value)
        return None
    content = memory.content(owner)
    if name == "sort":
        return builtin.sort(owner, *args, **(kwargs or {}))
    reads = name in ("copy", "index", "count")
    if content is owner and (memory.owns(owner) or reads):
        if not reads:
            memory.note_change(owner)
        return operators.made(getattr(owner, name)(*args, **(kwargs or {})))
    if name == "copy":
        from gradmc.program.frontend.subscripts import fresh_list

        return fresh_list(memory.listing(owner))
    listing = memory.listing(owner)
    if is_traced(listing.length()):
        raise CannotRoll(f"list.{name} changes the list in the loop that appends to it")
    items = list(listing.items())
    result = getattr(items, name)(*args, **(kwargs or {}))
    memory.write(owner, Listing.of(items))
    return result


def _array_method(owner: Any, name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
    content = context.current().memory.content(owner)
    plain_args = tuple(present(a) for a in args)
    plain_kwargs = {k: present(v) for k, v in kwargs.items()}
    context.current().traced += is_traced(content)
    if name in rearranging.METHODS and content.ndim and not kwargs and not any_traced(plain_args):
        return _rearranged(owner, content, name, plain_args)
    if name == "fill":
        replace(owner, routing.full_like(content, *plain_args))
        return None
    if name == "sort" and content.ndim:
        numpy = jax.numpy if is_traced(content) else np
        replace(owner, numpy.sort(content, *plain_args, **plain_kwargs))
        return None
    if isinstance(content, np.ndarray) and (any_traced(plain_args) or any_traced(plain_kwargs)):
        content = jax.numpy.asarray(content)
    if name == "item" and is_traced(content):
        return content[plain_args] if plain_args else content.reshape(())
    if name == "tolist" and is_traced(content):
        return list(iterate(owner)) if content.ndim else content
    bound = _member(content, name)
    if is_plain_jax(content) and not any_traced(plain_args):
        return _new(at_once(bound, *plain_args, **plain_kwargs), (owner,))
    if isinstance(content, np.ndarray) and name in exact.METHODS:
        return _new(exact.exactly(exact.METHODS[name], content, *plain_args, **plain_kwargs), (owner,))
    return _new(bound(*plain_args, **plain_kwargs), (owner,))


def _member(content: Any, name: str) -> Any:
    """An attribute or method of a number or array."""
    try:
        return getattr(content, name)
    except AttributeError:
        kind = "an array" if np.ndim(content) else "a number"
        lists = "; lists of numbers among the data come as arrays: make a list of it first, y = list(y)"
        hint = lists if np.ndim(content) and name in dir(list) else ""
        raise AttributeError(f"{kind} has no attribute {name!r}{hint}") from None


def _rearranged(owner: Any, content: Any, name: str, args: tuple) -> Any:
    """A view of all of an array, in another arrangement."""
    index = rearranging.rearranged(content, name, args)
    result = at_once(index.there, content) if is_plain_jax(content) else index.there(content)
    memory = context.current().memory
    whole = memory.parent(owner) is None or name in ("transpose", "swapaxes")
    if result is not owner and is_array(result) and whole:
        memory.bear(result)
        memory.view(result, owner, index)
        return result
    return _new(result, (owner,))


def attribute(owner: Any, name: str) -> Any:
    """`owner.name`."""
    if isinstance(owner, partial.Selected) and name == "size":
        return partial.counted(owner)
    if isinstance(owner, Choice):
        return choices.mapped(lambda o: attribute(o, name), owner)
    if isinstance(owner, Column):
        return frames.attribute(owner, name)
    if isinstance(owner, frames.Row):
        return owner.entry(name, load)
    owner = nullable.used(owner)
    if name == "T" and is_array(owner):
        return _array_method(owner, "transpose", (), {})
    if isinstance(owner, TOKENS):
        owner = operators.content(owner)
        if isinstance(owner, Listing):
            return getattr([], name)
    changed_fields = context.current().memory.fields(owner)
    if name in changed_fields:
        if isinstance(changed_fields[name], Unbound):
            raise _unset(owner, name)
        return changed_fields[name]
    found = getattr(type(owner), name, None)
    if isinstance(found, property) and (getter := users_function(found.fget)) is not None:
        return getter(owner)
    if isinstance(found, functools.cached_property) and name not in vars(owner):
        return call(found.func, owner)  # anew each time: it may be another in the loop or branch at hand
    return _member(owner, name) if isinstance(owner, np.ndarray | jax.Array) else getattr(owner, name)


def _unset(owner: Any, name: str) -> CannotRoll:
    return CannotRoll(
        f"attribute {name!r} of a {type(owner).__name__} is read in the loop or branch, and may not be set there",
        "Set the attribute before it, so that it has a value on every path.",
    )


def _hasattr(owner: Any, name: str) -> bool:
    """`hasattr`: what the loop or branch at hand has set counts, too."""
    changed_fields = context.current().memory.fields(owner)
    if name not in changed_fields:
        return hasattr(owner, name)
    value = changed_fields[name]
    if isinstance(value, Unbound) and value.late is not None:
        raise _unset(owner, name)
    return not isinstance(value, Unbound)


def set_attribute(owner: Any, name: str, value: Any) -> None:
    """`owner.name = value`."""
    owner = nullable.used(owner)
    if isinstance(owner, Choice):
        raise CannotRoll(f"attribute {name!r} is set at a symbolic place", choices.REMEDY)
    lasting.refuse(owner, value)
    memory = context.current().memory
    if not _shared(owner):
        setattr(owner, name, value)
    else:
        memory.write(owner, Fields({**memory.fields(owner), name: returned(value)}))


def delete_attribute(owner: Any, name: str) -> None:
    """`del owner.name`."""
    if _shared(owner):
        raise CannotRoll(f"attribute {name!r} of a {type(owner).__name__} is deleted inside the loop or branch")
    delattr(owner, name)


def _getattr(owner: Any, name: str, *default: Any) -> Any:
    if default and not _hasattr(owner, name):
        return default[0]
    try:
        return attribute(owner, name)
    except AttributeError:
        if default:
            return default[0]
        raise


def _arrange(name: str, function: Any, x: Any, args: tuple, options: dict[str, Any]) -> Any:
    """A function of numpy that is a method of arrays, too."""
    return _array_method(x, name, args, options) if is_array(x) else library(function, (x, *args), options)


REFLECTING: dict[Any, Callable[..., Any]] = {
    getattr: _getattr,
    hasattr: _hasattr,
    setattr: set_attribute,
    delattr: delete_attribute,
    operator.setitem: store,
    operator.getitem: load,
    operator.delitem: delete_item,
    np.reshape: lambda x, *args, **options: _arrange("reshape", np.reshape, x, args, options),
    np.ravel: lambda x, *args, **options: _arrange("ravel", np.ravel, x, args, options),
    np.transpose: lambda x, *args, **options: _arrange("transpose", np.transpose, x, args, options),
    np.swapaxes: lambda x, *args, **options: _arrange("swapaxes", np.swapaxes, x, args, options),
    np.squeeze: lambda x, *args, **options: _arrange("squeeze", np.squeeze, x, args, options),
    np.put: lambda *_: refuse_change("numpy.put"),
    np.place: lambda *_: refuse_change("numpy.place"),
    np.putmask: lambda array, mask, values: _putmask(array, mask, values),
    np.put_along_axis: lambda *_: refuse_change("numpy.put_along_axis"),
}
"""Functions that read and change objects by name or place."""


def _putmask(array: Any, mask: Any, values: Any) -> None:
    if np.ndim(present(values)):
        refuse_change("numpy.putmask")
    store(array, mask, values)


def refuse_change(name: str) -> NoReturn:
    """Refuse a function that changes an array in a way that is not followed."""
    raise ProgramError(
        f"{name} changes an array in place, which is not followed",
        location=where.here(),
        remedy="Store by a subscript: x[i] = v, or x[mask] = v.",
    )


def returned(value: Any) -> Any:
    """The value of a `return` statement."""
    if isinstance(value, Unbound) or (isinstance(value, Nullable) and value.unset):
        return nullable.used(value)
    return value


def subject(value: Any) -> Any:
    """What a `match` statement looks at."""
    if isinstance(value, Choice):
        raise CannotRoll("match looks at something that is no number, at a symbolic place", choices.REMEDY)
    if is_traced(value):
        raise ProgramError(
            "match cannot look at a value that is not known while compiling",
            location=where.here(),
            remedy="Use if and elif.",
        )
    return value
