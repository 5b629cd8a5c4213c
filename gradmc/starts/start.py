"""The contract of a way to start.

Implementing a start: a frozen dataclass with settings as fields and a method `find`, which is called once per run,
before any chain moves, and may ask for the log density and gradient at any points.  What it finds must be a function of
its arguments alone, and the point of chain k must not depend on the other chains asked for: a run that is resumed, or
extended by chains, finds the same points again.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from gradmc.starts.asking import Evaluate, Explore
from gradmc.starts.normal import NormalApproximation

SUPERCHAINS = 64
"""Starting points of a run at most: chain k begins where chain k modulo this number does.

Chains that begin at one point are a superchain, by which nested R-hat tells whether the starting points are forgotten
(Margossian, Hoffman, Sountsov, Riou-Durand, Vehtari & Gelman 2024).
"""


@dataclasses.dataclass(frozen=True, slots=True)
class StartingPoint:
    """Where a chain starts.

    Attributes:
        position: (dim,), unconstrained.
        normal: the approximation that it comes from; gives the first metric.
        path: number of the path that found it.
        elbo: evidence lower bound of that path, in nats.
    """

    position: np.ndarray
    normal: NormalApproximation
    path: int
    elbo: float


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """What a start has found.

    Attributes:
        points: one per chain asked for.
        gradients: evaluations it took.
        note: how it went, in a few words, for the results.
        another: a point for a chain that stands still there, given its number and how often it has started again
            before; a function of these and the seed alone, whichever chains were asked for. None where there is none.
    """

    points: tuple[StartingPoint, ...]
    gradients: int
    note: str
    another: Callable[[int, int], StartingPoint] | None = None


class Start(Protocol):
    """Finds starting points."""

    def find(
        self,
        evaluate: Evaluate,
        radius: np.ndarray,
        seed: int,
        chains: Sequence[int],
        explore: Explore | None = None,
    ) -> Found | None:
        """Starting points for chains.

        Args:
            evaluate: log densities and gradients at points (n, dim).
            radius: (dim,): how far from 0 random points may lie on the unconstrained scale.
            seed: the run's seed.
            chains: their numbers.
            explore: short chains, where the run can make them.

        Returns:
            What was found; None where nothing useful was, so that the chains start as `start="uniform"` does.
        """
        ...
