"""`for` at trace time: in Python where that is meant, else traced once with a symbolic index.

A loop rolls when its iterable has a length and an item for every index: a range, an array, a list of numbers,
and enumerate, zip and reversed over those. It stays Python's when it is short, or when its items are unlike
things. A loop that ought to roll and cannot is unrolled, with a warning, up to a limit (`unrolling`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gradmc.program.frontend import branches, operators, special_methods, unrolling, user_line
from gradmc.program.frontend.bodies import State
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.iterables import Rollable, materialised, rollable, taken
from gradmc.program.frontend.rolling import Loop
from gradmc.program.frontend.values import is_traced

SHORT = 4
"""A loop of at most this many trips over a small body runs in Python: unrolled code of that size compiles as fast
as a loop's, and indices are plain integers in it."""
SMALL_BODY = 120
"""Expression nodes of a body that counts as small."""
MOST_COPIES = 16
"""Nested short loops unroll to at most so many copies of the innermost body."""


def for_(
    ev: Evaluation,
    iterable: Any,
    body: Callable[[Any], object],
    state: State,
    carried: tuple[str, ...],
    after: tuple[str, ...],
    ended: Callable[[], Any] | None,
    stores: tuple[Callable[[], Any], ...],
    augmented: tuple[str, ...],
    size: int,
    origin: Any = None,
) -> None:
    """Run a `for` statement.

    Args:
        iterable: what it runs over.
        body: takes an item.
        state: reads or sets the variables that the body shares.
        carried: their names, first those that a later iteration reads,
        after: then those read only after the loop.
        ended: whether a break or return has happened.
        stores: read the arrays and lists into which the body stores.
        augmented: variables that change only by `x += v` and the like.
        size: expression nodes in the body; negative if it holds a loop.
        origin: what tells it from other loops of its line: the code of a comprehension.
    """
    iterable = special_methods.iterated(ev, taken(ev, iterable, early=ended is not None))
    iterable = materialised(ev, iterable)
    source = rollable(ev, iterable)
    if source is None:
        unrolling.unlike(ev, iterable, body, ended)
    elif is_traced(source.length) and source.most is not None:
        names = (*carried, *after)
        guarded = _Guarded(ev, source, body, state, names)
        for_(ev, Rollable(source.most, lambda k: k), guarded, state, names, (), ended, stores, augmented, size, origin)
    elif is_traced(source.length):
        ev.counted(source, body, state, carried, after, augmented, stores)
    elif source.length == 0:
        return
    elif stays_in_python(ev, source.length, size):
        unrolling.short(ev, source, body, ended)
    else:
        Loop(ev, source, body, state, carried, after, augmented, stores, user_line.here(), ended, origin=origin).run()


@dataclass(frozen=True, eq=False, slots=True)
class _Guarded:
    """The body of a loop that runs to the largest length it can have, and does nothing beyond its length."""

    ev: Evaluation
    source: Rollable
    body: Callable[[Any], object]
    state: State
    names: tuple[str, ...]

    def __call__(self, k: Any) -> None:
        within = operators.compare(self.ev, "Lt", k, self.source.length)
        branches.if_(self.ev, within, lambda: self.body(self.source.item(k)), None, self.state, self.names)


def stays_in_python(ev: Evaluation, length: int, size: int) -> bool:
    """Whether a loop is short and its body small. A negative size means that the body holds a loop itself."""
    copies = ev.copies
    if size < 0:
        return length <= 1
    return length <= SHORT and size <= SMALL_BODY and copies * length <= MOST_COPIES
