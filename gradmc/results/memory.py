"""Draws kept in memory, in arrays of shape (draws, ...) per chain that grow by doubling."""

import threading
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from gradmc.results.attributes import standard_attributes
from gradmc.results.keep import Keep
from gradmc.results.labels import Labels
from gradmc.results.lengths import Rectangle, largest
from gradmc.results.store import Checksums, Groups


class MemoryStore:
    """Keeps draws in memory.

    Args:
        chains: number of chains.
        labels: names of axes and the data of the model.
        keep: which variables and draws to keep.
        expected: expected number of kept draws per chain; only saves copying.
    """

    def __init__(
        self, *, chains: int, labels: Labels | None = None, keep: Keep | None = None, expected: int = 1024
    ) -> None:
        self.labels = labels or Labels()
        self.keep = keep or Keep()
        self._expected = max(1, expected)
        self._columns: list[dict[tuple[str, str], _Column]] = [{} for _ in range(chains)]
        self._received = {True: [0] * chains, False: [0] * chains}
        self._attributes = standard_attributes(self.labels)
        self._lock = threading.Lock()

    def append(self, chain: int, warmup: bool, groups: Groups) -> None:
        """Keep the next draws of a chain."""
        count = chunk_length(groups)
        if not warmup or self.keep.warmup:
            rows = self.keep.rows(self._received[warmup][chain], count)
            for group, variables in groups.items():
                for name, values in variables.items():
                    if self.keep.wants(group, name):
                        self._column(chain, warmup_name(group, warmup), name, values).extend(values[rows])
        self._received[warmup][chain] += count

    def chain_length(self, chain: int, warmup: bool) -> int:
        """Draws received from a chain so far."""
        return self._received[warmup][chain]

    def truncate(self, chain: int, warmup: bool, length: int) -> None:
        """Forget the draws of a chain beyond `length`."""
        self._received[warmup][chain] = min(length, self._received[warmup][chain])
        for (group, _), column in self._columns[chain].items():
            if group.startswith("warmup_") == warmup:
                column.length = min(column.length, self.keep.kept(length))

    def flush(self, chain: int) -> None:
        """Nothing to do: memory is never durable."""

    def checksums(self, chain: int) -> Checksums:
        """What tells the draws that are kept of a chain from those of others."""
        columns = self._columns[chain].items()
        return {
            f"{group}/{name}": [column.length, zlib.crc32(column.values.tobytes())]
            for (group, name), column in columns
            if column.length
        }

    def finalize(self, attributes: Mapping[str, Any]) -> None:
        """Add attributes to the results."""
        with self._lock:
            self._attributes.update(attributes)

    def to_datatree(self) -> Any:
        """The ArviZ DataTree of the draws so far (see `lengths.largest` for unequal chains)."""
        with self._lock:
            attributes = dict(self._attributes)
        return self._tree(self.labels, attributes)

    def bare_datatree(self) -> Any:
        """The draws alone: no data, no names of axes, no attributes."""
        return self._tree(Labels(name=self.labels.name), {})

    def _tree(self, labels: Labels, attributes: Mapping[str, Any]) -> Any:
        from gradmc.results.tree import build_tree

        groups: dict[str, dict[str, np.ndarray]] = {}
        chains: dict[str, Rectangle] = {}
        for warmup in (False, True):
            shown = largest([self.keep.kept(n) for n in self._received[warmup]])
            for group, name in self._names(warmup):
                arrays = [self._columns[c][group, name].values[: shown.draws] for c in shown.chains]
                groups.setdefault(group, {})[name] = np.stack(arrays)
                chains[group] = shown
        return build_tree(groups, chains=chains, labels=labels, attributes=attributes)

    def _names(self, warmup: bool) -> list[tuple[str, str]]:
        names: dict[tuple[str, str], None] = {}
        for columns in self._columns:
            names.update({key: None for key in list(columns) if key[0].startswith("warmup_") == warmup})
        return list(names)

    def _column(self, chain: int, group: str, name: str, values: np.ndarray) -> "_Column":
        columns = self._columns[chain]
        if (group, name) not in columns:
            dtype = self.keep.dtype(values.dtype)
            columns[group, name] = _Column(np.empty((self._expected, *values.shape[1:]), dtype))
        return columns[group, name]


class _Column:
    """An array that grows along its first axis."""

    __slots__ = ("_room", "length")

    def __init__(self, room: np.ndarray) -> None:
        self._room = room
        self.length = 0

    @property
    def values(self) -> np.ndarray:
        return self._room[: self.length]

    def extend(self, rows: np.ndarray) -> None:
        end = self.length + len(rows)
        if end > len(self._room):
            room = np.empty((max(end, 2 * len(self._room)), *self._room.shape[1:]), self._room.dtype)
            room[: self.length] = self.values
            self._room = room
        self._room[self.length : end] = rows
        self.length = end


def warmup_name(group: str, warmup: bool) -> str:
    """The name of a group, with ArviZ's prefix for warmup."""
    return f"warmup_{group}" if warmup else group


def chunk_length(groups: Groups) -> int:
    """The number of draws in a chunk; all its arrays agree on it."""
    lengths = {len(values) for variables in groups.values() for values in variables.values()}
    if len(lengths) > 1:
        raise ValueError(f"arrays of one chunk have different numbers of draws: {sorted(lengths)}")
    return lengths.pop() if lengths else 0
