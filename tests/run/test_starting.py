"""Starting points by the compiled function: its answers, where chains begin, interruptions, what the results say."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradmc.run.driver import Driver
from gradmc.run.executor import Batch
from gradmc.run.preparing import prepare
from gradmc.run.sampler import Sampler
from gradmc.run.settings import Settings
from gradmc.run.starting import Evaluator
from tests.run.doubles import Quiet, Sink, run, whole
from tests.targets import DIM, FAMILY, Target, member

SIZES: dict[str, Any] = {"seed": 11, "chains": 3, "warmup": 30, "draws": 20}
FUNNEL = dataclasses.replace(FAMILY, arguments=member("funnel"))
WALL = dataclasses.replace(FAMILY, arguments=member("wall"))
NOWHERE = dataclasses.replace(FAMILY, arguments=member("nowhere"))


def evaluated(sampler: Sampler, points: np.ndarray, workers: int, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    lane = sampler.lanes[0]
    with ThreadPoolExecutor(workers) as pool:
        ask = Evaluator(
            plan=sampler.plan, state=lane.state, points=lane.points, pool=pool, workers=workers, between=lambda: None
        )
        ask.seconds = seconds
        return ask(points)


@pytest.mark.parametrize("executor", ["threads", "batch"])
@pytest.mark.parametrize(("workers", "seconds"), [(1, 0.0), (3, 1.0)])
def test_answers_are_the_densitys(executor: Any, workers: int, seconds: float, rng: np.random.Generator) -> None:
    """However many points, and however they are shared out; non-finite ones spoil no other."""
    sampler = prepare(WALL, Settings(**SIZES, executor=executor))
    points = rng.uniform(-2, 2, (150, DIM))
    with FAMILY.scope():
        want = jax.jit(jax.vmap(jax.value_and_grad(lambda x: WALL.logdensity(x, WALL.arguments))))(points)
    values, gradients = evaluated(sampler, points, workers, seconds)
    assert np.isnan(values).any()
    np.testing.assert_allclose(values, want[0], rtol=1e-12)
    good = np.isfinite(values)
    np.testing.assert_allclose(gradients[good], np.asarray(want[1])[good], rtol=1e-10)


def test_sharing_out_changes_no_bit(rng: np.random.Generator) -> None:
    sampler = prepare(FUNNEL, Settings(**SIZES))
    points = rng.uniform(-2, 2, (40, DIM))
    for one, other in zip(evaluated(sampler, points, 1, 0.0), evaluated(sampler, points, 3, 1.0), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_chain_begins_at_its_point() -> None:
    """With steps too short to leave it."""
    sink, sampler = run(FUNNEL, start="pathfinder", step_size=1e-12, warmup=0, draws=3)
    assert sampler.found is not None
    for chain, point in enumerate(sampler.found.points):
        np.testing.assert_allclose(sink.draws(chain)[0], point.position, atol=1e-6)


@pytest.mark.parametrize("metric", ["diagonal", "dense", "low_rank"])
def test_the_first_metric_is_that_of_the_path(metric: Any) -> None:
    """Before any draw: F F' is the covariance of the approximation (its diagonal, for the diagonal metric)."""
    _, sampler = run(FAMILY, metric=metric, warmup=0, draws=1)
    assert sampler.found is not None
    for lane, point in zip(sampler.lanes, sampler.found.points, strict=True):
        with FAMILY.scope():
            push = np.asarray(
                jax.vmap(jax.tree.map(lambda leaf: leaf[0], lane.state.chain.adapted.metric).push)(np.eye(DIM))
            ).T
        inner = point.normal.covariance
        middle = np.eye(DIM) + (inner.vectors * (inner.values - 1)) @ inner.vectors.T
        want = inner.scale[:, None] * middle * inner.scale
        got = push @ push.T
        if metric == "diagonal":
            np.testing.assert_allclose(np.diag(got), np.diag(want), rtol=1e-9)
        elif metric == "dense":
            np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-12)
        else:  # values near 1 are left alone
            np.testing.assert_allclose(np.linalg.eigvals(np.linalg.solve(want, got)).real, 1, atol=1.1)


