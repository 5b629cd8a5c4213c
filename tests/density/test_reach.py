"""Random starts: as Stan's, and where these are no good, nearer to 0 and farther out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradmc as gm
from gradmc.density.reach import AS_STAN, ATTEMPTS, random_point, reach
from gradmc.kernels.random import chain_key, start_on_host, start_vector
from gradmc.lpdf import normal, poisson


def test_the_first_attempts_are_stans(rng: np.random.Generator) -> None:
    """And the last ones, so that what a failure looks at is one of them."""
    assert np.all(reach(np.arange(AS_STAN)) == 1.0)
    assert np.all(reach(np.arange(ATTEMPTS - AS_STAN, ATTEMPTS)) == 1.0)
    assert all(np.all(np.abs(random_point(rng, 2.0, 5, k)) < 2.0) for k in range(AS_STAN))


def test_the_others_reach_nearer_and_farther() -> None:
    factors = reach(np.arange(AS_STAN, ATTEMPTS - AS_STAN))
    assert factors.min() < 1e-12
    assert factors.max() > 1e4
    assert np.all(factors[::2] < 1.0)
    assert np.all(factors[1::2] > 1.0)


def test_host_and_device_choose_the_same_points() -> None:
    key = chain_key(3, 1)
    for attempt in (0, 7, AS_STAN, AS_STAN + 1, ATTEMPTS - 1):
        on_device = start_vector(jnp.asarray(key), jnp.uint32(attempt), 5, jnp.float32)
        assert on_device.dtype == jnp.float32
        np.testing.assert_allclose(on_device, start_on_host(key, attempt, 5, np.dtype("float32")), rtol=1e-6)


@gm.model
def raw_covariates(b: gm.Real[3], *, year: gm.Data["n"], income: gm.Data["n"], y: gm.Data["n"]):
    """The rate overflows at all of Stan's starts: 50,000 times a coefficient."""
    lp = normal(b, 0.0, 100.0)
    for i in range(len(y)):
        lp += poisson(y[i], np.exp(b[0] + b[1] * year[i] + b[2] * income[i]))
    return lp


@gm.model
def largest(theta: gm.Positive, *, y: gm.Data["n"]):
    """The density is 0 where theta is less than the largest observation."""
    lp = -np.log(theta)
    for i in range(len(y)):
        if y[i] > theta:
            return -np.inf
        lp -= np.log(theta)
    return lp


@pytest.fixture(scope="module")
def regression() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    year, income = rng.integers(1990, 2021, 100).astype(float), rng.uniform(2e4, 9e4, 100)
    return {"year": year, "income": income, "y": rng.poisson(np.exp(-58 + 0.03 * year + 1.2e-5 * income))}


def test_raw_covariates_under_an_exponential(regression: dict[str, np.ndarray]) -> None:
    density = gm.density(raw_covariates, regression)
    mode = gm.optimize(density, seed=1)
    tree = gm.sample(density, seed=1, chains=4, warmup=600, draws=200, progress="none")
    heights = tree["sample_stats"]["lp"].median("draw").values
    assert np.all(heights > mode.log_density - 15.0), (heights, mode.log_density)


def test_a_support_that_begins_far_out() -> None:
    y = np.random.default_rng(1).uniform(0, 4300, 30)
    density = gm.density(largest, {"y": y})
    assert np.isfinite(gm.optimize(density, seed=2).log_density)
    with pytest.warns(gm.SamplingWarning, match="diverged"):
        tree = gm.sample(density, seed=2, chains=2, warmup=300, draws=300, progress="none")
    assert tree["posterior"]["theta"].values.min() >= y.max()
    assert np.median(tree["posterior"]["theta"].values) == pytest.approx(y.max() * 2 ** (1 / 30), rel=0.02)


def test_checks_find_points_there(regression: dict[str, np.ndarray]) -> None:
    report = gm.check(raw_covariates, regression)
    assert not any("no point with finite density" in str(skipped) for skipped in report.skipped)
    with jax.enable_x64(True):
        tree = gm.sample(raw_covariates, regression, seed=3, chains=1, warmup=50, draws=20, progress="none")
    assert tree.attrs["self_check_gradient"] == "agrees"
