"""What a command prints: text for people, or one JSON object; errors in either form."""

import json
import math
import sys
import traceback
from typing import Any

from gradmc.errors import GradmcError

BUG = 1
INTERRUPTED = 130


def emit(text: str, content: dict[str, Any], *, as_json: bool) -> None:
    """Print the result of a command to standard output."""
    print(json.dumps(plain(content), indent=2, default=str) if as_json else text, flush=True)


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
        print(json.dumps({"error": {"type": type(error).__name__, "message": message, "exit_code": code}}))
    print(f"error: {message}", file=sys.stderr, flush=True)
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
