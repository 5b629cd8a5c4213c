"""Check 2: branches on parameters whose sides disagree where they meet.

Boundaries are found numerically: along segments between random points, where a condition changes, by
bisection down to neighbouring floating-point numbers.
"""

from collections.abc import Iterator

import numpy as np
from jax.extend.core import primitives as jp

from gradmc.check.codes import finding
from gradmc.check.crossings import Crossings
from gradmc.check.finding import Finding
from gradmc.check.subject import ROWS, Points, Subject

SEGMENTS_PER_LINE = 6
ROUNDS = 52
VALUE_TOLERANCE = 1e-6
"""Jumps below this, relative to 1 + |log density|, do not matter: `while` loops that run to a tolerance make such."""

SLOPE_TOLERANCE = 1e-4


def jumps(subject: Subject) -> Iterator[Finding]:
    """Report jumps of value at the boundaries of branches, and note jumps of the gradient."""
    activity, _ = subject.activity
    if any(eqn.primitive in (jp.scan_p, jp.while_p) for eqn in subject.density.equations.eqns):
        subject.skip("jumps within loops of JAX", "conditions inside of scan and while_loop are not followed")
    if not activity.sites:
        return
    good = subject.starts.x[subject.starts.good]
    if len(good) < 4:
        subject.skip("jumps", "fewer than 4 starting points have a finite density and gradient")
        return
    crossings = Crossings(subject)
    rng = subject.rng(2)
    left = good[rng.integers(len(good), size=2 * ROWS)]
    right = good[rng.integers(len(good), size=2 * ROWS)] * rng.choice([1.0, 2.0], size=(2 * ROWS, 1))
    rows = [np.concatenate([crossings.at(ends[k : k + ROWS]) for k in (0, ROWS)]) for ends in (left, right)]
    chosen = _chosen(crossings.lines, rows[0] != rows[1])
    for first in range(0, len(chosen), ROWS):
        yield from _examined(subject, crossings, chosen[first : first + ROWS], left, right)


def _chosen(lines: np.ndarray, flips: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of a segment and a condition that changes along it, a few for every line."""
    found: list[tuple[int, int]] = []
    for line in dict.fromkeys(lines.tolist()):
        columns = np.flatnonzero(lines == line)
        segments, which = np.nonzero(flips[:, columns])
        _, firsts = np.unique(segments, return_index=True)
        found += [(int(segments[k]), int(columns[which[k]])) for k in firsts[:SEGMENTS_PER_LINE]]
    return found


def _examined(
    subject: Subject, crossings: Crossings, chosen: list[tuple[int, int]], left: np.ndarray, right: np.ndarray
) -> Iterator[Finding]:
    """Bisect along the chosen segments and compare the two sides of each boundary."""
    segments = np.array([s for s, _ in chosen])
    columns = np.array([c for _, c in chosen])
    low, high = left[segments].copy(), right[segments].copy()
    side = _rows(crossings, low)[np.arange(len(chosen)), columns]
    for _ in range(ROUNDS):
        middle = 0.5 * (low + high)
        same = _rows(crossings, middle)[np.arange(len(chosen)), columns] == side
        low, high = np.where(same[:, None], middle, low), np.where(same[:, None], high, middle)
    before, after = subject.at(low), subject.at(high)
    told: dict[int, Finding] = {}
    for k, column in enumerate(columns):
        line = int(crossings.lines[column])
        found = _compared(subject, line, before.where(np.array([k])), after.where(np.array([k])))
        if found is not None and (line not in told or found.severity == "error"):
            told.setdefault(line, found) if found.severity != "error" else told.update({line: found})
    yield from told.values()


def _rows(crossings: Crossings, x: np.ndarray) -> np.ndarray:
    padded = np.concatenate([x, np.repeat(x[:1], ROWS - len(x), axis=0)])
    return crossings.at(padded)[: len(x)]


def _compared(subject: Subject, line: int, before: Points, after: Points) -> Finding | None:
    values = np.array([before.value[0], after.value[0]])
    if not np.all(np.isfinite(values)):
        return None
    landing = subject.activity[0].branches.get(line)
    names = tuple(sorted(landing.parameters)) if landing else ()
    location = landing.at.location if landing else subject.line(line)
    point = subject.values(before.x[0])
    where = ", ".join(f"{n} = {np.array2string(point[n], precision=5, threshold=3)}" for n in names[:3])
    size = abs(values[1] - values[0])
    slopes = before.gradient[0], after.gradient[0]
    finite = np.all(np.isfinite(slopes))
    bend = float(np.max(np.abs(slopes[1] - slopes[0]))) if finite else np.inf
    if size > VALUE_TOLERANCE * (1 + np.max(np.abs(values))):
        message = (
            f"the log density jumps by {size:.4g} (from {values[0]:.6g} to {values[1]:.6g}), and its gradient by "
            f"{bend:.4g}, at {where}"
        )
        return finding("jump", message, location=location, parameters=names)
    if finite and bend > SLOPE_TOLERANCE * (1 + np.max(np.abs(slopes))):
        message = f"the gradient jumps by {bend:.4g} at {where}; the value does not"
        return finding("bent", message, location=location, parameters=names)
    return None
