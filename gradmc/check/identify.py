"""Identifiability: does the posterior determine the parameters, and in which shape?

At the mode the Hessian of minus the log density, scaled to a unit diagonal, has eigenvalues near 0 along
directions that nothing determines, and its inverse shows strong correlations. A funnel shows at any good
point: shrinking a scale together with its group costs no density, while the curvature along the group grows
with the inverse square of the scale.
"""

import time
from collections.abc import Iterator

import numpy as np

from gradmc.adaptation.linear_algebra import one_thread
from gradmc.check.codes import finding
from gradmc.check.finding import Finding
from gradmc.check.subject import Subject
from gradmc.density import Part

MOST_COORDINATES = 150
SECONDS = 4.0
"""Processor time for the search of the mode."""

FLAT = 1e-7
"""Eigenvalue of the scaled Hessian below which a direction counts as flat; differences are good to about 1e-9."""

STRONG = 0.97
FAR_APART = 1e4
"""Ratio of scales from which on warmup begins with trajectories of thousands of steps."""

STEP = 1e-4
SLIGHT = 1e-6
"""Curvature below which differences do not tell it from none."""

NARROW = 1e-3
"""Steps of differences, and the most that they may be of a coordinate's width."""

SHRINK = 3.0
"""How far, on the log scale, a scale is shrunk to look for a funnel."""

NECK = 5.0
"""Log density that shrinking may cost where there is a funnel."""

STEEP = 1.6
"""Growth of log curvature per unit of log scale: 2 where the prior of the group alone determines it."""


def identifiability(subject: Subject) -> Iterator[Finding]:
    """Report flat directions; note strong correlations, different scales and funnels."""
    if not len(subject.typical.x):
        subject.skip("identifiability", "no point with finite density and gradient was found")
        return
    mode = find_mode(subject)
    yield from _funnels(subject, subject.typical.x[0] if mode is None else mode)
    if mode is None or subject.dim > MOST_COORDINATES:
        why = "no mode was found" if mode is None else f"more than {MOST_COORDINATES} coordinates"
        subject.skip("curvature at the mode", f"{why}; only funnels were looked for")
        return
    hessian = curvature(subject, mode)
    diagonal = np.diag(hessian)
    if not np.all(np.isfinite(hessian)):
        subject.skip("curvature at the mode", "the gradient is not finite all around the mode")
        return
    yield from _shape(subject, hessian, diagonal)


def find_mode(subject: Subject) -> np.ndarray | None:
    """The mode on the unconstrained scale by L-BFGS; None if the search does not get there."""
    from scipy.optimize import minimize

    end = time.process_time() + SECONDS
    start = subject.typical.x[0]
    scale = widths(subject, start)

    def objective(z: np.ndarray) -> tuple[float, np.ndarray]:
        point = subject.at((start + scale * z)[None])
        if time.process_time() > end or not point.good[0]:
            return 1e300, np.zeros_like(z)
        return -float(point.value[0]), -scale * point.gradient[0]

    options = {"maxiter": 2000, "maxfun": 4000, "ftol": 1e-15, "gtol": 1e-7}
    with one_thread():  # the systems that scipy solves at each step are far too small to be worth sharing out
        found = minimize(objective, np.zeros(subject.dim), jac=True, method="L-BFGS-B", options=options)
    mode = start + scale * np.asarray(found.x)
    size = float(np.max(np.abs(found.jac)))
    if found.fun >= 1e300 or np.max(np.abs(mode)) > 1e4 or size > 1e-3 * (1.0 + abs(found.fun)):
        return None
    return mode


def widths(subject: Subject, x: np.ndarray) -> np.ndarray:
    """How far each coordinate has to move for the log density to fall by about 1/2; 1 where that cannot be said."""
    if subject.dim > MOST_COORDINATES:
        return np.ones(subject.dim)
    bends = _bends(subject, x, np.arange(subject.dim))
    return 1.0 / np.sqrt(np.where(np.isfinite(bends) & (bends > SLIGHT), bends, 1.0))


def curvature(subject: Subject, x: np.ndarray) -> np.ndarray:
    """Minus the Hessian of the log density by central differences of the gradient."""
    steps = np.minimum(STEP * np.maximum(1.0, np.abs(x)), NARROW * widths(subject, x))
    moves = np.diag(steps)
    up, down = subject.at(x + moves).gradient, subject.at(x - moves).gradient
    hessian = -(up - down) / (2 * steps[:, None])
    return 0.5 * (hessian + hessian.T)


