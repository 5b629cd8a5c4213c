"""An inverse mass matrix from a window of draws and gradients: a diagonal, and directions in their span.

The inverse mass matrix S that minimises the Fisher divergence to a normal solves S G S = C, where C and G are the
covariances of draws and gradients: S is the geometric mean of C and the inverse of G (Seyboldt, Carlson & Carpenter
2025).  Draws and gradients are first scaled by the diagonal solution, so that S is close to the identity, and both
covariances are shrunk towards the identity.

At right angles to all draws and gradients both covariances are the same multiple of the identity, and S is one.  So S
is computed in an orthonormal basis of their joint span wherever that is smaller than the space: time rows^2 x dim,
memory rows x dim.
"""

import dataclasses

import numpy as np

from gradmc.adaptation.linear_algebra import cholesky, eigh, one_thread, pivoted_cholesky, solve_lower, solve_upper

SHRINKAGE = 0.1  # draws that the identity counts for in each covariance (measured: 1e-3 to 1 do about as well)
NEGLIGIBLE = 1e-6  # of the shrinkage: squares along a direction that the shrinkage covers
MIN_ROWS = 3
PRECISION = 1e-12  # of the largest square along a direction: what rounding leaves of the smallest
ROUNDING = 1e-13  # spread of a column that is constant, in units of its mean: from summing up to 1,024 rows


def scale_limits(dtype: np.dtype) -> tuple[float, float]:
    """The smallest and largest scale in use: inverse masses and their squares do not overflow."""
    largest = float(np.finfo(dtype).max) ** 0.25
    return 1 / largest, largest


@dataclasses.dataclass(frozen=True, slots=True)
class Spectrum:
    """An inverse mass matrix: diag(scale) (I + V diag(values - 1) V') diag(scale)."""

    scale: np.ndarray  # (dim,)
    values: np.ndarray  # (rank,), positive
    vectors: np.ndarray  # V, (dim, rank), orthonormal columns


@one_thread()
def estimate(draws: np.ndarray, gradients: np.ndarray, rank: int | None = None) -> Spectrum | None:
    """The estimate from draws and gradients, each (n, dim).

    Args:
        draws: the draws; any numbers.
        gradients: the gradients there.
        rank: how many directions to keep: those whose values are farthest from 1.  None for all.

    Returns:
        None where the rows say too little, or no finite and positive definite matrix comes of them.
    """
    with np.errstate(all="ignore"):
        return _estimate(np.concatenate([draws, gradients], dtype=np.float64), rank)


def _estimate(rows: np.ndarray, rank: int | None) -> Spectrum | None:
    count, dim = len(rows) // 2, rows.shape[1]
    scale = _whiten(rows) if count >= MIN_ROWS else None
    if scale is None:
        return None
    if dim <= len(rows):
        values, vectors = _geometric_mean(rows)
        chosen = farthest(values, rank)
        values, vectors = values[chosen], vectors[:, chosen]
    else:
        values, vectors = _within_span(rows, rank)
    usable = np.all(np.isfinite(values) & (values > 0)) and np.all(np.isfinite(vectors))
    return Spectrum(scale=scale, values=values, vectors=vectors) if usable else None


def _whiten(rows: np.ndarray) -> np.ndarray | None:
    """Centre and scale draws and gradients in place by the diagonal solution, which is returned.

    None where a column is not finite, or constant up to rounding.
    """
    draws, gradients = np.split(rows, 2)
    spreads = []
    for part in (draws, gradients):
        mean = part.mean(axis=0)
        part -= mean
        spread = np.sqrt(np.einsum("ki,ki->i", part, part) / len(part))
        if not np.all(np.isfinite(spread) & (spread > ROUNDING * np.abs(mean))):
            return None
        spreads.append(spread)
    scale = np.clip(np.sqrt(spreads[0] / spreads[1]), *scale_limits(rows.dtype))
    draws /= scale
    gradients *= scale
    return scale


def _within_span(rows: np.ndarray, rank: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Values and vectors of the geometric mean in the span of the rows.

    With Z the rows, Z Z' = R' R and R[:, pivots] = P upper triangular, the columns of Z[pivots]' P^-1 are an
    orthonormal basis, in which the rows have the coordinates R'.
    """
    products = rows @ rows.T
    tolerance = max(NEGLIGIBLE * SHRINKAGE, PRECISION * float(np.max(products.diagonal())))
    factor, pivots = pivoted_cholesky(products, tolerance)
    values, vectors = _geometric_mean(factor.T)
    chosen = farthest(values, rank)
    weights = np.zeros((len(rows), len(chosen)))
    weights[pivots] = solve_upper(factor[:, pivots], vectors[:, chosen])
    return values[chosen], _orthonormal(rows.T @ weights)


def farthest(values: np.ndarray, rank: int | None) -> np.ndarray:
    """The indices of the `rank` values farthest from 1, those first; all in their order for None."""
    return np.arange(len(values)) if rank is None else np.argsort(-np.abs(np.log(values)), kind="stable")[:rank]


def _orthonormal(vectors: np.ndarray) -> np.ndarray:
    """Vectors in columns that are orthonormal up to the rounding of an ill-conditioned basis, made so."""
    return vectors @ solve_lower(cholesky(vectors.T @ vectors), np.eye(vectors.shape[1])).T


def _geometric_mean(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors of C # G^-1, for the shrunk covariances C and G of draws and gradients."""
    covariance, information = (_shrunk(part) for part in np.split(rows, 2))
    # With information = L L', the geometric mean is L^-T (L' covariance L)^(1/2) L^-1.
    lower = cholesky(information)
    inner = lower.T @ covariance @ lower
    middle, turn = eigh((inner + inner.T) / 2)
    half = solve_upper(lower.T, turn * middle**0.25)
    return eigh(half @ half.T)


def _shrunk(rows: np.ndarray) -> np.ndarray:
    """Covariance of centred `rows`, shrunk towards the identity."""
    count, dim = rows.shape
    return (rows.T @ rows + SHRINKAGE * np.eye(dim)) / (count + SHRINKAGE)
