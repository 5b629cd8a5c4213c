"""What code of the user's raised, and where.

Whatever a program, a simulator or the module of a model raises is a fault of that program: also `SystemExit` and others
that are no `Exception`, which would end the process, at worst with the exit code 0, as if there were draws. Two
things that can come up in the same place are not the program's: Ctrl-C, and what the compiler throws to itself.
"""

import sys
import traceback
from opcode import opmap

from gradmc.errors import SourceLocation

RAISE = opmap["RAISE_VARARGS"]


def is_of_program(error: BaseException) -> bool:
    """Whether an error that came out of the user's code is that code's own."""
    if isinstance(error, Exception):
        return True
    if isinstance(error, KeyboardInterrupt):
        return _by_statement(error)
    kind = type(error)
    known = getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is kind
    return not (known and kind.__module__.startswith("gradmc."))


def _by_statement(error: BaseException) -> bool:
    """Whether a `raise` statement raised an error; Ctrl-C comes up between any other two instructions."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code.co_code[trace.tb_lasti] == RAISE


def line_of(error: BaseException, file: str | None) -> SourceLocation | None:
    """The innermost line of a file that an error went through, or None if it did not."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    if not frames:
        return None
    last = frames[-1]
    function = "" if last.name == "<module>" else last.name
    return SourceLocation(last.filename, last.lineno or 0, last.line or "", function)


def text_of(error: BaseException) -> str:
    """Type and message of an error."""
    message = str(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
