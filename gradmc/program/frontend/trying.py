"""`try` at trace time: the handler is taken where plain Python would raise.

What raises for plain values raises while the program is traced, and Python finds the handler. Compiled code does not
raise: a division by zero gives infinity, a logarithm of a negative number NaN. So the body is run twice. The first
run, all of which is undone, tells under which conditions it raises, and what (`failing`, `risks`). If a handler catches
some of that, the `try` is a branch: the handler where such a condition holds, else the body once more and what follows.

A handler sees the variables as they were when the body raised. Where that is not known (a loop in the body assigns
them, or one of several lines may have raised) they have no value in it. Arrays and lists that the body has changed by
then are refused, unless nothing is done after the handler.
"""

import contextlib
import itertools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp

from gradmc.errors import ProgramError
from gradmc.program.frontend import bodies, branches, complaints, failing, operators, stores, text, user_line
from gradmc.program.frontend.bodies import State
from gradmc.program.frontend.body_exit import BodyExit
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.failing import Failure, Kinds
from gradmc.program.frontend.identity import objects
from gradmc.program.frontend.scanning import OF_ANYTHING, OF_NUMBERS, OF_PLACES
from gradmc.program.frontend.values import CannotRoll, Unbound, is_array

REMEDY = (
    "Test the argument by an if instead. Where the value is NaN the sampler rejects the point by itself: a handler "
    "that returns -inf can be left out."
)
UNSURE = "it may have changed before the body of a try raised, or not"

type Handler = tuple[Callable[[], Any] | None, Callable[[Any], object]]
"""What a handler catches (None: everything), and its body, which takes the exception."""


@dataclass(frozen=True, eq=False, slots=True)
class Snapshot:
    """The body of a `try` before one of its statements.

    Attributes:
        failures: how many conditions had been noted.
        simple: whether the statement to come can only raise before it has changed anything.
        changed: whether anything made outside had been changed.
        values: the variables.
    """

    failures: int
    simple: bool
    changed: bool
    values: tuple


@dataclass(eq=False, slots=True)
class Attempt:
    """A `try` whose body is running.

    Attributes:
        kinds: what it catches.
        state: its variables.
        steps: what was before each statement, and at the end.
    """

    kinds: Kinds
    state: State
    steps: list[Snapshot] = field(default_factory=list)


@dataclass(frozen=True, eq=False, slots=True)
class Rehearsal:
    """What the first run of a body has told.

    Attributes:
        failures: the conditions under which it raises, in the order of the program.
        before: the variables when it raised; `Unbound` where that is not known.
        changed: what was made outside, and may have been changed by then.
    """

    failures: list[Failure]
    before: list[Any]
    changed: list[Any]


def try_(
    ev: Evaluation,
    body: Callable[[], object],
    handlers: tuple[Handler, ...],
    otherwise: Callable[[], object] | None,
    state: State,
    names: tuple[str, ...],
    results: int,
    ends: bool,
) -> None:
    """Run a `try` statement without its `finally`.

    Args:
        body: its body.
        handlers: its handlers.
        otherwise: its `else`, and what follows if all handlers return, raise, or leave the loop.
        state: reads or sets the variables that they share.
        names: their names.
        results: how many of them, the first ones, are read after it.
        ends: whether all handlers end what they stand in.
    """
    caught = [(BaseException if kind is None else kind(), run) for kind, run in handlers]
    classes = tuple(k for kinds, _ in caught for k in (kinds if isinstance(kinds, tuple) else (kinds,)))
    rehearsal = _rehearsed(ev, body, state, names, classes)
    if rehearsal is None:
        _in_python(ev, body, caught, otherwise, Attempt(classes, state), once=True)
        return
    taken = _by_handler(ev, rehearsal.failures, caught)
    if not taken:
        _in_python(ev, body, caught, otherwise, Attempt(classes, state))
        return
    if not all(ends and _takes_nan(token) for token in rehearsal.changed):
        raise ProgramError(
            "this try changes something that was made before it, and may raise after that",
            location=user_line.here(),
            remedy="Make the array, list or object in the try, or store into it after the try.",
        )

    def goes_on() -> None:
        _in_python(ev, body, caught, otherwise, Attempt(classes, state), again=True)

    for (condition, kind), run in reversed(taken):
        goes_on = _branch(ev, condition, kind, run, goes_on, state, names[:results], rehearsal)
    goes_on()


