"""`try` in a program: what its handlers may catch.

Compiled code does not raise: a division by zero gives infinity, a logarithm of a negative number NaN. A handler that
waits for such an error around values that are not known while compiling would never run, so the `try` is refused. So
is one in which something else fails that would raise: an assertion, an operation on None.
Nor must a handler catch what the compiler itself throws while it traces.
"""

import sys
from typing import Any

from gradmc.errors import GradmcError, ProgramError
from gradmc.program.frontend import complaints, context, where
from gradmc.program.frontend.scanning import OF_ANYTHING, OF_NUMBERS, OF_PLACES


def catching(kind: Any = BaseException) -> Any:
    """What `except kind` catches: nothing, if the compiler threw the exception."""
    error = sys.exception()
    internal = isinstance(error, BaseException) and not isinstance(error, Exception)
    if isinstance(error, GradmcError) or (internal and type(error).__module__.startswith("gradmc.")):
        return ()
    if isinstance(error, Exception) and complaints.is_concretization(error):
        return ()
    return kind


def attempt() -> tuple[int, int, int]:
    """How much has been done with traced values before the body of a `try`."""
    here = context.current()
    return here.traced, here.looked_up, here.noted


def attempted(before: tuple[int, int, int], caught: tuple[str, ...]) -> None:
    """After the body of a `try`: refuse it if it waits for errors of values that are not known.

    Raises:
        ProgramError: the handlers catch what compiled code does not raise.
    """
    traced, looked_up, noted = (now > then for now, then in zip(attempt(), before, strict=True))
    for name in caught:
        if noted or (looked_up if name in OF_PLACES else traced and name in OF_NUMBERS | OF_ANYTHING):
            raise ProgramError(
                f"this try waits for {name or 'any exception'} around values that are not known while compiling; "
                "compiled code does not raise, it gives NaN or infinity",
                location=where.here(),
                remedy="Test the argument by an if instead. Where the value is NaN the sampler rejects the point by "
                "itself: a handler that returns -inf can be left out.",
            )
