"""A run that is kept on disk: draws streamed, states saved, stopped by signals, rules or a time budget.

This is the host loop of `gradmc.run.driver` with a recorder behind each chunk and a watch that decides when
to stop. It is the same for a new run, a resumed one and an extended one.
"""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from gradmc._imports import load
from gradmc.results.plain_tree import read_plainly
from gradmc.results.store import Store
from gradmc.run.driver import Driver
from gradmc.run.progress import Progress
from gradmc.run.recorder import Recorder
from gradmc.run.sampler import Sampler
from gradmc.run.signals import Requests
from gradmc.run.stopping import Monitor, Targets, first_look, smallest_ess

ESS_SECONDS = 3.0
ESS_SHARE = 0.01
"""Largest share of the run time that showing the effective sample size may take."""

type Ending = Literal["finished", "reached", "signal", "time"]

WHY = {
    "reached": "the targets under [stop] are reached: finishing the present chunk",
    "signal": "stopped by a signal: finishing the present chunk; Ctrl-C again stops at once",
    "time": "the time budget is used up: finishing the present chunk",
}


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended.

    Args:
        ending: `finished` (all draws made), `reached` (stop rule), `signal`, or `time` (budget used up).
        detail: the signal, or nothing.
    """

    ending: Ending
    detail: str = ""

    @property
    def complete(self) -> bool:
        """Whether there is nothing left to resume."""
        return self.ending in ("finished", "reached")


class Posterior(Protocol):
    """Gives the draws so far, or None if there are none yet."""

    def __call__(self) -> Mapping[str, np.ndarray] | None:
        """Variables of the posterior, each of shape (chain, draw, ...)."""
        ...


@dataclass(slots=True)
class Watch:
    """Decides between chunks whether the run has to stop, and remembers why; also shows the ESS so far.

    Args:
        requests: signals.
        monitor: stop rules.
        store: where draws go.
        chains: number of chains.
        posterior: gives the draws so far.
        progress: where the ESS is shown.
    """

    requests: Requests
    monitor: Monitor
    store: Store
    chains: int
    posterior: Posterior
    progress: Progress
    ending: Ending = "finished"
    imported: bool = False
    next_ess: float = field(default_factory=lambda: time.monotonic() + ESS_SECONDS)

    def __call__(self, driver: Driver) -> None:
        """Called every moment while the workers run."""
        if driver.stopping:
            return
        ending = self.decide()
        if ending != "finished":
            self.ending = ending
            driver.stop()
            self.progress.note(WHY[ending])
        elif self.monitor.targets.on_draws and not self.imported:
            with suppress(ImportError):  # raised again where it matters
                load("arviz_stats")  # judging draws needs it; this thread has nothing else to do
            self.imported = True
        elif time.monotonic() >= self.next_ess:
            self.show_ess()

    def decide(self) -> Ending:
        """Why the run has to stop now; `finished` means that it does not."""
        if self.requests.received:
            return "signal"
        if self.monitor.out_of_time():
            return "time"
        if self.monitor.due(self.draws()):
            posterior = self.posterior()
            if posterior is not None and self.monitor.look(posterior):
                return "reached"
        return "finished"

    def draws(self) -> int:
        """Draws that every chain has."""
        return int(self.store.lengths(False).min())

    def show_ess(self) -> None:
        """Estimate the ESS of the draws so far, rarely enough to cost nothing that matters."""
        began = time.monotonic()
        posterior = self.posterior() if self.draws() >= first_look(self.monitor.superchains) else None
        if posterior is not None:
            self.progress.show_ess(smallest_ess(posterior))
        ended = time.monotonic()
        self.next_ess = ended + max(ESS_SECONDS, (ended - began) / ESS_SHARE)


def run_recorded(
    sampler: Sampler,
    store: Store,
    progress: Progress,
    requests: Requests,
    *,
    state: Path,
    posterior: Posterior,
    began: float,
    targets: Targets | None = None,
    checkpoint_seconds: float = 5.0,
    resume: bool = False,
    run: str = "",
    driving: Callable[..., Driver] | None = None,
) -> RunEnd:
    """Run the chains to the end of their draws, or until something stops them, keeping all on disk.

    Args:
        sampler: the sampler, just prepared.
        store: where draws go.
        progress: where progress is shown; already started, and closed by the caller.
        requests: signals that ask the run to stop (`gradmc.run.signals.listening`).
        state: directory of the checkpoints.
        posterior: gives the draws so far to the stop rules.
        began: when the clock of the time budget began (`time.monotonic`).
        targets: stop rules.
        checkpoint_seconds: least time between two checkpoints of a chain.
        resume: go on from the checkpoints in `state`.
        run: identifies the run, in its checkpoints.
        driving: as for `Sampler.run`.
    """
    recorder = Recorder(sampler=sampler, store=store, directory=state, interval=checkpoint_seconds, run=run)
    if resume:
        recorder.restore_all()
    chains = sum(len(lane.chains) for lane in sampler.lanes)
    monitor = Monitor(targets or Targets(), sampler.superchains, chains, began=began)
    watch = Watch(requests, monitor, store, chains, posterior, progress)
    requests.watched = True
    sampler.run(store, progress, after_chunk=recorder.after_chunk, watch=watch, driving=driving)
    recorder.save_all()
    requests.budget = (math.inf, math.inf)
    done = all(bool(np.all(lane.done >= sampler.plan.total)) for lane in sampler.lanes)
    return RunEnd("finished" if done else watch.ending, requests.received)


@dataclass(frozen=True, slots=True)
class StoredPosterior:
    """Reads the posterior of a growing Zarr store.

    Args:
        path: the store.
    """

    path: Path

    def __call__(self) -> Mapping[str, np.ndarray] | None:
        """Variables of the posterior, each of shape (chain, draw, ...); None while there is nothing."""
        if not (self.path / "zarr.json").exists():
            return None
        posterior = read_plainly(self.path).children.get("posterior")
        if posterior is None or posterior.sizes.get("draw", 0) == 0:
            return None
        return {name: array.values for name, array in posterior.data_vars.items()}
