"""Dense and low-rank mass matrices from draws and gradients."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from gradmc.adaptation.schedule import final_start, make_schedule
from gradmc.adaptation.windowed import (
    SHRINKAGE,
    DenseAdaptation,
    History,
    LowRankAdaptation,
    Spectrum,
    empty_history,
    estimate,
    in_transit,
    is_due,
    next_update,
    recent,
)
from tests.adaptation.feed import draw_of, feeder, good_infos, info_of, normal_pairs

DOUBLE = np.dtype(float)
WARMUPS = [0, 1, 5, 10, 20, 24, 50, 100, 118, 500, 3000]


def matrix_of(spectrum: Spectrum) -> np.ndarray:
    inner = (spectrum.vectors * spectrum.values) @ spectrum.vectors.T
    return spectrum.scale[:, None] * inner * spectrum.scale


def random_covariance(rng: np.random.Generator, dim: int, condition: float) -> np.ndarray:
    basis = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    return (basis * np.geomspace(1, condition, dim)) @ basis.T


def condition_after(factor: np.ndarray, covariance: np.ndarray) -> float:
    """Condition number of the covariance in the metric's coordinates."""
    whitened = np.linalg.solve(factor, np.linalg.solve(factor, covariance).T)
    return float(np.linalg.cond((whitened + whitened.T) / 2))


class TestEstimate:
    """The geometric mean of covariance and inverse information."""

    def test_is_the_covariance_of_a_normal(self, rng: np.random.Generator) -> None:
        """From few draws: gradients of a normal know its covariance exactly, but for the shrinkage."""
        covariance = random_covariance(rng, 4, 1e4)
        spectrum = estimate(*normal_pairs(rng, 60, covariance))
        assert spectrum is not None
        factor = np.linalg.cholesky(matrix_of(spectrum))
        assert condition_after(factor, covariance) < 2

    def test_solves_its_equation(self, rng: np.random.Generator) -> None:
        """S G S = C for the shrunk covariances, which makes S the geometric mean of C and the inverse of G."""
        draws = rng.standard_normal((50, 3)) @ rng.standard_normal((3, 3))
        gradients = rng.standard_normal((50, 3)) @ rng.standard_normal((3, 3))
        spectrum = estimate(draws, gradients)
        assert spectrum is not None

        def shrunk(rows: np.ndarray) -> np.ndarray:
            centred = rows - rows.mean(axis=0)
            return (centred.T @ centred + SHRINKAGE * np.eye(3)) / (len(rows) + SHRINKAGE)

        inner = (spectrum.vectors * spectrum.values) @ spectrum.vectors.T
        np.testing.assert_allclose(
            inner @ shrunk(gradients * spectrum.scale) @ inner, shrunk(draws / spectrum.scale), rtol=1e-8, atol=1e-10
        )

    def test_follows_a_change_of_units(self, rng: np.random.Generator) -> None:
        draws, gradients = normal_pairs(rng, 30, random_covariance(rng, 3, 50.0))
        units = np.array([1e-4, 1.0, 1e3])
        plain, scaled = estimate(draws, gradients), estimate(draws * units, gradients / units)
        assert plain is not None
        assert scaled is not None
        np.testing.assert_allclose(matrix_of(scaled), units[:, None] * matrix_of(plain) * units, rtol=1e-8)

    def test_more_dimensions_than_draws(self, rng: np.random.Generator) -> None:
        """Shrinkage keeps the estimate positive definite."""
        spectrum = estimate(*normal_pairs(rng, 10, random_covariance(rng, 40, 100.0)))
        assert spectrum is not None
        assert spectrum.values[0] > 0

    @pytest.mark.parametrize("condition", [1e2, 1e6, 1e9])
    def test_single_precision_is_good_enough(self, condition: float, rng: np.random.Generator) -> None:
        draws, gradients = normal_pairs(rng, 200, random_covariance(rng, 60, condition))
        spectrum = estimate(draws.astype(np.float32), gradients.astype(np.float32))
        assert spectrum is None or (np.all(np.isfinite(spectrum.values)) and spectrum.values[0] > 0)

    @pytest.mark.parametrize("what", ["constant", "nan", "infinite"])
    def test_nothing_comes_of_bad_rows(self, what: str, rng: np.random.Generator) -> None:
        draws, gradients = normal_pairs(rng, 20, np.eye(3))
        if what == "constant":
            draws[:, 1] = 3.0
        else:
            gradients[4, 1] = np.nan if what == "nan" else np.inf
        assert estimate(draws, gradients) is None


