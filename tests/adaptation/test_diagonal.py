"""The diagonal mass matrix: moments, windows that forget, scales over six decades."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from gradmc.adaptation.diagonal import Diagonal
from gradmc.adaptation.schedule import EARLY_WINDOW, make_schedule
from tests.adaptation.feed import draw_of, feeder, good_infos, info_of, normal_pairs
from tests.adaptation.nasty import nasty_rows

DOUBLE = np.dtype(float)
NASTY_FEED = feeder(Diagonal())


@pytest.fixture(scope="session")
def feed() -> Callable[..., Any]:
    return feeder(Diagonal())


def begin(position: np.ndarray, gradient: np.ndarray) -> Any:
    return Diagonal().initial(jnp.asarray(position), jnp.asarray(gradient))


def test_the_first_metric_comes_from_the_gradient() -> None:
    metric, _ = begin(np.zeros(4), np.array([4.0, -0.25, 0.0, 1e-300]))
    np.testing.assert_allclose(metric.scale[:2], [0.5, 2.0])
    assert metric.scale[2] == 1, "nothing is known of a coordinate without gradient"
    assert np.all(np.isfinite(metric.scale))


def test_a_start_at_a_mode_says_nothing_of_scales() -> None:
    """What is left of the gradient there may be 1e-30: not a scale of 1e15, from which no step size comes back."""
    metric, _ = begin(np.zeros(3), np.array([1e-30, 0.0, 4.0]))
    np.testing.assert_allclose(metric.scale, [1.0, 1.0, 0.5])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_are_kept(dtype: type) -> None:
    x = jnp.ones(2, dtype)
    metric, windows = Diagonal().initial(x, x)
    info = info_of(energy_error=jnp.asarray(0.1, dtype))
    later, state, _ = Diagonal().update(
        metric, windows, draw_of(x, x), info, jnp.int32(0), make_schedule(50, dtype=np.dtype(dtype))
    )
    assert metric.scale.dtype == later.scale.dtype == dtype
    for moments in (state.foreground, state.background):
        assert moments.count.dtype == moments.mean.dtype == moments.squares.dtype == dtype
    assert state.length.dtype == dtype


def test_moments_are_those_of_numpy(feed: Callable[..., Any], rng: np.random.Generator) -> None:
    """Of the start and all draws before the first switch of windows; also far from zero."""
    draws, gradients = normal_pairs(rng, EARLY_WINDOW - 2, np.eye(3), mean=1e6)
    metric, windows = begin(draws[0], gradients[0])
    _, state, _ = feed(
        metric,
        windows,
        draws[1:],
        gradients[1:],
        make_schedule(100, dtype=DOUBLE),
        jnp.int32(0),
        good_infos(len(draws) - 1),
    )
    moments = state.foreground
    assert moments.count == len(draws)
    np.testing.assert_allclose(moments.mean, [draws.mean(axis=0), gradients.mean(axis=0)], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(moments.squares / len(draws), [draws.var(axis=0), gradients.var(axis=0)], rtol=1e-7)


@pytest.mark.parametrize("warmup", [200, 500])
def test_scales_over_six_decades_are_found(warmup: int, feed: Callable[..., Any], rng: np.random.Generator) -> None:
    """sqrt(var(draw) / var(gradient)) is the variance of a normal coordinate, exactly."""
    scales = np.logspace(-3, 3, 7)
    draws, gradients = normal_pairs(rng, warmup, np.diag(scales**2))
    metric, windows = begin(10 * draws[0], 10 * gradients[0])
    metric, _, _ = feed(
        metric, windows, draws, gradients, make_schedule(warmup, dtype=DOUBLE), jnp.int32(0), good_infos(warmup)
    )
    np.testing.assert_allclose(metric.scale, scales, rtol=1e-6)


def test_the_early_path_is_forgotten(feed: Callable[..., Any], rng: np.random.Generator) -> None:
    """A chain that comes from far away, with other scales on its way."""
    warmup, away = 500, 100
    draws, gradients = normal_pairs(rng, warmup, np.diag([1.0, 0.01]))
    draws[:away] += np.linspace(1e4, 0, away)[:, None]
    gradients[:away] *= 50.0
    metric, windows = begin(draws[0], gradients[0])
    metric, state, _ = feed(
        metric, windows, draws, gradients, make_schedule(warmup, dtype=DOUBLE), jnp.int32(0), good_infos(warmup)
    )
    np.testing.assert_allclose(metric.scale, [1.0, 0.1], rtol=1e-6)
    assert np.all(np.abs(state.foreground.mean) < 5)


def test_the_estimate_rests_on_a_growing_number_of_draws(feed: Callable[..., Any], rng: np.random.Generator) -> None:
    """At the end of warmup at least a quarter of it, and never fewer than one early window once there were two."""
    for warmup in (100, 300, 1000, 4000):
        draws, gradients = normal_pairs(rng, warmup, np.eye(2))
        metric, windows = begin(draws[0], gradients[0])
        schedule = make_schedule(warmup, dtype=DOUBLE)
        _, state, _ = feed(metric, windows, draws, gradients, schedule, jnp.int32(0), good_infos(warmup))
        assert state.foreground.count >= min(warmup / 4, 80)


def test_a_new_search_is_asked_for_once(feed: Callable[..., Any], rng: np.random.Generator) -> None:
    """At the first estimate from draws."""
    for warmup, expected in ((500, 1), (30, 1), (5, 0), (1, 0)):
        draws, gradients = normal_pairs(rng, warmup, np.eye(2))
        metric, windows = begin(2 + draws[0], gradients[0])
        schedule = make_schedule(warmup, dtype=DOUBLE)
        _, _, (_, restarts) = feed(metric, windows, draws, gradients, schedule, jnp.int32(0), good_infos(warmup))
        assert int(restarts.sum()) == expected
        assert not restarts[int(schedule.early_end) :].any()


@pytest.mark.parametrize("warmup", [0, 1, 5, 10, 20, 100])
def test_the_final_phase_changes_nothing(warmup: int, feed: Callable[..., Any], rng: np.random.Generator) -> None:
    schedule = make_schedule(warmup, dtype=DOUBLE)
    draws, gradients = normal_pairs(rng, warmup + 5, np.eye(2))
    metric, windows = begin(draws[0], gradients[0])
    _, _, (metrics, _) = feed(metric, windows, draws, gradients, schedule, jnp.int32(0), good_infos(warmup + 5))
    final = int(schedule.final_start)
    last = np.asarray(metrics.scale)[max(final - 1, 0)]
    np.testing.assert_array_equal(np.asarray(metrics.scale)[final:], np.tile(last, (warmup + 5 - final, 1)))


def test_transitions_that_did_not_move_are_left_out(feed: Callable[..., Any], rng: np.random.Generator) -> None:
    draws, gradients = normal_pairs(rng, 3, np.eye(2))
    metric, windows = begin(draws[0], gradients[0])
    for bad in (
        {"energy_error": 0.0},
        {"diverging": True, "n_steps": 2},
        {"diverging": True, "n_steps": 4},
    ):
        later, state, restart = Diagonal().update(
            metric,
            windows,
            draw_of(jnp.asarray(draws[1]), jnp.asarray(gradients[1])),
            info_of(**bad),
            jnp.int32(0),
            make_schedule(100, dtype=DOUBLE),
        )
        assert state.foreground.count == windows.foreground.count
        np.testing.assert_array_equal(state.foreground.mean, windows.foreground.mean)
        np.testing.assert_array_equal(later.scale, metric.scale)
        assert not restart


def test_a_coordinate_on_its_way_is_not_taken_for_a_wide_one(
    feed: Callable[..., Any], rng: np.random.Generator
) -> None:
    """Gradients of one sign: the spread of the draws says how far the chain got."""
    count = 8
    draws = np.column_stack([np.linspace(100, 90, count), rng.standard_normal(count)])
    gradients = np.column_stack([np.full(count, -100.0) + 0.01 * np.arange(count), -draws[:, 1]])
    metric, windows = begin(draws[0], gradients[0])
    metric, _, _ = feed(
        metric, windows, draws, gradients, make_schedule(100, dtype=DOUBLE), jnp.int32(0), good_infos(count)
    )
    np.testing.assert_allclose(metric.scale[0], 0.1, rtol=0.01)


def test_constant_draws_keep_the_metric(feed: Callable[..., Any]) -> None:
    draws = gradients = np.zeros((20, 2))
    metric, windows = begin(draws[0], np.array([4.0, 4.0]))
    metric, _, _ = feed(
        metric,
        windows,
        draws,
        np.zeros((20, 2)),
        make_schedule(100, dtype=DOUBLE),
        jnp.int32(0),
        good_infos(20),
    )
    assert np.all(np.isfinite(metric.scale))
    assert np.all(np.asarray(metric.scale) > 0)
    np.testing.assert_array_equal(gradients, 0)


@settings(max_examples=200, deadline=None)
@given(rows=nasty_rows((30,), (3,)))
def test_nasty_rows_give_a_finite_metric(rows: tuple[np.ndarray, np.ndarray]) -> None:
    """At every transition, and good draws after them give a good one."""
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        draws, gradients = (np.concatenate(pair) for pair in zip(rows, normal_pairs(rng, 170, np.eye(3)), strict=True))
        metric, windows = begin(np.zeros(3), np.ones(3))
        schedule = make_schedule(200, dtype=DOUBLE)
        _, _, (metrics, _) = NASTY_FEED(
            metric, windows, draws, gradients, schedule, jnp.int32(0), good_infos(len(draws))
        )
    scales = np.asarray(metrics.scale)
    assert np.all(np.isfinite(scales) & (scales > 0))
    np.testing.assert_allclose(scales[-1], 1.0, rtol=1e-6)


def test_a_draw_that_is_not_finite_is_left_out(feed: Callable[..., Any], rng: np.random.Generator) -> None:
    draws, gradients = normal_pairs(rng, 9, np.diag([4.0, 0.25]))
    metric, windows = begin(draws[0], gradients[0])
    gradients[5, 0] = np.nan
    draws[7, 1] = np.inf
    metric, state, _ = feed(
        metric, windows, draws[1:], gradients[1:], make_schedule(100, dtype=DOUBLE), jnp.int32(0), good_infos(8)
    )
    assert state.foreground.count == 7
    np.testing.assert_allclose(metric.scale, [2.0, 0.5], rtol=1e-6)
