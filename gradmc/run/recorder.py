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
        for chain in lane.chains:
            self.store.flush(chain)
        lengths = {
            str(chain): [self.store.chain_length(chain, True), self.store.chain_length(chain, False)]
            for chain in lane.chains
        }
        meta = {
            "run": self.run,
            "chains": list(lane.chains),
            "lengths": lengths,
            "checksums": {str(chain): self.store.checksums(chain) for chain in lane.chains},
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
                for chain in lane.chains:
                    self.store.truncate(chain, True, 0)
                    self.store.truncate(chain, False, 0)
                continue
            checkpoint.refuse_other(run=self.run, chains=lane.chains)
            self.sampler.restore(lane, checkpoint.arrays)
            for chain in lane.chains:
                self._restore_draws(chain, checkpoint)
            found += 1
        return found

    def _restore_draws(self, chain: int, checkpoint: Checkpoint) -> None:
        """Go back to the draws before a checkpoint, if they are those."""
        warmup, draws = checkpoint.meta["lengths"][str(chain)]
        self.store.truncate(chain, True, warmup)
        self.store.truncate(chain, False, draws)
        held, noted = self.store.checksums(chain), checkpoint.meta["checksums"][str(chain)]
        differing = [name for name in sorted({*held, *noted}) if held.get(name) != noted.get(name)]
        if differing:
            raise ResumeError(
                f"the draws of chain {chain} in {differing[0]} are not those before its checkpoint {checkpoint.path}: "
                "files were changed, or copied from another chain or run; restore them, or start a new run"
            )
