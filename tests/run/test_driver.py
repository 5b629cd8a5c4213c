"""The host loop: the draws do not depend on it; stopping, failures and what it reports."""

import dataclasses
import itertools
import threading
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradmc.adaptation.pooled import Pooled
from gradmc.adaptation.schedule import final_start
from gradmc.adaptation.trajectory import TrajectoryLength
from gradmc.errors import ResumeError, StartError, UsageError
from gradmc.kernels.nuts import Nuts
from gradmc.run import compiling
from gradmc.run import driver as driver_module
from gradmc.run.driver import Driver, Lane, resized
from gradmc.run.executor import Batch
from gradmc.run.machine import RUN, SEARCH
from gradmc.run.preparing import prepare
from gradmc.run.settings import Settings
from tests.run.doubles import Quiet, Sink, run, whole
from tests.targets import Target, standard_normal, target_of

NORMAL, FUNNEL, WALL, NOWHERE, UNIT = map(target_of, ("normal", "funnel", "wall", "nowhere", "unit"))
SINGLE = target_of("normal", np.float32)


SLOW_BATCH = pytest.param("diagonal", "batch", marks=pytest.mark.slow)


@pytest.fixture
def tiny_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of one tick, but for the first of each chain."""
    monkeypatch.setattr(driver_module, "CHUNK_SECONDS", 1e-9)


class TestDrawsAreAFunctionOfSeedAndChain:
    """Of nothing else: bit by bit."""

    @pytest.mark.parametrize("metric", ["diagonal", "low_rank", "dense"])
    def test_chunks_of_one_tick_equal_large_ones(self, metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
        settings: dict[str, Any] = {"metric": metric, "warmup": 40, "draws": 10, "chains": 1}
        large, _ = run(NORMAL, **settings)
        monkeypatch.setattr(driver_module, "CHUNK_SECONDS", 1e-9)
        small, _ = run(NORMAL, **settings)
        assert len(small.chunks[0, True]) > len(large.chunks[0, True])
        np.testing.assert_array_equal(whole(large, 0), whole(small, 0))

    def test_of_the_number_of_chains_and_cores(self) -> None:
        alone, _ = run(FUNNEL, chains=1, warmup=130)
        tables = [whole(alone, 0)]
        for chains, cores in ((2, 2), (3, 1), (3, 8)):
            sink, _ = run(FUNNEL, chains=chains, cores=cores, warmup=130)
            np.testing.assert_array_equal(whole(sink, 0), tables[0])
            if len(tables) == 1:
                tables.append(whole(sink, 1))
            np.testing.assert_array_equal(whole(sink, 1), tables[1])
        assert not np.array_equal(tables[0][0], tables[1][0])

    def test_of_the_number_of_draws(self) -> None:
        long, _ = run(NORMAL, draws=60)
        short, _ = run(NORMAL, draws=15)
        np.testing.assert_array_equal(long.draws(0)[:15], short.draws(0))

    def test_of_what_is_kept(self) -> None:
        kept, _ = run(NORMAL, keep_warmup=True, keep_unconstrained=True)
        plain, _ = run(NORMAL, keep_warmup=False)
        np.testing.assert_array_equal(kept.draws(1), plain.draws(1))
        assert (0, True) not in plain.chunks
        assert "unconstrained_posterior" not in plain.chunks[0, False][0]
        np.testing.assert_array_equal(kept.draws(1, group="unconstrained_posterior", name="x"), kept.draws(1))

    def test_seeds_differ(self) -> None:
        one, _ = run(NORMAL, seed=1, chains=1)
        other, _ = run(NORMAL, seed=2, chains=1)
        assert not np.array_equal(one.draws(0), other.draws(0))


class TestBatches:
    """All chains in one call."""

    def test_a_batch_equals_its_chains(self) -> None:
        """On independent normals, where rounding errors do not grow, over whole chains."""
        threads, _ = run(UNIT, metric="diagonal", chains=2)
        batch, sampler = run(UNIT, metric="diagonal", chains=2, executor=Batch(vectorised=True))
        assert len(sampler.lanes) == 1
        for chain in range(2):
            np.testing.assert_allclose(whole(batch, chain), whole(threads, chain), rtol=1e-7, atol=1e-8)

    def test_the_first_transitions_of_a_batch_equal_those_of_its_chains(self) -> None:
        threads, _ = run(FUNNEL, metric="diagonal", chains=2, warmup=20, draws=0)
        batch, _ = run(FUNNEL, metric="diagonal", chains=2, warmup=20, draws=0, executor=Batch(vectorised=True))
        for chain in range(2):
            np.testing.assert_allclose(whole(batch, chain), whole(threads, chain), rtol=1e-5, atol=1e-6)

    def test_native_blocks_make_the_very_draws_of_threads(self) -> None:
        """Blocks of three chains, the last one filled up; each chain by itself, bit by bit."""
        threads, _ = run(FUNNEL, metric="diagonal", chains=2, warmup=20, draws=5)
        native, sampler = run(
            FUNNEL, metric="diagonal", chains=25, warmup=20, draws=5, executor=Batch(vectorised=False)
        )
        assert (len(sampler.lanes), sampler.plan.compiled.block) == (1, 3)
        for chain in range(2):
            np.testing.assert_array_equal(whole(native, chain), whole(threads, chain))
        assert len({whole(native, chain).tobytes() for chain in range(25)}) == 25

    @pytest.mark.slow
    @pytest.mark.parametrize("metric", ["low_rank", "dense"])
    def test_metrics_computed_on_the_host(self, metric: str) -> None:
        """The windows of each chain of a batch are its own."""
        threads, one = run(NORMAL, metric=metric, chains=2, warmup=24, draws=6)
        batch, both = run(NORMAL, metric=metric, chains=2, warmup=24, draws=6, executor=Batch(vectorised=True))
        for chain in range(2):
            np.testing.assert_allclose(whole(batch, chain), whole(threads, chain), rtol=1e-4, atol=1e-5)
            alone = jax.tree.leaves(one.lanes[chain].state.chain.adapted.metric)
            together = jax.tree.leaves(both.lanes[0].state.chain.adapted.metric)
            np.testing.assert_allclose(together[0][chain], alone[0][0], rtol=1e-5)


class TestTogether:
    """Chains that adapt together."""

    @pytest.mark.parametrize("kernel", ["nuts", "chees"])
    def test_one_step_size_and_metric_however_the_run_is_cut(
        self, kernel: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings: dict[str, Any] = {"chains": 20, "warmup": 30, "draws": 5, "kernel": kernel, "start": "uniform"}
        adaptation = TrajectoryLength() if kernel == "chees" else Pooled()
        large, sampler = run(NORMAL, executor="batch", adaptation=adaptation, **settings)
        adapted = sampler.lanes[0].state.chain.adapted
        for leaf in [*jax.tree.leaves(adapted.metric), adapted.step.value]:
            np.testing.assert_array_equal(leaf, np.broadcast_to(np.asarray(leaf)[:1], np.shape(leaf)))
        monkeypatch.setattr(driver_module, "CHUNK_SECONDS", 1e-9)
        saved: list[dict[str, np.ndarray]] = []
        small, cut = run(
            NORMAL,
            executor="batch",
            adaptation=adaptation,
            after_chunk=lambda lane: saved.append(sampler.save(lane)),
            **settings,
        )
        for chain in (0, 19):
            np.testing.assert_array_equal(whole(small, chain), whole(large, chain))
        # From a checkpoint in the middle of warmup, where some chains wait for others, the same draws follow.
        middle = next(arrays for arrays in saved if 10 <= arrays["done"].min() < arrays["done"].max() <= 25)
        cut.restore(cut.lanes[0], middle)
        again = Sink()
        cut.run(again, Quiet())
        for chain in (0, 19):
            np.testing.assert_array_equal(again.draws(chain), large.draws(chain))

    def test_few_chains_or_threads_are_refused(self) -> None:
        with pytest.raises(UsageError, match="adapts all chains together"):
            run(NORMAL, kernel="chees", chains=4)
        with pytest.raises(UsageError, match='executor="batch"'):
            run(NORMAL, adaptation=Pooled(), chains=20, executor="threads")


class TestPrecision:
    """float32 and float64 both run and keep their dtype."""

    @pytest.mark.parametrize("kernel", ["nuts", "hmc"])
    @pytest.mark.parametrize("metric", ["diagonal", "low_rank", "dense"])
    def test_single(self, kernel: str, metric: str) -> None:
        sink, sampler = run(SINGLE, kernel=kernel, metric=metric, chains=1, warmup=130)
        assert sink.draws(0).dtype == np.float32
        assert np.all(np.isfinite(sink.draws(0)))
        assert 0.1 < sink.draws(0).std() < 3
        leaves = jax.tree.leaves(sampler.lanes[0].state)
        assert not any(np.asarray(leaf).dtype == np.float64 for leaf in leaves)

    def test_double(self) -> None:
        sink, _ = run(NORMAL, chains=1)
        assert sink.draws(0).dtype == np.float64

    @pytest.mark.parametrize("target", [NORMAL, SINGLE])
    def test_statistics_have_the_dtypes_of_arviz(self, target: Target) -> None:
        sink, _ = run(target, chains=1)
        for name, dtype in Nuts().statistics.items():
            assert sink.draws(0, group="sample_stats", name=name).dtype == dtype, name


class TestResuming:
    """The state of a chain is all that is needed to go on."""

    @pytest.mark.parametrize(
        ("metric", "executor"),
        [("diagonal", "threads"), ("low_rank", "threads"), ("dense", "threads"), SLOW_BATCH],
    )
    def test_a_restored_chain_goes_on_bit_by_bit(
        self, metric: str, executor: str, tiny_chunks: None, rng: np.random.Generator
    ) -> None:
        """From any chunk: in the search for a step size, in warmup, within a trajectory."""
        settings: dict[str, Any] = {
            "metric": metric,
            "executor": executor,
            "warmup": 30,
            "draws": 5,
            "chains": 2,
        }
        saved: list[dict[str, np.ndarray]] = []
        sampler = prepare(NORMAL, Settings(seed=3, keep_warmup=True, **settings))

        def save(lane: Lane) -> None:
            if lane.chains[0] == 0:
                saved.append(sampler.save(lane))

        complete = Sink()
        sampler.run(complete, Quiet(), after_chunk=save)
        assert len(saved) > 100
        for i in (0, *rng.integers(1, len(saved), 3)):
            again = prepare(NORMAL, Settings(seed=3, keep_warmup=True, **settings))
            again.lanes = again.lanes[:1]
            again.restore(again.lanes[0], saved[i])
            rest = Sink()
            again.run(rest, Quiet())
            for j, chain in enumerate(again.lanes[0].chains):
                done = int(saved[i]["done"][j])
                expected = whole(complete, chain)[done:]
                if len(expected):
                    np.testing.assert_array_equal(whole(rest, chain), expected)
            last = sampler.save(sampler.lanes[0])
            for name, array in again.save(again.lanes[0]).items():
                np.testing.assert_array_equal(array, last[name], err_msg=name)

    def test_arrays_of_another_model_are_refused(self) -> None:
        sampler = prepare(NORMAL, Settings(seed=1, chains=1))
        arrays = sampler.save(sampler.lanes[0])
        name = next(name for name in arrays if name.endswith("position"))
        for bad in (
            {**arrays, name: arrays[name][..., :2]},
            {**arrays, name: arrays[name].astype(np.float32)},
            {key: value for key, value in arrays.items() if key != name},
            {key: value for key, value in arrays.items() if key != "done"},
            {**arrays, "gradients": np.zeros(5, np.int64)},
        ):
            with pytest.raises(ResumeError, match="does not fit this model and these settings"):
                sampler.restore(sampler.lanes[0], bad)


class TestStopping:
    """Between chunks."""

    @pytest.mark.parametrize("executor", ["threads", "batch"])
    def test_keeps_the_draws_so_far_and_can_go_on(self, executor: str) -> None:
        settings: dict[str, Any] = {
            "chains": 2,
            "warmup": 20,
            "draws": 800,
            "executor": executor,
            "metric": "diagonal",
            "start": "uniform",
        }
        complete, _ = run(NORMAL, **settings)

        sampler = prepare(NORMAL, Settings(seed=11, keep_warmup=True, **settings))
        chunks = {"n": 0}
        first = Sink()

        def after_chunk(lane: Lane) -> None:
            chunks["n"] += 1
            if chunks["n"] == 2:
                stopping.set()

        stopping = threading.Event()
        driver = Driver(sampler.plan, sampler.lanes, first, Quiet(), workers=2, after_chunk=after_chunk)
        driver.run(lambda: driver.stop() if stopping.is_set() else None, interval=0.001)
        total = [first.length(chain) + first.length(chain, warmup=True) for chain in range(2)]
        assert [int(done) for lane in sampler.lanes for done in lane.done] == total
        rest = Sink()
        sampler.run(rest, Quiet())
        for chain in range(2):
            parts = [
                whole(sink, chain) for sink in (first, rest) if sink.length(chain) + sink.length(chain, warmup=True)
            ]
            np.testing.assert_array_equal(np.concatenate(parts), whole(complete, chain))

    def test_ends_within_a_chunk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No chain begins another chunk after `stop`."""
        monkeypatch.setattr(driver_module, "CHUNK_SECONDS", 0.02)
        sampler = prepare(NORMAL, Settings(seed=1, chains=3, warmup=0, draws=2**29, cores=2, start="uniform"))
        begun_after_stop: list[int] = []
        stopped = threading.Event()
        advance = sampler.plan.compiled.advance

        def watched(*arguments: Any) -> Any:
            if stopped.is_set():
                begun_after_stop.append(1)
            return advance(*arguments)

        sampler.plan = dataclasses.replace(
            sampler.plan, compiled=dataclasses.replace(sampler.plan.compiled, advance=watched)
        )
        ticks = {"n": 0}

        def watch(driver: Driver) -> None:
            ticks["n"] += 1
            if ticks["n"] == 3:
                driver.stop()
                stopped.set()
                assert driver.stopping

        sink = Sink()
        sampler.run(sink, Quiet(), watch=watch)
        assert len(begun_after_stop) <= 2, "a worker may have been on its way into a chunk"
        assert sum(sink.length(chain) for chain in range(3)) > 0

    def test_stopped_before_it_began(self) -> None:
        sampler = prepare(NORMAL, Settings(seed=1, chains=2))
        driver = Driver(sampler.plan, sampler.lanes, Sink(), Quiet(), workers=2)
        driver.stop()
        driver.run()
        assert all(int(lane.done[0]) == 0 for lane in sampler.lanes)

    def test_an_interrupt_of_the_main_thread_stops_the_workers(self) -> None:
        sampler = prepare(NORMAL, Settings(seed=1, chains=2, draws=2**29))
        sink = Sink()

        def interrupt(driver: Driver) -> None:
            if sink.length(0):
                raise KeyboardInterrupt

        before = threading.active_count()
        with pytest.raises(KeyboardInterrupt):
            sampler.run(sink, Quiet(), watch=interrupt)
        assert threading.active_count() == before
        assert int(sampler.lanes[0].done[0]) >= sink.length(0) > 0


