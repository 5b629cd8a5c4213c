"""One metric of each kind, with the matrix F that it stands for: a registry for parametrised laws."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from gradmc.kernels.metric import DenseMetric, DiagonalMetric, LowRankMetric

KINDS = ("diagonal", "dense", "low_rank")


def make_metric(kind: str, rng: np.random.Generator, dim: int, dtype: Any = np.float64) -> tuple[Any, np.ndarray]:
    """A random metric and its matrix."""
    scale = rng.uniform(0.5, 2.0, dim)
    if kind == "diagonal":
        return DiagonalMetric(scale=jnp.asarray(scale, dtype)), np.diag(scale)
    if kind == "dense":
        factor = scale[:, None] * (np.eye(dim) + 0.3 * rng.standard_normal((dim, dim)))
        return DenseMetric(factor=jnp.asarray(factor, dtype)), factor
    rank = min(2, dim)
    rows = np.linalg.qr(rng.standard_normal((dim, rank)))[0].T
    stretch = rng.uniform(0.3, 3.0, rank)
    unused = rng.standard_normal((1, dim))
    metric = LowRankMetric(
        scale=jnp.asarray(scale, dtype),
        vectors=jnp.asarray(np.concatenate([rows, unused]), dtype),
        stretch=jnp.asarray(np.append(stretch, 7.0), dtype),
        used=jnp.int32(rank),
    )
    inner = np.eye(dim) + rows.T @ np.diag(stretch - 1) @ rows
    return metric, scale[:, None] * inner
