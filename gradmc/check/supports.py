"""Check 5: is the density positive on the declared supports, and does it depend on every parameter?"""

from collections.abc import Iterator

import numpy as np

from gradmc.check.codes import finding
from gradmc.check.finding import Finding
from gradmc.check.probes import GRID, coordinates
from gradmc.check.subject import Subject

PROPER = ("UnitInterval", "Simplex", "CholeskyCorr", "Correlation", "UnitVector", "Circular", "Interval")
ROUNDS = 40
KNOWN = {
    (0.0, np.inf): ("Positive", "0 for negative values"),
    (-np.inf, 0.0): ("Negative", "0 for positive values"),
    (0.0, 1.0): ("UnitInterval", "0 outside of (0, 1)"),
}
FAR = 7.0
"""Ends of a support that lie farther out on the unconstrained scale are put down to rounding."""


def supports(subject: Subject) -> Iterator[Finding]:
    """Report parameters on which the density does not depend, and supports that are declared too wide."""
    yield from _unused(subject)
    yield from too_wide(subject)


def _unused(subject: Subject) -> Iterator[Finding]:
    activity, status = subject.activity
    stepped = {name for landing in activity.landings.values() for name in landing.parameters}
    declared = () if subject.density.bound is None else subject.bound.parameters
    for part in subject.parts:
        name = part.name
        if name not in status.parameters:
            if any(_feeds(parameter.support, name) for parameter in declared):
                continue
            yield _unused_finding(subject, name, f"the density does not depend on {name}")
        elif name not in stepped and part.support == "Real":
            still = _still(subject, name)
            if still:
                told = ", ".join(still[:3]) + (f" and {len(still) - 3} more" if len(still) > 3 else "")
                yield _unused_finding(subject, name, f"the density does not depend on {told}")


def _feeds(support: object, name: str) -> bool:
    """Whether an end of a support is computed from a parameter."""
    from gradmc.program.model import bound_names

    return any(name in bound_names(bound) for bound in getattr(support, "bounds", ()))


def _unused_finding(subject: Subject, name: str, message: str) -> Finding:
    proper = False
    if subject.density.bound is not None:
        support = next(p for p in subject.bound.parameters if p.name == name).support
        ends = [e for e in support.bounds if isinstance(e, float | int) and np.isinf(e)]
        proper = support.label.startswith(PROPER) and not ends
    code = "unused-parameter" if proper else "flat-parameter"
    return finding(code, message, location=subject.parameter_line(name), parameters=(name,))


def _still(subject: Subject, name: str) -> list[str]:
    """Coordinates of a parameter along which the gradient is 0 at every point."""
    points = subject.starts.where(subject.starts.good)
    if len(points.x) < 8:
        return []
    return [
        coordinate
        for i, coordinate in enumerate(subject.density.names)
        if subject.parameter_of(i) == name and not np.any(points.gradient[:, i])
    ]


def too_wide(subject: Subject) -> Iterator[Finding]:
    """Parameters beyond some value of which the density is 0 or not defined, whatever the others are."""
    good = subject.starts.x[subject.starts.good]
    if not len(good):
        return
    bases = [*subject.typical.x[:1], *good[:2]]
    told: set[str] = set()
    chosen = coordinates(subject)
    lines = {i: [_alive(subject, base, i) for base in bases] for i in chosen}
    for i in chosen:
        name = subject.parameter_of(i)
        ends = [_ends(subject, base, i, alive) for base, alive in zip(bases, lines[i], strict=True)]
        if name in told or any(end is None for end in ends):
            continue
        low, high = (np.array([end[k] for end in ends if end is not None]) for k in (0, 1))
        if not all(np.allclose(end, end[0], rtol=0, atol=1e-6) for end in (low, high)):
            continue  # it depends on the others: a hole, not a support
        if np.isinf(low[0]) and np.isinf(high[0]):
            continue
        told.add(name)
        ends = float(low[0]), float(high[0])
        if subject.density.bound is None:
            subject.narrowed[name] = ends
            yield _too_wide_elsewhere(subject, name, *ends)
            continue
        ends = _within(subject, name, *ends)
        subject.narrowed[name] = ends
        yield _too_wide_finding(subject, name, *ends)


