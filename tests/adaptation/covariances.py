"""Covariances of any condition, and how a metric does on them."""

import numpy as np


def random_covariance(rng: np.random.Generator, dim: int, condition: float) -> np.ndarray:
    """Eigenvalues from 1 to `condition`, in random directions."""
    basis = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    return (basis * np.geomspace(1, condition, dim)) @ basis.T


def condition_after(factor: np.ndarray, covariance: np.ndarray) -> float:
    """Condition number of the covariance in the metric's coordinates."""
    whitened = np.linalg.solve(factor, np.linalg.solve(factor, covariance).T)
    return float(np.linalg.cond((whitened + whitened.T) / 2))
