"""One chain's part of one array on disk: whole chunks are written once, the last one as often as asked.

A column keeps a *checksum* (CRC-32) of its draws, which does not depend on chunks. Draws read back from the disk are
taken only if they have the checksum that was noted elsewhere: chunks of another chain or run, and chunks that are cut
or gone, have another one.
"""

import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gradmc.errors import ResumeError
from gradmc.results.files import atomic_write, make_parents
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
    checksum: int = 0
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
            self._put(start, taken)
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
        """Go back to the first `length` draws, all of which must be on disk; reads them for their checksum.

        Raises:
            ResumeError: a chunk is gone or damaged.
        """
        size = self.array.chunk[1]
        self.checksum = 0
        for start in range(0, length, size):
            self.open_chunk[...] = 0
            self._put(0, self._read(start // size)[: length - start])
        if length % size == 0:
            self.open_chunk[...] = 0
        self.length = length
        self.dirty = False

    def _put(self, start: int, rows: np.ndarray) -> None:
        """Put draws into the open chunk and add them to the checksum."""
        if rows.size:
            held = self.open_chunk[start : start + len(rows)]
            held[...] = rows
            self.checksum = zlib.crc32(held, self.checksum)  # pyright: ignore[reportArgumentType]

    def _read(self, chunk: int) -> np.ndarray:
        path = self._path(chunk)
        try:
            return self.array.decode(path.read_bytes())[0]
        except OSError as error:
            reason = error.strerror or str(error)
        except (RuntimeError, ValueError) as error:  # from the decompressor, and of a chunk of another size
            reason = str(error)
        raise ResumeError(
            f"cannot read draws of chain {self.chain} in {path}: {reason}; restore the file, or start a new run"
        )

    def _path(self, chunk: int) -> Path:
        index = (self.chain, chunk, *[0] * (len(self.array.chunk) - 2))
        return self.root / self.name / chunk_key(index)
