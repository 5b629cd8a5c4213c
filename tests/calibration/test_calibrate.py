"""Right models pass; a wrong Jacobian, a wrong sampler and a wrong simulator are caught."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.calibration import replications
from gradmc.calibration.calibrate import Calibration, calibrate_with
from gradmc.calibration.replications import prior_draws
from gradmc.density import Density
from gradmc.density.memo import Memo
from gradmc.errors import UsageError
from gradmc.lpdf import half_normal, normal
from tests.models.shipped import shipped

SEED = 11


@gm.model
def line(mu: Real, sigma: Positive, *, y: Data["n"]):
    """Normal data; the prior of sigma matters, so a missing Jacobian shows."""
    lp = normal(mu, 0.0, 1.0) + half_normal(sigma, 1.0)
    for i in range(len(y)):
        lp += gm.observe("y", normal(y[i], mu, sigma))
    return lp


@line.simulator
def simulate(rng, mu, sigma, *, y):
    return {"y": rng.normal(mu, sigma, size=len(y))}


DATA = {"y": np.zeros(3)}


class Wrong:
    """A density with another function in its place for the sampler."""

    def __init__(self, density: Density, logdensity: Any) -> None:
        self.density = density
        self.logdensity = logdensity
        self.memory = Memo()  # nothing that was compiled for the right one

    def __getattr__(self, name: str) -> Any:
        return getattr(self.density, name)

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        return self.density.scope()


def without_jacobian(density: Any) -> Any:
    def logdensity(x: Any, arguments: Any) -> Any:
        _, log_det = density.layout.constrain(x, density._data(arguments))
        return density.logdensity(x, arguments) - log_det

    return Wrong(density, logdensity)


def ignoring_a_coordinate(density: Any) -> Any:
    """Leapfrog steps that do not feel the first coordinate's gradient, nor its share of the energy.

    With the right energy such steps would be inefficient but still exact: any force that depends on the position
    alone keeps leapfrog reversible and volume-preserving.
    """

    def logdensity(x: Any, arguments: Any) -> Any:
        held = jax.lax.stop_gradient(x[0])
        still = density.logdensity(jnp.zeros_like(x).at[0].set(held), arguments)
        return density.logdensity(x.at[0].set(held), arguments) - still

    return Wrong(density, logdensity)


def calibrated(wrap: Any, replications: int = 100) -> Calibration:
    return calibrate_with(line, DATA, replications=replications, ranked=31, warmup=200, seed=SEED, wrap=wrap)


def test_a_right_model_passes() -> None:
    outcome = calibrated(None)
    assert outcome.passed, outcome.verdict()
    assert outcome.exit_code == 0
    assert set(outcome.p_values) == {"mu", "sigma", "log_likelihood", "log_prior"}
    group = outcome.tree["prior_sbc"]
    assert dict(group.sizes) == {"chain": 1, "draw": 100}
    assert float(group["mu"].min()) > 0.0
    assert float(group["mu"].max()) < 1.0
    again = calibrated(None)
    assert again.p_values == outcome.p_values


def test_a_wrong_jacobian_is_caught() -> None:
    outcome = calibrated(without_jacobian, replications=250)
    assert not outcome.passed
    assert outcome.exit_code == 4
    assert "sigma" in outcome.failures
    assert "the posterior lies too low" in outcome.verdict()


def test_a_wrong_sampler_is_caught() -> None:
    outcome = calibrated(ignoring_a_coordinate)
    assert not outcome.passed
    assert "mu" in outcome.failures


def test_a_wrong_simulator_is_caught() -> None:
    @gm.model
    def scaled(mu: Real, *, y: Data["n"]):
        lp = normal(mu, 0.0, 1.0)
        return lp + gm.observe("y", normal(y, mu, 0.5, pointwise=True)).sum()

    @scaled.simulator
    def variance_for_scale(rng, mu, *, y):
        return {"y": rng.normal(mu, 2.0, size=len(y))}

    outcome = calibrate_with(scaled, DATA, replications=80, ranked=31, warmup=200, seed=SEED, wrap=None)
    assert {"mu", "log_likelihood"} <= set(outcome.failures)
    assert "the posterior is too narrow" in outcome.verdict()


def test_draws_of_the_prior_that_are_not_independent_are_told() -> None:
    """Two modes of the prior between which no chain moves: how many truths lie in each says nothing."""

    @gm.model
    def apart(mu: Real, *, y: Data["n"]):
        lp = np.logaddexp(normal(mu, -40.0, 1.0), normal(mu, 40.0, 1.0))
        for i in range(len(y)):
            lp += gm.observe("y", normal(y[i], mu, 1.0))
        return lp

    @apart.simulator
    def simulate(rng, mu, *, y):
        return {"y": rng.normal(mu, 1.0, size=len(y))}

    outcome = calibrate_with(apart, DATA, replications=20, ranked=15, warmup=100, seed=SEED, wrap=None)
    assert not outcome.prior.trusted
    assert outcome.prior.worst == "mu"
    assert outcome.exit_code == 4
    assert "no independent draws of the prior" in outcome.verdict()
    assert outcome.as_json()["prior"]["trusted"] is False


def test_chains_of_the_prior_are_made_as_long_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two modes between which chains move now and then: one draw in ten is not nearly independent of the next."""

    @gm.model
    def modes(mu: Real, *, y: Data["n"]):
        lp = np.logaddexp(normal(mu, -2.3, 1.0), normal(mu, 2.3, 1.0))
        for i in range(len(y)):
            lp += gm.observe("y", normal(y[i], mu, 1.0))
        return lp

    prior = prior_draws(modes.bind(DATA), np.dtype(float), 40, SEED)
    assert prior.trusted
    assert prior.values["mu"].shape == (40,)
    monkeypatch.setattr(replications, "PRIOR_THINS", replications.PRIOR_THINS[:1])
    short = prior_draws(modes.bind(DATA), np.dtype(float), 40, SEED)
    assert not short.trusted
    assert short.ess < 40 < prior.ess