class TestUpdates:
    """When the metric is computed anew."""

    @pytest.mark.parametrize("warmup", WARMUPS)
    def test_due_transitions_are_those_that_are_next(self, warmup: int) -> None:
        due, transition = [], next_update(0, warmup)
        while transition is not None:
            due.append(transition)
            assert len(due) < 50
            transition = next_update(transition, warmup)
        assert due == sorted(set(due))
        assert [t for t in range(warmup + 5) if is_due(t, warmup)] == due
        assert all(20 <= t <= final_start(warmup) for t in due)

    @pytest.mark.parametrize("warmup", [w for w in WARMUPS if final_start(w) >= 20])
    def test_the_last_is_at_the_start_of_the_final_phase(self, warmup: int) -> None:
        assert is_due(final_start(warmup), warmup)
        assert next_update(final_start(warmup), warmup) is None

    @pytest.mark.parametrize("warmup", [0, 1, 5, 10, 20])
    def test_a_very_short_warmup_has_none(self, warmup: int) -> None:
        assert next_update(0, warmup) is None
        assert not any(is_due(t, warmup) for t in range(warmup + 1))

    def test_between_two_updates_the_next_one_is_named(self) -> None:
        for transition in range(500):
            due = next_update(transition, 500)
            assert due is None or (due > transition and is_due(due, 500))
            assert not any(is_due(t, 500) for t in range(transition + 1, due or 500))