def _branch(
    ev: Evaluation,
    condition: Any,
    kind: type[BaseException],
    run: Callable[[Any], object],
    otherwise: Callable[[], object],
    state: State,
    names: tuple[str, ...],
    rehearsal: Rehearsal,
) -> Callable[[], None]:
    """One handler where its condition holds, else the others and the body."""

    def handle() -> None:
        bodies.put(state, rehearsal.before)
        for token in rehearsal.changed:
            stores.replace(ev, token, jnp.full_like(ev.heap.peek(token), jnp.nan))
        error = failing.raised(_stand_in(kind))
        try:
            raise error
        except kind:
            run(error)

    return lambda: branches.if_(ev, condition, handle, otherwise, state, names)


def _takes_nan(token: Any) -> bool:
    """Whether an array can hold NaN, which tells that its numbers are not known."""
    return is_array(token) and bool(jnp.issubdtype(token.dtype, jnp.inexact))


def _stand_in(kind: type[BaseException]) -> BaseException:
    """An exception whose text is not known."""
    try:
        return kind(text.Untold(text.GAP))
    except TypeError:
        return kind.__new__(kind)


# --- the first run -------------------------------------------------------------------------------


def _rehearsed(
    ev: Evaluation, body: Callable[[], object], state: State, names: tuple[str, ...], classes: Kinds
) -> Rehearsal | None:
    """Run a body, and undo it; None if it does what cannot be undone."""
    attempt = Attempt(classes, state)
    told, looked = len(ev.python_loops), ev.looked_up

    def watched() -> None:
        try:
            body()
        except Exception as error:
            if complaints.is_internal(error):
                raise
        step(ev, simple=True)

    def finish(outcome: BodyExit) -> Rehearsal:
        tokens = [token for token, _ in (*outcome.written, *outcome.grown)]
        before, changed = _before(ev, attempt.steps, names)
        return Rehearsal(outcome.failures, before, tokens if changed else [])

    try:
        ev.attempts.append(attempt)
        return bodies.run(ev, watched, state, lambda: None, finish, loop=False)
    except CannotRoll:
        return None
    finally:
        ev.attempts.remove(attempt)
        del ev.python_loops[told:]
        ev.looked_up = looked


def step(ev: Evaluation, *, simple: bool) -> None:
    """The body of the innermost `try` goes on to a statement, or has come to its end."""
    attempt = ev.attempts[-1]
    if attempt.kinds and ev.heap.frames:
        frame = ev.heap.frames[-1]
        changed = bool(frame.saved or frame.grown)
        attempt.steps.append(Snapshot(len(frame.failures), simple, changed, bodies.get(attempt.state)))


def _before(ev: Evaluation, steps: Sequence[Snapshot], names: tuple[str, ...]) -> tuple[list[Any], bool]:
    """The variables when the body raised, and whether anything else may have been changed by then."""
    seen: list[Snapshot] = []
    for now, after in itertools.pairwise(steps):
        if after.failures > now.failures:
            seen += [now] if now.simple else [now, after]
    if not seen:
        return [], False
    columns = zip(*(s.values for s in seen), strict=True)
    values = [
        _agreed(ev, name, column, first) for name, column, first in zip(names, columns, steps[0].values, strict=True)
    ]
    return values, any(s.changed for s in seen)


def _agreed(ev: Evaluation, name: str, values: Sequence[Any], first: Any) -> Any:
    """What a variable is at all of several places, if that is known."""
    value = values[0]
    same = all(v is value for v in values)
    if same and (value is first or not any(True for _ in objects(value, ev.heap))):
        return value
    if all(isinstance(v, Unbound) for v in values):
        return first
    return Unbound(name, UNSURE)


def _by_handler(
    ev: Evaluation, failures: Sequence[Failure], caught: Sequence[tuple[Any, Callable[[Any], object]]]
) -> list[tuple[tuple[Any, type[BaseException]], Callable[[Any], object]]]:
    """For each handler that catches something: where, what, and its body. What none catches is noted."""
    conditions: dict[int, list[Any]] = {}
    kinds: dict[int, type[BaseException]] = {}
    earlier: list[tuple[int, Any]] = []
    for failure in failures:
        k = _handler_of(failure.kinds, caught)
        mine = failure.condition
        for other, condition in earlier:
            if other != k:
                mine = operators.both(ev, mine, operators.not_(ev, condition))
        earlier.append((k, failure.condition))
        if k < 0:
            failing.note(ev, mine, *failure.kinds)
        else:
            conditions.setdefault(k, []).append(mine)
            kinds.setdefault(k, failure.kinds[0])
    return [((_any(ev, c), kinds[k]), caught[k][1]) for k, c in conditions.items()]


