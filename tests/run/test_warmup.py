"""Warmup end to end: acceptance, scales and correlations of known targets."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.run.doubles import run
from tests.targets import Target, correlated_normal, scaled_normal, target_of

UNIT = target_of("unit")
SCALES = np.logspace(-3, 3, 5)
SCALED = Target(function=scaled_normal, dim=5, arguments=SCALES)


def strongly_correlated(dim: int = 5, correlation: float = 0.999) -> np.ndarray:
    return (1 - correlation) * np.eye(dim) + correlation


def statistic(sink: Any, name: str) -> np.ndarray:
    return np.array([sink.draws(chain, group="sample_stats", name=name) for chain in range(2)])


@pytest.mark.parametrize("kernel", ["nuts", "hmc"])
@pytest.mark.parametrize("target_accept", [0.6, 0.8, 0.95])
def test_the_target_acceptance_is_reached(kernel: str, target_accept: float) -> None:
    """The symmetric acceptance 2 s / (1 + s) aims at it; the plain one lies between it and half way to 1."""
    sink, _ = run(UNIT, kernel=kernel, metric="diagonal", target_accept=target_accept, warmup=500, draws=500)
    reached = statistic(sink, "acceptance_rate").mean()
    assert target_accept - 0.04 < reached < (1 + target_accept) / 2 + 0.04


@pytest.mark.parametrize("metric", ["diagonal", "low_rank", "dense"])
def test_scales_over_six_decades(metric: str) -> None:
    """All adaptations find them; the draws have them."""
    sink, sampler = run(SCALED, metric=metric, warmup=400, draws=400)
    assert statistic(sink, "n_steps").mean() < 12
    for lane in sampler.lanes:
        found = jax.tree.map(lambda leaf: np.asarray(leaf)[0], lane.state.chain.adapted.metric)
        inverse_mass = np.sum(found.factor**2, axis=1) if metric == "dense" else found.scale**2
        np.testing.assert_allclose(np.sqrt(inverse_mass), SCALES, rtol=0.5)
    draws = np.concatenate([sink.draws(chain) for chain in range(2)])
    np.testing.assert_allclose(draws.std(axis=0), SCALES, rtol=0.25)


def test_correlations_make_dense_and_low_rank_cheaper() -> None:
    covariance = strongly_correlated()
    target = Target(function=correlated_normal, dim=5, arguments=np.linalg.inv(covariance))
    steps = {}
    for metric in ("diagonal", "low_rank", "dense"):
        sink, sampler = run(target, metric=metric, warmup=400, draws=200)
        steps[metric] = statistic(sink, "n_steps").mean()
        if metric == "dense":
            for lane in sampler.lanes:
                factor = np.asarray(lane.state.chain.adapted.metric.factor)[0]
                whitened = np.linalg.solve(factor, np.linalg.solve(factor, covariance).T)
                assert np.linalg.cond((whitened + whitened.T) / 2) < 10 < np.linalg.cond(covariance)
        if metric == "low_rank":
            assert all(1 <= int(lane.state.chain.adapted.metric.used[0]) <= 5 for lane in sampler.lanes)
    assert steps["dense"] < 10
    assert steps["low_rank"] < 10
    assert steps["diagonal"] > 3 * max(steps["dense"], steps["low_rank"])


def test_a_start_far_away_is_forgotten() -> None:
    """From a thousand standard deviations off."""
    sink, sampler = run(UNIT, metric="low_rank", warmup=400, draws=300, initial=[np.full(3, 1e3)] * 2)
    draws = np.concatenate([sink.draws(chain) for chain in range(2)])
    assert np.all(np.abs(draws.mean(axis=0)) < 0.5)
    np.testing.assert_allclose(draws.std(axis=0), 1, rtol=0.25)
    for lane in sampler.lanes:
        np.testing.assert_allclose(lane.state.chain.adapted.metric.scale[0], 1, rtol=0.5)
    assert statistic(sink, "n_steps").mean() < 12


@pytest.mark.parametrize("metric", ["diagonal", "low_rank", "dense"])
def test_a_heavy_tail_or_a_flat_coordinate_breaks_nothing(metric: str) -> None:
    """A Cauchy coordinate, and one on which the density does not depend: improper, but no error and no stall."""
    target = Target(function=lambda x, _: -jnp.log1p(x[0] ** 2) - 0.5 * x[1] ** 2 + 0 * x[2], dim=3)
    sink, _ = run(target, metric=metric, warmup=200, draws=50)
    assert np.all(np.isfinite(sink.draws(0)))
    assert np.all(statistic(sink, "step_size") > 1e-4)
