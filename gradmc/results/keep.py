"""Which draws and variables a store keeps, and in which precision."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from gradmc.errors import UsageError


@dataclass(frozen=True, slots=True)
class Places:
    """Where the kept draws of a chunk of several chains come from, and where they go.

    Args:
        chains: of the draws, as an index of NumPy; likewise
        rows: of the chunk, and
        draws: of all that is kept.
        lengths: how many draws are kept of each chain then.
    """

    chains: Any
    rows: Any
    draws: Any
    lengths: np.ndarray

    @property
    def end(self) -> int:
        """Draws that there must be room for."""
        return int(self.lengths.max(initial=0))

    def copy(self, values: np.ndarray, room: np.ndarray, offset: int = 0) -> None:
        """Copy the draws of a chunk (chain, row, ...) into an array (chain, draw, ...) that begins at draw `offset`."""
        draws = self.draws
        shifted = slice(draws.start - offset, draws.stop - offset) if isinstance(draws, slice) else draws - offset
        room[self.chains, shifted] = values[self.chains, self.rows]

    def of(self, first: int, last: int) -> "Places":
        """Those of some of the chains, which are counted from 0 again."""
        lengths = self.lengths[first:last]
        if isinstance(self.chains, slice):
            return Places(self.chains, self.rows, self.draws, lengths)
        own = slice(*np.searchsorted(self.chains, (first, last)))
        return Places(self.chains[own] - first, self.rows[own], self.draws[own], lengths)


@dataclass(frozen=True, slots=True)
class Keep:
    """What to keep of everything that is drawn.

    Args:
        warmup: keep the draws of warmup too, in groups named `warmup_*`.
        variables: patterns such as `theta` or `log_likelihood/*`; None keeps all. A pattern without
            a slash means variables of any group other than `sample_stats`, which is always kept.
        exclude: patterns to leave out, applied after `variables`.
        thin: keep every `thin`-th draw, beginning with the first.
        float32: store real numbers in single precision.
    """

    warmup: bool = False
    variables: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    thin: int = 1
    float32: bool = False

    def __post_init__(self) -> None:
        if self.thin < 1:
            raise UsageError(f"thin must be at least 1, got {self.thin}; 1 keeps every draw")

    def wants(self, group: str, name: str) -> bool:
        """Whether a variable of a group is kept."""
        if group.removeprefix("warmup_") == "sample_stats":
            return True
        wanted = self.variables is None or any(_matches(p, group, name) for p in self.variables)
        return wanted and not any(_matches(p, group, name) for p in self.exclude)

    def places(self, received: np.ndarray, first: np.ndarray, last: np.ndarray) -> "Places":
        """Which of the rows `first[i]` to `last[i]` of each chain are kept, after `received[i]` earlier draws."""
        lengths = self.kept(received + (last - first))
        if np.all(received == received[0]) and np.all(first == first[0]) and np.all(last == last[0]):
            kept = self.rows(int(received[0]), int(last[0] - first[0]))
            rows = slice(int(first[0]) + kept.start, int(last[0]), self.thin)
            draws = slice(int(self.kept(received[0])), int(lengths[0]))
            return Places(slice(None), rows, draws, lengths)
        rows = np.arange(int(last.max(initial=0)))
        number = received[:, None] + rows - first[:, None]  # of a draw among those of its chain
        chain, row = np.nonzero((rows >= first[:, None]) & (rows < last[:, None]) & (number % self.thin == 0))
        return Places(chain, row, number[chain, row] // self.thin, lengths)

    def rows(self, received: int, count: int) -> slice:
        """Which of `count` new draws are kept, after `received` earlier ones."""
        return slice((-received) % self.thin, count, self.thin)

    def kept[Count: (int, np.ndarray)](self, received: Count) -> Count:
        """How many of the first `received` draws are kept."""
        return -(-received // self.thin)

    def dtype(self, dtype: np.dtype) -> np.dtype:
        """The precision in which an array of `dtype` is stored."""
        if self.float32 and dtype.kind == "f" and dtype.itemsize > 4:
            return np.dtype(np.float32)
        return dtype


def _matches(pattern: str, group: str, name: str) -> bool:
    target = f"{group.removeprefix('warmup_')}/{name}" if "/" in pattern else name
    return fnmatchcase(target, pattern)
