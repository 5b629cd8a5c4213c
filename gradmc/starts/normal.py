"""The normal approximation that a step of L-BFGS gives: mean, and covariance as a diagonal and a few directions.

Zhang, Carpenter, Gelman & Vehtari (2022, 'Pathfinder: parallel quasi-Newton variational inference'), appendix A: the
inverse Hessian is diag(a) + B C B' with B = [diag(a) Z, S], from the last steps S and gradient changes Z, and the mean
is one Newton step from the iterate.  With diag(a)^(-1/2) B = Q R, Q orthonormal, the covariance is
diag(a)^(1/2) (I + Q (R C R') Q') diag(a)^(1/2), and the eigenvectors of R C R' turn Q into directions of their own
variance: the form of `gradmc.adaptation.spectrum`.
"""

import dataclasses
import math

import numpy as np

from gradmc.adaptation.linear_algebra import eigh, one_thread, solve_upper
from gradmc.adaptation.spectrum import Spectrum, estimate
from gradmc.starts.lbfgs import Ascent


@dataclasses.dataclass(frozen=True, slots=True)
class NormalApproximation:
    """Normal with a mean (dim,) and a covariance."""

    mean: np.ndarray
    covariance: Spectrum

    @one_thread()
    def draw(self, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points made of standard normal `noise` (n, dim), and the log densities of the approximation there, (n,)."""
        scale, values, vectors = self.covariance.scale, self.covariance.values, self.covariance.vectors
        along = noise @ vectors * (np.sqrt(values) - 1)
        points = self.mean + scale * (noise + along @ vectors.T)
        log_volume = np.sum(np.log(scale)) + np.sum(np.log(values)) / 2
        constant = log_volume + self.mean.size * math.log(2 * math.pi) / 2
        return points, -np.sum(noise**2, axis=1) / 2 - constant

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """The log densities of the approximation at points (n, dim), shape (n,)."""
        log_volume = np.sum(np.log(self.covariance.scale)) + np.sum(np.log(self.covariance.values)) / 2
        squares = np.sum(self._noise(points) ** 2, axis=1)
        return -squares / 2 - log_volume - self.mean.size * math.log(2 * math.pi) / 2

    def distance(self, point: np.ndarray) -> float:
        """The squared distance of a point (dim,) from the mean, in standard deviations."""
        with np.errstate(over="ignore", invalid="ignore"):
            return float(np.sum(self._noise(point[None]) ** 2))

    @one_thread()
    def _noise(self, points: np.ndarray) -> np.ndarray:
        """The standard normal noise of which `draw` would make these points."""
        scale, values, vectors = self.covariance.scale, self.covariance.values, self.covariance.vectors
        shifted = (points - self.mean) / scale
        along = shifted @ vectors * (1 / np.sqrt(values) - 1)
        return shifted + along @ vectors.T


@one_thread()
def approximation(ascent: Ascent) -> NormalApproximation | None:
    """The approximation at the present iterate; None where it is not finite or has no positive variance."""
    with np.errstate(all="ignore"):
        scale = np.sqrt(ascent.diagonal)
        vectors, values = _directions(ascent, scale)
        if not np.all(np.isfinite(values) & (values > 0)):
            return None
        covariance = Spectrum(scale=scale, values=values, vectors=vectors)
        return _newton(ascent.place.position, ascent.place.gradient, covariance)


def _newton(position: np.ndarray, gradient: np.ndarray, covariance: Spectrum) -> NormalApproximation | None:
    """The normal with this covariance whose log density has this gradient at this position."""
    force = covariance.scale * gradient
    along = force @ covariance.vectors * (covariance.values - 1)
    mean = position + covariance.scale * (force + covariance.vectors @ along)
    return NormalApproximation(mean=mean, covariance=covariance) if np.all(np.isfinite(mean)) else None


@one_thread()
def by_fisher_divergence(points: np.ndarray, gradients: np.ndarray) -> NormalApproximation | None:
    """The normal whose log density has these gradients (n, dim) at these points, as nearly as can be; None if none has.

    Its covariance S solves S G S = C, where C and G are the covariances of points and gradients (Seyboldt, Carlson &
    Carpenter 2025), and its mean is the mean point plus S times the mean gradient.  Both are exact where the density is
    normal, wherever the points come from, as far as they reach.
    """
    found = estimate(points, gradients)
    return None if found is None else _newton(points.mean(axis=0), gradients.mean(axis=0), found)


def _directions(ascent: Ascent, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal directions (dim, rank) and the variances along them (rank,), where the diagonal has variance 1."""
    if not ascent.steps:
        return np.zeros((scale.size, 0)), np.zeros(0)
    steps, changes = np.stack(ascent.steps, axis=1), np.stack(ascent.changes, axis=1)
    scaled = changes * scale[:, None]
    columns = np.concatenate([scaled, steps / scale[:, None]], axis=1)
    basis = np.linalg.qr(columns)[0]
    coordinates = basis.T @ columns
    core = _core(steps.T @ changes, scaled.T @ scaled)
    matrix = np.eye(basis.shape[1]) + coordinates @ core @ coordinates.T
    values, turn = eigh((matrix + matrix.T) / 2)
    return basis @ turn, values


def _core(products: np.ndarray, curvature: np.ndarray) -> np.ndarray:
    """C of the inverse Hessian, from S'Z and Z' diag(a) Z."""
    inverse = solve_upper(np.triu(products), np.eye(len(products)))
    lower = inverse.T @ (np.diag(np.diag(products)) + curvature) @ inverse
    return np.block([[np.zeros_like(inverse), -inverse], [-inverse.T, lower]])
