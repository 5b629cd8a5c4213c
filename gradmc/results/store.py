"""What every store of draws can do.

A store receives the draws of each chain chunk by chunk, from that chain's own thread, and hands
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
    """Keeps draws as they come; safe to call from one thread per chain."""

    def append(self, chain: int, warmup: bool, groups: Groups) -> None:
        """Keep the next draws of a chain."""
        ...

    def put(self, chains: Sequence[int], warmup: bool, groups: Groups, first: np.ndarray, last: np.ndarray) -> None:
        """Keep the next draws of chains that follow each other: rows `first[i]` to `last[i]` of arrays (chain, row)."""
        ...

    def chain_length(self, chain: int, warmup: bool) -> int:
        """Draws received from a chain so far."""
        ...

    def truncate(self, chain: int, warmup: bool, length: int) -> None:
        """Forget the draws of a chain beyond `length` (before a resumed run repeats them)."""
        ...

    def flush(self, chain: int) -> None:
        """Make everything received from a chain durable (before its checkpoint is written)."""
        ...

    def checksums(self, chain: int) -> Checksums:
        """What tells the draws that are kept of a chain from those of others."""
        ...

    def finalize(self, attributes: Mapping[str, Any]) -> None:
        """Say that no more draws come, and add attributes to the results."""
        ...

    def to_datatree(self) -> Any:
        """The ArviZ DataTree of the draws so far."""
        ...
