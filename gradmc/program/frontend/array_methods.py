"""Methods of arrays, and functions of numpy that are methods too or change an array."""

import functools
from typing import Any, NoReturn

import jax
import numpy as np

from gradmc.errors import ProgramError
from gradmc.program import exact, ir
from gradmc.program.frontend import rearranging, routing, user_line
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.libraries.arrays import array
from gradmc.program.frontend.library_calls import library, new, present
from gradmc.program.frontend.precision import precisely
from gradmc.program.frontend.stores import replace, store
from gradmc.program.frontend.subscripts import present_index
from gradmc.program.frontend.values import LEAF, Rows, any_traced, at_once, is_array, is_plain_jax, is_traced


def array_method(ev: Evaluation, owner: Any, name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
    """A method of a number or array."""
    content = ev.heap.content(owner)
    plain_args = tuple(present(ev, a) for a in args)
    plain_kwargs = {k: present(ev, v) for k, v in kwargs.items()}
    ev.traced += is_traced(content)
    if name in rearranging.METHODS and content.ndim and not kwargs and not any_traced(plain_args):
        return _rearranged(ev, owner, content, name, plain_args)
    if name == "fill":
        replace(ev, owner, routing.full_like(content, *plain_args))
        return None
    if name == "sort" and content.ndim:
        numpy = jax.numpy if is_traced(content) else np
        replace(ev, owner, numpy.sort(content, *plain_args, **plain_kwargs))
        return None
    if name in IN_PLACE and isinstance(content, np.ndarray):
        now = content.copy()
        getattr(now, name)(*plain_args, **plain_kwargs)
        replace(ev, owner, now)
        return None
    if isinstance(content, np.ndarray) and (any_traced(plain_args) or any_traced(plain_kwargs)):
        content = jax.numpy.asarray(content)
        plain_args = tuple(array(a) if isinstance(a, list | tuple) and any_traced(a) else a for a in plain_args)
    if name == "item" and is_traced(content):
        return content[plain_args] if plain_args else content.reshape(())
    if name == "is_integer" and is_traced(content):
        return content == jax.numpy.floor(content)
    if name in ("take", "choose"):
        return library(ev, getattr(np, name), (owner, *args), kwargs)
    if name == "tolist" and is_traced(content):
        form = functools.reduce(Rows, reversed(content.shape), LEAF)
        return ev.together(form, [content]) if content.size else np.zeros(content.shape).tolist()
    bound = member(content, name)
    if is_plain_jax(content) and not any_traced(plain_args):
        return new(ev, at_once(bound, *plain_args, **plain_kwargs), (owner,))
    if isinstance(content, np.ndarray) and name in exact.METHODS:
        return new(ev, exact.exactly(exact.METHODS[name], content, *plain_args, **plain_kwargs), (owner,))
    if name in ("conj", "conjugate", "view") and not plain_args and not jax.numpy.iscomplexobj(content):
        return owner
    if name == "astype":
        result = ir.widened(bound(*plain_args, **plain_kwargs))
    else:
        result = precisely(
            lambda content, *a, **k: member(content, name)(*a, **k), content, *plain_args, **plain_kwargs
        )
    return new(ev, ev.heap.own(result, content), (owner,))


IN_PLACE = ("partition",)
"""Methods that change the array, beside those that are followed one by one."""


def member(content: Any, name: str) -> Any:
    """An attribute or method of a number or array."""
    try:
        return getattr(content, name)
    except AttributeError:
        kind = "an array" if np.ndim(content) else "a number"
        lists = "; lists of numbers among the data come as arrays: make a list of it first, y = list(y)"
        hint = lists if np.ndim(content) and name in dir(list) else ""
        raise AttributeError(f"{kind} has no attribute {name!r}{hint}") from None


def _rearranged(ev: Evaluation, owner: Any, content: Any, name: str, args: tuple) -> Any:
    """A view of all of an array, in another arrangement."""
    index = rearranging.rearranged(content, name, args)
    result = at_once(index.there, content) if is_plain_jax(content) else index.there(content)
    heap = ev.heap
    whole = heap.parent(owner) is None or name in ("transpose", "swapaxes")
    if result is not owner and is_array(result) and whole:
        result = heap.allocate(heap.own(result))
        heap.view(result, owner, index)
        return result
    return new(ev, result, (owner,))


def flat(ev: Evaluation, owner: Any) -> Any:
    """`owner.flat`: all elements in a row, to be stored into, too."""
    content = ev.heap.content(owner)
    index = rearranging.rearranged(content, "reshape", (-1,))
    result = at_once(index.there, content) if is_plain_jax(content) else index.there(content)
    result = ev.heap.allocate(ev.heap.own(result, content))
    ev.heap.view(result, owner, index)
    return result


def ufunc_at(ev: Evaluation, ufunc: np.ufunc, array: Any, index: Any, *values: Any) -> None:
    """`np.add.at(array, index, values)` and its like."""
    content, index, more = (
        present(ev, array),
        present_index(ev, index),
        tuple(present(ev, v) for v in values),
    )
    if not any_traced((content, index, more)):
        made = np.array(content)
        ufunc.at(made, index, *more)
    else:
        ev.traced += 1
        before = jax.numpy.asarray(content)
        made = getattr(jax.numpy, ufunc.__name__).at(before, index, *more, inplace=False).astype(before.dtype)
    replace(ev, array, made)


def arranged(ev: Evaluation, name: str, function: Any, x: Any, args: tuple, options: dict[str, Any]) -> Any:
    """A function of numpy that is a method of arrays, too."""
    return array_method(ev, x, name, args, options) if is_array(x) else library(ev, function, (x, *args), options)


def putmask(ev: Evaluation, array: Any, mask: Any, values: Any) -> None:
    """`np.putmask(array, mask, values)`."""
    if np.ndim(present(ev, values)):
        refuse_change("numpy.putmask")
    store(ev, array, mask, values)


def refuse_change(name: str) -> NoReturn:
    """Refuse a function that changes an array in a way that is not followed."""
    raise ProgramError(
        f"{name} changes an array in place, which is not followed",
        location=user_line.here(),
        remedy="Store by a subscript: x[i] = v, or x[mask] = v.",
    )
