"""Keeps a run on disk: after each chunk, perhaps, a checkpoint that fits the draws already stored.

A checkpoint is valid only together with the draws before it, so the draws are made durable first, and the checkpoint
says what they are: of which run and chains, how many, and their checksums. Checkpoints are spaced so that they take at
most a small share of the run, however slow the disk.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gradmc.errors import ResumeError
from gradmc.results.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from gradmc.results.store import Store

CHECKPOINT_SHARE = 0.02
"""Largest share of a chain's time that its checkpoints may take."""


class SavedLane(Protocol):
    """What the recorder needs of a lane (`gradmc.run.driver.Lane`)."""

    chains: tuple[int, ...]


class SavingSampler(Protocol):
    """What the recorder needs of a sampler (`gradmc.run.sampler.Sampler`)."""

    @property
    def lanes(self) -> Any:
        """The lanes."""
        ...

    def save(self, lane: Any) -> dict[str, np.ndarray]:
        """The state of a lane as named arrays."""
        ...

    def restore(self, lane: Any, arrays: Mapping[str, np.ndarray]) -> None:
        """Put a lane into a saved state."""
        ...


@dataclass(slots=True)
class Recorder:
    """Writes and reads the checkpoints of a sampler whose draws go to a store.

    Args:
        sampler: the sampler.
        store: where its draws go.
        directory: where checkpoints go.
        interval: least seconds between two checkpoints of a lane.
        run: identifies the run (`gradmc.results.manifest`).
    """

    sampler: SavingSampler
    store: Store
    directory: Path
    interval: float
    run: str = ""
    began: float = field(default_factory=time.monotonic)
    due: dict[int, float] = field(default_factory=dict)

    def after_chunk(self, lane: SavedLane) -> None:
        """Save the lane if it is time; called in its worker."""
        first = lane.chains[0]
        if time.monotonic() >= self.due.get(first, self.began + self.interval):
            self.save(lane)

    def save(self, lane: SavedLane) -> None:
        """Save the lane now."""
        began = time.monotonic()
        self.store.flush(lane.chains)
        own = list(lane.chains)
        lengths = np.stack([self.store.lengths(warmup)[own] for warmup in (True, False)], axis=1).tolist()
        names = list(map(str, own))
        meta = {
            "run": self.run,
            "chains": own,
            "lengths": dict(zip(names, lengths, strict=True)),
            "checksums": dict(zip(names, self.store.checksums(own), strict=True)),
        }
        save_checkpoint(self.directory, lane.chains[0], self.sampler.save(lane), meta)
        ended = time.monotonic()
        self.due[lane.chains[0]] = ended + max(self.interval, (ended - began) / CHECKPOINT_SHARE)

    def save_all(self) -> None:
        """Save every lane; to be called when no worker runs."""
        for lane in self.sampler.lanes:
            self.save(lane)

    def restore_all(self) -> int:
        """Put every lane where its last checkpoint was, and forget later draws.

        Returns:
            The number of lanes that had a checkpoint; the others start from the beginning.

        Raises:
            ResumeError: a checkpoint is that of another chain or run, or the draws are not those before it.
        """
        found = 0
        for lane in self.sampler.lanes:
            checkpoint = load_checkpoint(self.directory, lane.chains[0])
            if checkpoint is None:
                self._truncate(lane.chains, np.zeros((len(lane.chains), 2), int))
                continue
            checkpoint.refuse_other(run=self.run, chains=lane.chains)
            self.sampler.restore(lane, checkpoint.arrays)
            self._restore_draws(lane.chains, checkpoint)
            found += 1
        return found

    def _restore_draws(self, chains: tuple[int, ...], checkpoint: Checkpoint) -> None:
        """Go back to the draws before a checkpoint, if they are those."""
        meta = checkpoint.meta
        self._truncate(chains, np.asarray([meta["lengths"][str(chain)] for chain in chains]))
        for chain, held in zip(chains, self.store.checksums(chains), strict=True):
            noted = meta["checksums"][str(chain)]
            if held != noted:
                name = next(name for name in sorted({*held, *noted}) if held.get(name) != noted.get(name))
                raise ResumeError(
                    f"the draws of chain {chain} in {name} are not those before its checkpoint {checkpoint.path}: "
                    "files were changed, or copied from another chain or run; restore them, or start a new run"
                )

    def _truncate(self, chains: tuple[int, ...], lengths: np.ndarray) -> None:
        """Go back to so many draws of each chain, (chains, 2): of warmup, and after it."""
        for warmup, column in ((True, 0), (False, 1)):
            self.store.truncate(chains, warmup, lengths[:, column])