class TestFailures:
    """In the parts around the loop, and of the start."""

    @pytest.mark.parametrize("where", ["sink", "progress", "after_chunk"])
    def test_an_exception_in_a_worker_is_raised_in_the_caller(self, where: str) -> None:
        def fail(*_: Any) -> None:
            raise OSError("no space left on device")

        sampler = prepare(NORMAL, Settings(seed=1, chains=3, draws=2**29, cores=2))
        sink, progress = Sink(), Quiet()
        if where == "sink":
            sink.put = fail  # type: ignore[method-assign]
        if where == "progress":
            progress.update = fail  # type: ignore[method-assign]
        before = threading.active_count()
        with pytest.raises(OSError, match="no space left on device"):
            sampler.run(sink, progress, after_chunk=fail if where == "after_chunk" else None)
        assert threading.active_count() == before

    @pytest.mark.parametrize("executor", ["threads", "batch"])
    def test_no_start_anywhere(self, executor: str) -> None:
        with pytest.raises(StartError, match=r"no valid start for chain [01]: at 100 starting points.*\nnot finite at"):
            run(NOWHERE, executor=executor)

    @pytest.mark.parametrize("executor", ["threads", "batch"])
    @pytest.mark.parametrize("bad", [0, 1])
    def test_one_bad_start_ends_the_run(self, bad: int, executor: str) -> None:
        """At once, though the other chain would go on for very long; and the message names the chain and its point."""
        initial = [np.array([1.0, 0.0, 0.5])] * 2
        initial[bad] = np.array([-1.25, 0.0, 0.5])
        with pytest.raises(
            StartError,
            match=rf"no valid start for chain {bad}: at the given starting point.*\nnot finite at \[-1.25, 0.0, 0.5\]",
        ):
            run(WALL, initial=initial, executor=executor, draws=2**29, keep_warmup=False)

    def test_a_gradient_that_is_no_number(self) -> None:
        target = Target(function=lambda x, _: -jnp.sum(jnp.sqrt(x * 0) + x**2), dim=2)
        with pytest.raises(StartError, match="its gradient was not finite"):
            run(target)


