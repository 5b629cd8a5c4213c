"""Turn whatever tracing a program raised into an error that shows the user's line and says what to do."""

from types import FunctionType

import jax

from gradmc.errors import GradmcError, ProgramError, SourceLocation
from gradmc.program.frontend import source, user_line
from gradmc.program.frontend.values import CannotRoll

CONCRETIZATION = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.TracerBoolConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)
"""What JAX raises when a traced value is needed as a plain one."""

NEEDED = (
    "a value that depends on the parameters is needed here as a plain number, which it is not while compiling",
    "Library functions written for plain numbers (compiled code, shapes, dict keys, string formatting) cannot take it. "
    "Use the functions of math, numpy or jax.numpy, and sizes that depend on data only.",
)


def is_concretization(error: BaseException) -> bool:
    """Whether a traced value was needed as a plain one."""
    if isinstance(error, CONCRETIZATION):
        return True
    return isinstance(error, TypeError) and any(w in str(error) for w in ("Tracer", "concrete value", "traced"))


def is_internal(error: BaseException) -> bool:
    """Whether the compiler threw an exception: no handler of the program may catch it."""
    if isinstance(error, GradmcError) or not isinstance(error, Exception):
        return True
    return is_concretization(error) or isinstance(error, RecursionError)


def explained(error: BaseException, fn: FunctionType) -> GradmcError:
    """The error to raise in place of `error`."""
    at = user_line.blame(error) or _definition(fn)
    if isinstance(error, ProgramError):
        if error.location is None:
            error.location = at
        return error
    if isinstance(error, GradmcError):
        return error
    if isinstance(error, CannotRoll):
        return ProgramError(
            f"this cannot be compiled: {error}",
            location=at,
            remedy=error.remedy,
        )
    if is_concretization(error):
        return ProgramError(NEEDED[0], location=at, remedy=NEEDED[1])
    if isinstance(error, RecursionError):
        return ProgramError(
            "the recursion does not end while compiling",
            location=at,
            remedy="A function may call itself only if the end of the recursion does not depend on parameters; "
            "use a while loop.",
        )
    return ProgramError(f"{type(error).__name__}: {str(error) or '(no message)'}", location=at)


def _definition(fn: FunctionType) -> SourceLocation:
    try:
        line = source.function_node(fn).lineno
    except ProgramError:
        line = None
    return source.location(fn.__code__, line)
