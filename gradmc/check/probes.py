"""Points at which programs are tried: where samplers start, in the tails, on lines through good points, and at the
special values (0, equal coordinates, values of the data) where functions stop having derivatives.
"""

import numpy as np

from gradmc.check.subject import Subject

MOST_COORDINATES = 24
GRID = (-8.0, -5.0, -3.0, -2.0, -1.0, -0.5, -0.1, 0.1, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0)
TAIL = 10.0


def tails(subject: Subject) -> np.ndarray:
    """Points farther out than samplers start."""
    return np.clip(subject.rng(1).normal(0.0, 4.0, (32, subject.dim)), -TAIL, TAIL)


def special(subject: Subject) -> np.ndarray:
    """Points with zeros, equal coordinates, and values of the data among the coordinates."""
    base = subject.typical.x[0] if len(subject.typical.x) else np.zeros(subject.dim)
    points = [np.zeros(subject.dim), np.full(subject.dim, 0.7)]
    numbers = [0.0, *data_values(subject)]
    for i in coordinates(subject):
        for number in numbers:
            point = base.copy()
            point[i] = number
            points.append(point)
    for part in subject.parts:
        for number in (0.0, 0.7):  # a whole parameter at once: norms and differences
            point = base.copy()
            point[part.start : part.start + part.size] = number
            points.append(point)
    return np.array(points)


def data_values(subject: Subject) -> list[float]:
    """A few values of the real data."""
    found = []
    data = {} if subject.density.bound is None else subject.bound.data
    for value in data.values():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size:
            found += [float(v) for v in np.ravel(value)[:1] if abs(v) <= TAIL]
    return found[:3]


def coordinates(subject: Subject) -> list[int]:
    """Coordinates to try one by one: the first of every parameter, then others up to a limit."""
    firsts = [part.start for part in subject.parts if part.size]
    rest = [i for i in range(subject.dim) if i not in firsts]
    return [int(i) for i in (firsts + rest)[:MOST_COORDINATES]]
