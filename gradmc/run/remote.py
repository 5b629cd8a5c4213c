"""Chains in other processes: the host loop stays here, and an engine advances the lanes (`gradmc.tasks`).

A *leg* is a task: a worker puts a lane into a state, advances it for some seconds, and gives back the draws and the
state after. Here draws go to the store, and states to the checkpoints, as those of local chunks do. So a leg that is
lost with its worker costs its seconds and nothing else, workers need no common disk, and signals, rules and budgets are
those of every run. Draws do not depend on where legs end.
"""

import dataclasses
import functools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future
from typing import Any

import jax
import numpy as np

from gradmc.density import Density
from gradmc.errors import ClusterError, GradmcError
from gradmc.program.parcel import Parcel, packed
from gradmc.run.driver import Driver, Lane
from gradmc.run.preparing import prepare
from gradmc.run.progress import ChainStatus
from gradmc.run.sampler import Sampler
from gradmc.run.settings import Settings
from gradmc.tasks import executor_of, refuse_other_versions, versions

LEG_SECONDS = 2.0
MOST_LANES = 256
"""Lanes that are with the engine at a time."""

type Pieces = list[tuple[tuple[int, ...], bool, dict[str, dict[str, np.ndarray]], np.ndarray, np.ndarray]]
"""Draws as a sink takes them: chains, whether of warmup, by group and name, first and last rows."""


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerTask:
    """What a worker needs besides the state of a lane.

    Args:
        density: what is sampled.
        settings: how.
        initial: as for `gradmc.run.preparing.prepare`.
        schedule: of the adaptation.
        metric_stays: as in the plan.
    """

    density: Density
    settings: Settings
    initial: Sequence[np.ndarray] | None
    schedule: Any
    metric_stays: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Leg:
    """What came of a leg.

    Attributes:
        pieces: the draws.
        arrays: the state of the lane after (`Sampler.save`).
        failed: whether a chain found no starting point.
        notes: for the display.
    """

    pieces: Pieces
    arrays: dict[str, np.ndarray]
    failed: bool
    notes: list[str]


@dataclasses.dataclass(slots=True)
class Notebook:
    """Takes the draws and the notes of a leg."""

    pieces: Pieces = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    def put(
        self,
        chains: Sequence[int],
        warmup: bool,
        groups: Mapping[str, Mapping[str, np.ndarray]],
        first: np.ndarray,
        last: np.ndarray,
    ) -> None:
        """Keep draws."""
        rows = slice(int(np.min(first)), int(np.max(last)))
        copied = {group: {name: np.array(v[:, rows]) for name, v in of.items()} for group, of in groups.items()}
        self.pieces.append((tuple(chains), warmup, copied, first - rows.start, last - rows.start))

    def start(self, chains: int) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Keep a note."""
        self.notes.append(text)

    def update(self, status: ChainStatus) -> None:
        """Nothing: the client shows where chains are."""

    def show_ess(self, ess: float) -> None:
        """Nothing."""


def run_leg(parcel: Parcel, lane: int, arrays: dict[str, np.ndarray], seconds: float, wanted: dict[str, str]) -> Leg:
    """A leg: the task that an engine runs.

    Args:
        parcel: a `WorkerTask`.
        lane: its number.
        arrays: its state.
        seconds: how long to advance it.
        wanted: versions of the process that asks.

    Raises:
        UsageError: this process has other versions.
    """
    refuse_other_versions(wanted)
    sampler = _sampler(parcel)
    own = dataclasses.replace(sampler.lanes[lane])
    sampler.restore(own, arrays)
    notebook, ends = Notebook(), time.monotonic() + seconds

    def after_chunk(_: Lane) -> None:
        if time.monotonic() >= ends:
            driver.stop()

    driver = Driver(sampler.plan, [own], notebook, notebook, workers=1, after_chunk=after_chunk)
    driver.run()
    return Leg(notebook.pieces, sampler.save(own), own.failed, notebook.notes)


@functools.lru_cache(maxsize=8)
def _sampler(parcel: Parcel) -> Sampler:
    """The sampler of this process, compiled once."""
    work: WorkerTask = parcel.opened()
    sampler = prepare(work.density, work.settings, initial=work.initial)
    sampler.plan = dataclasses.replace(sampler.plan, schedule=work.schedule, metric_stays=work.metric_stays)
    return sampler


class RemoteDriver(Driver):
    """The host loop, whose chunks are legs."""

    def __init__(self, sampler: Sampler, engine: Executor, initial: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{**options, "workers": MOST_LANES})
        self._sampler = sampler
        self._engine = engine
        self._initial = initial
        self._wanted = versions()
        self._legs: set[Future[Leg]] = set()
        self._legs_lock = threading.Lock()

    @functools.cached_property
    def _parcel(self) -> Parcel:
        density, plan = self._sampler.density, self.plan
        assert isinstance(density, Density)
        schedule = jax.tree.map(np.asarray, plan.schedule)
        return packed(WorkerTask(density, self._sampler.settings, self._initial, schedule, plan.metric_stays))

    def run(self, watch: Callable[[], None] | None = None, interval: float = 0.1) -> None:
        """Block until all lanes are done or stopped."""
        self._parcel  # noqa: B018 - once, before there are threads
        super().run(watch, interval)

    def stop(self) -> None:
        """Stop at once: legs that are under way are given up."""
        super().stop()
        with self._legs_lock:
            for leg in self._legs:
                leg.cancel()

    def _run_chunk(self, lane: Lane) -> None:
        leg = self._leg(self.lanes.index(lane), self._sampler.save(lane))
        if leg is None:
            return
        for note in leg.notes:
            self._progress.note(note)
        for piece in leg.pieces:
            self._sink.put(*piece)
        self._sampler.restore(lane, leg.arrays)
        lane.failed = leg.failed
        if lane.failed:
            self.stop()
        if self._after_chunk is not None:
            self._after_chunk(lane)
        self._report(lane)

    def _leg(self, number: int, arrays: dict[str, np.ndarray]) -> Leg | None:
        """One leg, or None where the run stops meanwhile.

        Raises:
            ClusterError: the engine is gone, or its workers die.
        """
        try:
            future = self._engine.submit(run_leg, self._parcel, number, arrays, LEG_SECONDS, self._wanted)
            with self._legs_lock:
                self._legs.add(future)
                if self.stopping:
                    future.cancel()
            return future.result()
        except (Exception, CancelledError) as error:
            if self.stopping:
                return None
            if isinstance(error, GradmcError) or not _is_of_engine(error):
                raise
            raise ClusterError(
                f"the processes that run the chains are gone ({type(error).__name__}: {error}); everything stored so "
                "far is safe: start them again, then `gradmc resume` the run"
            ) from error
        finally:
            with self._legs_lock:
                self._legs = {leg for leg in self._legs if not leg.done()}


def _is_of_engine(error: BaseException) -> bool:
    """Whether an error is the engine's, not the task's."""
    module = type(error).__module__.partition(".")[0]
    return isinstance(error, CancelledError | OSError) or module in ("concurrent", "distributed", "dask")


def driving_on(engine: Any, initial: Sequence[np.ndarray] | None) -> Callable[..., Driver] | None:
    """What makes the driver of a sampler whose lanes an engine advances; None for that of this process.

    Args:
        engine: as `gradmc.tasks.executor_of` takes it, or None.
        initial: as for `gradmc.run.preparing.prepare`.
    """
    if engine is None:
        return None
    executor = executor_of(engine)
    return lambda sampler, *arguments, **options: RemoteDriver(sampler, executor, initial, *arguments, **options)
