"""Supports of matrices: correlation and covariance matrices and their Cholesky factors.

Row i of the Cholesky factor L of a correlation matrix has length 1. Lewandowski, Kurowicka & Joe (2009) break it like a
stick: with z = tanh(x) of one free coordinate per entry below the diagonal (the partial correlations),

    L[i, j] = z[i, j] exp(s[i, j]),  L[i, i] = exp(s[i, i]),  s[i, j] = 1/2 sum of log(1 - z[i, k]^2) over k < j.

The map, the order of the coordinates and the log-determinant are those of numpyro (`corr_cholesky`, `corr_matrix`).
numpyro takes what is left of the stick from 1 - sum of L[i, k]^2, which cancels as soon as a row is long; here it
stays a sum of logarithms, and log(1 - z^2) = -2 log cosh(x) is taken from x.
"""

import math
from dataclasses import dataclass
from typing import Any, override

import jax.numpy as jnp
import numpy as np

from gradmc.program.support import ROUNDING, START_RADIUS, Bijective

_LOG_2 = math.log(2.0)


@dataclass(frozen=True, eq=False, repr=False)
class MatrixSupport(Bijective):
    """A support of square matrices."""

    axes: int = 2

    @override
    def rounded(self, value: np.ndarray) -> np.ndarray:
        return rounded_matrix(self.constraint, value)

    @override
    def start_radius(self, shape: tuple[int, ...]) -> float:
        """Narrower for larger matrices: at random entries of a fixed size, K rows are singular to exp(-K) or so."""
        return START_RADIUS / math.sqrt(shape[-1])


@dataclass(frozen=True, eq=False, repr=False)
class CorrelationFactor(MatrixSupport):
    """Cholesky factors of correlation matrices."""

    constraint: str = "corr_cholesky"

    @override
    def constrain(self, x: Any, bounds: tuple[Any, ...]) -> tuple[Any, Any]:
        factor, log_slope = _stick_breaking(x)
        rows, columns = np.tril_indices(factor.shape[-1], -1)
        # Each entry scales those to its right in its row; its own slope is 1 - z^2.
        return factor, _weighted(log_slope, 1.0 + 0.5 * (rows - 1 - columns))

    @override
    def unconstrain(self, value: Any, bounds: tuple[Any, ...]) -> Any:
        value = jnp.asarray(value)
        # What is left of the stick is summed from its end: sinh(x) = z / sqrt(1 - z^2).
        rest = jnp.sqrt(jnp.flip(jnp.cumsum(jnp.flip(value**2, -1), axis=-1), -1))
        rows, columns = np.tril_indices(value.shape[-1], -1)
        return jnp.arcsinh(value[..., rows, columns] / rest[..., rows, columns + 1])


@dataclass(frozen=True, eq=False, repr=False)
class CorrelationMatrix(MatrixSupport):
    """Correlation matrices, built from their Cholesky factors."""

    has_factor = True
    constraint: str = "corr_matrix"

    @override
    def factorised(self, x: Any, bounds: tuple[Any, ...]) -> tuple[Any, Any, Any]:
        factor, log_slope = _stick_breaking(x)
        size = factor.shape[-1]
        _, columns = np.tril_indices(size, -1)
        # R[i, j] has the slope L[j, j] in L[i, j].
        return _square(factor), factor, _weighted(log_slope, 1.0 + 0.5 * (size - 2 - columns))

    @override
    def constrain(self, x: Any, bounds: tuple[Any, ...]) -> tuple[Any, Any]:
        value, _, log_det = self.factorised(x, bounds)
        return value, log_det

    @override
    def unconstrain(self, value: Any, bounds: tuple[Any, ...]) -> Any:
        return CorrelationFactor(self.label).unconstrain(jnp.linalg.cholesky(value), bounds)


@dataclass(frozen=True, eq=False, repr=False)
class CovarianceMatrix(MatrixSupport):
    """Symmetric positive definite matrices, built from their Cholesky factors."""

    has_factor = True
    constraint: str = "positive_definite"

    @override
    def factorised(self, x: Any, bounds: tuple[Any, ...]) -> tuple[Any, Any, Any]:
        to_factor, to_matrix = self._transform().parts
        factor = to_factor(x)
        value = to_matrix(factor)
        log_dets = to_factor.log_abs_det_jacobian(x, factor), to_matrix.log_abs_det_jacobian(factor, value)
        return value, factor, sum(map(jnp.sum, log_dets))


def rounded_matrix(constraint: str, value: np.ndarray) -> np.ndarray:
    """A matrix made symmetric, triangular, of unit diagonal or of rows of length 1, where it is so but for rounding."""
    mirrored = np.swapaxes(value, -1, -2)
    size = np.max(np.abs(value), initial=0.0)
    if constraint in ("corr_matrix", "positive_definite"):
        if not np.all(np.abs(value - mirrored) <= ROUNDING * size):
            return value
        value = 0.5 * (value + mirrored)
    ones = np.eye(value.shape[-1], dtype=bool)
    if constraint == "corr_matrix" and np.all(np.abs(value[..., ones] - 1.0) <= ROUNDING):
        value = np.where(ones, 1.0, value)
    if constraint == "corr_cholesky":
        length = np.sqrt(np.sum(value**2, axis=-1, keepdims=True))
        value = value / length if np.all(np.abs(length - 1.0) <= ROUNDING) else value
    return value


def _stick_breaking(x: Any) -> tuple[Any, Any]:
    """The factor (..., K, K), and log(1 - tanh(x)^2)."""
    far = jnp.abs(x)
    log_slope = -2.0 * (far + jnp.log1p(jnp.exp(-2.0 * far)) - _LOG_2)
    size = (1 + math.isqrt(1 + 8 * x.shape[-1])) // 2
    lower = np.tri(size, k=-1)
    place = np.where(lower, (np.cumsum(lower) - 1).reshape(size, size), -1).astype(int)
    entries = _placed(jnp.tanh(x), place) + np.eye(size, dtype=x.dtype)
    left = 0.5 * jnp.cumsum(
        _placed(log_slope, place[:, :-1]), axis=-1
    )  # of the stick, before each column but the first
    left = jnp.pad(left, [(0, 0)] * (left.ndim - 1) + [(1, 0)])
    return entries * jnp.exp(left), log_slope


def _placed(x: Any, place: np.ndarray) -> Any:
    """Entries of the last axis of x where `place` says, 0 where it says -1."""
    if not x.size:
        return jnp.zeros((*x.shape[:-1], *place.shape), x.dtype)
    from gradmc.program.middle.take import take  # the middle end takes long to import

    if x.ndim == 1:
        return take(x, place)
    return jnp.moveaxis(take(jnp.moveaxis(x, -1, 0), place), (0, 1), (-2, -1))


def _square(factor: Any) -> Any:
    return jnp.matmul(factor, jnp.swapaxes(factor, -1, -2))


def _weighted(x: Any, weights: np.ndarray) -> Any:
    return jnp.sum(weights.astype(x.dtype) * x)
