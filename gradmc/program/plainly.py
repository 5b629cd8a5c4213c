"""A program run as ordinary Python: what the compiled program must agree with.

Parameters are floats and NumPy arrays of float64. Whole numbers among the data are Python's own, which have no limit
(`gradmc.program.exact`), so an overflow of the compiled program's 64 bits shows. The run is silent (a model that prints
has printed while it was traced), and it leaves the data as they are. It may take for ever: run it in a thread that
`interrupt` can end.
"""

import ctypes
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import jax
import numpy as np

from gradmc.errors import SourceLocation
from gradmc.program.exact import copied, is_whole, plain_data
from gradmc.program.frontend.source import location
from gradmc.program.installed import LIBRARIES, PACKAGE
from gradmc.program.raising import is_of_program
from gradmc.program.returned import is_number, log_density

POLLS, POLL_SECONDS = 100, 0.01
AGAIN = 20


class Interrupted(BaseException):
    """Ends a plain run from outside; not an `Exception`, so that a program does not catch it."""


@dataclass(frozen=True, slots=True)
class Plain:
    """What came of a plain run: the log density, or what was returned instead of one, or the exception."""

    value: float | None = None
    returned: str = ""
    error: BaseException | None = None


def run_plainly(fn: Callable[..., Any], parameters: Sequence[Any], data: Mapping[str, Any]) -> Plain:
    """Run a program once.

    Args:
        fn: the plain function, or a copy of it that is watched.
        parameters: a number or an array for each parameter, in order.
        data: its data in standard form.
    """
    arguments = [np.asarray(value, float) for value in parameters]
    arguments = [value.item() if value.ndim == 0 else value.copy() for value in arguments]
    silent = _silent(fn)
    with jax.enable_x64(True), np.errstate(all="ignore"):
        made = _call(silent, arguments, plain_data(data))
        if made.error is not None and any(is_whole(value) for value in data.values()):
            # Perhaps the program asks a method of NumPy's whole numbers.
            arguments = [value.copy() if isinstance(value, np.ndarray) else value for value in arguments]
            again = _call(silent, arguments, {name: copied(value) for name, value in data.items()})
            made = made if again.error is not None else again
    return made


def _call(fn: Callable[..., Any], arguments: Sequence[Any], data: Mapping[str, Any]) -> Plain:
    try:
        returned = fn(*arguments, **data)
    except BaseException as error:
        if not is_of_program(error):
            raise
        return Plain(error=error)
    value = log_density(returned)
    if not is_number(value):
        what = "None" if returned is None else f"{returned!r} of type {type(returned).__name__}"
        return Plain(returned=what if len(what) < 80 else f"{what[:77]}...")
    return Plain(value=float(value))


def _silent(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A copy of a function that prints nothing, with globals of its own."""
    if not isinstance(fn, FunctionType):
        return fn
    made = FunctionType(
        fn.__code__, {**fn.__globals__, "print": _say_nothing}, fn.__name__, fn.__defaults__, fn.__closure__
    )
    made.__kwdefaults__ = fn.__kwdefaults__
    return made


def _say_nothing(*values: Any, **options: Any) -> None:
    del values, options


def raised_at(fn: Callable[..., Any], error: BaseException) -> SourceLocation | None:
    """The innermost line of the program's file in the stack of an exception."""
    file = fn.__code__.co_filename
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return location(fn.__code__, lines[-1]) if lines and lines[-1] else None


def interrupt(thread: threading.Thread, file: str) -> None:
    """Raise `Interrupted` in a thread that runs a program, and wait for its end.

    It is raised while the innermost frame is the program's or another of the user's or gradmc's, since a library would
    perhaps be left half way. In vain after a second; the thread, a daemon, then ends by itself.

    Args:
        thread: the thread.
        file: the program's file.
    """
    ident = thread.ident or 0
    raised = -AGAIN
    for poll in range(POLLS):
        frame = sys._current_frames().get(ident)
        where = "" if frame is None else frame.f_code.co_filename
        if poll >= raised + AGAIN and where and (where == file or not _is_library(where)):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(Interrupted))
            raised = poll
        thread.join(POLL_SECONDS)
        if not thread.is_alive():
            return


def _is_library(file: str) -> bool:
    return not file.startswith(PACKAGE) and file.startswith((*LIBRARIES, "<frozen"))
