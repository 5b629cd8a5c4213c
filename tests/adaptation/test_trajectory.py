"""The trajectory length that many chains adapt: whitening, the slope of the criterion, and the scale that holds it."""

import jax
import numpy as np
import pytest

from gradmc.adaptation.trajectory import slope, whitened
from gradmc.kernels.metric import DenseMetric, DiagonalMetric, LowRankMetric

DIM = 4


def metrics(rng: np.random.Generator) -> list[object]:
    vectors = np.linalg.qr(rng.standard_normal((DIM, 3)))[0].T
    scale = np.exp(rng.standard_normal(DIM))
    return [
        DiagonalMetric(scale=scale),  # pyright: ignore
        LowRankMetric(scale=scale, vectors=vectors, stretch=np.array([3.0, 0.2, 7.0]), used=np.int32(2)),  # pyright: ignore
        DenseMetric(factor=rng.standard_normal((DIM, DIM)) + 3 * np.eye(DIM)),  # pyright: ignore
    ]


@pytest.mark.parametrize("kind", [0, 1, 2], ids=["diagonal", "low_rank", "dense"])
def test_whitening_undoes_the_metric(kind: int, rng: np.random.Generator, x64: None) -> None:
    metric, z = metrics(rng)[kind], rng.standard_normal((5, DIM))
    pushed = np.asarray(jax.vmap(metric.push)(z))  # type: ignore[attr-defined]
    np.testing.assert_allclose(whitened(metric, pushed), z, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("length", "sign"), [(0.4, 1), (1.5, -1)])
def test_the_slope_leads_to_the_best_length(length: float, sign: int, rng: np.random.Generator) -> None:
    """On standard normals E sin(t)^2, for t uniform on (0, 2 T), is largest where tan(4 T) = 4 T: T = 1.123."""
    best = 1.1234
    for dim in (1, 5):
        start, momentum = rng.standard_normal((2, 200_000, dim))
        for factor, expected in ((length / best, sign), (1.0, 0)):
            time = 2 * best * factor * rng.uniform(size=(len(start), 1))
            end = start * np.cos(time) + momentum * np.sin(time)
            velocity = momentum * np.cos(time) - start * np.sin(time)
            found = slope(start, end, velocity, time[:, 0], np.ones(len(start)))
            error = 3.0 * dim / np.sqrt(len(start)) * 5
            assert found * expected > error or (expected == 0 and abs(found) < error)


def test_rejected_and_lost_chains_do_not_count(rng: np.random.Generator) -> None:
    start, end, velocity = rng.standard_normal((3, 50, DIM))
    time, accepted = np.ones(50), np.ones(50)
    lost = np.concatenate([end, np.full((2, DIM), np.nan)])
    longer = [np.concatenate([a, a[:2]]) for a in (start, velocity, time)]
    weights = np.concatenate([accepted, [1.0, 0.5]])
    found = slope(longer[0], lost, longer[1], longer[2], weights)
    np.testing.assert_allclose(found, slope(start, end, velocity, time, accepted))
    assert slope(start, end, velocity, time, 0 * accepted) == 0.0
