"""`gm.loo`: moment matching against the closed form of leave-one-out densities, and wrong arguments."""

import warnings

import numpy as np
import pytest
from arviz_stats import loo as by_importance
from scipy.stats import norm

import gradmc as gm
from gradmc import Data, Real
from gradmc.errors import UsageError
from gradmc.lpdf import normal


@gm.model
def group(mu: Real["group"], *, y: Data["group"]):
    """Means with a wide prior, of one observation each: leaving it out leaves the prior."""
    lp = normal(mu, 0.0, 2.0)
    for i in range(len(y)):
        lp += gm.observe("y", normal(y[i], mu[i], 1.0))
    return lp


Y = np.array([0.5, -1.0, 3.0, 4.5])


@pytest.fixture(scope="module")
def density():
    return gm.density(group, {"y": Y})


@pytest.fixture(scope="module")
def draws(density):
    return gm.sample(density, seed=3, chains=2, warmup=200, draws=1000, check=False, progress="none")


def test_moved_draws_come_near_the_closed_form(draws, density):
    """Each observation is N(0, 5) given the others; plain importance weights miss the ones far out."""
    wanted = norm.logpdf(Y, 0.0, np.sqrt(5.0))
    with pytest.warns(UserWarning, match="shape parameter of Pareto distribution"):
        plain = by_importance(draws, pointwise=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # k may stay above its limit by a little
        found = gm.loo(draws, density)
    assert plain.pareto_k.max() > plain.good_k
    assert found.pareto_k.max() < plain.pareto_k.max()
    np.testing.assert_allclose(found.elpd_i.values, wanted, atol=0.25)
    assert np.abs(found.elpd - wanted.sum()) < np.abs(plain.elpd - wanted.sum())


def test_without_moment_matching_it_is_the_plain_estimate(draws, density):
    with pytest.warns(UserWarning, match="shape parameter of Pareto distribution"):
        found = gm.loo(draws, density, moment_match=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert found.elpd == by_importance(draws).elpd


@gm.model
def some_say_nothing(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 10.0)
    for i in range(len(y)):
        lp += gm.observe("y", normal(y[i], mu, 1.0) if y[i] > 0 else -1.5 + 0.0 * mu)
    return lp


def test_a_term_that_no_parameter_changes_is_what_it_is() -> None:
    density = gm.density(some_say_nothing, {"y": np.array([1.0, 2.0, -5.0, 3.0])})
    tree = gm.sample(density, seed=3, chains=2, warmup=200, draws=500, check=False, progress="none")
    with pytest.raises(ValueError, match="All tail values are the same"):
        by_importance(tree)
    found = gm.loo(tree, density)
    assert found.elpd_i.values[2] == pytest.approx(-1.5, abs=1e-9)
    assert np.all(found.pareto_k.values < found.good_k)


def test_wrong_arguments(draws, density):
    with pytest.raises(UsageError, match="expected the density of the draws"):
        gm.loo(draws, group)
    with pytest.raises(UsageError, match="name must be one of the observed terms y; got 'x'"):
        gm.loo(draws, density, name="x")
    with pytest.raises(UsageError, match="the draws have no group 'log_likelihood'"):
        gm.loo(draws.drop_nodes("log_likelihood"), density)
    with pytest.raises(UsageError, match="the draws have no mu"):
        gm.loo(_renamed(draws), density)


def _renamed(draws):
    other = draws.copy()
    other["posterior"] = draws["posterior"].to_dataset().rename(mu="nu")
    return other
