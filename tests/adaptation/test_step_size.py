"""The step size: the search crosses the target, dual averaging converges to it."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradmc.adaptation.step_size import (
    BOLD_GAMMA,
    CALM_GAMMA,
    KAPPA,
    MAX_STEP,
    SEARCH_LIMITS,
    T0,
    StepSize,
    begin_anew,
    dual_average,
    initial_step_size,
    search,
    shorten_memory,
)


def acceptance_of(step_size: float) -> float:
    """Decreasing in the step size."""
    return math.exp(-(step_size**2))


def searched(step: StepSize, acceptance: Callable[[float], float], target: float) -> tuple[StepSize, list[float]]:
    tried, over = [], False
    while not over:
        tried.append(float(step.value))
        step, over = search(step, jnp.asarray(acceptance(tried[-1])), jnp.asarray(target))
        over = bool(over)
    return step, tried


@pytest.mark.parametrize("target", [0.5, 0.8, 0.99])
@pytest.mark.parametrize("first", [1e-4, 0.3, 100.0])
def test_the_search_crosses_the_target(first: float, target: float) -> None:
    step, tried = searched(initial_step_size(jnp.asarray(first)), acceptance_of, target)
    assert float(step.value) == tried[-1]
    above = [acceptance_of(value) > target for value in tried]
    assert above[-1] != above[-2]
    assert len(set(above[:-1])) == 1
    ratio = tried[-1] / tried[-2]
    assert ratio == pytest.approx(2 if above[0] else 0.5)
    assert int(step.trend) == 0, "the next search chooses its direction anew"


@pytest.mark.parametrize(("acceptance", "end"), [(1.0, SEARCH_LIMITS[1]), (0.0, SEARCH_LIMITS[0])])
def test_the_search_ends_where_nothing_changes(acceptance: float, end: float) -> None:
    step, tried = searched(initial_step_size(jnp.asarray(0.1)), lambda _: acceptance, 0.8)
    assert len(tried) < 40
    assert end / 2.1 < float(step.value) < end * 2.1


def test_dual_averaging_starts_anew_after_the_search() -> None:
    step, _ = searched(initial_step_size(jnp.asarray(0.1)), acceptance_of, 0.8)
    fresh = initial_step_size(step.value)
    for name in ("value", "log_averaged", "anchor", "error_mean", "count", "averaged", "trend"):
        np.testing.assert_array_equal(getattr(step, name), getattr(fresh, name))


@pytest.mark.parametrize("bold", [True, False])
def test_dual_averaging_follows_its_paper(bold: bool, rng: np.random.Generator) -> None:
    """Hoffman & Gelman (2014), equation 6, in plain Python; boldly with their constants."""
    gamma, bias = (BOLD_GAMMA, 10) if bold else (CALM_GAMMA, 1)
    first, target = 0.4, 0.8
    step = initial_step_size(jnp.asarray(first))
    mean, log_average = 0.0, math.log(first)
    for m in range(1, 40):
        acceptance = float(rng.uniform(0.5, 1.0))
        step = dual_average(step, jnp.asarray(acceptance), jnp.asarray(target), jnp.asarray(bold))
        mean = (1 - 1 / (m + T0)) * mean + (target - acceptance) / (m + T0)
        log_step = math.log(bias * first) - math.sqrt(m) / gamma * mean
        log_step = min(log_step, math.log(MAX_STEP))
        log_average = m**-KAPPA * log_step + (1 - m**-KAPPA) * log_average
        np.testing.assert_allclose(step.value, math.exp(log_step), rtol=1e-10)
        np.testing.assert_allclose(step.log_averaged, log_average, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("first", "bold"), [(1e-3, True), (0.5, True), (3.0, True), (0.2, False), (1.0, False)])
@pytest.mark.parametrize("target", [0.6, 0.8, 0.95])
def test_dual_averaging_reaches_the_target(bold: bool, target: float, first: float, rng: np.random.Generator) -> None:
    """With noisy acceptance whose mean is known, the averaged step size comes close to where it is the target."""
    noise = jnp.asarray(rng.uniform(-1, 1, 3000))

    def update(step: StepSize, e: jax.Array) -> tuple[StepSize, None]:
        mean = jnp.exp(-(step.value**2))
        return dual_average(step, mean + e * jnp.minimum(mean, 1 - mean), jnp.asarray(target), jnp.asarray(bold)), None

    step, _ = jax.lax.scan(update, initial_step_size(jnp.asarray(first)), noise)
    reached = acceptance_of(math.exp(float(step.log_averaged)))
    assert abs(reached - target) < 0.03


def test_the_average_follows_a_metric_that_changed_late(rng: np.random.Generator) -> None:
    """From transition 800 on the density needs steps a fifth as long; 150 transitions later the average is one."""
    target = jnp.asarray(0.8)

    def update(step: StepSize, now: tuple[jax.Array, jax.Array]) -> tuple[StepSize, None]:
        transition, noise = now
        mean = jnp.exp(-((step.value * jnp.where(transition < 800, 1, 5)) ** 2))
        return dual_average(step, mean + noise * jnp.minimum(mean, 1 - mean), target, jnp.asarray(False)), None

    def averaged(shortened: bool) -> float:
        times, noise = jnp.arange(1000), jnp.asarray(rng.uniform(-1, 1, 1000))
        step, _ = jax.lax.scan(update, initial_step_size(jnp.asarray(0.5)), (times[:850], noise[:850]))
        step = shorten_memory(step, jnp.asarray(shortened))
        step, _ = jax.lax.scan(update, step, (times[850:], noise[850:]))
        return acceptance_of(5 * math.exp(float(step.log_averaged)))

    assert averaged(True) == pytest.approx(0.8, abs=0.06)
    assert averaged(False) < 0.7


def test_calm_averaging_scatters_little(rng: np.random.Generator) -> None:
    """Where the acceptance is noisy, calm step sizes scatter less than half as much as bold ones."""
    noise = jnp.asarray(rng.uniform(-1, 1, 500))

    def scatter(bold: bool) -> float:
        def update(step: StepSize, e: jax.Array) -> tuple[StepSize, jax.Array]:
            mean = jnp.exp(-(step.value**2))
            step = dual_average(step, mean + e * jnp.minimum(mean, 1 - mean), jnp.asarray(0.8), jnp.asarray(bold))
            return step, jnp.log(step.value)

        _, sizes = jax.lax.scan(update, initial_step_size(jnp.asarray(0.5)), noise)
        return float(jnp.std(sizes[250:]))

    assert 2 * scatter(False) < scatter(True)


def test_beginning_anew_forgets_all_but_the_average(rng: np.random.Generator) -> None:
    step = initial_step_size(jnp.asarray(0.5))
    for acceptance in rng.uniform(0.5, 1, 20):
        step = dual_average(step, jnp.asarray(acceptance), jnp.asarray(0.8), jnp.asarray(True))
    same, anew = begin_anew(step, jnp.asarray(False)), begin_anew(step, jnp.asarray(True))
    for name in ("anchor", "error_mean", "count"):
        assert float(getattr(same, name)) == float(getattr(step, name)), name
    assert (float(anew.anchor), float(anew.error_mean), float(anew.count)) == (float(step.log_averaged), 0.0, 0.0)
    assert float(anew.log_averaged) == float(step.log_averaged)


def test_the_step_size_is_bounded() -> None:
    step = initial_step_size(jnp.asarray(1.0))
    for _ in range(20):
        step = dual_average(step, jnp.asarray(1.0), jnp.asarray(0.8), jnp.asarray(True))
    assert float(step.value) <= MAX_STEP * (1 + 1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_are_kept(dtype: type) -> None:
    step = initial_step_size(jnp.asarray(0.1, dtype))
    half = jnp.asarray(0.5, dtype)
    calm = jnp.asarray(False)
    later_ones = (dual_average(step, half, half, calm), search(step, half, half)[0], shorten_memory(step, half > 0))
    for later in (*later_ones, begin_anew(step, half > 0)):
        for name in ("value", "log_averaged", "anchor", "error_mean", "count", "averaged"):
            assert getattr(later, name).dtype == dtype, name
        assert later.trend.dtype == jnp.int32
