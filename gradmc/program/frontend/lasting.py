"""Objects that outlast an evaluation: what the program's functions reach as globals, defaults or closures.

A program is evaluated once, while it is compiled. What it stores into such an object would be a traced value, which
means nothing afterwards, and a plain evaluation would find what the one before has left there. Stores of plain
numbers outside of traced loops are let be (a cache of what depends on data only).
"""

from collections.abc import Iterator
from contextlib import suppress
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import jax
import numpy as np

from gradmc.errors import ProgramError
from gradmc.program.frontend import context
from gradmc.program.frontend.values import any_traced

UNCHANGING = (np.ndarray, np.generic, jax.Array, ModuleType, type, FunctionType, BuiltinFunctionType)
"""Stores into arrays stay within the evaluation (`memory`)."""


def note(function: FunctionType) -> None:
    """Note what a function of the user's reaches that was there before the program."""
    found = context.current().lasting
    for name, value in _reached(function):
        if not isinstance(value, UNCHANGING):
            found[id(value)] = (value, name)


def _reached(function: FunctionType) -> Iterator[tuple[str, Any]]:
    code = function.__code__
    for name in _names(code):
        if name in function.__globals__:
            yield name, function.__globals__[name]
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # an empty cell
            yield name, cell.cell_contents
    count = code.co_argcount
    defaults = function.__defaults__ or ()
    yield from zip(code.co_varnames[count - len(defaults) : count], defaults, strict=True)
    yield from (function.__kwdefaults__ or {}).items()


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def refuse(owner: Any, values: Any) -> None:
    """Refuse a change of an object that outlasts the evaluation, if it stores anything traced.

    Raises:
        ProgramError: it does.
    """
    here = context.current()
    known, name = here.lasting.get(id(owner), (None, ""))
    if known is owner and owner is not None and (here.memory.frames or any_traced(values)):
        raise ProgramError(
            f"{name!r} was made outside of the program, outlasts its evaluation, and is changed by it",
            remedy="Make it in the program, or pass it as data.",
        )
