"""Jumps: where branches change sides, and functions with steps take one, does the density jump?

A step that the density does not feel is none: `(x > knot) * (x - knot)`, `np.sin(phase % period)`, a table that is
interpolated. Where no boundary was met, steps are taken for what they mostly are, and branches for harmless.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from jax.extend.core import primitives as jp

from gradmc.check.activity import Landing
from gradmc.check.boundaries import Boundary, boundaries
from gradmc.check.codes import finding
from gradmc.check.differentiable import names_of, told
from gradmc.check.finding import Finding
from gradmc.check.subject import Subject

TOLERANCE = 1e-6
"""Jumps below this, relative to 1 + |log density|, do not matter: `while` loops that run to a tolerance make such."""

STEP_TOLERANCE = 1e-9
"""The same for steps, which no tolerance makes."""

SLOPE_TOLERANCE = 1e-4


def jumps(subject: Subject) -> Iterator[Finding]:
    """Report jumps of value at the boundaries of branches and steps, and note jumps of the gradient."""
    activity, _ = subject.activity
    if any(eqn.primitive in (jp.scan_p, jp.while_p) for eqn in subject.density.equations.eqns):
        subject.skip("jumps within loops of JAX", "conditions inside of scan and while_loop are not followed")
    if not activity.sites and not activity.suspects:
        return
    found = boundaries(subject)
    jumping: set[int] = set()
    for line, landing in activity.branches.items():
        worst = _worst(found.get(line, ()), TOLERANCE)
        if worst is not None and _jumps(worst, TOLERANCE):
            jumping.add(line)
            yield _jump(subject, landing, worst)
        elif worst is not None and _bends(worst):
            yield _bent(subject, landing, worst)
    for key, landing in activity.landings.items():
        line = landing.at.location.line if landing.at.location else 0
        if key not in activity.suspects or (landing.code == "step" and line in jumping):
            continue
        met = [found.get(eqn, []) for eqn in activity.suspects[key]]
        worst = _worst([boundary for some in met for boundary in some], STEP_TOLERANCE)
        if worst is None or not all(met) or _jumps(worst, STEP_TOLERANCE):
            yield _step(subject, landing, worst)
        elif _bends(worst):
            yield _bent(subject, landing, worst)


def _worst(met: Sequence[Boundary], tolerance: float) -> Boundary | None:
    """A boundary with a jump, or else one with a bend, or else any."""
    return max(met, key=lambda b: (_jumps(b, tolerance), _bends(b)), default=None)


def _jumps(boundary: Boundary, tolerance: float) -> bool:
    return boundary.jump > tolerance * (1.0 + max(map(abs, boundary.values)))


def _bends(boundary: Boundary) -> bool:
    return np.isfinite(boundary.bend) and boundary.bend > SLOPE_TOLERANCE * (1.0 + boundary.slope)


def _jump(subject: Subject, landing: Landing, at: Boundary) -> Finding:
    before, after = at.values
    message = (
        f"the log density jumps by {at.jump:.4g} (from {before:.6g} to {after:.6g}), and its gradient by "
        f"{at.bend:.4g}, at {_where(subject, landing, at)}"
    )
    return finding("jump", message, location=landing.at.location, parameters=names_of(landing))


def _bent(subject: Subject, landing: Landing, at: Boundary) -> Finding:
    message = f"the gradient jumps by {at.bend:.4g} at {_where(subject, landing, at)}; the value does not"
    return finding("bent", message, location=landing.at.location, parameters=names_of(landing))


def _step(subject: Subject, landing: Landing, at: Boundary | None) -> Finding:
    message = told(landing)
    if at is not None and _jumps(at, STEP_TOLERANCE):
        message += f", and the log density jumps by {at.jump:.4g} at {_where(subject, landing, at)}"
    return finding(landing.code, message, location=landing.at.location, parameters=names_of(landing))


def _where(subject: Subject, landing: Landing, at: Boundary) -> str:
    point = subject.values(at.x)
    return ", ".join(
        f"{n} = {np.array2string(np.round(point[n], 12), precision=5, threshold=3)}" for n in names_of(landing)[:3]
    )