def _any(ev: Evaluation, conditions: Sequence[Any]) -> Any:
    result = conditions[0]
    for other in conditions[1:]:
        result = operators.not_(ev, operators.both(ev, operators.not_(ev, result), operators.not_(ev, other)))
    return result


def _handler_of(kinds: Kinds, caught: Sequence[tuple[Any, Callable[[Any], object]]]) -> int:
    """The handler that catches exceptions of these kinds; -1 if there is none."""
    found = {next((k for k, (c, _) in enumerate(caught) if issubclass(kind, c)), -1) for kind in kinds}
    if len(found) > 1:
        names = " or ".join(kind.__name__ for kind in kinds)
        raise ProgramError(
            f"something in this try may raise {names}, which are not all caught by the same handler",
            location=user_line.here(),
            remedy=REMEDY,
        )
    return found.pop() if found else -1


# --- in Python -----------------------------------------------------------------------------------


def _in_python(
    ev: Evaluation,
    body: Callable[[], object],
    caught: Sequence[tuple[Any, Callable[[Any], object]]],
    otherwise: Callable[[], object] | None,
    attempt: Attempt,
    *,
    again: bool = False,
    once: bool = False,
) -> None:
    """Run the body in place, and the handler of what it raises.

    Args:
        body: the body.
        caught: the handlers.
        otherwise: the `else`.
        attempt: what is caught.
        again: whether the conditions that come up are known already not to hold.
        once: whether the body cannot be run a second time: conditions that a handler catches must not come up.
    """
    attempts, noted = ev.attempts, failing.noted(ev)
    known, depth = len(noted), len(attempts)
    attempts.append(attempt)
    try:
        body()
    except Exception as error:
        del attempts[depth:]
        if complaints.is_internal(error):
            raise
        for kinds, run in caught:
            if isinstance(error, kinds):
                run(error)
                return
        raise
    finally:
        del attempts[depth:]
    if again:
        del noted[known:]
    elif once and any(_handler_of(failure.kinds, caught) >= 0 for failure in noted[known:]):
        raise ProgramError(
            "this try waits for an exception that depends on parameters, around something that can be done only once",
            location=user_line.here(),
            remedy=REMEDY,
        )
    if otherwise is not None:
        otherwise()


def suppressed(function: Any, *kinds: Any) -> tuple[Any, ...]:
    """What `with suppress(*kinds)` catches."""
    if function is not contextlib.suppress:
        raise ProgramError("a context manager called suppress is not that of contextlib", location=user_line.here())
    return kinds


# --- in generators, whose `try` around a `yield` stays Python's -----------------------------------


def catching(kind: Any = BaseException) -> Any:
    """What `except kind` catches: nothing, if the compiler threw the exception."""
    error = sys.exception()
    return () if error is not None and complaints.is_internal(error) and type(error).__module__ != "builtins" else kind


def attempt(ev: Evaluation) -> tuple[int, int, int]:
    """How much has been done with traced values before the body of a `try`."""
    return ev.traced, ev.looked_up, ev.noted


def attempted(ev: Evaluation, before: tuple[int, int, int], caught: tuple[str, ...]) -> None:
    """After the body of a `try` around a `yield`: refuse it if it waits for errors of values that are not known.

    Raises:
        ProgramError: the handlers catch what compiled code does not raise.
    """
    traced, looked_up, noted = (now > then for now, then in zip(attempt(ev), before, strict=True))
    for name in caught:
        if noted or (looked_up if name in OF_PLACES else traced and name in OF_NUMBERS | OF_ANYTHING):
            raise ProgramError(
                f"this try around a yield waits for {name or 'any exception'} around values that are not known while "
                "compiling; compiled code does not raise, it gives NaN or infinity",
                location=user_line.here(),
                remedy=REMEDY,
            )
