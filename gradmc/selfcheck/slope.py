"""A derivative by differences, with an estimate of its error.

Central differences at steps that shrink by `RATIO`, extrapolated to step 0 (Ridders 1982, 'Accurate computation of
F'(x) and F'(x) F''(x)', Adv. Eng. Softw. 4; Press et al., 'Numerical Recipes', section 5.7). The entry of the table
that differs least from its neighbours is the result and this difference its error, so a step across a jump or a corner
does no harm as long as some shorter steps lie within a smooth piece.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

type Evaluate = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""Value and gradient at a flat vector."""

FIRST_STEP = 0.1
RATIO = 4.0
STEPS = 9
"""Steps from 0.1 to 1.5e-6 on the unconstrained scale, in which chains start within (-2, 2)."""

ENOUGH = 1e-7
"""No further step once the error estimate is this small, relative to the slope, and the gradient agrees."""

SHORTEST = 3
"""Steps in which the gradient's own variation is looked at: between two points a fine ripple can look like none."""

NEIGHBOURS = 5
"""Points on either side whose values tell how much these waver."""

SURE = 10.0
"""A difference counts when it is this many times the error estimate."""

KNOWN = 0.01
"""The error estimate, relative to the scale, from which on a quotient says nothing."""


@dataclass(frozen=True, slots=True)
class Slope:
    """A derivative along a direction.

    Attributes:
        quotient: by differences; NaN where no two points had finite values.
        error: what it may be wrong by.
        gradient: by the gradient.
        scale: sum of the absolute values that the gradient's is the sum of.
        bend: how far the gradient's slope varies between the points of the shortest steps.
        tolerance: relative to `scale`, what central differences reach in this precision: the cube root of its epsilon.
        floor: the slope that would be 0 in this precision.
    """

    quotient: float
    error: float
    gradient: float
    scale: float
    bend: float
    tolerance: float
    floor: float

    @property
    def gap(self) -> float:
        """How far quotient and gradient lie apart, relative to the scale."""
        return abs(self.quotient - self.gradient) / max(self.scale, abs(self.quotient), self.floor)

    @property
    def known(self) -> bool:
        """Whether the quotient is good enough to say anything."""
        return bool(self.error <= KNOWN * max(self.scale, abs(self.quotient), self.floor))

    @property
    def differs(self) -> bool:
        """Whether the gradient is not the derivative."""
        allowed = SURE * self.error + 3 * self.bend + self.tolerance * self.scale
        return bool(self.known and abs(self.quotient - self.gradient) > allowed)


def slope(evaluate: Evaluate, x: np.ndarray, value: float, gradient: np.ndarray, direction: np.ndarray) -> Slope:
    """The derivative along `direction`, shape (dim,), at x, where value and gradient are known."""
    eps = float(np.finfo(x.dtype).eps)
    expected = float(gradient @ direction)
    table = np.full((STEPS, STEPS), np.nan)
    tolerance, scale = eps ** (1 / 3), float(np.abs(gradient) @ np.abs(direction))
    best, error, shortest, bends = np.nan, np.inf, np.inf, []
    for i in range(STEPS):
        step = FIRST_STEP / RATIO**i
        ends = [x + (sign * step * direction).astype(x.dtype) for sign in (1, -1)]
        values, gradients = zip(*(evaluate(end) for end in ends), strict=True)
        length = float((ends[0] - ends[1]) @ direction) / float(direction @ direction)
        table[i, 0] = (values[0] - values[1]) / length
        rounding = 4 * eps * (1.0 + abs(value)) / length
        factor = 1.0
        for j in range(1, i + 1):
            factor *= RATIO**2
            table[i, j] = (factor * table[i, j - 1] - table[i - 1, j - 1]) / (factor - 1.0)
            doubt = max(abs(table[i, j] - table[i, j - 1]), abs(table[i, j] - table[i - 1, j - 1])) + rounding
            if doubt < error:
                best, error, shortest = float(table[i, j]), float(doubt), length
        slopes = [float(g @ direction) for g in gradients]
        bends.append(float(np.nanmax([0.0, *(abs(s - expected) for s in slopes)])))
        settled = error <= ENOUGH * abs(best) and bends[-1] <= 1e-2 * abs(expected)
        if settled and abs(best - expected) <= tolerance * scale:
            break
    if abs(best - expected) > tolerance * scale:  # a value that wavers may look like a slope
        error += SURE * _wavering(evaluate, x, direction, eps) / shortest
    return Slope(
        quotient=best,
        error=error,
        gradient=expected,
        scale=scale,
        bend=max(bends[-SHORTEST:]),
        tolerance=tolerance,
        floor=tolerance * (1.0 + abs(value)),
    )


def _wavering(evaluate: Evaluate, x: np.ndarray, direction: np.ndarray, eps: float) -> float:
    """The noise of values next to each other: third differences have 20 times the variance of a value."""
    step = direction * eps ** (1 / 3) / np.max(np.abs(direction))
    values = [evaluate(x + (k * step).astype(x.dtype))[0] for k in range(-NEIGHBOURS, NEIGHBOURS + 1)]
    thirds = np.diff(values, 3)
    return float(np.sqrt(np.mean(thirds**2) / 20)) if np.all(np.isfinite(thirds)) else 0.0
