"""Objects that outlast an evaluation: what the program's functions reach as globals, defaults or closures.

A program is evaluated once, while it is compiled. What it stores into such an object would be a traced value, which
means nothing afterwards, and a plain evaluation would find what the one before has left there. Stores of plain
numbers outside of traced loops are let be (a cache of what depends on data only).

A cache that a plain evaluation has filled would be read as a constant: the store that shows in the source does not
run. Such a container is refused, unless an evaluation here has stored plain numbers into it (`_filled`).
"""

import ast
from collections.abc import Iterable, Iterator
from contextlib import suppress
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import jax
import numpy as np

from gradmc.errors import ProgramError
from gradmc.program.fingerprint import names_in
from gradmc.program.frontend import evaluation, source
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.users import is_users
from gradmc.program.frontend.values import any_traced

UNCHANGING = (
    *(np.ndarray, np.generic, jax.Array, BuiltinFunctionType),
    *(int, float, complex, str, bytes, type(None)),
)
"""Stores into arrays stay within the evaluation (`heap`)."""

CHANGING = frozenset(
    [
        *("update", "setdefault", "pop", "popitem", "clear", "add", "discard", "remove", "difference_update"),
        *("intersection_update", "symmetric_difference_update", "append", "appendleft", "extend", "extendleft"),
        *("popleft", "rotate", "insert", "reverse", "__setitem__", "__delitem__"),
    ]
)
"""Methods that change a container."""

REMEDY = "Make it in the program, or pass it as data."

_filled: dict[int, Any] = {}
"""By identity, containers that evaluations have filled with what does not depend on parameters."""


def note(ev: Evaluation, function: FunctionType) -> None:
    """Note what a function of the user's reaches that was there before the program."""
    known = ev.lasting
    if id(function) in known.noted:
        return
    known.noted[id(function)] = function
    reached = list(_reached(function))
    stored = _stored(function, {name for name, value in reached if isinstance(value, ModuleType)})
    for name, value in reached:
        for inner in _within(value, known):
            known.reached[id(inner)] = (inner, name, id(value))
        if name in stored and id(value) in known.reached:
            line = source.location(function.__code__, stored[name])
            filled = not isinstance(value, list | dict | set) or bool(value)
            known.awaited.setdefault(id(value), (value, name, line if filled else None))


def _within(value: Any, known: evaluation.Lasting) -> Iterator[Any]:
    """An object, and the objects in it."""
    found = set(known.reached)
    todo = [value]
    while todo:
        value = todo.pop()
        if isinstance(value, UNCHANGING) or id(value) in found:
            continue
        found.add(id(value))
        yield value
        if isinstance(value, dict):
            todo += value.values()
        elif isinstance(value, list | tuple | set):
            todo += value
        elif isinstance(value, FunctionType) or _is_users(value):
            todo += getattr(value, "__dict__", {}).values()


def _is_users(value: Any) -> bool:
    """Whether the class of an object (or the object, which is one) is the user's own."""
    kind = value if isinstance(value, type) else type(value)
    return not isinstance(value, ModuleType) and any(
        isinstance(v, FunctionType) and is_users(v) for v in vars(kind).values()
    )


def _stored(function: FunctionType, modules: set[str]) -> dict[str, int]:
    """The names of what a function both reads and stores into (into an item, an attribute or by a method); where."""
    with suppress(ProgramError):
        nodes = list(ast.walk(source.function_node(function)))
        stores = list(_stores(nodes, modules))
        targets = {id(name) for name, _ in stores}
        read = {n.id for n in nodes if isinstance(n, ast.Name) and id(n) not in targets}
        return {name.id: line for name, line in stores if name.id in read}
    return {}


def _stores(nodes: Iterable[ast.AST], modules: set[str]) -> Iterator[tuple[ast.Name, int]]:
    for node in nodes:
        owner: Any = None
        if isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
            owner = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING:
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id in modules:
                continue  # np.append is no method
        while isinstance(owner, ast.Subscript | ast.Attribute):
            owner = owner.value
        if isinstance(owner, ast.Name):
            yield owner, owner.lineno


def _reached(function: FunctionType) -> Iterator[tuple[str, Any]]:
    code = function.__code__
    for name in names_in(code):
        if name in function.__globals__:
            yield name, function.__globals__[name]
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # an empty cell
            yield name, cell.cell_contents
    count = code.co_argcount
    defaults = function.__defaults__ or ()
    yield from zip(code.co_varnames[count - len(defaults) : count], defaults, strict=True)
    yield from (function.__kwdefaults__ or {}).items()


def refuse(ev: Evaluation, owner: Any, values: Any) -> None:
    """Refuse a change of an object that outlasts the evaluation, if it stores anything traced.

    Raises:
        ProgramError: it does.
    """
    known, name, root = ev.lasting.reached.get(id(owner), (None, "", 0))
    if known is not owner or owner is None:
        return
    if ev.heap.frames or any_traced(values):
        raise ProgramError(
            f"{name!r} was made outside of the program, outlasts its evaluation, and is changed by it", remedy=REMEDY
        )
    if root in ev.lasting.awaited:
        _filled[root] = ev.lasting.awaited[root][0]


def check(ev: Evaluation) -> None:
    """Refuse what was filled before the program ran, if the program shows a store into it that has not run.

    Raises:
        ProgramError: there is such an object.
    """
    for key, (_, name, line) in ev.lasting.awaited.items():
        if key not in _filled and line is not None:
            raise ProgramError(
                f"{name!r} was made and filled outside of the program, which would read it as a constant; but the "
                "program also stores into it",
                location=line,
                remedy=REMEDY,
            )
