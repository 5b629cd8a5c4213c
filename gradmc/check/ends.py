"""Where the density begins and ends to be positive, element by element, and the proof of it.

A parameter whose support is declared too wide has *ends*, beyond which the density is 0 or not defined whatever the
other coordinates are. They are looked for on lines through a few good points, along each element. A declaration with
these ends leaves out what lies beyond; so before it is advised, points beyond the ends of every element, far and near,
one element at a time and all at once, are tried against all good points as background, and each must be dead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradmc.check.probes import GRID
from gradmc.check.subject import Subject
from gradmc.density.base import Part

FAR = 6.5
"""Ends of a support that lie farther out on the unconstrained scale are put down to rounding, unless the program
compares something with a number there: exp of a scale overflows where the scale is 709.8, whose logarithm is 6.56."""

BESIDE = 1e-4
"""Relative distance of the points beside such a number."""

MOST_ELEMENTS = 64
"""Nothing is said of longer parameters, whose elements cannot all be tried."""

BACKGROUNDS = 4
"""Backgrounds that each point beyond an end is tried against; they take turns, so that all are used."""

BEYOND = np.array([1e-6, 1e-3, 0.1, 1.0, 3.0, 10.0, 100.0, 1e4])
AGREE = 1e-6
GRID_POINTS = np.array(GRID)
ROUNDS = 8

type Line = tuple[float, float]
"""Ends along a coordinate on the unconstrained scale; infinite where there is none."""


@dataclass(frozen=True, slots=True)
class Region:
    """Ends of every element of a parameter, as values of it; infinite where there is none.

    Attributes:
        low: shape (size,).
        high: shape (size,).
    """

    low: np.ndarray
    high: np.ndarray

    @property
    def uniform(self) -> bool:
        """Whether all elements have the same ends."""
        return bool(np.all(self.low == self.low[0]) and np.all(self.high == self.high[0]))


def region(subject: Subject, part: Part, tried: Sequence[int]) -> Region | None:
    """The ends of a parameter's elements, if any has one and all of them are proved.

    Args:
        subject: the density.
        part: the parameter's share of its vector.
        tried: the coordinates of it whose ends are looked for first.
    """
    good = subject.starts.x[subject.starts.good]
    if not len(good):
        return None
    bases = [*subject.typical.x[:1], *good[:2]]
    first = next((line for i in tried if (line := _line(subject, bases, i)) and np.any(np.isfinite(line))), None)
    if first is None or part.size > MOST_ELEMENTS:
        return None
    lines: list[Line] = []
    for i in range(part.start, part.start + part.size):
        line = first if _holds(subject, bases, i, first) else _line(subject, bases, i)
        if line is None:
            return None
        lines.append(line)
    if not _is_dead_beyond(subject, part, lines, good):
        return None
    ends = [[_value(subject, bases[0], part, k, end) for end in line] for k, line in enumerate(lines)]
    low, high = np.array(ends).T
    return Region(low, high)


def _line(subject: Subject, bases: Sequence[np.ndarray], i: int) -> Line | None:
    """Ends along coordinate i, if they are the same on the lines through all bases."""
    found = [_ends(subject, base, i) for base in bases]
    ends = np.array([line for line in found if line is not None])
    if len(ends) < len(found) or not np.all(np.isclose(ends, ends[0], rtol=0, atol=AGREE)):
        return None  # it depends on the others: a hole, not a support
    return float(ends[0, 0]), float(ends[0, 1])


def _holds(subject: Subject, bases: Sequence[np.ndarray], i: int, line: Line) -> bool:
    """Whether the density begins and ends along coordinate i where it does along another one."""
    outside = [end + sign * AGREE for end, sign in zip(line, (-1, 1), strict=True) if np.isfinite(end)]
    inside = [end - sign * AGREE for end, sign in zip(line, (-1, 1), strict=True) if np.isfinite(end)]
    inside += [float(g) for g in _grid(_numbers(subject, i)) if line[0] < g < line[1]]
    points = [_moved(base, i, x) for base in bases for x in (*outside, *inside)]
    alive = np.isfinite(subject.at(np.array(points)).value).reshape(len(bases), -1)
    return not alive[:, : len(outside)].any() and bool(alive[:, len(outside) :].all())


def _is_dead_beyond(subject: Subject, part: Part, lines: Sequence[Line], good: np.ndarray) -> bool:
    """Whether the density is 0 beyond every end, of one element or of all, whatever the other coordinates are."""
    points: list[np.ndarray] = []
    together: dict[tuple[int, float], list[tuple[int, float]]] = {}
    for k, line in enumerate(lines):
        for side, end in enumerate(line):
            if np.isinf(end):
                continue
            for distance in BEYOND * (1.0 + abs(end)):
                x = end + (2 * side - 1) * distance
                together.setdefault((side, float(distance)), []).append((part.start + k, x))
                for _ in range(BACKGROUNDS):
                    points.append(_moved(good[len(points) % len(good)], part.start + k, x))
    for moves in together.values():
        for base in good:
            point = base.copy()
            for i, x in moves:
                point[i] = x
            points.append(point)
    return not np.any(np.isfinite(subject.at(np.array(points)).value))


def _moved(base: np.ndarray, i: int, x: float) -> np.ndarray:
    point = base.copy()
    point[i] = x
    return point


def _ends(subject: Subject, base: np.ndarray, i: int) -> Line | None:
    """Where on the line through `base` along coordinate i the density begins and ends to be positive.

    Infinite where there is no end; None where there is no such interval.
    """
    numbers = _numbers(subject, i)
    grid = _grid(numbers).tolist()
    alive = np.isfinite(subject.at(np.array([_moved(base, i, x) for x in grid])).value)
    if alive.all():
        return (-np.inf, np.inf)
    inside = np.flatnonzero(alive)
    if not len(inside) or not alive[inside[0] : inside[-1] + 1].all():
        return None
    first, last = inside[0], inside[-1]
    low = _end(subject, base, i, grid[first - 1], grid[first]) if first > 0 else -np.inf
    high = _end(subject, base, i, grid[last + 1], grid[last]) if last + 1 < len(alive) else np.inf
    far = [end for end in (low, high) if FAR < abs(end) < np.inf]
    return (low, high) if all(np.isclose(end, numbers, rtol=AGREE, atol=0).any() for end in far) else None


def _grid(numbers: np.ndarray) -> np.ndarray:
    """Where a line is tried: also beside numbers at which it may end."""
    beside = BESIDE * (1.0 + np.abs(numbers))
    return np.unique(np.concatenate([GRID_POINTS, numbers - beside, numbers + beside]))


def _numbers(subject: Subject, i: int) -> np.ndarray:
    """The numbers with which the program compares something, as values of coordinate i."""
    part = next(p for p in subject.parts if p.start <= i < p.start + p.size)
    compared = np.array(subject.compared)
    match part.support:
        case "Real":
            return compared
        case "Positive":
            return np.log(compared[compared > 0])
    return np.zeros(0)


def _end(subject: Subject, base: np.ndarray, i: int, dead: float, alive: float) -> float:
    """Bisect between a point outside and one inside, many at once."""
    for _ in range(ROUNDS):
        inner = np.linspace(dead, alive, 34)
        points = np.array([_moved(base, i, x) for x in inner[1:-1]])
        good = np.concatenate([[False], np.isfinite(subject.at(points).value), [True]])
        first = int(np.argmax(good))
        dead, alive = float(inner[first - 1]), float(inner[first])
    return alive


def _value(subject: Subject, base: np.ndarray, part: Part, k: int, end: float) -> float:
    """The value of element k of a parameter where its coordinate is `end`, in the few digits that it is written in."""
    if np.isinf(end):
        return end
    value = np.ravel(subject.values(_moved(base, part.start + k, end))[part.name])
    found = float(value[min(k, len(value) - 1)])
    short = float(np.round(found, 6)) + 0.0
    return short if abs(short - found) <= 1e-8 * (1.0 + abs(found)) else found
