"""What every store of draws can do.

A store receives the draws of a chain, or of a lane of chains, chunk by chunk from a thread of its own, and hands
back an ArviZ DataTree. Vocabulary: a *group* is an ArviZ group (`posterior`, `sample_stats`, ...);
a *chunk* is a number of successive draws of one chain; *length* counts draws received.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

type Groups = Mapping[str, Mapping[str, np.ndarray]]
"""Group name -> variable name -> array whose leading axis is the draw."""

type Checksums = dict[str, list[int]]
"""`group/variable` -> number of draws kept of a chain and their CRC-32; variables without draws are left out."""


class Store(Protocol):
    """Keeps draws as they come; safe to call from one thread per lane."""

    def append(self, chain: int, warmup: bool, groups: Groups) -> None:
        """Keep the next draws of a chain."""
        ...

    def put(self, chains: Sequence[int], warmup: bool, groups: Groups, first: np.ndarray, last: np.ndarray) -> None:
        """Keep the next draws of chains that follow each other: rows `first[i]` to `last[i]` of arrays (chain, row)."""
        ...

    def lengths(self, warmup: bool) -> np.ndarray:
        """Draws received from each chain so far, (chains,)."""
        ...

    def truncate(self, chains: Sequence[int], warmup: bool, lengths: np.ndarray) -> None:
        """Forget the draws of chains that follow each other beyond `lengths`, (chains,), before a resumed run repeats
        them.
        """
        ...

    def flush(self, chains: Sequence[int]) -> None:
        """Make everything received from chains that follow each other durable, before their checkpoint is written."""
        ...

    def checksums(self, chains: Sequence[int]) -> list[Checksums]:
        """What tells the draws that are kept of each of some chains from those of others."""
        ...

    def finalize(self, attributes: Mapping[str, Any]) -> None:
        """Say that no more draws come, and add attributes to the results."""
        ...

    def to_datatree(self) -> Any:
        """The ArviZ DataTree of the draws so far."""
        ...
