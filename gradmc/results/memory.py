"""Draws kept in memory, in arrays of shape (chains, draws, ...) that grow by doubling."""

import threading
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradmc.results.attrs import standard_attributes
from gradmc.results.keep import Keep, Places
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
        self._chains = chains
        self._columns: dict[tuple[str, str], _Column] = {}
        self._received = {warmup: np.zeros(chains, np.int64) for warmup in (True, False)}
        self._attributes = standard_attributes(self.labels)
        self._lock = threading.RLock()

    def append(self, chain: int, warmup: bool, groups: Groups) -> None:
        """Keep the next draws of a chain."""
        self.put((chain,), warmup, *of_chain(groups))

    def put(self, chains: Sequence[int], warmup: bool, groups: Groups, first: np.ndarray, last: np.ndarray) -> None:
        """Keep the next draws of chains that follow each other: rows `first[i]` to `last[i]` of arrays (chain, row)."""
        own = slice(chains[0], chains[-1] + 1)
        with self._lock:
            received = self._received[warmup][own]
            if not warmup or self.keep.warmup:
                taken = self.keep.places(received, first, last)
                for group, variables in groups.items():
                    for name, values in variables.items():
                        if self.keep.wants(group, name):
                            self._column(warmup_name(group, warmup), name, values).put(own, taken, values)
            self._received[warmup][own] = received + (last - first)

    def lengths(self, warmup: bool) -> np.ndarray:
        """Draws received from each chain so far, (chains,)."""
        return self._received[warmup].copy()

    def truncate(self, chains: Sequence[int], warmup: bool, lengths: np.ndarray) -> None:
        """Forget the draws of chains that follow each other beyond `lengths`, (chains,)."""
        own = slice(chains[0], chains[-1] + 1)
        self._received[warmup][own] = np.minimum(lengths, self._received[warmup][own])

    def flush(self, chains: Sequence[int]) -> None:
        """Nothing to do: memory is never durable."""

    def checksums(self, chains: Sequence[int]) -> list[Checksums]:
        """What tells the draws that are kept of each chain from those of others."""
        found: list[Checksums] = [{} for _ in chains]
        for (group, name), column in self._columns.items():
            kept = self.keep.kept(self._received[group.startswith("warmup_")])
            for checksums, chain in zip(found, chains, strict=True):
                if length := int(kept[chain]):
                    checksums[f"{group}/{name}"] = [length, zlib.crc32(column.room[chain, :length].tobytes())]
        return found

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
        with self._lock:
            for warmup in (False, True):
                shown = largest(self.keep.kept(self._received[warmup]).tolist())
                for (group, name), column in self._columns.items():
                    if group.startswith("warmup_") == warmup:
                        groups.setdefault(group, {})[name] = column.room[list(shown.chains), : shown.draws]
                        chains[group] = shown
        return build_tree(groups, chains=chains, labels=labels, attributes=attributes)

    def _column(self, group: str, name: str, values: np.ndarray) -> "_Column":
        if (group, name) not in self._columns:
            dtype = self.keep.dtype(values.dtype)
            self._columns[group, name] = _Column(np.empty((self._chains, self._expected, *values.shape[2:]), dtype))
        return self._columns[group, name]


@dataclass(slots=True)
class _Column:
    """An array (chain, draw, ...) with room along its second axis."""

    room: np.ndarray

    def put(self, chains: slice, taken: Places, values: np.ndarray) -> None:
        """Put draws of some chains to their places."""
        if taken.end > self.room.shape[1]:
            size = max(taken.end, 2 * self.room.shape[1])
            room = np.empty((len(self.room), size, *self.room.shape[2:]), self.room.dtype)
            room[:, : self.room.shape[1]] = self.room
            self.room = room
        taken.copy(values, self.room[chains])


def warmup_name(group: str, warmup: bool) -> str:
    """The name of a group, with ArviZ's prefix for warmup."""
    return f"warmup_{group}" if warmup else group


def of_chain(groups: Groups) -> tuple[Groups, np.ndarray, np.ndarray]:
    """The draws of one chain, (row, ...), as those of several, with first and last row."""
    lane = {group: {name: values[None] for name, values in of.items()} for group, of in groups.items()}
    return lane, np.zeros(1, np.int64), np.asarray([_rows(groups)])


def _rows(groups: Groups) -> int:
    """The number of draws in a chunk; all its arrays agree on it."""
    lengths = {len(values) for variables in groups.values() for values in variables.values()}
    if len(lengths) > 1:
        raise ValueError(f"arrays of one chunk have different numbers of draws: {sorted(lengths)}")
    return lengths.pop() if lengths else 0
