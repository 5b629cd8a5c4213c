"""What a command prints: text for people, or one JSON object; errors in either form.

Standard output holds the result of a command and nothing else. What a model, or a library under it, prints while a
command runs goes to standard error.
"""

import errno
import json
import math
import os
import re
import stat
import sys
import traceback
from contextlib import ExitStack, redirect_stdout, suppress
from typing import Any, TextIO

from gradmc.errors import GradmcError, UsageError
from gradmc.printable import printable

BUG = 1
INTERRUPTED = 130


OUT, ERR = 1, 2
"""File descriptors of standard output and standard error."""


class Results:
    """Keeps standard output for results while a command runs: `with RESULTS: ...`.

    Whatever else is written to it, from Python or below, goes to standard error.
    """

    def __init__(self) -> None:
        self.stream: TextIO | None = None  # where results go; standard output itself where it is None
        self._undo = ExitStack()

    def __enter__(self) -> None:
        shown = sys.stdout
        with suppress(OSError):
            shown.flush()
        with ExitStack() as stack:
            stack.callback(setattr, self, "stream", None)
            self.stream = self._aside(shown, stack)
            stack.enter_context(redirect_stdout(sys.stderr))
            self._undo = stack.pop_all()

    def __exit__(self, *details: Any) -> None:
        self._undo.close()

    @staticmethod
    def _aside(shown: TextIO, stack: ExitStack) -> TextIO:
        """Point the descriptor of standard output to standard error, and give a stream to where it pointed."""
        kept = os.dup(OUT)
        stack.callback(os.close, kept)
        stack.callback(os.dup2, kept, OUT)
        os.dup2(ERR, OUT)
        if _descriptor(shown) != OUT:  # Python's standard output is something else
            return shown
        return open(kept, "w", encoding=shown.encoding, errors="backslashreplace", closefd=False)


RESULTS = Results()


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None


def open_closed() -> None:
    """Open the standard streams that this process was started without, so that no file takes their place.

    What is written to them is lost, as whoever closed them asked for.
    """
    for descriptor in (0, OUT, ERR):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one
    for name, descriptor in (("stdout", OUT), ("stderr", ERR)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, "w", encoding="utf-8", closefd=False))  # noqa: SIM115


def emit(text: str, content: dict[str, Any], *, as_json: bool) -> None:
    """Print the result of a command to standard output.

    Raises:
        UsageError: it cannot be written; that nobody reads it any more (`| head`, a closed terminal) is no error.
    """
    shown = json.dumps(plain(content), indent=2, default=str) if as_json else printable(text)
    try:
        print(shown, file=RESULTS.stream, flush=True)
    except OSError as error:
        if not _unread(error):
            raise unwritten(error) from None


def _unread(error: OSError) -> bool:
    """Whether nobody is there to read any more."""
    gone = error.errno == errno.EIO and any(stat.S_ISCHR(os.fstat(descriptor).st_mode) for descriptor in (OUT, ERR))
    return isinstance(error, BrokenPipeError) or gone


def unwritten(error: OSError) -> UsageError:
    """That a result could not be written."""
    return UsageError(f"cannot write the result to standard output: {error.strerror}; it goes nowhere else")


def tell(text: str) -> None:
    """Print a line to standard error, if there is still somebody to read it."""
    with suppress(OSError):
        print(printable(text), file=sys.stderr, flush=True)


def let_go() -> None:
    """Drop what the standard streams cannot take any more, at which Python would fail when it exits.

    What functions print that a model has registered with `atexit` goes to standard error: the output is the command's.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    with suppress(OSError):
        os.dup2(ERR, OUT)


def plain(value: Any) -> Any:
    """A value without infinities and NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def report_error(error: BaseException, *, as_json: bool, debug: bool) -> int:
    """Print an error and give the exit code that belongs to it."""
    code, message = describe_error(error)
    if debug:
        traceback.print_exception(error)
    if as_json:
        with suppress(OSError):
            print(json.dumps({"error": {"type": type(error).__name__, "message": message, "exit_code": code}}))
    tell(f"error: {message}")
    return code


def _has_place() -> bool:
    """Whether the working directory is still there."""
    try:
        os.getcwd()
    except OSError:
        return False
    return True


def describe_error(error: BaseException) -> tuple[int, str]:
    """Exit code and message of an error."""
    if isinstance(error, GradmcError):
        return error.exit_code, str(error)
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "interrupted"
    if isinstance(error, MemoryError):
        reason = " ".join(str(error).split()) or "an array could not be made"
        return UsageError.exit_code, f"there is not enough memory: {reason}; see the sizes of the data and parameters"
    if isinstance(error, FileNotFoundError) and not _has_place():
        return (
            UsageError.exit_code,
            "the working directory does not exist any more: change to one that does",
        )
    if isinstance(error, OSError) and error.filename is not None:  # one of gradmc's own says more
        reason = error.strerror or type(error).__name__
        return UsageError.exit_code, f"{reason}: {error.filename}; check the path, its permissions and the disk"
    if isinstance(error, ValueError) and (
        setting := re.search(r"environment '(JAX_\w+)'|JAX flag (jax_\w+)", str(error))
    ):
        name = setting[1] or setting[2].upper()
        return UsageError.exit_code, f"JAX does not start: {error}; unset {name}"
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    message = (
        f"this is a bug in gradmc: {type(error).__name__}: {error}{where}\n"
        "Run again with --debug for the whole traceback, and please report it."
    )
    return BUG, message