class TestHistory:
    """The ring of draws and gradients."""

    def test_the_later_half_is_recent(self, rng: np.random.Generator) -> None:
        rows = 32
        history = History(count=np.int32(0), draws=np.zeros((rows, 2)), gradients=np.zeros((rows, 2)))
        feed = feeder(DenseAdaptation())
        draws, gradients = rng.standard_normal((2, 100, 2))
        metric, _ = DenseAdaptation().initial(jnp.ones(2), jnp.ones(2))
        schedule = make_schedule(200, dtype=DOUBLE)
        for count in (1, 2, 5, 31, 32, 33, 63, 100):
            _, filled, _ = feed(
                metric, history, draws[:count], gradients[:count], schedule, jnp.int32(0), good_infos(count)
            )
            got = recent(filled, count)
            wanted = min(count - count // 2, rows)
            np.testing.assert_array_equal(got[0], draws[count - wanted : count])
            np.testing.assert_array_equal(got[1], gradients[count - wanted : count])

    @pytest.mark.parametrize("dim", [1, 100, 5_000, 100_000])
    def test_its_room_is_bounded(self, dim: int) -> None:
        history = empty_history(jnp.zeros(dim))
        rows = history.draws.shape[0]
        assert 32 <= rows <= 1024
        assert rows == 32 or 2 * history.draws.nbytes <= 8 << 20


def test_gradients_of_one_sign_mean_transit(rng: np.random.Generator) -> None:
    gradients = rng.standard_normal((60, 4))
    assert not in_transit(gradients)
    assert in_transit(gradients + np.array([0, 0, 0, 5.0]))
    assert in_transit(np.full((20, 2), np.nan))


def filled(draws: np.ndarray, gradients: np.ndarray) -> History:
    return History(count=np.int32(len(draws)), draws=draws, gradients=gradients)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_dense_metric_whitens_a_correlated_normal(dtype: type, rng: np.random.Generator) -> None:
    covariance = random_covariance(rng, 5, 1e4)
    metric, _ = DenseAdaptation().initial(jnp.ones(5, dtype), jnp.ones(5, dtype))
    draws, gradients = (a.astype(dtype) for a in normal_pairs(rng, 200, covariance))
    new = DenseAdaptation().on_host(metric, filled(draws, gradients), 200)
    assert new is not None
    assert new.factor.dtype == dtype
    assert condition_after(np.asarray(new.factor, float), covariance) < 1.2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_low_rank_metric_stretches_the_directions_that_need_it(dtype: type, rng: np.random.Generator) -> None:
    """Two directions of sixteen are long and short; the others stay as they are."""
    basis = np.linalg.qr(rng.standard_normal((16, 16)))[0]
    variances = np.ones(16)
    variances[:2] = (400.0, 1 / 400.0)
    covariance = (basis * variances) @ basis.T
    adaptation = LowRankAdaptation(rank=6)
    metric, state = adaptation.initial(jnp.ones(16, dtype), jnp.ones(16, dtype))
    draws, gradients = (a.astype(dtype) for a in normal_pairs(rng, 400, covariance))
    new = adaptation.on_host(metric, dataclasses.replace(state, history=filled(draws, gradients)), 400)
    assert new is not None
    assert 2 <= int(new.used) <= 6
    assert new.vectors.shape == (6, 16)
    assert new.scale.dtype == new.vectors.dtype == new.stretch.dtype == dtype
    used = int(new.used)
    rows, stretch = np.asarray(new.vectors, float)[:used], np.asarray(new.stretch, float)[:used]
    np.testing.assert_allclose(rows @ rows.T, np.eye(used), atol=1e-5)
    factor = np.asarray(new.scale, float)[:, None] * (np.eye(16) + (rows.T * (stretch - 1)) @ rows)
    assert condition_after(factor, covariance) < 160  # from 160,000


def test_a_low_rank_metric_leaves_independent_coordinates_to_the_diagonal(rng: np.random.Generator) -> None:
    adaptation = LowRankAdaptation()
    metric, state = adaptation.initial(jnp.ones(3), jnp.ones(3))
    draws, gradients = normal_pairs(rng, 400, np.diag([1e-4, 1.0, 1e4]))
    assert adaptation.on_host(metric, dataclasses.replace(state, history=filled(draws, gradients)), 400) is None


def test_a_low_rank_metric_waits_for_a_chain_on_its_way(rng: np.random.Generator) -> None:
    adaptation = LowRankAdaptation()
    metric, state = adaptation.initial(jnp.ones(3), jnp.ones(3))
    draws, gradients = normal_pairs(rng, 100, random_covariance(rng, 3, 1e4))
    history = filled(draws, gradients + 10 * gradients.std(axis=0))
    assert adaptation.on_host(metric, dataclasses.replace(state, history=history), 100) is None


@pytest.mark.parametrize("used", [0, 1])
def test_the_diagonal_adapts_until_a_direction_is_used(used: int, rng: np.random.Generator) -> None:
    adaptation: Any = LowRankAdaptation()
    metric, state = adaptation.initial(jnp.ones(2), jnp.ones(2))
    metric = dataclasses.replace(metric, used=jnp.int32(used))
    draws, gradients = normal_pairs(rng, 30, np.diag([100.0, 0.01]))
    schedule = make_schedule(100, dtype=DOUBLE)
    for t in range(30):
        draw = draw_of(jnp.asarray(draws[t]), jnp.asarray(gradients[t]))
        metric, state, _ = adaptation.update(metric, state, draw, info_of(), jnp.int32(t), schedule)
    np.testing.assert_allclose(metric.scale, [1.0, 1.0] if used else [10.0, 0.1], rtol=0.2)
    assert int(state.history.count) == 30
