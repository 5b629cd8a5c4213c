"""A run that is kept on disk: draws streamed, states saved, stopped by signals, rules or a time budget.

This is the host loop of `gradmc.run.driver` with a recorder behind each chunk and a watch that decides when
to stop. It is the same for a new run, a resumed one and an extended one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from gradmc.results.store import Store
from gradmc.run.driver import Driver
from gradmc.run.progress import Progress
from gradmc.run.recorder import Recorder
from gradmc.run.sampler import Sampler
from gradmc.run.signals import Requests, listening
from gradmc.run.stopping import Monitor, Targets

type Ending = Literal["finished", "reached", "signal", "time"]


@dataclass(frozen=True, slots=True)
class Outcome:
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
    """Decides between chunks whether the run has to stop, and remembers why."""

    requests: Requests
    monitor: Monitor
    store: Store
    chains: int
    posterior: Posterior
    ending: Ending = "finished"

    def __call__(self, driver: Driver) -> None:
        """Called every moment while the workers run."""
        if driver.stopping:
            return
        ending = self.decide()
        if ending != "finished":
            self.ending = ending
            driver.stop()

    def decide(self) -> Ending:
        """Why the run has to stop now; `finished` means that it does not."""
        if self.requests.received:
            return "signal"
        if self.monitor.out_of_time():
            return "time"
        draws = min(self.store.chain_length(chain, False) for chain in range(self.chains))
        if self.monitor.due(draws):
            posterior = self.posterior()
            if posterior is not None and self.monitor.look(posterior):
                return "reached"
        return "finished"


def run_recorded(
    sampler: Sampler,
    store: Store,
    progress: Progress,
    *,
    state: Path,
    posterior: Posterior,
    targets: Targets | None = None,
    checkpoint_seconds: float = 5.0,
    resume: bool = False,
) -> Outcome:
    """Run the chains to the end of their draws, or until something stops them, keeping all on disk.

    Args:
        sampler: the sampler, just prepared.
        store: where draws go.
        progress: where progress is shown; already started, and closed by the caller.
        state: directory of the checkpoints.
        posterior: gives the draws so far to the stop rules.
        targets: stop rules.
        checkpoint_seconds: least time between two checkpoints of a chain.
        resume: go on from the checkpoints in `state`.
    """
    recorder = Recorder(sampler=sampler, store=store, directory=state, interval=checkpoint_seconds)
    if resume:
        recorder.restore_all()
    chains = sum(len(lane.chains) for lane in sampler.lanes)
    with listening() as requests:
        watch = Watch(requests, Monitor(targets or Targets()), store, chains, posterior)
        sampler.run(store, progress, after_chunk=recorder.after_chunk, watch=watch)
        recorder.save_all()
    done = all(bool(np.all(lane.done >= sampler.plan.total)) for lane in sampler.lanes)
    return Outcome("finished" if done else watch.ending, requests.received)


def stored_posterior(path: Path) -> Any:
    """Read the posterior of a growing Zarr store; None while there is nothing in it."""
    from gradmc.results.reading import open_draws

    if not (path / "zarr.json").exists():
        return None
    tree = open_draws(path)
    if "posterior" not in tree.children or tree["posterior"].sizes.get("draw", 0) == 0:
        return None
    return {str(name): array.values for name, array in tree["posterior"].data_vars.items()}
