"""Calls of functions that are not the user's: what they see of the arguments, and what is called in their place.

Functions of math, numpy and scipy have a counterpart (`routing`) where an argument is traced. Others are called as they
are, with the present contents of arrays and lists, and with converted functions for function arguments.
"""

import functools
import math
from collections import deque
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import jax.numpy as jnp
import numpy as np

from gradmc.program import exact, ir
from gradmc.program.frontend import (
    callbacks,
    choices,
    columns,
    dicts,
    frames,
    gaps,
    heavy,
    in_place,
    nullable,
    operators,
    partial,
    pythons,
    risks,
    routing,
    tables,
)
from gradmc.program.frontend.comprehensions import Generation, as_list
from gradmc.program.frontend.converting import users_function
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.heap import TOKENS
from gradmc.program.frontend.iterables import refuse_twice, taken
from gradmc.program.frontend.keepers import COMPUTING, Kept, module_of
from gradmc.program.frontend.libraries import registry
from gradmc.program.frontend.libraries.arrays import like
from gradmc.program.frontend.libraries.standard_library import MATH
from gradmc.program.frontend.listing import Listing
from gradmc.program.frontend.precision import precisely
from gradmc.program.frontend.values import (
    CannotRoll,
    Choice,
    Container,
    Rows,
    TracedSeries,
    any_traced,
    at_once,
    is_array,
)