def test_the_number_of_chains_changes_no_draw() -> None:
    many, _ = run(FUNNEL, **SIZES)
    one, _ = run(FUNNEL, **{**SIZES, "chains": 1})
    np.testing.assert_array_equal(whole(many, 0), whole(one, 0))


def test_a_run_stopped_while_it_looks_finds_the_same_again() -> None:
    undisturbed, _ = run(FUNNEL, **SIZES)
    sampler = prepare(FUNNEL, Settings(**SIZES, keep_warmup=True))
    sink, calls = Sink(), []

    def stop_at_the_fifth(driver: Driver) -> None:
        calls.append(driver)
        if len(calls) == 5:
            driver.stop()

    sampler.run(sink, Quiet(), watch=stop_at_the_fifth)
    assert len(calls) == 5
    assert not sink.chunks
    saved = [sampler.save(lane) for lane in sampler.lanes]
    again = prepare(FUNNEL, Settings(**SIZES, keep_warmup=True))
    for lane, arrays in zip(again.lanes, saved, strict=True):
        again.restore(lane, arrays)
    again.run(sink, Quiet())
    for chain in range(SIZES["chains"]):
        np.testing.assert_array_equal(whole(sink, chain), whole(undisturbed, chain))


def test_a_chain_that_has_begun_keeps_its_place() -> None:
    """Resumed in the middle of warmup, beside a chain that had no checkpoint yet."""
    undisturbed, _ = run(FUNNEL, **SIZES)
    sampler = prepare(FUNNEL, Settings(**SIZES, keep_warmup=True))
    sink = Sink()

    def stop_after_a_chunk(driver: Driver) -> None:
        if sampler.sought:
            driver.stop()

    sampler.run(sink, Quiet(), watch=stop_after_a_chunk)
    sampler.run(sink, Quiet())
    for chain in range(SIZES["chains"]):
        np.testing.assert_array_equal(whole(sink, chain), whole(undisturbed, chain))


def test_where_nothing_is_found_chains_start_uniformly() -> None:
    """Every path fails where the density has no finite value, and the error is that of a uniform start."""
    from gradmc.errors import StartError

    sampler = prepare(NOWHERE, Settings(**SIZES))
    with pytest.raises(StartError, match="at 100 starting points"):
        sampler.run(Sink(), Quiet())
    assert sampler.started == {"start": "uniform", "start_note": "no search found a place to start from"}


def test_results_say_how_chains_started() -> None:
    _, found = run(FUNNEL, **SIZES)
    attributes = found.started
    assert attributes["start"] == "pathfinder"
    assert attributes["start_note"].endswith("paths found the mass")
    assert attributes["start_gradients"] > 100
    assert len(attributes["start_path"]) == len(attributes["start_elbo"]) == SIZES["chains"]
    _, uniform = run(FUNNEL, **SIZES, start="uniform")
    assert uniform.started == {"start": "uniform"}
    _, given = run(FUNNEL, **SIZES, initial=[np.zeros(DIM)] * SIZES["chains"])
    assert given.started == {"start": "given"}


def far_normal(x: jax.Array, arguments: Any) -> jax.Array:
    """A normal far away, seen through a log scale: what nobody centred."""
    del arguments
    return -20_000 * (x[1] + 0.5 * ((x[0] - 10_000) ** 2 + 4) * jax.numpy.exp(-2 * x[1]))


def test_every_chain_finds_a_far_and_narrow_mode() -> None:
    """Mean 10,000 and spread 2 of 20,000 values: from uniform starts no chain arrives in 1,000 transitions."""
    sink, _ = run(Target(function=far_normal, dim=2), chains=6, warmup=100, draws=50, seed=3)
    for chain in range(6):
        draws = sink.draws(chain)
        assert np.all(np.abs(draws[:, 0] - 10_000) < 0.2)  # 14 standard deviations
        assert np.all(np.abs(draws[:, 1] - np.log(2)) < 0.1)


def cubic(x: jax.Array, y: jax.Array) -> jax.Array:
    """Coefficients of a cubic in the years 1950 to 2020 as they stand, and the log of the spread around it."""
    years = jnp.arange(1950.0, 2021.0)
    means = x[0] + years * (x[1] + years * (x[2] + years * x[3]))
    return -0.5 * jnp.sum(((y - means) / jnp.exp(x[4])) ** 2) - len(years) * x[4] - 0.5 * jnp.exp(2 * x[4])


