"""Finite: points of the support at which the density is NaN, or finite with a gradient that is not.

The first operation that made it is named with the user's line. What happens far out because numbers get too
large is only noted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gradmc.check.codes import finding
from gradmc.check.finding import Finding
from gradmc.check.probes import special, tails
from gradmc.check.subject import Points, Subject
from gradmc.program.blame import Culprit, blamed, described

MOST_TAPES = 3
HALVINGS = 4
OUT_OF_REACH = 100.0
"""A log density this much below that of good points belongs to a region that no trajectory enters."""


def nonfinite(subject: Subject) -> Iterator[Finding]:
    """Report points in the support where value or gradient are not finite."""
    starts = subject.starts
    if not np.any(starts.good) and not np.any(subject.at(tails(subject)).good):
        yield _no_start(subject)
        return
    far, edge = subject.at(tails(subject)), subject.at(special(subject))
    known: set[tuple[str, int]] = set()
    for points, zone in ((starts, "start"), (edge, "edge"), (far, "tail")):
        bad = [int(k) for k in np.flatnonzero(~points.good) if not _explained(subject, points.x[k])]
        for k in _varied(points, bad, 1 if zone == "tail" else MOST_TAPES):
            for found in _examined(subject, points.where(np.array([k])), zone):
                line = found.location.line if found.location and found.code != "far-away" else 0
                if (found.code, line) not in known:
                    known.add((found.code, line))
                    yield found


def _varied(points: Points, bad: Sequence[int], most: int) -> list[int]:
    """A few bad points: some with a bad value, some with a bad gradient alone."""
    value = [k for k in bad if not np.isfinite(points.value[k])]
    gradient = [k for k in bad if np.isfinite(points.value[k])]
    return [*value[:most], *gradient[:most]]


def _explained(subject: Subject, x: np.ndarray) -> bool:
    """Whether a parameter lies outside of what the check of supports found."""
    if not subject.narrowed:
        return False
    values = subject.values(x)
    return any(
        bool(np.any((values[name] <= low) | (values[name] >= high))) for name, (low, high) in subject.narrowed.items()
    )


@dataclass(frozen=True, slots=True)
class _Point:
    x: np.ndarray
    value: float
    gradient: np.ndarray


def _examined(subject: Subject, points: Points, zone: str) -> Iterator[Finding]:
    point = _Point(points.x[0], float(points.value[0]), points.gradient[0])
    if not np.isfinite(point.value) and zone == "edge" and not np.isnan(point.value):
        return  # the density is 0 at a single point
    culprit = subject.culprit(point.x, backward=bool(np.isfinite(point.value)))
    if culprit is None:
        return
    yield _finding(subject, point, culprit, zone)


def _finding(subject: Subject, point: _Point, culprit: Culprit, zone: str) -> Finding:
    near = zone != "tail"
    told = described(culprit)
    where = _at(subject, point.x)
    if np.isfinite(point.value):
        code = "bad-gradient" if near or culprit.undefined else "far-away"
        return finding(code, f"{blamed(culprit)} is not finite, at {where}", location=culprit.at.location)
    if point.value == -np.inf and (culprit.at.law or not culprit.undefined):
        if culprit.name in ("select_n", "stack", "if") or culprit.at.law:
            code = "hole" if near else "far-away"
            message = f"the density is 0 at {where}, inside the declared supports"
            return finding(code, message, location=culprit.at.location)
        return finding("far-away", f"{told} is infinite at {where}", location=culprit.at.location)
    wrong = (culprit.undefined or (near and not culprit.too_large)) and (zone == "edge" or _reachable(subject, point.x))
    kind = "not a number" if np.isnan(point.value) else "infinite"
    return finding(
        "nan" if wrong else "far-away",
        f"the density is {kind} because of {told}, at {where}",
        location=culprit.at.location,
    )


def _reachable(subject: Subject, x: np.ndarray) -> bool:
    """Whether the density next to the bad region, on the way from the bulk, is not hopelessly small."""
    if not len(subject.typical.x):
        return True
    good, bad = subject.typical.x[0], x
    value = subject.typical.value[0]
    for _ in range(HALVINGS):
        middle = 0.5 * (good + bad)
        there = subject.at(middle[None])
        if there.good[0]:
            good, value = middle, there.value[0]
        else:
            bad = middle
    return bool(subject.typical.value[0] - value < OUT_OF_REACH)


def _at(subject: Subject, x: np.ndarray) -> str:
    """A point in words: the first few parameters."""
    values = subject.values(x)
    told = [f"{name} = {np.array2string(v, precision=4, threshold=4)}" for name, v in values.items()]
    return ", ".join(told[:4]) + (", ..." if len(told) > 4 else "")


def _no_start(subject: Subject) -> Finding:
    starts = subject.starts
    bad = starts.value[0]
    culprit = subject.culprit(starts.x[0], backward=bool(np.isfinite(bad)))
    told = f" because of {blamed(culprit)}" if culprit is not None else ""
    what = "the gradient is not finite" if np.isfinite(bad) else f"the density is {bad}"
    return finding(
        "no-start",
        f"at none of {len(starts.x)} starting points are density and gradient finite; {what}{told}, at "
        f"{_at(subject, starts.x[0])}",
        location=culprit.at.location if culprit is not None else None,
    )
