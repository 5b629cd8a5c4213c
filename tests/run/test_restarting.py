"""Chains that stand still in warmup start again: where, when, and the same however the run was cut."""

import dataclasses
import threading
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradmc.adaptation.spectrum import Spectrum
from gradmc.density.memo import Memo
from gradmc.run.driver import Driver
from gradmc.run.preparing import prepare
from gradmc.run.restarting import next_look
from gradmc.run.sampler import Sampler
from gradmc.run.settings import Settings
from gradmc.starts.normal import NormalApproximation
from gradmc.starts.start import Found, StartingPoint
from tests.run.doubles import Quiet, Sink, whole
from tests.targets import Target

DIM = 2
NEEDLE = 7.0


def with_a_needle(x: jax.Array, arguments: Any) -> jax.Array:
    """A standard normal for x[0] < 5, and a needle at x[0] = 7 that no chain can leave."""
    del arguments
    body = -0.5 * jnp.sum(x * x)
    return jnp.where(x[0] == NEEDLE, 100.0 + body, jnp.where(x[0] < 5.0, body, -jnp.inf))


TARGET = Target(with_a_needle, DIM, memory=Memo())
SIZES: dict[str, Any] = {"seed": 3, "chains": 3, "warmup": 150, "draws": 40, "keep_warmup": True}


@dataclasses.dataclass(frozen=True)
class OneAtTheNeedle:
    """Starts chain 1 at the needle, the others at 0; sends those that stand still to 1."""

    has_another: bool = True

    def find(self, evaluate: Any, radius: np.ndarray, seed: int, chains: Sequence[int], explore: Any = None) -> Found:
        normal = NormalApproximation(np.zeros(DIM), Spectrum(np.ones(DIM), np.ones(0), np.zeros((DIM, 0))))

        def point(position: float, other: float) -> StartingPoint:
            return StartingPoint(np.array([position, other]), normal, 0, 0.0)

        points = tuple(point(NEEDLE if chain == 1 else 0.0, 0.0) for chain in chains)
        another = (lambda chain, before: point(1.0, chain + before / 10)) if self.has_another else None
        return Found(points, 0, "by hand", another)


def prepared(**changed: Any) -> Sampler:
    return prepare(TARGET, Settings(**{**SIZES, "start": OneAtTheNeedle(), **changed}))


def finished(sampler: Sampler) -> Sink:
    sink = Sink()
    sampler.run(sink, Quiet())
    return sink


@pytest.fixture(scope="module")
def undisturbed() -> tuple[Sink, Sampler]:
    sampler = prepared()
    return finished(sampler), sampler


def counts(sampler: Sampler) -> list[int]:
    return [int(count) for lane in sampler.lanes for count in lane.restarts]


def test_looks_come_early_enough_to_adapt_afterwards() -> None:
    assert [next_look(0, 1000), next_look(50, 1000), next_look(399, 1000)] == [50, 100, 400]
    assert next_look(400, 1000) is None
    assert next_look(0, 60) is None


def test_a_chain_that_stand_still_starts_again(undisturbed: tuple[Sink, Sampler]) -> None:
    sink, sampler = undisturbed
    assert counts(sampler) == [0, 1, 0]
    warm = whole(sink, 1)[: SIZES["warmup"], 0]
    assert np.all(warm[:50] == NEEDLE)
    assert np.all(warm[50:] < 5)
    assert 0.2 < sink.draws(1).std() < 3


def test_it_begins_at_another_point_with_its_metric(undisturbed: tuple[Sink, Sampler]) -> None:
    sampler = undisturbed[1]
    assert sampler.plan.restarts is not None
    with TARGET.scope():
        state, position = sampler.plan.restarts.restarted(sampler.lanes[1].state, 0, 1, 2)
    np.testing.assert_array_equal(position, [1.0, 1.2])
    assert np.all(state.chain.keep_metric)
    np.testing.assert_array_equal(state.chain.adapted.metric.scale, np.ones((1, DIM)))


def test_without_another_point_it_begins_at_random(undisturbed: tuple[Sink, Sampler]) -> None:
    sampler = prepared(start=OneAtTheNeedle(has_another=False))
    sink = finished(sampler)
    assert counts(sampler) == [0, 1, 0]
    assert np.all(np.abs(whole(sink, 1)[51:, 0]) < 5)


def test_other_chains_do_not_notice(undisturbed: tuple[Sink, Sampler]) -> None:
    alone = finished(prepared(chains=1))
    np.testing.assert_array_equal(whole(alone, 0), whole(undisturbed[0], 0))


def test_given_points_stay() -> None:
    sampler = prepare(TARGET, Settings(**SIZES), initial=[np.array([NEEDLE, 0.0])] * 3)
    finished(sampler)
    assert counts(sampler) == [0, 0, 0]


@pytest.mark.parametrize("chunks", [1, 2, 3, 4])
def test_a_run_goes_on_through_it(chunks: int, undisturbed: tuple[Sink, Sampler]) -> None:
    """Stopped after so many chunks of chain 1, the first of which ends as it is to start again."""
    sampler, sink, seen = prepared(cores=1), Sink(), []

    def count(lane: Any) -> None:
        seen.extend(lane.chains)
        if seen.count(1) == chunks:
            enough.set()

    def look(driver: Driver) -> None:
        if enough.is_set():
            driver.stop()

    enough = threading.Event()
    sampler.run(sink, Quiet(), after_chunk=count, watch=look)
    again = prepared()
    for lane, other in zip(again.lanes, sampler.lanes, strict=True):
        again.restore(lane, sampler.save(other))
    again.run(sink, Quiet())
    assert counts(again) == [0, 1, 0]
    for chain in range(3):
        np.testing.assert_array_equal(whole(sink, chain), whole(undisturbed[0], chain))


def test_a_batch_does_the_same(undisturbed: tuple[Sink, Sampler]) -> None:
    sampler = prepared(executor="batch")
    sink = finished(sampler)
    assert counts(sampler) == [0, 1, 0]
    np.testing.assert_allclose(whole(sink, 0)[:40], whole(undisturbed[0], 0)[:40], rtol=1e-6)
    assert np.all(whole(sink, 1)[51:, 0] < 5)
