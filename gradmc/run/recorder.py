"""Keeps a run on disk: after each chunk, perhaps, a checkpoint that fits the draws already stored.

A checkpoint is valid only together with the draws before it, so the draws are made durable first. Checkpoints
are spaced so that they take at most a small share of the run, however slow the disk.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gradmc.results.checkpoint import load_checkpoint, save_checkpoint
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
    """

    sampler: SavingSampler
    store: Store
    directory: Path
    interval: float
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
        for chain in lane.chains:
            self.store.flush(chain)
        lengths = {
            str(chain): [self.store.chain_length(chain, True), self.store.chain_length(chain, False)]
            for chain in lane.chains
        }
        save_checkpoint(self.directory, lane.chains[0], self.sampler.save(lane), {"lengths": lengths})
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
        """
        found = 0
        for lane in self.sampler.lanes:
            checkpoint = load_checkpoint(self.directory, lane.chains[0])
            lengths: dict[str, list[int]] = {}
            if checkpoint is not None:
                self.sampler.restore(lane, checkpoint.arrays)
                lengths = checkpoint.meta["lengths"]
                found += 1
            for chain in lane.chains:
                warmup, draws = lengths.get(str(chain), (0, 0))
                self.store.truncate(chain, True, warmup)
                self.store.truncate(chain, False, draws)
        return found
