"""Where a program changes sides, and what value and gradient do there.

Boundaries are found numerically: along segments between random points, where a number of `Crossings` changes, by
bisection down to neighbouring floating-point numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradmc.check.crossings import Crossings, Label
from gradmc.check.subject import ROWS, Points, Subject

SEGMENTS_PER_LABEL = 6
ROUNDS = 52
APART = 1e-10
"""Of a segment: how far from a boundary its sides are compared, since the compiled program may round otherwise."""

FEWEST_POINTS = 4


@dataclass(frozen=True, slots=True)
class Boundary:
    """A point where a program changes sides.

    Attributes:
        x: the unconstrained point, on one side of the boundary.
        values: the log density on both sides.
        jump: size of the jump of the log density, besides what the slope explains.
        bend: largest jump among the entries of the gradient; infinite where it is not finite.
        slope: largest entry of the gradient.
    """

    x: np.ndarray
    values: tuple[float, float]
    jump: float
    bend: float
    slope: float


def boundaries(subject: Subject) -> dict[Label, list[Boundary]]:
    """A few boundaries of every condition and step, as far as random segments cross any with a finite density."""
    good = subject.starts.x[subject.starts.good]
    if len(good) < FEWEST_POINTS:
        subject.skip("jumps", f"fewer than {FEWEST_POINTS} starting points have a finite density and gradient")
        return {}
    crossings = Crossings(subject)
    rng = subject.rng(2)
    left = good[rng.integers(len(good), size=2 * ROWS)]
    right = good[rng.integers(len(good), size=2 * ROWS)] * rng.choice([1.0, 2.0], size=(2 * ROWS, 1))
    rows = [np.concatenate([crossings.at(ends[k : k + ROWS]) for k in (0, ROWS)]) for ends in (left, right)]
    chosen = _chosen(crossings.labels, _differ(*rows))
    found: dict[Label, list[Boundary]] = {}
    for first in range(0, len(chosen), ROWS):
        block = chosen[first : first + ROWS]
        for (_, column), boundary in zip(block, _bisected(subject, crossings, block, left, right), strict=True):
            if boundary is not None:
                found.setdefault(crossings.labels[column], []).append(boundary)
    return found


def _differ(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where a number changes that both sides have."""
    return (a != b) & ~np.isnan(a) & ~np.isnan(b)


def _chosen(labels: Sequence[Label], flips: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of a segment and a column that changes along it: a few for every label, spread over its columns."""
    columns: dict[Label, list[int]] = {}
    for column, label in enumerate(labels):
        columns.setdefault(label, []).append(column)
    found: list[tuple[int, int]] = []
    for same in columns.values():
        crossing = np.flatnonzero(flips[:, same].any(axis=1))[:SEGMENTS_PER_LABEL]
        for turn, segment in enumerate(crossing):
            changed = np.flatnonzero(flips[segment, same])
            found.append((int(segment), same[changed[turn * len(changed) // SEGMENTS_PER_LABEL]]))
    return found


def _bisected(
    subject: Subject, crossings: Crossings, chosen: list[tuple[int, int]], left: np.ndarray, right: np.ndarray
) -> list[Boundary | None]:
    """The boundaries along the chosen segments; None where it belongs to something else, or is not finite."""
    segments, columns = np.array(chosen).T
    each = np.arange(len(chosen))
    low, high = left[segments], right[segments]
    side = _rows(crossings, low)[each, columns]
    for _ in range(ROUNDS):
        middle = 0.5 * (low + high)
        same = _rows(crossings, middle)[each, columns] == side
        low, high = np.where(same[:, None], middle, low), np.where(same[:, None], high, middle)
    own = ~np.isnan(_rows(crossings, high)[each, columns])
    away = APART * (right[segments] - left[segments])
    before, after = subject.at(low - away), subject.at(high + away)
    return [_compared(before, after, k) if own[k] else None for k in range(len(chosen))]


def _compared(before: Points, after: Points, k: int) -> Boundary | None:
    """What changes from one side of a boundary, row k, to the other; None if a value is not finite."""
    values, slopes = np.array([before.value[k], after.value[k]]), np.array([before.gradient[k], after.gradient[k]])
    with np.errstate(all="ignore"):
        bend = np.max(np.abs(slopes[1] - slopes[0]))
        explained = np.mean(slopes, axis=0) @ (after.x[k] - before.x[k])
        jump = np.abs(values[1] - values[0] - np.where(np.isfinite(explained), explained, 0.0))
    if not np.isfinite(jump):
        return None
    return Boundary(
        x=before.x[k],
        values=(float(values[0]), float(values[1])),
        jump=float(jump),
        bend=float(bend) if np.isfinite(bend) else np.inf,
        slope=float(np.max(np.abs(slopes))),
    )


def _rows(crossings: Crossings, x: np.ndarray) -> np.ndarray:
    padded = np.concatenate([x, np.repeat(x[:1], ROWS - len(x), axis=0)])
    return crossings.at(padded)[: len(x)]