def _shape(subject: Subject, hessian: np.ndarray, diagonal: np.ndarray) -> Iterator[Finding]:
    """Flat directions, or else the strongest correlation and the largest ratio of scales."""
    floor = 1e-12 * float(np.max(np.abs(diagonal)) + 1e-300)
    scale = np.sqrt(np.maximum(diagonal, floor))
    values, vectors = np.linalg.eigh(hessian / np.outer(scale, scale))
    flat = np.flatnonzero(values < FLAT)
    for k in flat[:3]:
        if values[k] < -1e-3:
            continue  # not at a maximum
        direction = vectors[:, k] / scale
        yield _flat_finding(subject, direction / np.max(np.abs(direction)), float(values[k]))
    if len(flat) or subject.dim < 2:
        return
    inverse = (vectors / values) @ vectors.T
    sizes = np.sqrt(np.diag(inverse))
    yield from _scales(subject, sizes / scale)
    correlation = inverse / np.outer(sizes, sizes)
    np.fill_diagonal(correlation, 0.0)
    i, j = np.unravel_index(int(np.argmax(np.abs(correlation))), correlation.shape)
    if abs(correlation[i, j]) > STRONG:
        a, b = subject.density.names[int(i)], subject.density.names[int(j)]
        names = tuple(dict.fromkeys((subject.parameter_of(int(i)), subject.parameter_of(int(j)))))
        message = (
            f"{a} and {b} have correlation {correlation[i, j]:.3f} at the mode (unconstrained scale); the "
            f"condition number of the scaled Hessian is {values[-1] / values[0]:.3g}"
        )
        yield finding("correlated", message, location=subject.parameter_line(names[0]), parameters=names)


def _scales(subject: Subject, deviations: np.ndarray) -> Iterator[Finding]:
    """The widest and the narrowest coordinate, if they differ much."""
    wide, narrow = int(np.argmax(deviations)), int(np.argmin(deviations))
    ratio = float(deviations[wide] / deviations[narrow])
    if ratio > FAR_APART:
        names = tuple(dict.fromkeys((subject.parameter_of(wide), subject.parameter_of(narrow))))
        message = (
            f"{subject.density.names[wide]} has standard deviation {deviations[wide]:.3g} at the mode, "
            f"{subject.density.names[narrow]} {deviations[narrow]:.3g} (unconstrained scale): a ratio of {ratio:.2g}"
        )
        yield finding("scales", message, location=subject.parameter_line(names[0]), parameters=names)


def _flat_finding(subject: Subject, direction: np.ndarray, value: float) -> Finding:
    order = np.argsort(-np.abs(direction))
    large = [int(i) for i in order if abs(direction[i]) > 0.1]
    terms = [
        f"{'-' if direction[i] < 0 else '+'} {_number(abs(direction[i]))}{subject.density.names[i]}" for i in large
    ]
    told = " ".join(terms[:6]).removeprefix("+ ") + (" ..." if len(terms) > 6 else "")
    names = tuple(dict.fromkeys(subject.parameter_of(i) for i in sorted(large)))
    message = (
        f"the posterior is flat along {told} (unconstrained scale): the curvature there is {max(value, 0.0):.1g} of "
        "that of the parameters one by one"
    )
    return finding("not-identified", message, location=subject.parameter_line(names[0]), parameters=names)


def _number(size: float) -> str:
    return "" if abs(size - 1.0) < 0.005 else f"{size:.2g} "


def _funnels(subject: Subject, x: np.ndarray) -> Iterator[Finding]:
    """Positive scalars that scale a group of real parameters."""
    for scale in subject.parts:
        if scale.support != "Positive" or scale.shape != ():
            continue
        for group in subject.parts:
            if group.support == "Real" and group.size >= 3 and _is_funnel(subject, x, scale.start, group):
                message = (
                    f"{scale.name} is the scale of {group.name} in centred form: "
                    "the density does not fall as both shrink"
                )
                yield finding(
                    "funnel",
                    message,
                    location=subject.parameter_line(group.name),
                    parameters=(scale.name, group.name),
                )


def _is_funnel(subject: Subject, x: np.ndarray, scale: int, part: Part) -> bool:
    group = np.arange(part.start, part.start + part.size)
    shrunk = x.copy()
    shrunk[scale] -= SHRINK
    for _ in range(2):  # to the group's most probable values at this scale: Newton, entry by entry
        shrunk[group] += subject.at(shrunk[None]).gradient[0, group] / np.maximum(_bends(subject, shrunk, group), 1e-12)
    values = subject.at(np.array([x, shrunk])).value
    if not values[1] > values[0] - NECK:
        return False
    narrower = shrunk.copy()
    narrower[scale] -= 1.0
    before, after = (_bends(subject, point, group[:8]) for point in (shrunk, narrower))
    return bool(np.all((after > np.exp(STEEP) * before) & (before > 0)))


def _bends(subject: Subject, x: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Minus the second derivatives along some coordinates."""
    moves = STEP * np.eye(subject.dim)[group]
    up, down = subject.at(x + moves).gradient, subject.at(x - moves).gradient
    return -(up - down)[np.arange(len(group)), group] / (2 * STEP)
