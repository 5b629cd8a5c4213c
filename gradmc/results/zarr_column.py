"""One chain's part of one array on disk: whole chunks are written once, the last one as often as asked."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gradmc.results.files import atomic_write, make_parents, storage_errors
from gradmc.results.zarr_format import ArrayFormat, chunk_key

CHUNK_BYTES = 512 * 1024
"""Size of a chunk: large enough that a file costs little, small enough that all open chunks fit in memory."""

CHUNK_DRAWS = 4096
"""Most draws in a chunk, so that a scalar's open chunk is cheap to write again."""


def chunk_draws(item_bytes: int) -> int:
    """How many draws of an item of this size make a chunk."""
    return int(np.clip(CHUNK_BYTES // max(1, item_bytes), 1, CHUNK_DRAWS))


@dataclass(slots=True)
class Column:
    """The draws of one chain in one array.

    Args:
        root: the directory of the store.
        name: the array's path below it.
        chain: which chain.
        array: the array's format; axis 0 is the chain, axis 1 the draw.
    """

    root: Path
    name: str
    chain: int
    array: ArrayFormat
    length: int = 0
    dirty: bool = False
    unsynced: list[Path] = field(default_factory=list)
    open_chunk: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.open_chunk = np.zeros(self.array.chunk[1:], self.array.dtype)

    def extend(self, rows: np.ndarray) -> None:
        """Add draws, writing each chunk that becomes full."""
        size = self.array.chunk[1]
        while len(rows):
            start = self.length % size
            taken = rows[: size - start]
            if taken.size:
                self.open_chunk[start : start + len(taken)] = taken
            self.length += len(taken)
            self.dirty = True
            rows = rows[len(taken) :]
            if self.length % size == 0:
                self.write()
                self.open_chunk[...] = 0

    def write(self) -> None:
        """Write the chunk that holds the last draw, if it changed."""
        if not self.dirty:
            return
        path = self._path((self.length - 1) // self.array.chunk[1])
        make_parents(path, self.root)
        atomic_write(path, self.array.encode(self.open_chunk[None]), durable=False)
        self.unsynced.append(path)
        self.dirty = False

    def truncate(self, length: int) -> None:
        """Go back to the first `length` draws, all of which must be on disk."""
        size = self.array.chunk[1]
        self.open_chunk[...] = 0
        if length % size:
            path = self._path(length // size)
            with storage_errors(path):
                stored = self.array.decode(path.read_bytes())[0]
            self.open_chunk[: length % size] = stored[: length % size]
        self.length = length
        self.dirty = False

    def _path(self, chunk: int) -> Path:
        index = (self.chain, chunk, *[0] * (len(self.array.chunk) - 2))
        return self.root / self.name / chunk_key(index)
