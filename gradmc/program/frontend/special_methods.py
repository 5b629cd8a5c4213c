"""Special methods of classes that the user wrote: `a[i]`, `len(a)`, `a += b`, `a < b`, `with a`, `for v in a`, ...

Python calls them by itself, as they were written; here they are called as converted functions, since what they read and
set is on the heap (`Fields`) while a loop or branch is traced.
"""

import ast
import contextlib
import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from types import FunctionType
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from gradmc.errors import ProgramError
from gradmc.program.frontend import failing, source
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.values import CannotRoll

PLAIN = (Tracer, np.ndarray, np.generic, type, FunctionType, jax.Array)
EXACT = frozenset(
    [int, float, complex, bool, str, bytes, list, tuple, dict, set, frozenset, range, type(None), np.ndarray]
)
"""Types without methods of the user's; of those in `PLAIN` derived types too."""
ITEMS = ("__getitem__", "__setitem__", "__delitem__", "__len__", "__iter__", "__contains__")
"""Methods by which the compiler itself reads and stores items of lists and dicts."""
MADE = "<string>"
"""The file of the methods that `dataclass` writes."""
SWALLOWED = "something is raised inside of a `with` whose context manager may swallow it, on a condition on parameters"
SWALLOWED_REMEDY = "Use try and except, or contextlib.suppress."
ORDER = {
    "Eq": ("__eq__", "__eq__"),
    "NotEq": ("__ne__", "__ne__"),
    "Lt": ("__lt__", "__gt__"),
    "LtE": ("__le__", "__ge__"),
    "Gt": ("__gt__", "__lt__"),
    "GtE": ("__ge__", "__le__"),
}
"""Comparisons: the method of the left operand, and that of the right one."""


def method_of(ev: Evaluation, owner: Any, name: str) -> Callable[..., Any] | None:
    """A special method of an object, converted and bound; None where its class has none that the user wrote."""
    if type(owner) in EXACT or isinstance(owner, PLAIN):
        return None
    found = getattr(type(owner), name, None)
    if not isinstance(found, FunctionType) or found.__code__.co_filename == MADE:
        return None
    converted = ev.users_function(found)
    if converted is not None and isinstance(owner, list | dict) and name in ITEMS:
        kind = "list" if isinstance(owner, list) else "dict"
        raise ProgramError(
            f"{type(owner).__name__}, a class derived from {kind}, has a method {name} of its own",
            remedy=f"Hold the {kind} in an attribute of a class that is not derived from it.",
        )
    return None if converted is None else partial(converted, owner)


def operated(ev: Evaluation, operation: Callable[..., Any], a: Any, b: Any) -> Any:
    """`a op b` by the method of one of them; NotImplemented if there is none."""
    name = operation.__name__.strip("_")
    return _either(ev, a, b, f"__{name}__", f"__r{name}__")


def operated_inplace(ev: Evaluation, operation: Callable[..., Any], a: Any, b: Any) -> Any:
    """`a op= b` by the method of `a`; NotImplemented if there is none."""
    method = method_of(ev, a, f"__i{operation.__name__.strip('_')}__")
    return NotImplemented if method is None else method(b)


def compared(ev: Evaluation, op: str, a: Any, b: Any) -> Any:
    """`a op b` for a comparison; NotImplemented if there is no method."""
    if op not in ORDER:
        return NotImplemented
    result = _either(ev, a, b, *ORDER[op])
    if result is NotImplemented and op == "NotEq":
        equal = _either(ev, a, b, *ORDER["Eq"])
        result = equal if equal is NotImplemented else ev.compare("Eq", ev.truth(equal), False)
    if result is NotImplemented and type(a) is type(b) and _is_made(type(a), ORDER[op][0]):
        fields = [[ev.attribute(v, name) for name in _compared_fields(type(v))] for v in (a, b)]
        return ev.compare(op, *map(tuple, fields))
    return result


def _either(ev: Evaluation, a: Any, b: Any, left: str, right: str) -> Any:
    for owner, other, name in ((a, b, left), (b, a, right)):
        method = method_of(ev, owner, name)
        result = NotImplemented if method is None else method(other)
        if result is not NotImplemented:
            return result
    return NotImplemented


def _is_made(kind: type, name: str) -> bool:
    """Whether `dataclass` has written a method of a class."""
    name = "__eq__" if name == "__ne__" else name
    code = getattr(getattr(kind, name, None), "__wrapped__", getattr(kind, name, None))
    written = isinstance(code, FunctionType) and code.__code__.co_filename == MADE
    return written and hasattr(kind, "__dataclass_fields__")


