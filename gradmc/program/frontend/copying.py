"""`copy.copy`, `copy.deepcopy`, `dataclasses.asdict`: of what lists, dicts, arrays and objects hold now."""

import copy
import dataclasses
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gradmc.program.frontend import dicts, operators
from gradmc.program.frontend.attributes import attribute
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.heap import TOKENS
from gradmc.program.frontend.library_calls import library
from gradmc.program.frontend.listing import Listing
from gradmc.program.frontend.slots import Slots
from gradmc.program.frontend.subscripts import copied_list, fresh_list

OWN = ("__copy__", "__deepcopy__", "__reduce__", "__getstate__", "__setstate__")
"""Methods by which a class says itself how it is copied."""


def shallow(ev: Evaluation, value: Any) -> Any:
    """`copy.copy(value)`."""
    content = operators.content(ev, value)
    if isinstance(content, Listing):
        return copied_list(ev, value)
    if isinstance(content, Slots):
        return dicts.copied(ev, content)
    if isinstance(content, list | dict):
        return operators.made(ev, copy.copy(content))
    return _object(ev, value, lambda item: item) if _is_record(value) else library(ev, copy.copy, (value,), {})


def deep(ev: Evaluation, value: Any) -> Any:
    """`copy.deepcopy(value)`."""
    made: dict[int, tuple[Any, Any]] = {}

    def copied(value: Any) -> Any:
        if id(value) not in made:
            made[id(value)] = value, _deep(ev, value, copied)
        return made[id(value)][1]

    return copied(value)


def as_dict(ev: Evaluation, value: Any, *, dict_factory: Any = dict) -> Any:
    """`dataclasses.asdict(value)`."""
    return _fields_apart(ev, value, lambda items: operators.made(ev, ev.call(dict_factory, items)))


def as_tuple(ev: Evaluation, value: Any, *, tuple_factory: Any = tuple) -> Any:
    """`dataclasses.astuple(value)`."""
    return _fields_apart(ev, value, lambda items: ev.call(tuple_factory, [item for _, item in items]))


def _fields_apart(ev: Evaluation, value: Any, make: Callable[[list[tuple[str, Any]]], Any]) -> Any:
    """What `make` makes of the names and values of a dataclass, also of those inside of it; all else is copied."""

    def apart(value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = [field.name for field in dataclasses.fields(value)]
            return make([(name, apart(attribute(ev, value, name))) for name in fields])
        held = operators.content(ev, value) if isinstance(value, TOKENS) else value
        return _deep(ev, value, apart) if type(held) in (list, dict, tuple) else deep(ev, value)

    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        raise TypeError("asdict() and astuple() should be called on dataclass instances")
    return apart(value)


def _deep(ev: Evaluation, value: Any, copied: Callable[[Any], Any]) -> Any:
    content = operators.content(ev, value) if isinstance(value, TOKENS) else value
    if isinstance(content, Listing):
        parts = [[copied(v) for v in p] if isinstance(p, list) else p for p in content.parts]
        return fresh_list(ev, Listing(tuple(parts)))
    if isinstance(content, Slots) and content.rows is not None:
        return dicts.together(ev, replace(content, rows=replace(content.rows, token=copied(content.rows.token))))
    if isinstance(content, Slots):  # whose items are numbers in columns
        return dicts.together(ev, content)
    if type(content) is list:
        return operators.made(ev, [copied(v) for v in content])
    if type(content) is dict:
        return operators.made(ev, {k: copied(v) for k, v in content.items()})
    if type(content) is tuple:
        return tuple(map(copied, content))
    return _object(ev, value, copied) if _is_record(value) else library(ev, copy.deepcopy, (value,), {})


def _is_record(value: Any) -> bool:
    """Whether an object is what its attributes are."""
    plain = all(getattr(type(value), name, None) is getattr(object, name, None) for name in OWN)
    return plain and hasattr(value, "__dict__") and not callable(value)


def _object(ev: Evaluation, value: Any, item: Callable[[Any], Any]) -> Any:
    """Another object of the same class, whose attributes are made of the present ones."""
    made = ev.heap.allocate_object(object.__new__(type(value)))
    for name, held in {**vars(value), **ev.heap.fields(value)}.items():
        vars(made)[name] = item(held)
    return made
