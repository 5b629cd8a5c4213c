"""Some chains' part of one array on disk: whole chunks are written once, the last one as often as asked.

A chunk holds the draws of one chain, or of many that are handed over together. Chains come to the end of a chunk at
different times, so a column keeps a *window* in memory, from the first chunk that some chain has not filled to the last
draw of any.

It keeps a *checksum* (CRC-32) of each chain's draws, which does not depend on chunks. Draws read back from the disk are
taken only if they have the checksum that was noted elsewhere: chunks of another chain or run, and chunks that are cut
or gone, have another one.
"""

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gradmc.errors import ResumeError
from gradmc.results.files import atomic_write, make_parents
from gradmc.results.keep import Places
from gradmc.results.zarr_format import ArrayFormat, chunk_key

CHUNK_BYTES = 512 * 1024
"""Size of a chunk: large enough that a file costs little, small enough that all open chunks fit in memory."""

CHUNK_DRAWS = 4096
"""Most draws in a chunk, so that a scalar's open chunk is cheap to write again."""

FEWEST_DRAWS = 16
"""Draws that a chunk of many chains holds of each, unless the items are large."""


def chunk_shape(item_bytes: int, chains: int) -> tuple[int, int]:
    """How many chains, of so many that are handed over together, and how many of their draws make a chunk."""
    item_bytes = max(1, item_bytes)
    together = int(np.clip(CHUNK_BYTES // (FEWEST_DRAWS * item_bytes), 1, chains))
    return together, int(np.clip(CHUNK_BYTES // (together * item_bytes), 1, CHUNK_DRAWS))


@dataclass(slots=True)
class Column:
    """The draws of some chains in one array.

    Args:
        root: the directory of the store.
        name: the array's path below it.
        first: the first chain; the others follow it.
        array: the array's format; axis 0 is the chain, axis 1 the draw.
        lengths: draws of each chain, (chains,).
        checksums: of each chain's draws, (chains,).
    """

    root: Path
    name: str
    first: int
    array: ArrayFormat
    lengths: np.ndarray = field(init=False)
    checksums: np.ndarray = field(init=False)
    unsynced: list[Path] = field(default_factory=list)
    _base: int = 0  # number of the first chunk in the window
    _window: np.ndarray = field(init=False)
    _dirty: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        chains = min(self.array.chunk[0], self.array.shape[0] - self.first)
        self.lengths, self.checksums = np.zeros((2, chains), np.int64)
        self._window = self._empty(0)

    @property
    def chains(self) -> range:
        """Whose draws these are."""
        return range(self.first, self.first + len(self.lengths))

    def put(self, chains: slice, places: Places, values: np.ndarray) -> None:
        """Add draws of some of the chains, writing each chunk that becomes full.

        Args:
            chains: which, as a part of this column's.
            places: where their draws come from and where they go.
            values: (chain, row, ...).
        """
        self._make_room(places.end)
        places.copy(values, self._window[chains], self._base * self._draws)
        before = self.lengths[chains].copy()
        self.lengths[chains] = np.maximum(before, places.lengths)
        self._add(range(*chains.indices(len(self.lengths))), before)
        changed = self.lengths[chains] > before
        if np.any(changed):
            low, high = int(before[changed].min()), int(self.lengths[chains].max())
            self._dirty.update(range(low // self._draws, -(-high // self._draws)))
        full = int(self.lengths.min()) // self._draws
        if full > self._base:
            self._write({chunk for chunk in self._dirty if chunk < full})
            self._advance(full)

    def write(self) -> None:
        """Write the chunks that changed."""
        self._write(self._dirty)

    def _write(self, chunks: set[int]) -> None:
        for chunk in sorted(chunks):
            path = self._path(chunk)
            make_parents(path, self.root)
            atomic_write(path, self.array.encode(self._part(chunk)), durable=False)
            self.unsynced.append(path)
        self._dirty -= chunks

    def truncate(self, lengths: np.ndarray) -> None:
        """Go back to the first draws of each chain, (chains,), all of which must be on disk; reads them for checksums.

        Raises:
            ResumeError: a chunk is gone or damaged.
        """
        self.checksums[:], self.lengths[:] = 0, 0
        self._dirty.clear()
        self._base, self._window = 0, self._empty(0)
        size, last = self._draws, int(lengths.max(initial=0))
        for chunk in range(-(-last // size)):
            before = self.lengths.copy()
            self._make_room((chunk + 1) * size)
            self._part(chunk)[...] = self._read(chunk)
            self.lengths[:] = np.minimum(lengths, (chunk + 1) * size)
            beyond = np.arange(chunk * size, (chunk + 1) * size) >= self.lengths[:, None]
            self._part(chunk)[: len(lengths)][beyond] = 0
            self._add(range(len(lengths)), before)
            self._advance(min(int(lengths.min()) // size, chunk + 1))

    @property
    def _draws(self) -> int:
        """In a chunk."""
        return self.array.chunk[1]

    def _empty(self, draws: int) -> np.ndarray:
        return np.zeros((self.array.chunk[0], draws, *self.array.chunk[2:]), self.array.dtype)

    def _part(self, chunk: int) -> np.ndarray:
        """A chunk in the window."""
        start = (chunk - self._base) * self._draws
        return self._window[:, start : start + self._draws]

    def _make_room(self, draws: int) -> None:
        """Let the window reach to so many draws."""
        missing = -(-draws // self._draws) * self._draws - self._base * self._draws - self._window.shape[1]
        if missing > 0:
            self._window = np.concatenate([self._window, self._empty(missing)], axis=1)

    def _advance(self, chunk: int) -> None:
        """Let the window begin at a chunk."""
        if chunk > self._base:
            self._window = self._window[:, (chunk - self._base) * self._draws :].copy()
            self._base = chunk

    def _add(self, chains: range, before: np.ndarray) -> None:
        """Add the draws after the first `before[i]` of some chains to their checksums."""
        start = self._base * self._draws
        for i, low, high in zip(
            chains, (before - start).tolist(), (self.lengths[chains] - start).tolist(), strict=True
        ):
            if high > low:
                rows: Any = self._window[i, low:high]
                self.checksums[i] = zlib.crc32(rows, int(self.checksums[i]))

    def _read(self, chunk: int) -> np.ndarray:
        path = self._path(chunk)
        try:
            return self.array.decode(path.read_bytes())
        except OSError as error:
            reason = error.strerror or str(error)
        except (RuntimeError, ValueError) as error:  # from the decompressor, and of a chunk of another size
            reason = str(error)
        whose = f"chain {self.first}" if len(self.chains) == 1 else f"chains {self.first} to {self.chains[-1]}"
        raise ResumeError(f"cannot read draws of {whose} in {path}: {reason}; restore the file, or start a new run")

    def _path(self, chunk: int) -> Path:
        index = (self.first // self.array.chunk[0], chunk, *[0] * (len(self.array.chunk) - 2))
        return self.root / self.name / chunk_key(index)
