"""What a library's function is called in errors, and the errors for what is not followed."""

from typing import Any

import numpy as np

from gradmc.errors import ProgramError
from gradmc.program.frontend import user_line


class NoCounterpart(ProgramError):
    """A function that has no compiled form; where it is applied to data alone, knowing these is enough."""


def told(function: Any) -> str:
    """A library's function, by name."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        return f"{told(owner)}.{function.__name__}"
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
    if isinstance(function, np.ufunc):
        return f"{'numpy' if getattr(np, function.__name__, None) is function else 'scipy.special'}.{function.__name__}"
    module = getattr(function, "__module__", None) or type(function).__module__
    return f"{module}.{name}" if name else f"an object of {type(function).__module__}.{type(function).__qualname__}"


def refuse(what: str, remedy: str) -> ProgramError:
    """The error for an option that is not followed."""
    return NoCounterpart(f"{what} is not compiled", location=user_line.here(), remedy=remedy)


def random_refused() -> ProgramError:
    """The error for random numbers."""
    return ProgramError(
        "a program must not draw random numbers: it is compiled once and evaluated many times",
        location=user_line.here(),
        remedy="Draw them before, and pass them as data; simulators belong into @model.simulator.",
    )
