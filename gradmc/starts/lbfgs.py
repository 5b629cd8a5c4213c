"""L-BFGS as a search that asks: the way up to a mode of the log density, and what it learns of the curvature.

Nocedal & Wright (2006), algorithm 7.4; the diagonal of the inverse Hessian is updated from step to step, as Pathfinder
wants it (Gilbert & Lemarechal 1989; Zhang, Carpenter, Gelman & Vehtari 2022, appendix A).  Steps satisfy the weak
Wolfe conditions by bisection (Lewis & Overton 2013), which needs no derivative beyond the present one and takes a
density that is not finite for one that is too low.

Products of long vectors are sums over element-wise products: those of BLAS would round differently with the number of
its threads.
"""

import dataclasses
import math

import numpy as np

from gradmc.starts.asking import Search

MEMORY = 12  # steps remembered (with 6, as in Zhang et al. 2022, collinear regressions stall)
SUFFICIENT, CURVATURE = 1e-4, 0.9  # weak Wolfe conditions (Nocedal & Wright 2006, section 3.1)
MOST_TRIALS = 40  # of a step length
LEAST_GAIN = 1e-9  # expected of a step; below it the search has arrived (a needle looks flat for long)
ROUNDING = 1e-13  # of a log density, relative to its size
LEAST_CURVATURE = 1e-12  # cosine of a step and the change of the gradient along it, above which it is remembered

_overflowing = np.errstate(over="ignore", invalid="ignore", divide="ignore")
"""Gradients far out may be so large that their products are not finite; what comes of them is asked for that."""


@dataclasses.dataclass(frozen=True, slots=True)
class Iterate:
    """A point with its log density and gradient."""

    position: np.ndarray
    log_density: float
    gradient: np.ndarray

    @property
    def finite(self) -> bool:
        """Whether the log density and its gradient are."""
        return math.isfinite(self.log_density) and bool(np.all(np.isfinite(self.gradient)))


def look(position: np.ndarray) -> Search[Iterate]:
    """Ask for one point."""
    values, gradients = yield position[None]
    return Iterate(position, float(values[0]), gradients[0])


@dataclasses.dataclass(slots=True)
class Ascent:
    """A search for a mode; `place` is its present iterate.

    Attributes:
        place: where it is.
        diagonal: of the estimate of the inverse Hessian of minus the log density, positive, (dim,).
        steps: the last `MEMORY` steps, each (dim,), oldest first.
        changes: by how much minus the gradient grew along each.
        products: inner products of each step and its change, positive.
        gain: of the last step, in log density.
    """

    place: Iterate
    diagonal: np.ndarray
    steps: list[np.ndarray] = dataclasses.field(default_factory=list)
    changes: list[np.ndarray] = dataclasses.field(default_factory=list)
    products: list[float] = dataclasses.field(default_factory=list)
    gain: float = math.inf

    def advance(self) -> Search[bool]:
        """Take a step; False when there is none to take: it has arrived, or the density is too rough."""
        direction = self._direction()
        slope = _slope(self.place, direction)
        if not LEAST_GAIN < slope < math.inf or slope < ROUNDING * abs(self.place.log_density):
            return False
        reached = yield from _line_search(self.place, direction, slope)
        if reached is None:
            return False
        self._remember(reached)
        self.gain, self.place = reached.log_density - self.place.log_density, reached
        return True

    @_overflowing
    def _direction(self) -> np.ndarray:
        """The quasi-Newton direction: the two-loop recursion."""
        direction = self.place.gradient.copy()
        pairs = list(zip(self.steps, self.changes, self.products, strict=True))
        shares = []
        for step, change, along in reversed(pairs):
            shares.append(inner(step, direction) / along)
            direction -= shares[-1] * change
        if pairs:
            direction *= self.diagonal
        else:  # nothing is known of the curvature: a step of at most unit length
            direction /= max(1.0, length(direction))
        for (step, change, along), share in zip(pairs, reversed(shares), strict=True):
            direction += (share - inner(change, direction) / along) * step
        return direction

    @_overflowing
    def _remember(self, reached: Iterate) -> None:
        """Learn from the step to `reached`, unless it has no positive curvature."""
        step = reached.position - self.place.position
        change = self.place.gradient - reached.gradient
        along = inner(step, change)
        if not along > LEAST_CURVATURE * math.sqrt(inner(step, step)) * math.sqrt(inner(change, change)):
            return
        old = self.diagonal
        weighted = inner(change, old * change)
        inverse = inner(step, step / old)
        diagonal = 1 / (weighted / (along * old) + change**2 / along - weighted * (step / old) ** 2 / (along * inverse))
        if np.all(np.isfinite(diagonal) & (diagonal > 0)):
            self.diagonal = diagonal
        self.steps = [*self.steps, step][-MEMORY:]
        self.changes = [*self.changes, change][-MEMORY:]
        self.products = [*self.products, along][-MEMORY:]


def _line_search(place: Iterate, direction: np.ndarray, slope: float) -> Search[Iterate | None]:
    """A point along `direction` that meets the weak Wolfe conditions; None if none is found.

    Where the trials end while the density still rises steeply, the highest point is taken.
    """
    low, high, share = 0.0, math.inf, 1.0
    best: Iterate | None = None
    for _ in range(MOST_TRIALS):
        trial = yield from look(place.position + share * direction)
        if not trial.finite or trial.log_density < place.log_density + SUFFICIENT * share * slope:
            high = share
        elif _slope(trial, direction) > CURVATURE * slope:
            low, best = share, trial
        else:
            return trial
        share = 2 * low if math.isinf(high) else (low + high) / 2
    return best


@_overflowing
def _slope(place: Iterate, direction: np.ndarray) -> float:
    """The derivative of the log density along a direction."""
    return inner(place.gradient, direction)


def inner(a: np.ndarray, b: np.ndarray) -> float:
    """The inner product of two vectors, by a sum whose order is fixed."""
    return float(np.add.reduce(a * b))


def length(a: np.ndarray) -> float:
    """The Euclidean norm of a vector, without overflow."""
    largest = float(np.max(np.abs(a), initial=0.0))
    return largest * math.sqrt(inner(a / largest, a / largest)) if largest > 0 else 0.0
