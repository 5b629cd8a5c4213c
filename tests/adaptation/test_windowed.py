"""Dense and low-rank mass matrices from draws and gradients."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradmc.adaptation.schedule import final_start, make_schedule
from gradmc.adaptation.windowed import (
    Dense,
    History,
    LowRank,
    arrival,
    history_rows,
    in_transit,
    is_look,
    latest,
    next_update,
)
from tests.adaptation.covariances import condition_after, random_covariance
from tests.adaptation.feed import draw_of, info_of, normal_pairs
from tests.adaptation.nasty import nasty_rows

DOUBLE = np.dtype(float)
WARMUPS = [0, 1, 5, 10, 20, 24, 50, 100, 118, 500, 3000]


def is_due(transition: int, warmup: int) -> bool:
    return transition > 0 and next_update(transition - 1, warmup) == transition


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

    def test_looks_come_between_updates(self) -> None:
        assert [t for t in range(500) if is_due(t, 500) and not is_look(t)] == [20, 30, 45, 67, 100, 150, 225, 337, 425]
        assert [t for t in range(500) if is_due(t, 500) and is_look(t)] == [24, 36, 54, 80, 120, 180, 270, 404]

    def test_between_two_updates_the_next_one_is_named(self) -> None:
        for transition in range(500):
            due = next_update(transition, 500)
            assert due is None or (due > transition and is_due(due, 500))
            assert not any(is_due(t, 500) for t in range(transition + 1, due or 500))


class TestHistory:
    """The ring of draws, gradients and log densities."""

    def test_the_later_half_is_recent(self, rng: np.random.Generator) -> None:
        rows = 32
        draws, gradients = rng.standard_normal((2, 100, 2))
        for count in (1, 2, 5, 31, 32, 33, 63, 100):
            ring = History(draws=np.zeros((rows, 2)), gradients=np.zeros((rows, 2)), log_densities=np.zeros(rows))
            for t in range(count):
                ring.draws[t % rows], ring.gradients[t % rows] = draws[t], gradients[t]
            got = latest(ring, count, final=True)
            assert got is not None
            wanted = min(count - count // 2, rows)
            np.testing.assert_array_equal(got[0], draws[count - wanted : count])
            np.testing.assert_array_equal(got[1], gradients[count - wanted : count])

    def test_draws_on_the_way_are_not_recent(self, rng: np.random.Generator) -> None:
        log_densities = np.r_[np.full(60, -1100.0), rng.normal(-640, 8, 20)]
        ring = History(draws=np.arange(160.0).reshape(80, 2), gradients=np.ones((80, 2)), log_densities=log_densities)
        got = latest(ring, 80, final=False)
        assert got is not None
        np.testing.assert_array_equal(got[0], ring.draws[60:])
        assert is_look(80)
        assert latest(dataclasses.replace(ring, log_densities=np.zeros(80)), 80, final=False) is None

    @pytest.mark.parametrize("dim", [1, 100, 5_000, 100_000])
    def test_its_room_is_bounded(self, dim: int) -> None:
        rows = history_rows(dim, 8)
        assert 32 <= rows <= 1024
        assert rows == 32 or 2 * rows * dim * 8 <= 8 << 20
        assert min(dim, 2 * rows) <= 256, "the eigenvalue problems stay small"


class TestArrival:
    """Where the draws begin that tell of the mass."""

    def test_before_a_jump_nothing_counts(self, rng: np.random.Generator) -> None:
        there = rng.normal(-640, 8, 40)
        assert arrival(np.r_[np.linspace(-1e6, -900, 110), there]) == 110
        assert arrival(np.r_[there, -1e9, there]) == 41

    def test_a_chain_on_its_way_keeps_its_latest_draws(self) -> None:
        assert 0 < arrival(np.linspace(-1e6, -1e3, 100)) < 75

    @pytest.mark.parametrize("count", [1, 2, 9, 10, 11, 40])
    def test_few_draws(self, count: int) -> None:
        assert arrival(np.full(count, -3.0)) == 0

    @pytest.mark.parametrize("dim", [1, 2, 30, 10_000])
    def test_draws_of_a_normal_all_count(self, dim: int, rng: np.random.Generator) -> None:
        """A draw lies so low with probability 2e-6 at most (dim 1, where chi2 > 28.5): in 20,000 with 0.04."""
        cut = [arrival(-rng.chisquare(dim, 100) / 2) for _ in range(200)]
        assert np.count_nonzero(cut) <= 2


def test_gradients_of_one_sign_mean_transit(rng: np.random.Generator) -> None:
    gradients = rng.standard_normal((60, 4))
    assert not in_transit(gradients)
    assert in_transit(gradients + np.array([0, 0, 0, 5.0]))
    assert in_transit(np.full((20, 2), np.nan))


def filled(draws: np.ndarray, gradients: np.ndarray) -> History:
    return History(draws=draws, gradients=gradients, log_densities=np.zeros(len(draws)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_dense_metric_whitens_a_correlated_normal(dtype: type, rng: np.random.Generator) -> None:
    covariance = random_covariance(rng, 5, 1e4)
    metric, _ = Dense().initial(jnp.ones(5, dtype), jnp.ones(5, dtype))
    draws, gradients = (a.astype(dtype) for a in normal_pairs(rng, 200, covariance))
    new = Dense().on_host(metric, filled(draws, gradients), 200)
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
    adaptation = LowRank(rank=6)
    metric, _ = adaptation.initial(jnp.ones(16, dtype), jnp.ones(16, dtype))
    draws, gradients = (a.astype(dtype) for a in normal_pairs(rng, 400, covariance))
    new = adaptation.on_host(metric, filled(draws, gradients), 400)
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
    adaptation = LowRank()
    metric, _ = adaptation.initial(jnp.ones(3), jnp.ones(3))
    draws, gradients = normal_pairs(rng, 400, np.diag([1e-4, 1.0, 1e4]))
    assert adaptation.on_host(metric, filled(draws, gradients), 400) is None


def test_a_low_rank_metric_waits_for_a_chain_on_its_way(rng: np.random.Generator) -> None:
    adaptation = LowRank()
    metric, _ = adaptation.initial(jnp.ones(3), jnp.ones(3))
    draws, gradients = normal_pairs(rng, 100, random_covariance(rng, 3, 1e4))
    history = filled(draws, gradients + 10 * gradients.std(axis=0))
    assert adaptation.on_host(metric, history, 100) is None


@pytest.mark.parametrize("used", [0, 1])
def test_the_diagonal_adapts_until_a_direction_is_used(used: int, rng: np.random.Generator) -> None:
    adaptation: Any = LowRank()
    metric, state = adaptation.initial(jnp.ones(2), jnp.ones(2))
    metric = dataclasses.replace(metric, used=jnp.int32(used))
    draws, gradients = normal_pairs(rng, 30, np.diag([100.0, 0.01]))
    schedule = make_schedule(100, dtype=DOUBLE)
    for t in range(30):
        draw = draw_of(jnp.asarray(draws[t]), jnp.asarray(gradients[t]))
        metric, state, _ = adaptation.update(metric, state, draw, info_of(), jnp.int32(t), schedule)
    np.testing.assert_allclose(metric.scale, [1.0, 1.0] if used else [10.0, 0.1], rtol=0.2)


class TestNastyRows:
    """No rows end a run: a metric comes of them that is finite and positive definite, or none."""

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @settings(max_examples=150, deadline=None)
    @given(rows=nasty_rows((1, 2, 3, 8, 30), (1, 2, 7, 40)), used=st.integers(0, 1))
    def test_low_rank(self, dtype: type, rows: tuple[np.ndarray, np.ndarray], used: int) -> None:
        draws, gradients = cast(rows, dtype)
        dim = draws.shape[1]
        with jax.enable_x64(True):
            metric, state = LowRank(rank=5).initial(jnp.ones(dim, dtype), jnp.ones(dim, dtype))
            metric = dataclasses.replace(metric, used=jnp.int32(used))
            state = filled(draws, gradients)
            new = LowRank(rank=5).on_host(metric, state, len(draws), final=True)
        if new is None:
            return
        scale, vectors, stretch = (np.asarray(leaf, float) for leaf in (new.scale, new.vectors, new.stretch))
        used = int(new.used)
        assert 0 <= used <= len(stretch)
        inner = np.eye(dim) + (vectors[:used].T * (stretch[:used] - 1)) @ vectors[:used]
        assert_positive_definite(scale, inner, dtype)
        assert np.all(np.isfinite(vectors))
        assert np.all(np.isfinite(stretch) & (stretch > 0))

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @settings(max_examples=150, deadline=None)
    @given(rows=nasty_rows((1, 2, 3, 8, 30), (1, 2, 7, 40)))
    def test_dense(self, dtype: type, rows: tuple[np.ndarray, np.ndarray]) -> None:
        draws, gradients = cast(rows, dtype)
        dim = draws.shape[1]
        with jax.enable_x64(True):
            metric, _ = Dense().initial(jnp.ones(dim, dtype), jnp.ones(dim, dtype))
            new = Dense().on_host(metric, filled(draws, gradients), len(draws), final=True)
        if new is not None:
            factor = np.asarray(new.factor, float)
            scale = np.linalg.norm(factor, axis=1)
            assert_positive_definite(scale, factor / scale[:, None], dtype)

    def test_rows_without_a_fault_give_a_metric(self, rng: np.random.Generator) -> None:
        """Or the laws above would hold of nothing."""
        draws, gradients = normal_pairs(rng, 30, random_covariance(rng, 7, 100.0))
        metric, _ = Dense().initial(jnp.ones(7), jnp.ones(7))
        assert Dense().on_host(metric, filled(draws, gradients), 30, final=True) is not None
        assert Dense().on_host(metric, filled(draws, gradients), 30) is None, "too early"

    @pytest.mark.parametrize("noise", [0.0, 1e-14])
    def test_a_stuck_chain_gives_no_metric(self, noise: float, rng: np.random.Generator) -> None:
        """Its spread is rounding: a direction in use is at most given up."""
        rows = np.tile(rng.standard_normal((2, 1, 3)), (1, 40, 1)) * (1 + noise * rng.standard_normal((2, 40, 3)))
        rows[1] -= rows[1].mean(axis=0)
        metric, _ = LowRank().initial(jnp.ones(3), jnp.ones(3))
        metric = dataclasses.replace(metric, used=jnp.int32(1))
        new = LowRank().on_host(metric, filled(*rows), 40, final=True)
        assert new is None or int(new.used) == 0
        assert new is None or new.scale is metric.scale

    def test_directions_are_given_up_in_transit(self, rng: np.random.Generator) -> None:
        """Those of a start that was elsewhere, say: the scales go on adapting, the directions would not."""
        metric, _ = LowRank().initial(jnp.ones(3), jnp.ones(3))
        metric = dataclasses.replace(metric, used=jnp.int32(2))
        rows = rng.standard_normal((2, 40, 3))
        rows[1, :, 1] += 5.0
        new = LowRank().on_host(metric, filled(*rows), 40)
        assert new is not None
        assert int(new.used) == 0


def cast(rows: tuple[np.ndarray, np.ndarray], dtype: type) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(all="ignore"):
        return rows[0].astype(dtype), rows[1].astype(dtype)


def assert_positive_definite(scale: np.ndarray, inner: np.ndarray, dtype: type) -> None:
    """F = diag(scale) inner is finite and far enough from singular for products in `dtype`."""
    assert np.all(np.isfinite(scale) & (scale > 0))
    assert np.all(np.isfinite(inner))
    short, long = (singular := np.linalg.svd(inner, compute_uv=False))[-1], singular[0]
    assert short > np.finfo(dtype).eps * long
