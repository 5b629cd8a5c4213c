"""Are these numbers uniform on (0, 1)? The graphical test of Säilynoja, Bürkner & Vehtari (2022).

The empirical distribution function is looked at in K equidistant points. At each of them the number of values
below is binomial, which gives a p-value per point; the test statistic is the smallest of them. Its
distribution is exact: the counts form a Markov chain along the points, so the probability that all of them
stay within their bands is a product of matrices (their algorithm 2; Statistics and Computing 32:32,
https://arxiv.org/abs/2103.10522).
"""

import functools
import itertools
from dataclasses import dataclass

import numpy as np

POINTS = 50


@dataclass(frozen=True, slots=True)
class Bands:
    """Simultaneous bands of an empirical distribution function: at `points`, from `lower` to `upper`."""

    points: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


class Uniformity:
    """The test for samples of one size."""

    def __init__(self, count: int) -> None:
        from scipy import stats

        self.count = count
        self.points = np.arange(1, min(count, POINTS)) / min(count, POINTS)
        counts = np.arange(count + 1)
        below = stats.binom.cdf(counts[None, :], count, self.points[:, None])
        above = stats.binom.sf(counts[None, :] - 1, count, self.points[:, None])
        self.pointwise = np.minimum(1.0, 2.0 * np.minimum(below, above))
        """p-value of every count at every point, shape (points, count + 1)."""

    @functools.cached_property
    def _transitions(self) -> list[np.ndarray]:
        """For each point the probabilities of its count (column) given that at the point before (row)."""
        from scipy import stats

        counts = np.arange(self.count + 1)
        edges = np.concatenate([[0.0], self.points])
        matrices = []
        for before, here in itertools.pairwise(edges):
            share = (here - before) / (1.0 - before)
            added = counts[None, :] - counts[:, None]
            left = self.count - counts[:, None]
            matrices.append(np.where(added >= 0, stats.binom.pmf(added, left, share), 0.0))
        return matrices

    def coverage(self, gamma: float) -> float:
        """Probability that the p-values at all points exceed gamma."""
        state = np.zeros(self.count + 1)
        state[0] = 1.0
        for matrix, inside in zip(self._transitions, self.pointwise > gamma, strict=True):
            state = (state @ matrix) * inside
        return float(state.sum())

    def p_value(self, values: np.ndarray) -> float:
        """p-value of the hypothesis that the values, shape (count,), are independent and uniform on (0, 1)."""
        counts = np.sum(np.asarray(values)[None, :] <= self.points[:, None], axis=1)
        gamma = float(np.min(self.pointwise[np.arange(len(self.points)), counts]))
        return max(0.0, 1.0 - self.coverage(gamma * (1 - 1e-12)))

    def bands(self, probability: float = 0.95) -> Bands:
        """Bands that hold the whole function with at least this probability."""
        low, high = 0.0, 1.0
        for _ in range(30):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self.coverage(middle) >= probability else (low, middle)
        inside = self.pointwise > low
        counts = np.arange(self.count + 1)
        lower = np.array([counts[row].min() for row in inside]) / self.count
        upper = np.array([counts[row].max() for row in inside]) / self.count
        return Bands(self.points, lower, upper)
