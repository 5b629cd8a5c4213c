"""Loops that run in Python while the program is traced: short ones, those over unlike things, and those that
ought to roll and cannot. The last are never silent: a warning names the line and the reason, and beyond a
limit the loop is an error that says what to change.
"""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from gradmc.errors import ProgramError, SourceLocation
from gradmc.program import marks
from gradmc.program.frontend import complaints, marking, user_line
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.iterables import Rollable, iterate, of_few
from gradmc.program.frontend.values import ALIKE, CannotRoll, is_traced

QUIET = 32
"""Unrolling at most so many iterations is not worth a warning."""
LIMIT = 200
"""More iterations than this are not unrolled: compile time grows faster than their number (200 steps of
GARCH(1,1) take 38 s to compile, 800 do not end in 5 minutes)."""
SHORT = "short, so it is written out"
FIRST = "the first iteration differs from the others, so it is written out"
DATA = "depends on data only, so it is run while compiling"

REMEDY = (
    "Loop over a range or an array, and index arrays (not lists of unlike things, strings or dicts) with the "
    "loop's variable, so that every iteration does the same."
)


PADDED = (
    "Give arrays one size for all iterations, that of the largest (np.zeros(max(sizes))), and let the range of the "
    "inner loop, or an if, say which entries count."
)
"""What to do where a size changes from iteration to iteration."""


class UnrolledLoopWarning(UserWarning):
    """A long loop could not be traced once, so its body is compiled once per iteration."""


@dataclass(frozen=True, slots=True)
class PythonLoop:
    """A loop that was run by Python: where it stands, its iterations, and why it was not traced once."""

    source: SourceLocation | None
    trips: int
    why: str


@dataclass(eq=False, slots=True)
class Unrolled:
    """A loop that runs in Python: counts the iterations that work on traced values, and collects their marks.

    Args:
        why: why the loop is not traced once.
        copies: how often its body will be copied, at least.
        remedy: what to do if that is too often.
        few: whether it runs over a list of few items, which may be longer when the loop around it comes here again.
    """

    ev: Evaluation
    why: str
    copies: int = 1
    remedy: str = REMEDY
    few: bool = False
    trips: int = 0
    busy: int = 0
    inside: dict[SourceLocation | None, int] = field(default_factory=dict)
    made: list[marks.Marks] = field(default_factory=list)

    def iteration(self, body: Callable[[], object]) -> None:
        """Run the body once."""
        traced, copies, around = self.ev.traced, self.ev.copies, self.ev.around
        self.ev.copies, self.ev.around = copies * max(self.copies, 1), self
        listening = marks.collector.get() is not None
        try:
            with marks.collecting() if listening else nullcontext(marks.Marks()) as made:
                body()
        finally:
            self.ev.copies, self.ev.around = copies, around
        self.made.append(made)
        self.trips += 1
        if self.ev.traced > traced and self.why not in (SHORT, DATA, FIRST):
            self.busy += 1
            self._watch(copies, around)

    def _watch(self, copies: int, around: "Unrolled | None") -> None:
        if self.busy == QUIET + 1:
            user_line.warn(
                f"this loop is unrolled, since {self.why}; compile time grows with its length",
                UnrolledLoopWarning,
            )
        count = self.busy * copies
        if self.few and around is not None:
            here = user_line.here()
            around.inside[here] = around.inside.get(here, 0) + 1
            count = around.inside[here] * (copies // max(around.copies, 1))
        if count > LIMIT:
            raise ProgramError(
                f"this loop cannot be compiled: {self.why}, and it has more than {LIMIT} iterations",
                location=user_line.here(),
                remedy=self.remedy,
            )

    def end(self) -> None:
        """Note what was done, and hand the marks on, collected along the loop."""
        self.ev.python_loops.append(PythonLoop(user_line.here(), self.trips, self.why))
        if marks.collector.get() is not None:
            marking.along(self.ev, self.made)


def run(
    ev: Evaluation, items: Iterable[Any], body: Callable[[Any], object], ended: Callable[[], Any] | None, loop: Unrolled
) -> None:
    """Run a `for` in Python."""
    for item in items:
        loop.iteration(lambda item=item: body(item))
        if ended is not None and _sure(ended()):
            break
    loop.end()


def _sure(flag: Any) -> bool:
    return not is_traced(flag) and bool(flag)


def short(ev: Evaluation, source: Rollable, body: Callable[[Any], object], ended: Callable[[], Any] | None) -> None:
    """Run a short loop in Python."""
    run(ev, map(source.item, range(source.length)), body, ended, Unrolled(ev, SHORT, source.length))


def plain(ev: Evaluation, source: Rollable, body: Callable[[Any], object], ended: Callable[[], Any] | None) -> None:
    """Run a loop over data in Python: what it computes stays plain numbers."""
    run(ev, map(source.item, range(source.length)), body, ended, Unrolled(ev, DATA))


def begun(ev: Evaluation, source: Rollable, body: Callable[[Any], object], ended: Callable[[], Any] | None) -> int:
    """Run a loop in Python for as long as it depends on data only; returns how many iterations have been run."""
    loop, here = Unrolled(ev, DATA), ev
    for k in range(source.length):
        traced = here.traced
        loop.iteration(lambda k=k: body(source.item(k)))
        if ended is not None and _sure(ended()):
            break
        if here.traced > traced:
            loop.end()
            return k + 1
    loop.end()
    return source.length


def unlike(ev: Evaluation, source: Any, body: Callable[[Any], object], ended: Callable[[], Any] | None) -> None:
    """Run a loop over a few items, or over things that have no common form: a list of strings, a dict, a generator."""
    kind = type(source).__name__
    few = of_few(ev, source)
    why = f"it runs over a {kind} of few items" if few else f"its items (of a {kind}) have no common form"
    run(ev, iterate(ev, source), body, ended, Unrolled(ev, why, few=few))


def instead(
    ev: Evaluation,
    source: Rollable,
    body: Callable[[Any], object],
    ended: Callable[[], Any] | None,
    obstacle: BaseException,
) -> None:
    """Run a loop in Python that could not be traced once."""
    loop = Unrolled(ev, reason(obstacle), source.length, _remedy(obstacle))
    run(ev, map(source.item, range(source.length)), body, ended, loop)


def _remedy(obstacle: BaseException) -> str:
    """What to do about a loop that cannot be traced once: what the obstacle says, if it says something of its own."""
    if isinstance(obstacle, CannotRoll) and obstacle.remedy != ALIKE:
        return obstacle.remedy
    return PADDED if complaints.is_concretization(obstacle) else REMEDY


def is_obstacle(error: BaseException) -> bool:
    """Whether an error means that a body cannot be traced once, though it may run with a plain index."""
    return isinstance(error, CannotRoll | RecursionError) or complaints.is_concretization(error)


def reason(obstacle: BaseException) -> str:
    """Why a loop cannot be traced once."""
    if isinstance(obstacle, CannotRoll):
        return str(obstacle)
    if isinstance(obstacle, RecursionError):
        return "a function in it calls itself, until the index has some value"
    at = user_line.blame(obstacle)
    place = f" (line {at.line}: {at.text.strip()})" if at else ""
    return f"its body needs the index, or a value computed from it, as a plain number{place}"