def _within(subject: Subject, name: str, low: float, high: float) -> tuple[float, float]:
    """Ends that were found, and where there were none those that are declared."""
    support = next(p for p in subject.bound.parameters if p.name == name).support
    declared = {"Positive": (0.0, np.inf), "Negative": (-np.inf, 0.0), "UnitInterval": (0.0, 1.0)}
    bounds = support.bounds or declared.get(support.label, ())
    known = [float(b) if isinstance(b, int | float) else e for b, e in zip(bounds, (low, high), strict=False)]
    if len(known) == 2:
        low, high = (low if np.isfinite(low) else known[0], high if np.isfinite(high) else known[1])
    return low, high


GRID_POINTS = np.array(GRID)


def _alive(subject: Subject, base: np.ndarray, i: int) -> np.ndarray:
    points = np.repeat(base[None], len(GRID_POINTS), axis=0)
    points[:, i] = GRID_POINTS
    return np.isfinite(subject.at(points).value)


def _ends(subject: Subject, base: np.ndarray, i: int, alive: np.ndarray) -> tuple[float, float] | None:
    """Where on the line through `base` along coordinate i the density begins and ends to be positive.

    As values of the parameter; infinite where there is no end. None where there is no such interval.
    """
    if alive.all():
        return (-np.inf, np.inf)
    inside = np.flatnonzero(alive)
    if not len(inside) or not alive[inside[0] : inside[-1] + 1].all():
        return None
    low = _end(subject, base, i, GRID[inside[0] - 1], GRID[inside[0]]) if inside[0] > 0 else -np.inf
    last = inside[-1]
    high = _end(subject, base, i, GRID[last + 1], GRID[last]) if last + 1 < len(alive) else np.inf
    if any(FAR < abs(end) < np.inf for end in (low, high)):
        return None
    return tuple(_value(subject, base, i, end) for end in (low, high))  # pyright: ignore[reportReturnType]


def _end(subject: Subject, base: np.ndarray, i: int, dead: float, alive: float) -> float:
    """Bisect between a point outside and one inside, many at once."""
    for _ in range(ROUNDS // 5):
        inner = np.linspace(dead, alive, 34)
        points = np.repeat(base[None], 32, axis=0)
        points[:, i] = inner[1:-1]
        good = np.concatenate([[False], np.isfinite(subject.at(points).value), [True]])
        first = int(np.argmax(good))
        dead, alive = float(inner[first - 1]), float(inner[first])
    return alive


def _value(subject: Subject, base: np.ndarray, i: int, end: float) -> float:
    """The parameter's value where coordinate i is `end`."""
    if np.isinf(end):
        return end
    x = base.copy()
    x[i] = end
    part = next(part for part in subject.parts if part.start <= i < part.start + part.size)
    value = np.ravel(subject.values(x)[part.name])
    found = float(value[min(i - part.start, len(value) - 1)])
    return float(np.round(found, 6)) + 0.0


def _too_wide_finding(subject: Subject, name: str, low: float, high: float) -> Finding:
    support = next(p for p in subject.bound.parameters if p.name == name).support
    sizes = ", ".join(f'"{s.text}"' if s.terms else s.text for s in support.shape)
    shape = f"[{sizes}]" if sizes else ""
    better, where = KNOWN.get((low, high), ("", f"0 outside of ({low:g}, {high:g})"))
    better = better or f"Interval({_code(low)}, {_code(high)})"
    return finding(
        "support",
        f"{name} is declared {support!r}, but the density is {where}: declare it {better}",
        location=subject.parameter_line(name),
        parameters=(name,),
        remedy=f"Declare the support that the density has:\n    {name}: {better}{shape}",
    )


def _too_wide_elsewhere(subject: Subject, name: str, low: float, high: float) -> Finding:
    """As `_too_wide_finding`, for a density that does not come from a gradmc program."""
    _, where = KNOWN.get((low, high), ("", f"0 outside of ({low:g}, {high:g})"))
    return finding(
        "support",
        f"the density is {where} of {name}, in coordinates that should be free",
        location=subject.parameter_line(name),
        parameters=(name,),
        remedy="Let the function take an unconstrained coordinate, transform it, and add the log of the derivative "
        "(in a numpyro model: give the site a distribution with that support):\n    x = jnp.exp(z); return "
        "log_density(x) + z",
    )


def _code(end: float) -> str:
    return f"{'-' if end < 0 else ''}math.inf" if np.isinf(end) else f"{end:g}"
