"""A metric is a linear map and its adjoint."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from tests.kernels.metrics import KINDS, make_metric


@pytest.mark.parametrize("dim", [1, 2, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_its_matrix(kind: str, dim: int, rng: np.random.Generator) -> None:
    metric, matrix = make_metric(kind, rng, dim)
    w = rng.standard_normal(dim)
    np.testing.assert_allclose(metric.push(jnp.asarray(w)), matrix @ w, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(metric.pull(jnp.asarray(w)), matrix.T @ w, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_pull_is_the_adjoint_of_push(kind: str, rng: np.random.Generator) -> None:
    metric, _ = make_metric(kind, rng, 4)
    w, g = (jnp.asarray(rng.standard_normal(4)) for _ in range(2))
    np.testing.assert_allclose(jnp.sum(metric.push(w) * g), jnp.sum(w * metric.pull(g)), rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keeps_the_dtype(kind: str, dtype: type, rng: np.random.Generator) -> None:
    metric, _ = make_metric(kind, rng, 3, dtype)
    w = jnp.asarray(rng.standard_normal(3), dtype)
    assert metric.push(w).dtype == metric.pull(w).dtype == dtype


def test_a_low_rank_metric_without_directions_is_diagonal(rng: np.random.Generator) -> None:
    metric, _ = make_metric("low_rank", rng, 3)
    metric = dataclasses.replace(metric, used=jnp.int32(0))
    w = jnp.asarray(rng.standard_normal(3))
    np.testing.assert_array_equal(metric.push(w), metric.scale * w)
    np.testing.assert_array_equal(metric.pull(w), metric.scale * w)
