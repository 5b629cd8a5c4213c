"""What a compiled program does where plain Python would raise: its value is NaN, or a handler of the program is taken.

An `assert` on a traced value, and a branch on a traced value that raises, cannot raise in compiled code. Their
conditions are collected (along loops too). The `try` around them takes its handler where one that it catches holds
(`trying`); those that no `try` catches turn the result of the program into NaN.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.values import is_traced
from gradmc.program.middle.whole import exact

RAISED = "__gm_raised"

type Kinds = tuple[type[BaseException], ...]
"""What Python raises: an exception of one of these types; none where only compiled code cannot go on."""


@dataclass(frozen=True, eq=False, slots=True)
class Failure:
    """A condition under which the program fails, and what Python raises there."""

    condition: Any
    kinds: Kinds


def noted(ev: Evaluation) -> list[Failure]:
    """The failures that have been noted in the body at hand."""
    depth = len(ev.heap.frames)
    if ev.given and ev.given[-1][0] == depth:
        return ev.given[-1][1]
    return ev.heap.frames[-1].failures if depth else ev.failures


def note(ev: Evaluation, failed: Any, *kinds: type[BaseException]) -> None:
    """Note a condition under which the program fails."""
    ev.noted += 1
    failures = noted(ev)
    if all(failed is not other.condition or kinds != other.kinds for other in failures):
        failures.append(Failure(failed, kinds))


def waits_for(ev: Evaluation, kind: type[BaseException]) -> bool:
    """Whether a `try` around the line at hand catches exceptions of a type."""
    return any(issubclass(kind, attempt.kinds) for attempt in ev.attempts)


def whole(ev: Evaluation, number: Any) -> Any:
    """A float as a whole number, `int(x)` and the like; one beyond all units digits makes the program fail."""
    if jnp.issubdtype(number.dtype, jnp.inexact) and is_traced(number) and not number.ndim:
        if waits_for(ev, ValueError) or waits_for(ev, OverflowError):
            note(ev, jnp.isnan(number), ValueError)
            note(ev, jnp.isinf(number), OverflowError)
            note(ev, jnp.logical_and(jnp.isfinite(number), jnp.abs(number) >= exact(number.dtype)))
        else:
            note(ev, jnp.logical_not(jnp.abs(number) < exact(number.dtype)))  # that of NaN is none either
    return jnp.asarray(number, int)


def any_of(failures: Sequence[Failure]) -> Any:
    """Whether any of the noted conditions holds."""
    result = failures[0].condition
    for other in failures[1:]:
        result = jnp.logical_or(result, other.condition)
    return result


def by_kinds(failures: Iterable[Failure]) -> dict[Kinds, Any]:
    """The conditions, those of the same kinds as one, in the order of the first."""
    groups: dict[Kinds, list[Failure]] = {}
    for failure in failures:
        groups.setdefault(failure.kinds, []).append(failure)
    return {kinds: any_of(group) for kinds, group in groups.items()}


def raised(error: Any) -> Any:
    """Mark an exception as one that the user's own `raise` statement throws."""
    error = error() if isinstance(error, type) else error
    if isinstance(error, BaseException):
        setattr(error, RAISED, True)
    return error


def was_raised(error: BaseException) -> bool:
    """Whether an exception comes from a `raise` or `assert` of the program."""
    return getattr(error, RAISED, False)


def assert_(ev: Evaluation, test: Any, message: Any) -> None:
    """An `assert` statement."""
    holds = ev.truth(test)
    if is_traced(holds):
        note(ev, jnp.logical_not(holds), AssertionError)
    elif not holds:
        raise raised(AssertionError(message()) if message is not None else AssertionError())