def test_chains_begin_where_the_prior_is() -> None:
    """From random points around 0 half of them would end in the mode at minus the truth, 200 nats below."""

    @gm.model
    def squared(mu: Real, *, y: Data["n"]):
        lp = normal(mu, 10.0, 1.0)
        for i in range(len(y)):
            lp += gm.observe("y", normal(y[i], mu * mu, 1.0))
        return lp

    @squared.simulator
    def simulated(rng, mu, *, y):
        return {"y": rng.normal(mu * mu, 1.0, size=len(y))}

    outcome = gm.calibrate(squared, DATA, replications=25, ranked=15, warmup=100, seed=SEED)
    assert outcome.passed, outcome.verdict()


def test_chains_begin_at_a_draw_of_the_prior_that_fits_the_data() -> None:
    """A sine of unknown frequency: from most draws of the prior a chain ends in another mode."""
    time = np.linspace(0.0, 3.0, 40)

    @gm.model
    def sine(frequency: Real, *, y: Data["n"]):
        lp = normal(frequency, 10.0, 2.0)
        for i in range(len(y)):
            lp += gm.observe("y", normal(y[i], jnp.sin(frequency * time[i]), 0.3))
        return lp

    @sine.simulator
    def simulated(rng, frequency, *, y):
        return {"y": rng.normal(np.sin(frequency * time), 0.3)}

    outcome = gm.calibrate(sine, {"y": np.zeros(len(time))}, replications=80, ranked=15, warmup=100, seed=SEED)
    assert outcome.passed, outcome.verdict()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hmm", "gaussian_process", "logistic_regression", "lotka_volterra"])
def test_the_other_shipped_models_are_calibrated(name: str) -> None:
    """All but the normal mixture: data from its prior often leave several modes, 20 to 120 apart in log density, in
    which single chains stay (of 25 such data sets, 4 had chains in different ones), so its ranks are rightly refused.
    """
    model = shipped(name)
    outcome = gm.calibrate(model.model, model.data, replications=25, ranked=15, seed=SEED)
    assert outcome.passed, outcome.verdict()


@pytest.mark.parametrize("name", ["eight_schools", "linear_regression", "garch11"])
def test_shipped_models_are_calibrated(name: str) -> None:
    model = shipped(name)
    data = {key: value[:60] if np.ndim(value) else value for key, value in model.data.items()}
    outcome = gm.calibrate(model.model, data, replications=100, ranked=31, seed=SEED)
    assert outcome.passed, outcome.verdict()
    assert outcome.as_json()["replications"] == 100


def test_what_calibration_needs() -> None:
    @gm.model
    def bare(mu: Real, *, y: Data["n"]):
        return normal(mu, 0.0, 1.0) + normal(y, mu, 1.0)

    with pytest.raises(UsageError, match="model bare has no simulator; write one under"):
        gm.calibrate(bare, DATA, replications=20)

    @bare.simulator
    def simulated(rng, mu, *, y):
        return {"y": rng.normal(mu, 1.0, size=len(y))}

    with pytest.raises(UsageError, match="marks no likelihood, so its prior is not known"):
        gm.calibrate(bare, DATA, replications=20)
    with pytest.raises(UsageError, match=r"expected whole numbers of replications.*got 20\.5, 63, 400 and 0"):
        gm.calibrate(line, DATA, replications=20.5)
    with pytest.raises(UsageError, match="a seed of at least 0, got 20, 63, 400 and -1"):
        gm.calibrate(line, DATA, replications=20, seed=-1)
    with pytest.raises(UsageError, match="expected at least 20 replications"):
        gm.calibrate(line, DATA, replications=5)


def test_an_executor_gives_the_same_outcome() -> None:
    options = {"replications": 25, "ranked": 15, "warmup": 50}
    with ThreadPoolExecutor(1) as executor:
        there = gm.calibrate(line, DATA, executor=executor, **options)
    here = gm.calibrate(line, DATA, **options)
    assert there.ranks.keys() == here.ranks.keys()
    for name, ranks in here.ranks.items():
        np.testing.assert_array_equal(there.ranks[name], ranks)


@pytest.mark.campaign
@pytest.mark.parametrize(
    "name", ["adaptive_control", "changepoint", "equilibrium", "first_passage", "hybrid_ode", "least_action", "mlp"]
)
def test_models_of_systems_are_calibrated(name: str) -> None:
    """Those whose data from the prior leave posteriors that a single chain explores."""
    model = shipped(name)
    outcome = gm.calibrate(model.model, model.data, replications=25, ranked=15, warmup=300, seed=SEED)
    assert outcome.passed, outcome.verdict()