def _compared_fields(kind: Any) -> list[str]:
    return [name for name, field in kind.__dataclass_fields__.items() if field.compare]


def contains(ev: Evaluation, container: Any, item: Any) -> Any:
    """`item in container`; NotImplemented if there is no method."""
    method = method_of(ev, container, "__contains__")
    return NotImplemented if method is None else ev.truth(method(item))


def truth(ev: Evaluation, value: Any) -> Any:
    """`bool(value)`; NotImplemented if there is no method."""
    method = method_of(ev, value, "__bool__") or method_of(ev, value, "__len__")
    return NotImplemented if method is None else ev.truth(method())


def number(ev: Evaluation, value: Any, name: str, *rest: Any) -> Any:
    """`float` or `int` of a value by its method `name`; the value itself if it has none."""
    method = method_of(ev, value, name)
    return value if method is None else method(*rest)


def iterated(ev: Evaluation, source: Any) -> Any:
    """What `iter` gives of an object, as an iterator; the object itself if it has no method that the user wrote."""
    if (begin := method_of(ev, source, "__iter__")) is not None:
        made = begin()
        if method_of(ev, made, "__next__") is None:
            return made
        return _items(ev, made)
    if method_of(ev, source, "__next__") is not None:
        return _items(ev, source)
    item = None if hasattr(type(source), "__iter__") else method_of(ev, source, "__getitem__")
    return source if item is None else _by_places(item)


def _items(ev: Evaluation, iterator: Any) -> Iterator[Any]:
    while True:
        try:
            item = following(ev, iterator)
        except StopIteration:
            return
        yield item


def _by_places(item: Callable[[int], Any]) -> Iterator[Any]:
    k = 0
    while True:
        try:
            found = item(k)
        except IndexError:
            return
        yield found
        k += 1


def following(ev: Evaluation, iterator: Any) -> Any:
    """`next(iterator)` by its method; NotImplemented if there is none."""
    method = method_of(ev, iterator, "__next__")
    return NotImplemented if method is None else method()


@dataclass(eq=False, slots=True)
class _Managed:
    """A context manager whose methods are converted functions; it may swallow what is raised inside, or not."""

    ev: Evaluation
    enter: Callable[..., Any]
    leave: Callable[..., Any]
    swallows: bool
    failures: int = 0

    def __enter__(self) -> Any:
        entered = self.enter()
        self.failures = len(failing.noted(self.ev))
        return entered

    def __exit__(self, kind: Any, *rest: Any) -> Any:
        if kind is not None and not issubclass(kind, Exception):
            return False  # thrown by the compiler for itself
        if self.swallows and len(failing.noted(self.ev)) > self.failures:
            raise CannotRoll(SWALLOWED, SWALLOWED_REMEDY)
        return self.leave(kind, *rest)


def managed(ev: Evaluation, manager: Any) -> Any:
    """What a `with` statement is to enter and leave."""
    if isinstance(manager, _OfGenerator):
        return _Managed(ev, manager.manager.__enter__, manager.manager.__exit__, manager.catches)
    enter, leave = method_of(ev, manager, "__enter__"), method_of(ev, manager, "__exit__")
    if enter is None and leave is None:
        return manager
    swallows = any(isinstance(n, ast.Return) and not _is_nothing(n.value) for n in _nodes(type(manager).__exit__))
    return _Managed(ev, enter or manager.__enter__, leave or manager.__exit__, swallows)


def _nodes(function: Any) -> Iterable[ast.AST]:
    return ast.walk(source.function_node(function)) if isinstance(function, FunctionType) else ()


def _is_nothing(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and not value.value)


@dataclass(frozen=True, eq=False, slots=True)
class _OfGenerator:
    """A context manager that `contextlib.contextmanager` has made of a converted generator function."""

    manager: Any
    catches: bool


def of_generator(ev: Evaluation, function: Any) -> Callable[..., Any] | None:
    """For what `contextlib.contextmanager` made of a user's function, the same of the converted one; else None."""
    if not isinstance(function, FunctionType) or function.__code__ is not _HELPER:
        return None
    written = inspect.unwrap(function)
    converted = ev.users_function(written)
    if converted is None:
        return None
    catches = any(isinstance(node, ast.Try) and node.handlers for node in _nodes(written))
    made = contextlib.contextmanager(converted)
    return lambda *args, **kwargs: _OfGenerator(made(*args, **kwargs), catches)


_HELPER = contextlib.contextmanager(lambda: iter(())).__code__  # pyright: ignore[reportFunctionMemberAccess]
