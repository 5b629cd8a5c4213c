"""Chains that adapt together: when, to which step size, and to which metric."""

import numpy as np
import pytest

from gradmc.adaptation.metric_adaptation import History
from gradmc.adaptation.pooled import GAIN, ROWS, next_step, next_update, pooled_estimate
from gradmc.adaptation.step_size import StepSize

CHAINS = 200
FACTOR = np.array([[2.0, 0.0, 0.0], [1.8, 0.5, 0.0], [0.0, 0.0, 30.0]])
COVARIANCE = FACTOR @ FACTOR.T


def of(draws: np.ndarray, gradients: np.ndarray) -> History:
    """Of chains of one log density."""
    return History(draws=draws, gradients=gradients, log_densities=np.zeros(draws.shape[:2]))  # pyright: ignore


def history(rng: np.random.Generator) -> History:
    """Draws of a normal, with their gradients."""
    draws = rng.standard_normal((CHAINS, ROWS, 3)) @ FACTOR.T
    return of(draws, -draws @ np.linalg.inv(COVARIANCE))


def covariance(spectrum: object) -> np.ndarray:
    values, vectors, scale = spectrum.values, spectrum.vectors, spectrum.scale  # type: ignore[attr-defined]
    inner = np.eye(len(scale)) + (vectors * (values - 1)) @ vectors.T
    return scale[:, None] * inner * scale


@pytest.mark.parametrize("warmup", [0, 1, 9, 100, 1000])
def test_updates_come_ever_more_rarely_and_at_the_end(warmup: int) -> None:
    due, transition = [], next_update(0, warmup)
    while transition is not None:
        due.append(transition)
        assert next_update(transition - 1, warmup) == transition
        transition = next_update(transition, warmup)
    assert due[:9] == list(range(1, min(warmup, 9) + 1))
    assert (due[-1] if due else 0) == warmup
    assert len(due) <= 70
    assert next_update(warmup, warmup) is None


def test_the_metric_is_that_of_all_chains_draws(rng: np.random.Generator) -> None:
    found = pooled_estimate(history(rng), 40)
    assert found is not None
    np.testing.assert_allclose(covariance(found), COVARIANCE, rtol=0.05, atol=0.05 * 60)
    correlation = covariance(found)[0, 1] / np.sqrt(covariance(found)[0, 0] * covariance(found)[1, 1])
    assert abs(correlation - COVARIANCE[0, 1] / np.sqrt(COVARIANCE[0, 0] * COVARIANCE[1, 1])) < 0.02


def test_lost_chains_do_not_count(rng: np.random.Generator) -> None:
    plain = history(rng)
    draws, gradients = plain.draws.copy(), plain.gradients.copy()
    draws[:10] += 1e6
    gradients[10] = np.nan
    found, want = pooled_estimate(of(draws, gradients), 40), pooled_estimate(plain, 40)
    assert found is not None
    assert want is not None
    np.testing.assert_allclose(found.scale, want.scale, rtol=0.2)


def test_on_the_way_only_scales_are_learnt(rng: np.random.Generator) -> None:
    plain = history(rng)
    found = pooled_estimate(of(plain.draws, plain.gradients + 50.0), 40)
    assert found is not None
    assert found.values.size == 0


def test_nothing_is_made_of_nothing() -> None:
    table = np.full((CHAINS, ROWS, 3), np.nan)
    assert pooled_estimate(of(table, table), 40) is None


def acceptance(step: float) -> float:
    """As of NUTS: falls from 1 as steps grow."""
    return 1 / (1 + (step / 1.5) ** 2)


@pytest.mark.parametrize("first", [1e-3, 0.3, 30.0])
def test_the_step_size_comes_to_the_acceptance_aimed_at(first: float, rng: np.random.Generator) -> None:
    own = first * np.exp(rng.standard_normal(CHAINS))
    others = ("log_averaged", "anchor", "error_mean", "count", "averaged", "trend")
    step = StepSize(value=own, **dict.fromkeys(others, np.zeros(CHAINS)))  # pyright: ignore
    for k in range(60):
        noise = 0.02 * rng.standard_normal()
        used = float(np.median(step.value))
        step = next_step(step, GAIN * (acceptance(used) + noise - 0.8), final=k >= 45, last=k == 59)
        assert np.all(np.asarray(step.value) == np.asarray(step.value)[0])
    assert abs(acceptance(float(step.value[0])) - 0.8) < 0.015, "the mean over the final phase has little noise"