class TestChunks:
    """They last a third of a second, however they end."""

    def test_they_grow_and_shrink_to_the_right_length(self) -> None:
        speed, ticks = 1e5, float(driver_module.FIRST_TICKS)
        for _ in range(6):
            ticks = resized(ticks, int(ticks), int(ticks) / speed)
        assert ticks == pytest.approx(driver_module.CHUNK_SECONDS * speed, rel=0.01)
        assert resized(ticks, int(ticks), 1e3) == ticks / driver_module.MAX_GROWTH
        assert resized(1.0, 1, 1e3) == 1.0

    def test_a_chunk_whose_draws_were_complete_early_does_not_make_the_next_one_longer(self) -> None:
        """Else warmup, in which the host stops chains at many transitions, would leave chunks of minutes."""
        assert resized(1000.0, 10, 1e-4) == 1000.0
        assert resized(1000.0, 999, 3.0) == pytest.approx(100.0)

    def test_what_the_driver_measures(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A chunk is never allowed more than the growth from one that took all its ticks."""
        monkeypatch.setattr(driver_module, "CHUNK_SECONDS", 1e6)
        allowed: list[tuple[float, int]] = []

        def note(lane: Lane) -> None:
            allowed.append((lane.ticks, int(lane.gradients[0])))

        run(NORMAL, chains=1, warmup=400, draws=2, after_chunk=note)
        for (before, gradients), (after, later) in itertools.pairwise(allowed):
            assert after == (before * driver_module.MAX_GROWTH if later - gradients >= int(before) else before)


class TestReports:
    """What the display is told."""

    def test_phases_and_counts(self, tiny_chunks: None) -> None:
        sampler = prepare(NORMAL, Settings(seed=1, chains=2, warmup=30, draws=20, keep_warmup=True))
        sink, progress = Sink(), Quiet()
        sampler.run(sink, progress)
        for chain in range(2):
            statuses = [status for status in progress.statuses if status.chain == chain]
            done = [status.done for status in statuses]
            assert done == sorted(done)
            assert {status.total for status in statuses} == {50}
            phases = [status.phase for status in statuses]
            assert phases == sorted(phases, key=["warmup", "sampling", "done"].index)
            last = statuses[-1]
            assert (last.phase, last.done) == ("done", 50)
            steps = sum(
                int(sink.draws(chain, warmup=w, group="sample_stats", name="n_steps").sum()) for w in (True, False)
            )
            assert steps < last.n_leapfrog <= steps + 100, "and the start and the search"
            assert last.step_size == sink.draws(chain, group="sample_stats", name="step_size")[-1]

    def test_divergences_after_warmup_are_counted(self) -> None:
        sampler = prepare(WALL, Settings(seed=1, chains=2, warmup=60, draws=60))
        sink, progress = Sink(), Quiet()
        sampler.run(sink, progress)
        for lane in sampler.lanes:
            chain = lane.chains[0]
            diverging = sink.draws(chain, group="sample_stats", name="diverging")
            assert lane.divergences.tolist() == [diverging.sum()]
            assert [s for s in progress.statuses if s.chain == chain][-1].divergences == diverging.sum()
        assert sum(int(lane.divergences.sum()) for lane in sampler.lanes) > 0


def test_a_new_metric_from_the_host_calls_for_a_new_step_size(tiny_chunks: None) -> None:
    """The chain stops at the transition where one is due, takes it, and searches."""
    due = final_start(30)
    phases: list[int] = []
    metrics: list[np.ndarray] = []

    def record(lane: Lane) -> None:
        metrics.append(np.asarray(lane.state.chain.adapted.metric.factor)[0])
        if int(lane.done[0]) == due:
            phases.append(int(lane.state.chain.phase[0]))

    run(NORMAL, metric="dense", chains=1, warmup=30, draws=3, after_chunk=record)
    assert phases[0] == SEARCH
    assert phases[-1] == RUN
    assert len({metric.tobytes() for metric in metrics[5:]}) == 2, "before and after"


@pytest.mark.parametrize(("warmup", "draws"), [(0, 0), (0, 5), (5, 0), (1, 1), (10, 3), (20, 3)])
@pytest.mark.parametrize("metric", ["low_rank", "dense"])
def test_short_runs(metric: str, warmup: int, draws: int) -> None:
    sink, _ = run(NORMAL, metric=metric, warmup=warmup, draws=draws)
    assert [sink.length(chain, warmup=True) for chain in range(2)] == [warmup] * 2
    assert [sink.length(chain) for chain in range(2)] == [draws] * 2


def test_a_given_step_size_stays_without_warmup() -> None:
    sink, _ = run(NORMAL, warmup=0, step_size=0.25)
    np.testing.assert_array_equal(sink.draws(0, group="sample_stats", name="step_size"), 0.25)


@pytest.mark.slow
def test_more_draws_than_the_buffer_holds() -> None:
    """A chunk ends when the buffer is full."""
    large = Target(function=standard_normal, dim=10_000)
    sink, sampler = run(large, chains=1, warmup=0, draws=40, step_size=0.1, initial=[np.ones(10_000)])
    assert sampler.plan.compiled.capacity < 40
    assert sink.draws(0).shape == (40, 10_000)
    assert len(np.unique(sink.draws(0)[:, 0])) > 30


@pytest.mark.parametrize("executor", ["threads", "batch"])
@pytest.mark.parametrize("keep_warmup", [True, False])
def test_large_draws_are_expanded_a_few_at_a_time(
    executor: str, keep_warmup: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a draw gives may be far larger than its coordinates: a term for each of a million rows."""
    given = {"chains": 3, "warmup": 37, "draws": 50, "keep_warmup": keep_warmup, "executor": executor}
    given |= {"metric": "diagonal", "adaptation": None}
    whole_sink, whole_sampler = run(target_of("normal"), **given)
    monkeypatch.setattr(compiling, "EXPANDED_BYTES", 500)
    sink, sampler = run(target_of("normal"), **given)
    assert whole_sampler.plan.compiled.rows == whole_sampler.plan.compiled.capacity
    assert 1 < sampler.plan.compiled.rows < 37
    assert sampler.lanes[0].divergences.tolist() == whole_sampler.lanes[0].divergences.tolist()
    for chain, warmup in itertools.product(range(3), (True, False)):
        for group, name in (("posterior", "x"), ("sample_stats", "n_steps")):
            if keep_warmup or not warmup:
                expected = whole_sink.draws(chain, warmup=warmup, group=group, name=name)
                np.testing.assert_array_equal(sink.draws(chain, warmup=warmup, group=group, name=name), expected)
                assert len(expected) == (37 if warmup else 50)


def test_the_rows_that_are_expanded_at_once() -> None:
    assert compiling.rows_at_once(8192, 8192 * 64) == 8192
    assert compiling.rows_at_once(256, 256 * 8_000_000) == 8
    assert compiling.rows_at_once(16, 16 * 10**9) == 1


def test_many_chains_are_shown_as_one_row() -> None:
    settings = Settings(seed=1, chains=25, warmup=20, draws=5, executor="batch", metric="diagonal", start="uniform")
    sampler = prepare(NORMAL, settings)
    display = Quiet()
    sampler.run(Sink(), display)
    assert {status.chains for status in display.statuses} == {25}
    last = display.statuses[-1]
    assert (last.name, last.phase, last.done) == ("all 25", "done", 25)
    assert last.n_leapfrog == int(sampler.lanes[0].gradients.sum())
