"""What a compiled program does where plain Python would raise: its value is NaN.

An `assert` on a traced value, and a branch on a traced value that raises, cannot raise in compiled code. Their
conditions are collected (along loops too) and turn the result of the program into NaN where one failed.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from gradmc.program.frontend import context, operators
from gradmc.program.frontend.values import is_traced
from gradmc.program.middle.whole import exact

RAISED = "__gm_raised"


def note(failed: Any) -> None:
    """Note a condition under which the program fails."""
    here = context.current()
    here.noted += 1
    depth = len(here.memory.frames)
    if here.given and here.given[-1][0] == depth:
        noted = here.given[-1][1]
    else:
        noted = here.memory.frames[-1].failures if depth else here.failures
    if all(failed is not other for other in noted):
        noted.append(failed)


def whole(number: Any) -> Any:
    """A float as a whole number, `int(x)` and the like; one beyond all units digits makes the program fail."""
    if jnp.issubdtype(number.dtype, jnp.inexact) and is_traced(number) and not number.ndim:
        note(jnp.logical_not(jnp.abs(number) < exact(number.dtype)))  # that of NaN is none either
    return jnp.asarray(number, int)


def any_of(failures: Sequence[Any]) -> Any:
    """Whether any of the noted conditions holds."""
    result = failures[0]
    for other in failures[1:]:
        result = jnp.logical_or(result, other)
    return result


def raised(error: Any) -> Any:
    """Mark an exception as one that the user's own `raise` statement throws."""
    error = error() if isinstance(error, type) else error
    if isinstance(error, BaseException):
        setattr(error, RAISED, True)
    return error


def was_raised(error: BaseException) -> bool:
    """Whether an exception comes from a `raise` or `assert` of the program."""
    return getattr(error, RAISED, False)


def assert_(test: Any, message: Any) -> None:
    """An `assert` statement."""
    holds = operators.truth(test)
    if is_traced(holds):
        note(jnp.logical_not(holds))
    elif not holds:
        raise raised(AssertionError(message()) if message is not None else AssertionError())
