"""Rows of a mask that select now these entries and now those: the loop is traced once for every pattern that comes up.

    for t in range(n):                              traced as
        seen = ~np.isnan(y[t])                      if pattern[t] == 0:     # all entries are there
        v = y[t][seen] - h[seen] @ m                    seen = [True, True]; v = ...
        ...                                         elif pattern[t] == 1:   # the second is missing
                                                        seen = [True, False]; v = ...

What a row of data is in every iteration is known. Where the loop cannot be traced once as it is, since arrays would
change their shapes, iterations in which the masks that it reads are the same do the same.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from gradmc.program import ir
from gradmc.program.frontend import branches, tables
from gradmc.program.frontend.bodies import State
from gradmc.program.frontend.evaluation import Evaluation

MOST = 12
"""Patterns for each of which a loop is traced."""
WORTH = 6
"""A pattern takes as long to compile as so many iterations that are written out (a Kalman filter of 3 series)."""


def found(ev: Evaluation, since: int, length: int) -> np.ndarray | None:
    """Which pattern each iteration of a loop has that has been tried; None if that is of no use.

    Args:
        ev: the evaluation.
        since: how many loops had been traced before.
        length: of the loop.
    """
    noted = [rows for loop in range(since + 1, ev.loops + 1) for rows in ev.rows.get(loop, ()) if len(rows) == length]
    if not noted:
        return None
    patterns, codes = np.unique(np.concatenate(noted, axis=1), axis=0, return_inverse=True)
    return codes.reshape(-1) if len(patterns) <= min(MOST, length // WORTH) else None


def chosen(
    ev: Evaluation, codes: np.ndarray, i: Any, body: Callable[[], object], state: State, names: tuple[str, ...]
) -> None:
    """Run the body of a loop as that of the pattern which iteration `i` has."""
    index = tables.known(ev, i)
    if index is None or not index.loops:  # an iteration by itself
        body()
        return
    (loop,) = index.loops
    code = tables.look_up(ev, ir.load(codes, i), codes, [i])
    present = np.unique(codes[index.values])

    def among(first: int, last: int) -> None:
        if last - first == 1:
            with _only(ev, loop, codes[index.values] == present[first]):
                body()
            return
        middle = (first + last) // 2
        below = tables.apply(ev, code < present[middle], lambda c: c < present[middle], code)
        branches.if_(ev, below, lambda: among(first, middle), lambda: among(middle, last), state, names)

    among(0, len(present))


@contextmanager
def _only(ev: Evaluation, loop: int, iterations: np.ndarray) -> Iterator[None]:
    """Take it that the iteration at hand is one of these."""
    before = ev.iterations.get(loop)
    ev.iterations[loop] = iterations
    try:
        yield
    finally:
        if before is None:
            del ev.iterations[loop]
        else:
            ev.iterations[loop] = before
