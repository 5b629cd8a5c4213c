"""Predictions from the posterior and the prior."""

import numpy as np
import pytest

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.errors import DataError, ProgramError, UsageError
from gradmc.lpdf import exponential, normal

# With four data a draw diverges now and then; what is predicted from the draws is the subject here.
pytestmark = pytest.mark.filterwarnings("ignore:.* diverged;:gradmc.SamplingWarning")

Y = np.array([1.0, 2.0, 3.0, 2.5])


@gm.model
def centre(mu: Real, s: Positive, *, y: Data["n"]):
    lp = normal(mu, 1.0, 2.0) + exponential(s, 1.0)
    for i in range(len(y)):
        lp += gm.observe("y", normal(y[i], mu, s))
    gm.record("double", 2.0 * mu)
    return lp


@centre.simulator
def new_data(rng, mu, s, *, y):
    return {"y": rng.normal(mu, s, size=len(y))}


@gm.model
def silent(mu: Real, *, y: Data["n"]):
    return normal(mu, 0.0, 1.0) + gm.observe("y", normal(y, mu, 1.0))


@pytest.fixture(scope="module")
def draws():
    return gm.sample(centre, {"y": Y}, seed=3, draws=200, warmup=200, progress="none")


def test_posterior_predictions_have_the_axes_of_the_data(draws):
    predicted = gm.predict(centre, {"y": Y}, draws, seed=1)
    y = predicted["posterior_predictive"]["y"]
    assert y.dims == ("chain", "draw", "n")
    assert y.shape == (4, 200, 4)
    again = gm.predict(centre, {"y": Y}, draws, seed=1)["posterior_predictive"]["y"]
    np.testing.assert_array_equal(y, again)
    # Given mu and s the predictions are normal: their standardised mean has variance 1 / 3200; 5 sd, p < 1e-6.
    posterior = draws["posterior"]
    z = (y.values - posterior["mu"].values[..., None]) / posterior["s"].values[..., None]
    assert abs(z.mean()) < 5 / np.sqrt(z.size)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ({"chain": 1.0}, r"'chain', .* another meaning there"),
        ({"a/b": 1.0}, r"'a/b', .* write 'a_b'"),
        ({"y": [[1.0], [1.0, 2.0]]}, r"'y', .* got list"),
        ({"y": None}, r"'y', .* got NoneType"),
    ],
)
def test_simulated_data_that_results_cannot_hold_are_refused(draws, made, reason):
    @gm.model
    def other(mu: Real, s: Positive):
        return normal(mu, 0.0, 1.0) + exponential(s, 1.0)

    @other.simulator
    def unfit(rng, mu, s):
        return made

    with pytest.raises(ProgramError, match=rf"the simulator of other returned {reason}"):
        gm.predict(other, {}, draws, seed=1)


@gm.model
def slope(b: Real, s: Positive, *, x: Data["n"], y: Data["n"], power: int = 1):
    lp = normal(b, 0.0, 2.0) + exponential(s, 1.0)
    for i in range(len(y)):
        lp += gm.observe("y", normal(y[i], b * x[i] ** power, s))
    return lp


@slope.simulator
def new_responses(rng, b, s, *, x, power):
    return {"y": rng.normal(b * x**power, s)}


def test_prediction_for_other_covariates_needs_no_responses():
    x = np.arange(4.0)
    draws = gm.sample(slope, {"x": x, "y": Y}, seed=3, draws=50, warmup=200, progress="none")
    new = {"x": np.array([5.0, 6.0]), "n": ["five", "six"]}
    predicted = gm.predict(slope, new, draws, seed=1)["posterior_predictive"]["y"]
    assert predicted.shape == (4, 50, 2)
    assert list(predicted["n"].values) == ["five", "six"]
    with_responses = gm.predict(slope, {**new, "y": np.zeros(2)}, draws, seed=1)["posterior_predictive"]["y"]
    np.testing.assert_array_equal(predicted, with_responses)
    with pytest.raises(DataError, match="model slope: missing data 'x'; got 'y'"):
        gm.predict(slope, {"y": Y}, draws)


def test_the_prior_is_the_program_without_its_observed_terms():
    prior = gm.prior_density(centre, {"y": Y})
    values = {"mu": 0.3, "s": 0.7}
    assert prior.log_density(values) == pytest.approx(normal(0.3, 1.0, 2.0) + exponential(0.7, 1.0), abs=1e-12)
    whole = gm.density(centre, {"y": Y}).log_density(values)
    assert whole == pytest.approx(prior.log_density(values) + normal(Y, 0.3, 0.7), abs=1e-12)


def test_prior_draws_and_predictions():
    prior = gm.sample_prior(centre, {"y": Y}, draws=500, seed=2)
    assert set(prior.children) == {"prior", "prior_sample_stats", "prior_predictive"}
    mu = prior["prior"]["mu"].values
    # ESS is above 500 of 2,000: the mean of Normal(1, 2) is within 5 standard errors, p < 1e-6.
    assert abs(mu.mean() - 1.0) < 5 * 2.0 / np.sqrt(500)
    assert prior["prior_predictive"]["y"].shape == (4, 500, 4)


def test_a_model_without_simulator_cannot_predict(draws):
    with pytest.raises(UsageError, match="has no simulator"):
        gm.predict(silent, {"y": Y}, draws)


def test_draws_without_a_posterior_are_refused(draws):
    with pytest.raises(UsageError, match="no group 'posterior'"):
        gm.predict(centre, {"y": Y}, draws["sample_stats"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gm.predict(centre, {"y": Y}, 5), "the draws have no group 'posterior'"),
        (lambda: gm.sample_prior(5), "expected a model declared with @gm.model, got 5 of type int"),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(UsageError, match=message):
        call()


@pytest.mark.parametrize("seed", [None, 1.5, "a", -1])
def test_wrong_seeds(draws, seed):
    with pytest.raises(UsageError, match="seed must be a whole number at least 0; got"):
        gm.predict(centre, {"y": Y}, draws, seed=seed)
