"""The self-check of healthy densities: it agrees, at the right point, and where rounding is all that differs."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradmc as gm
from gradmc import Data, Positive, Real, Simplex
from gradmc.density.prior import prior_density
from gradmc.kernels.random import chain_key, start_on_host, start_vector
from gradmc.lpdf import normal
from gradmc.run.preparing import prepare
from gradmc.run.settings import Settings
from gradmc.selfcheck import Outcome, SelfCheck
from gradmc.selfcheck import comparison as selfcheck


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, plain runs may end."""
    monkeypatch.setattr(selfcheck, "SECONDS", 60.0)


@gm.model
def mixed(mu: Real, tau: Positive, w: Simplex[3], *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0) - tau
    for i in range(len(y)):
        lp += gm.observe("y", normal(y[i], mu + w[1], tau))
    return lp


DATA = {"y": [0.3, -0.5, 1.2]}


def outcome_of(density: Any, **options: Any) -> Outcome:
    check = SelfCheck(density, **{"seed": 1} | options)
    check.begin()
    return check.finish(density.value_and_grad)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_healthy_program(precision: Any) -> None:
    found = outcome_of(gm.density(mixed, DATA, precision=precision))
    assert (found.value, found.gradient, found.warning) == ("agrees", "agrees", "")
    assert found.value_error is not None
    assert found.gradient_error is not None
    assert Outcome.from_attributes(found.attributes()) == found


def test_prior_alone() -> None:
    assert outcome_of(prior_density(mixed, DATA)).value == "agrees"


def test_given_start_is_the_point() -> None:
    density = gm.density(mixed, DATA)
    start = density.unconstrain({"mu": 0.1, "tau": 2.0, "w": [0.2, 0.3, 0.5]})
    check = SelfCheck(density, seed=1, initial=[start, np.zeros(density.dim)])
    assert [x.tolist() for x in check.candidates] == [start.tolist()]


def test_goes_on_to_a_finite_point() -> None:
    @gm.model
    def half(x: Real, *, low: float):
        if x < low:
            return -np.inf
        return normal(x, 0.0, 1.0)

    seed = next(s for s in range(100) if start_on_host(chain_key(s, 0), 0, 1, np.dtype(float))[0] < 0.0)
    assert outcome_of(gm.density(half, {"low": 0.0}), seed=seed).value == "agrees"
    assert outcome_of(gm.density(half, {"low": 3.0}), seed=seed).value == "agrees"
    nowhere = outcome_of(gm.density(half, {"low": 1e9}), seed=seed)
    assert nowhere.value == "unchecked: the log density is not finite at 20 starting points"


@gm.model
def until_it_is_small(k: Positive):
    x = 1.0
    while x > 1e-3:
        x = x * math.exp(-k)
    return normal(k, 0.0, 1.0) - x


def test_a_loop_that_is_cut_off_is_no_difference() -> None:
    density = gm.density(until_it_is_small, max_loop_iterations=4)
    found = outcome_of(density, initial=[np.log([0.1])])
    assert found.value == "unchecked: a loop takes more than max_loop_iterations where it was looked at"
    assert outcome_of(density, initial=[np.log([3.0])]).value == "agrees"


def test_rounding_of_a_sum_that_cancels_is_no_difference() -> None:
    y = 1e9 * np.random.default_rng(0).normal(size=1001)

    @gm.model
    def cancelling(a: Positive, *, y: Data["n"]):
        return -a + np.sum(np.sqrt(a) * y)

    found = outcome_of(gm.density(cancelling, {"y": y - y.mean()}))
    assert found.value == "agrees"
    assert found.value_error is not None
    assert found.value_error > 1e-8, "the sums are rounded alike, and the test shows nothing"


def test_rounding_of_a_number_that_absorbs_the_parameter_is_no_difference() -> None:
    """The last digits of `a` do not show in 1e8 + a, so moving them tells nothing of the rounding of the square."""

    @gm.model
    def absorbed(a: Real, b: Real):
        return (1e8 + a) ** 2 - 1e16 - 2e8 * a - 2 * a * a - b * b

    found = outcome_of(gm.density(absorbed, {}), seed=3)
    assert found.value == "agrees"
    assert found.value_error is not None
    assert found.value_error > 1e-8, "it is rounded alike, and the test shows nothing"


@pytest.mark.parametrize("dtype", [np.dtype(np.float32), np.dtype(np.float64)], ids=str)
@pytest.mark.parametrize("dim", [1, 2, 7])
def test_starting_points_are_those_of_the_machine(dim: int, dtype: np.dtype) -> None:
    key = chain_key(5, 0)
    with jax.enable_x64(dtype == np.float64):
        theirs = np.asarray(start_vector(jnp.asarray(key), jnp.uint32(3), dim, dtype))
    ours = start_on_host(key, 3, dim, dtype)
    assert ours.dtype == dtype
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("kernel", "executor"), [("nuts", "threads"), ("hmc", "batch")])
def test_sampler_evaluates_what_it_samples(kernel: Any, executor: Any) -> None:
    density = gm.density(mixed, DATA)
    settings = Settings(seed=1, chains=2, warmup=10, draws=10, kernel=kernel, executor=executor)
    sampler = prepare(density, settings)
    for x in np.random.default_rng(0).normal(size=(3, density.dim)):
        value, gradient = sampler.evaluate(x)
        wanted, slopes = density.value_and_grad(x)
        np.testing.assert_allclose(value, wanted, rtol=1e-12)
        np.testing.assert_allclose(gradient, slopes, rtol=1e-10)
    value, gradient = sampler.evaluate(np.full(density.dim, 1e300))
    assert not np.isfinite(value)
    assert np.all(np.isnan(gradient))
