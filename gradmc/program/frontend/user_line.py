"""Where in the user's source we are, and where an error came from."""

import sys
import traceback
import warnings
from types import FrameType

from gradmc.errors import SourceLocation
from gradmc.program.frontend import source
from gradmc.program.frontend.convert import is_converted

LIBRARIES = ("numpy", "scipy")
"""Packages whose functions may be compiled along: what goes wrong in them is told at the program's line."""


def _is_users(frame: FrameType) -> bool:
    package = frame.f_globals.get("__name__", "").split(".")[0]
    return is_converted(frame.f_code) and package not in LIBRARIES


def _user_frame() -> FrameType | None:
    frame = sys._getframe(1)
    while frame is not None and not _is_users(frame):
        frame = frame.f_back
    return frame


def here() -> SourceLocation | None:
    """The user's line that is being traced."""
    frame = _user_frame()
    return source.location(frame.f_code, frame.f_lineno) if frame is not None else None


def blame(error: BaseException) -> SourceLocation | None:
    """The user's line that raised an error: the innermost one of a converted function."""
    found = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        if _is_users(frame):
            found = source.location(frame.f_code, line)
    return found


_SAID: dict[str | tuple[str, type[Warning], int], int] = {}
"""What has been said, for `warnings`: a program is traced several times."""


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the user's line."""
    at = here() or SourceLocation("<unknown>", 0, "")
    warnings.warn_explicit(f"{at.file}:{at.line}: {message}", category, at.file, at.line, registry=_SAID)
