"""What a command prints: text for people, or one JSON object; errors in either form."""

import json
import math
import os
import sys
import traceback
from contextlib import suppress
from typing import Any

from gradmc.errors import GradmcError, UsageError

BUG = 1
INTERRUPTED = 130


def emit(text: str, content: dict[str, Any], *, as_json: bool) -> None:
    """Print the result of a command to standard output.

    Raises:
        UsageError: it cannot be written; that nobody reads it any more (`| head`) is no error.
    """
    try:
        print(json.dumps(plain(content), indent=2, default=str) if as_json else text, flush=True)
    except BrokenPipeError:
        return
    except OSError as error:
        raise UsageError(
            f"cannot write the result to standard output: {error.strerror}; it goes nowhere else"
        ) from None


def tell(text: str) -> None:
    """Print a line to standard error, if there is still somebody to read it."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def let_go() -> None:
    """Drop what the standard streams cannot take any more, at which Python would fail when it exits."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


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


def describe_error(error: BaseException) -> tuple[int, str]:
    """Exit code and message of an error."""
    if isinstance(error, GradmcError):
        return error.exit_code, str(error)
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "interrupted"
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    message = (
        f"this is a bug in gradmc: {type(error).__name__}: {error}{where}\n"
        "Run again with --debug for the whole traceback, and please report it."
    )
    return BUG, message