def library(ev: Evaluation, function: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """Call a function that is not the user's."""
    refuse_twice(args)
    args = tuple(taken(ev, partial.of_list(ev, a), early=not _exhausts(function)) for a in args)
    if partial.any_partial(args) or partial.any_partial(tuple(kwargs.values())):
        return _of_partial(ev, function, args, kwargs)
    if any(frames.is_pandas(a) or isinstance(a, TracedSeries) for a in args) and any_traced((args, kwargs)):
        return _of_columns(ev, function, args, kwargs)
    out = in_place.into(ev, function, args, kwargs, lambda *a, **k: library(ev, function, a, k))
    if out is not None:
        return out
    given = (*args, *kwargs.values())
    return in_place.followed(ev, function, given, kwargs, lambda: _called(ev, function, args, kwargs))


SMALL = frozenset([np.int8, np.int16, np.int32, np.uint8, np.uint16, np.uint32])


def _finely(function: Any, other: Callable[..., Any]) -> Callable[..., Any]:
    """The counterpart of a function, with all digits; types of whole numbers give the largest one."""
    if isinstance(function, type) and function in SMALL:
        return lambda *args, **kwargs: ir.widened(other(*args, **kwargs))
    return functools.partial(precisely, other)


def _exhausts(function: Any) -> bool:
    """Whether a function runs through an iterator that it is given to its end, before it returns."""
    return function is functools.reduce or function is deque or module_of(function) in COMPUTING


def _called(ev: Evaluation, function: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """Call a function that takes no part of an array, nor columns."""
    if any(function is nested for nested in NESTED):
        args = tuple(_in_lists(ev, a) for a in args)
    kept = Kept(module_of(function) in COMPUTING)
    plain_args = tuple(present(ev, a, kept) for a in args)
    plain_kwargs = {k: present(ev, v, kept) for k, v in kwargs.items()}
    if _is_jaxs(function):
        plain_args = tuple(callbacks.to_jax(ev, a) for a in plain_args)
        plain_kwargs = {k: callbacks.to_jax(ev, v) for k, v in plain_kwargs.items()}
    given_functions = registry.given_functions(function)
    if given_functions is not None:
        if ev.attempts:
            risks.note(ev, function, plain_args, plain_kwargs, None)
        return new(ev, given_functions(ev, *plain_args, **plain_kwargs), args)
    traced = any_traced(plain_args) or any_traced(plain_kwargs)
    ev.traced += traced
    if traced:
        plain_args = tuple(map(like, plain_args)) if _computes(function) else plain_args
        other = routing.counterpart(ev, function)
        if other is not None:
            plain_args = heavy.apart(ev, function, plain_args)
            computed = _with_gaps(ev, function, _finely(function, other), plain_args, plain_kwargs)
            if ev.attempts:
                risks.note(ev, function, plain_args, plain_kwargs, computed)
            if heavy.is_long(function):
                heavy.mark(ev, computed)
            whose = getattr(function, "__module__", None) == "math"
            return _of_its_own(ev, function, pythons.note(ev, computed, whose), args, kwargs)
        if ev.attempts:
            risks.note(ev, function, plain_args, plain_kwargs, None)
    else:
        routing.refuse_random(function)
        if _is_jaxs(function) and not any(map(callable, plain_args)):
            return new(ev, at_once(function, *plain_args, **plain_kwargs), args)
        if getattr(function, "__module__", None) in ON_PYTHONS:
            return function(*map(exact.python, plain_args), **{k: exact.python(v) for k, v in plain_kwargs.items()})
        return new(ev, kept.restored(function, exact.exactly(function, *plain_args, **plain_kwargs)), args)
    made = new(ev, kept.restored(function, function(*plain_args, **plain_kwargs)), args)
    return ev.heap.allocate_object(made) if isinstance(function, type) and type(made) is function else made


NESTED = (np.block, jnp.block)
"""Functions to which lists of arrays are something else than arrays of more axes."""


def _in_lists(ev: Evaluation, value: Any) -> Any:
    """Lists, at any depth, as they are written."""
    content = ev.heap.content(value)
    if not isinstance(content, Listing | list):
        return value
    return [_in_lists(ev, item) for item in (content.items(ev) if isinstance(content, Listing) else content)]


SAME = (np.asarray, np.asanyarray, np.ascontiguousarray, np.atleast_1d, np.real, np.require, np.float64)
"""Functions of numpy that return an array as it is, if it is as they are to make it."""


def _of_its_own(ev: Evaluation, function: Any, result: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """What a function of numpy returns: its argument where numpy does, and no other object that there was before."""
    content = ev.heap.content(args[0]) if args and is_array(args[0]) else None
    same = function in SAME or (function is np.array and not kwargs.get("copy", True))
    if content is not None and same and result.shape == content.shape and result.dtype == content.dtype:
        return args[0]
    return new(ev, ev.heap.own(result, *args), ())


def _computes(function: Any) -> bool:
    """Whether a function takes ranges and lists as arrays: a log density of scipy's."""
    return partial.is_elementwise(function) and function is not np.where


def _with_gaps(ev: Evaluation, function: Any, other: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
    """The counterpart of a library function, where NaN may be among the data."""
    if not ev.missing:
        return other(*args, **kwargs)
    if function is np.where and len(args) == 3:
        return gaps.where(ev, *args)
    if function in gaps.SKIPPING and args and (form := gaps.of(ev, args[0])) is not None:
        return gaps.SKIPPING[function](form, *args[1:], **kwargs)
    if not kwargs and (partial.is_elementwise(function) or function in MATH):
        if function in (np.isnan, np.isfinite, math.isnan, math.isfinite):
            missing = gaps.where_missing(ev, args[0]) if function is np.isnan else None
            return other(*args) if missing is None else missing
        return gaps.elementwise(ev, other, *args)
    return other(*args, **kwargs)


def _of_partial(ev: Evaluation, function: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """A function of an array whose shape is not known."""
    if partial.is_elementwise(function) and kwargs.get("out") is None:
        given = [*args, *kwargs.values()]

        def operation(*values: Any) -> Any:
            named = dict(zip(kwargs, values[len(args) :], strict=True))
            return library(ev, function, tuple(values[: len(args)]), named)

        return partial.elementwise(ev, operation, *given)
    if len(args) == 1 and not kwargs and isinstance(args[0], partial.Selected):
        if function in partial.SUMS:
            return partial.reduced(ev, args[0], partial.SUMS[function])
        if function in (np.array, np.asarray):
            return args[0]
    if function in (np.dot, np.inner, np.vdot) and all(isinstance(a, partial.Selected) for a in args):
        return operators.binary(ev, "MatMult", *args)
    return library(
        ev,
        function,
        tuple(nullable.used(ev, a) for a in args),
        {k: nullable.used(ev, v) for k, v in kwargs.items()},
    )


def _of_columns(ev: Evaluation, function: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """A function of columns of a frame, some of traced values."""
    if isinstance(function, np.ufunc) and frames.involved(args) and not kwargs:
        return frames.elementwise(ev, lambda *values: library(ev, function, values, {}), *args)
    if function in columns.FUNCTIONS and isinstance(args[0], TracedSeries) and len(args) == 1:
        return columns.method(ev, args[0], *columns.FUNCTIONS[function], kwargs)
    return library(ev, function, tuple(map(frames.as_array, args)), {k: frames.as_array(v) for k, v in kwargs.items()})


ON_PYTHONS = ("math", "statistics", "fractions", "decimal")
"""Modules of Python's whose functions compute with whole numbers one by one."""


def _is_jaxs(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).split(".")[0] == "jax"


def new(ev: Evaluation, result: Any, args: tuple) -> Any:
    """Note that a call made its result, unless it returned one of its arguments."""
    if isinstance(result, TOKENS) and all(result is not a for a in args):
        return ev.heap.allocate(result)
    return fresh(ev, result, args)


def fresh(ev: Evaluation, result: Any, args: tuple) -> Any:
    """Note that a call made the iterator that it returned."""
    if isinstance(result, Iterator) and all(result is not a for a in args):
        return ev.heap.allocate_object(result)
    return result


def present(ev: Evaluation, value: Any, kept: Kept | None = None) -> Any:
    """What a library function is to see: present contents, arrays for stacked lists, converted functions."""
    value = nullable.used(ev, value)
    if isinstance(value, Choice):
        raise CannotRoll("something that is no number is used at a symbolic place", choices.REMEDY)
    if isinstance(value, Generation):
        value = as_list(ev, value)
    if isinstance(value, TOKENS):
        content = _content(ev, value, kept)
        return content if kept is None else kept.note(value, content)
    if type(value) is tuple:
        seen = tuple(present(ev, v, kept) for v in value)
        return seen if any(a is not b for a, b in zip(seen, value, strict=True)) else value
    if isinstance(value, FunctionType):
        return users_function(ev, value) or value
    return value


def _content(ev: Evaluation, token: Any, kept: Kept | None) -> Any:
    """The present content of an array, list or dict, at any depth."""
    content = dicts.mapping(ev, ev.heap.content(token))
    if isinstance(content, Listing):
        return _whole(ev, content, kept)
    if isinstance(content, list):
        new = [present(ev, v, kept) for v in content]
        return new if any(a is not b for a, b in zip(new, content, strict=True)) else content
    if type(content) is dict:
        return {k: present(ev, v, kept) for k, v in content.items()}
    return tables.plain(ev, content)


def _whole(ev: Evaluation, content: Listing, kept: Kept | None) -> Any:
    """A list of stacked items: an array, but where they are lists only for functions that make arrays of those."""
    try:
        nested = isinstance(content.stacked(ev).form, Container | Rows)
        if nested and kept is not None and not kept.computing:
            return _items(ev, content, kept)
        return operators.whole_array(ev, content)
    except CannotRoll:
        return _items(ev, content, kept)


def _items(ev: Evaluation, content: Listing, kept: Kept | None) -> list:
    return [present(ev, item, kept) for item in content.items(ev)]