def test_every_chain_finds_the_coefficients_of_powers() -> None:
    """Their scales differ by ten orders of magnitude, and log densities begin at -1e20."""
    y = 1e-3 * np.arange(-35, 36) ** 3 + np.random.default_rng(1).normal(size=71)
    sink, _ = run(Target(function=cubic, dim=5, arguments=y), chains=6, warmup=300, draws=50, seed=3)
    heights = [np.median(sink.draws(chain, group="sample_stats", name="lp")) for chain in range(6)]
    assert min(heights) > max(heights) - 10


def three_normals(x: jax.Array, y: jax.Array) -> jax.Array:
    """A mixture: the lowest mean, logs of the ways up to the others, logs of spreads, logs of two odds."""
    means = x[0] + jnp.cumsum(jnp.exp(x[1:3]), 0)
    means = jnp.append(x[:1], means)
    weights = jax.nn.log_softmax(jnp.append(x[6:], 0.0))
    parts = weights - x[3:6] - 0.5 * ((y[:, None] - means) / jnp.exp(x[3:6])) ** 2
    prior = jnp.sum(x[1:6]) - 0.5 * (jnp.sum((means / 20) ** 2) + jnp.sum((jnp.exp(x[3:6]) / 5) ** 2))
    return jnp.sum(jax.nn.logsumexp(parts, axis=1)) + prior - 0.5 * jnp.sum((x[6:] / 1.5) ** 2)


def mixture() -> Target:
    rng = np.random.default_rng(1)
    y = np.concatenate([rng.normal(-10, 1, 60), rng.normal(0, 2, 80), rng.normal(15, 3, 60)])
    return Target(function=three_normals, dim=8, arguments=y)


def test_no_chain_stays_in_a_minor_mode_of_a_mixture() -> None:
    """One of eight straight ways up finds the mode with the mass, and none with this seed; others lie 90 nats below."""
    sink, sampler = run(mixture(), chains=6, warmup=100, draws=20, seed=4)
    values = [sampler.evaluate(sink.draws(chain)[-1])[0] for chain in range(6)]
    assert min(values) > -440


def test_copies_that_fill_up_a_block_count_no_gradients(rng: np.random.Generator) -> None:
    points = rng.uniform(-2, 2, (2, 8))
    alone = prepare(mixture(), Settings(**SIZES))
    together = prepare(mixture(), Settings(**SIZES, executor=Batch(vectorised=True)))
    assert together.plan.compiled.block == SIZES["chains"]
    counts = [s._evaluator(None, lambda: None).explore(points, (8, 9), seed=1)[1] for s in (alone, together)]
    assert 0 < counts[1] <= 2 * 1000
    assert abs(counts[0] - counts[1]) <= 0.2 * counts[0], "rounding may part their ways"


def test_where_scouts_come_to_depends_on_their_numbers_alone(rng: np.random.Generator) -> None:
    sampler = prepare(mixture(), Settings(**SIZES))
    points = rng.uniform(-2, 2, (5, 8))
    with ThreadPoolExecutor(2) as pool:
        evaluator = sampler._evaluator(pool, lambda: None)
        ends, gradients = evaluator.explore(points, range(8, 13), seed=1)
        parts = [
            evaluator.explore(points[rows], np.arange(8, 13)[rows].tolist(), seed=1) for rows in ([4, 1], [0, 2, 3])
        ]
        others, _ = evaluator.explore(points, range(8, 13), seed=2)
        evaluator.seconds = 0.01  # per gradient: calls of 20
        cut, _ = evaluator.explore(points, range(8, 13), seed=1)
    np.testing.assert_array_equal(ends[[4, 1, 0, 2, 3]], np.concatenate([part[0] for part in parts]))
    np.testing.assert_array_equal(ends, cut)
    assert gradients == sum(part[1] for part in parts)
    assert np.all(np.any(ends != points, axis=1))
    assert np.all(np.any(ends != others, axis=1))
