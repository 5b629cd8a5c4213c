"""`gm.approximate`: right where the posterior is normal, corrected where it nearly is, and refused where it is not."""

import numpy as np
import pytest

import gradmc as gm
from gradmc import Positive, Real
from gradmc.approximate import smoothed
from gradmc.errors import StartError, UsageError
from gradmc.lpdf import gamma, normal
from gradmc.session import SamplingWarning


@gm.model
def nearly_normal(mu: Real, tau: Positive):
    """Independent: a normal, and a gamma whose logarithm is skewed."""
    return normal(mu, 3.0, 2.0) + gamma(tau, 6.0, 2.0)


@gm.model
def banana(x: Real, y: Real):
    return normal(x, 0.0, 2.0) + normal(y, x**2, 0.1)


@gm.model
def funnel(v: Real, x: Real[9]):
    return normal(v, 0.0, 3.0) + normal(x, 0.0, np.exp(v / 2))


@gm.model
def flat(mu: Real):
    return 0.0 * mu


@pytest.fixture(scope="module")
def density():
    return gm.density(nearly_normal)


@pytest.mark.parametrize("method", ["laplace", "pathfinder"])
def test_weights_correct_a_normal_approximation(density, method):
    """Means and quantiles of 4,000 draws, which are worth about as many: five standard errors, p below 1e-6."""
    draws = gm.approximate(density, method=method, draws=4000, seed=2)
    mu, tau = (draws["posterior"][name].values for name in ("mu", "tau"))
    assert mu.shape == tau.shape == (1, 4000)
    error = 1.5 / np.sqrt(4000)  # resampling 4 of 16,000 draws costs less than half of them
    assert abs(mu.mean() - 3.0) < 5 * 2.0 * error
    assert abs(tau.mean() - 3.0) < 5 * np.sqrt(1.5) * error
    assert abs(np.mean(tau < 2.8352) - 0.5) < 5 * 0.5 * error, "the median of Gamma(6, 2)"
    assert draws.attrs["pareto_k"] < 0.5
    diagnosis = gm.diagnose(draws)
    assert diagnosis.passed
    assert "Pareto k" in str(diagnosis)
    again = gm.approximate(density, method=method, draws=4000, seed=2)
    np.testing.assert_array_equal(again["posterior"]["mu"], mu)


def test_what_is_far_from_normal_is_said():
    with pytest.warns(SamplingWarning, match="misses part of the posterior"):
        draws = gm.approximate(banana, draws=500, seed=2)
    diagnosis = gm.diagnose(draws)
    assert not diagnosis.passed
    assert "gm.sample" in str(diagnosis)


@pytest.mark.parametrize("seed", range(1, 6))
def test_an_approximation_of_the_middle_of_a_banana_is_never_trusted(seed) -> None:
    """Its standard deviation of x is 0.6 in place of 2, whatever k says: in three of five it is below 0.7."""
    with pytest.warns(SamplingWarning, match="part of the posterior"):
        draws = gm.approximate(banana, draws=1000, seed=seed)
    (failure,) = gm.diagnose(draws).failures
    assert failure.name in ("pareto_k", "stein")
    assert "gm.sample" in failure.advice


def test_weights_that_are_all_equal_have_no_tail() -> None:
    """As those of an approximation that is exact to the last digit."""
    weights, k = smoothed(np.full(100, -3.0))
    assert np.allclose(weights, 0.01)
    assert k == 0.0
    weights, k = smoothed(np.array([-np.inf] * 50 + [1.0] * 50))
    assert np.allclose(weights, [0.0] * 50 + [0.02] * 50)
    assert k == 0.0


@pytest.mark.parametrize("count", range(1, 31))
def test_too_few_weights_are_not_trusted(count) -> None:
    """A fit to a tail of fewer than five says nothing, as where the density is finite at few points."""
    ratios = np.concatenate([np.full(970, -np.inf), np.random.default_rng(count).normal(size=count)])
    weights, k = smoothed(ratios)
    np.testing.assert_allclose(weights.sum(), 1.0)
    assert np.all(weights[:970] == 0.0)
    assert k == np.inf or count >= 25


def test_without_an_approximation_there_are_no_draws():
    with pytest.raises(StartError, match="there is no Laplace approximation: no maximum was found"):
        gm.approximate(flat, method="laplace")
    with pytest.raises(StartError, match="none of 8 paths found a normal approximation of use"):
        gm.approximate(funnel, seed=1)


def test_wrong_arguments(density):
    with pytest.raises(UsageError, match="method must be one of laplace, pathfinder"):
        gm.approximate(density, method="advi")
    with pytest.raises(UsageError, match="draws must be a whole number at least 1"):
        gm.approximate(density, draws=0)
