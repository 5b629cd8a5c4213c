"""Calls of methods, by what their owner is."""

from types import GeneratorType, MethodType, ModuleType
from typing import Any

import jax
import numpy as np

from gradmc.program.frontend import (
    choices,
    columns,
    frames,
    lasting,
    nullable,
    operators,
    partial,
    special_methods,
    text,
)
from gradmc.program.frontend.array_methods import array_method, ufunc_at
from gradmc.program.frontend.attributes import attribute
from gradmc.program.frontend.container_methods import UNFOLLOWED, dict_method, is_container, is_shared, list_method
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.iterables import advancing
from gradmc.program.frontend.lasting import CHANGING
from gradmc.program.frontend.library_calls import library, present
from gradmc.program.frontend.stores import delete_plainly, store_plainly
from gradmc.program.frontend.subscripts import load_plainly
from gradmc.program.frontend.values import CannotRoll, Choice, TracedSeries, any_traced


def method(ev: Evaluation, owner: Any, name: str, /, *args: Any, **kwargs: Any) -> Any:
    """`owner.name(*args, **kwargs)`."""
    if isinstance(owner, ModuleType) or type(owner) is super:  # which says that it is a list, if its object is one
        return ev.call(getattr(owner, name), *args, **kwargs)
    if isinstance(owner, Choice) or (isinstance(owner, str | tuple | list) and choices.involved(args)):
        if name in CHANGING or name in ("sort", "reverse", *ITEMS):
            raise CannotRoll(f"{name} at a symbolic place, with something that is no number", choices.REMEDY)
        return choices.mapped(ev, lambda o, *values: method(ev, o, name, *values, **kwargs), owner, *args)
    if isinstance(owner, TracedSeries | columns.Rolling | columns.Groups) or (
        frames.is_pandas(owner) and any_traced((args, kwargs))
    ):
        return _method_of_frames(ev, owner, name, args, kwargs)
    if isinstance(owner, partial.Selected) and name in partial.SUMS.values() and not args and not kwargs:
        return partial.reduced(ev, owner, name)
    owner = nullable.used(ev, owner)
    if name in CHANGING and is_container(owner):
        lasting.refuse(ev, owner, args)
    if name in ITEMS and is_container(owner) and special_methods.method_of(ev, owner, name) is None:
        return ITEMS[name](ev, owner, *args)
    if type(owner) is list or (isinstance(owner, list) and not isinstance(getattr(owner, name), MethodType)):
        return list_method(ev, owner, name, args, kwargs)
    if isinstance(owner, np.ndarray | jax.Array):
        return array_method(ev, owner, name, args, kwargs)
    if isinstance(owner, dict):
        return dict_method(ev, owner, name, args, kwargs)
    if isinstance(owner, UNFOLLOWED):
        if name in CHANGING and is_shared(ev, owner):
            kind = type(owner).__name__
            raise CannotRoll(f"a {kind} is changed ({name}) inside the loop or branch", "Use a list or an array.")
        return library(ev, getattr(owner, name), args, kwargs)
    if isinstance(owner, GeneratorType):
        advancing(ev, owner)
    if isinstance(owner, np.ufunc) and name == "at":
        return ufunc_at(ev, owner, *args)
    if isinstance(owner, str) and (any_traced((args, kwargs)) or text.is_untold((owner, present(ev, args), kwargs))):
        return text.method(owner, name, args, kwargs)
    return ev.call(attribute(ev, owner, name), *args, **kwargs)


def _method_of_frames(ev: Evaluation, owner: Any, name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
    """A method of a column, or one of a frame or Series with traced arguments."""
    if name in columns.OPERATORS and len(args) == 1 and not kwargs:
        return operators.binary(ev, columns.OPERATORS[name], owner, *args)
    if name in columns.COMPARISONS and len(args) == 1 and not kwargs:
        return operators.compare(ev, columns.COMPARISONS[name], owner, *args)
    if not frames.is_pandas(owner):
        return columns.method(ev, owner, name, args, kwargs)
    if name == "dot" and len(args) == 1:
        return frames.product(owner, present(ev, *args))
    return columns.of_series(ev, owner, name, args, kwargs)


ITEMS = {"__setitem__": store_plainly, "__getitem__": load_plainly, "__delitem__": delete_plainly}
