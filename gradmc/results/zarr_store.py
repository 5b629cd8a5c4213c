"""Draws streamed to a Zarr 3 directory that other programs can read while the run goes on.

Each array has the axes (chain, draw, ...). A chunk belongs to one chain, so that chains are written without waiting for
each other, or to many that are handed over together, so that files are few. What readers see is decided by metadata
alone: after chunks are written, one rename publishes the number of draws that all chains have in common, with checksums
of everything that the files hold; `verify` reads everything back.
"""

import json
import shutil
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradmc.errors import ResumeError
from gradmc.results.attrs import group_attributes, standard_attributes, storable
from gradmc.results.files import atomic_write, make_parents, storage_errors, sync
from gradmc.results.keep import Keep, Places
from gradmc.results.labels import SAMPLE_DIMS, Labels, group_rank, resolve_axes, split_data, variable_order
from gradmc.results.memory import of_chain, warmup_name
from gradmc.results.reading import open_draws
from gradmc.results.sealed import digest
from gradmc.results.store import Checksums, Groups
from gradmc.results.zarr_column import CHUNK_DRAWS, Column, chunk_shape
from gradmc.results.zarr_format import (
    CHECKSUMS,
    FILES,
    LENGTHS,
    OWN,
    RUN,
    SEAL,
    ArrayFormat,
    chunk_key,
    codec,
    encode_json,
    group_metadata,
    whole_array,
)

FLUSH_SECONDS = 2.0
"""Least time between two publications by the same chain."""

FLUSH_SHARE = 0.02
"""Largest share of the run time that publications may take; slow disks are written to less often."""

DERIVED = frozenset({"posterior_predictive", "prior", "prior_predictive", "predictions"})
"""Groups that are made from draws afterwards, and are out of date when draws are added."""


def sealed_root(content: dict[str, Any]) -> dict[str, Any]:
    """The root's metadata with their seal."""
    attributes = {name: value for name, value in content["attributes"].items() if name != SEAL}
    content = {**content, "attributes": attributes}
    return {**content, "attributes": {**attributes, SEAL: digest(content)}}


def read_root(path: Path) -> dict[str, Any]:
    """The root's metadata of a store.

    Raises:
        ResumeError: they are gone or damaged, or something else wrote them.
    """
    file = path / "zarr.json"
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ResumeError(f"cannot read {file}: {error}; restore it, or start a new run") from None
    parts = content if isinstance(content, dict) else {}
    attributes, consolidated = parts.get("attributes"), parts.get("consolidated_metadata")
    known = isinstance(attributes, dict) and isinstance(consolidated, dict) and "metadata" in consolidated
    if not known or (SEAL in (attributes or ()) and sealed_root(parts) != parts):
        raise ResumeError(f"{file} is damaged or was edited; restore it, or start a new run")
    return content


class ZarrStore:
    """Streams draws to a directory in Zarr format.

    Args:
        path: the directory; created.
        chains: number of chains.
        labels: names of axes and the data of the model.
        keep: which variables and draws to keep.
        run: which run the draws are of; nothing where that does not matter.
        together: how many chains, beginning with the first, are always handed over together.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        chains: int,
        labels: Labels | None = None,
        keep: Keep | None = None,
        run: str = "",
        together: int = 1,
    ) -> None:
        self.path = Path(path)
        self.labels = labels or Labels()
        self.keep = keep or Keep()
        self._chains = chains
        self._together = together
        self._arrays: dict[tuple[str, str], ArrayFormat] = {}
        self._columns: dict[tuple[str, str], list[Column | None]] = {}
        self._received = {warmup: np.zeros(chains, np.int64) for warmup in (True, False)}
        self._published = {warmup: np.zeros(chains, np.int64) for warmup in (True, False)}
        self._noted: dict[str, np.ndarray] = {}  # `Checksums` of the published draws, (chains, 2)
        self._next_flush = np.zeros(chains)
        self._attributes = standard_attributes(self.labels) | ({RUN: run} if run else {})
        self._listed: set[tuple[str, str]] = set()  # arrays in the metadata on disk
        self._fixed: dict[str, tuple[dict[str, Any], int]] = {}  # metadata and CRC-32 of the only chunk
        self._contents: dict[str, int] = {}
        self._lock = threading.RLock()
        codec()
        with storage_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)

    @classmethod
    def resume(
        cls,
        path: Path | str,
        *,
        chains: int,
        labels: Labels | None = None,
        keep: Keep | None = None,
        run: str = "",
        together: int = 1,
    ) -> "ZarrStore":
        """Open a store that was written before; `truncate` each chain to its checkpoint before appending.

        Raises:
            ResumeError: the draws in it are those of another run, or of another number of chains.
        """
        store = cls(path, chains=chains, labels=labels, keep=keep, run=run, together=together)
        root = store.path / "zarr.json"
        if not root.exists():
            return store
        content = read_root(store.path)
        store._attributes = {name: value for name, value in content["attributes"].items() if name not in OWN[1:]}
        if store._attributes.get(RUN, "") != run:
            raise ResumeError(f"{store.path} holds the draws of another run; restore its own, or start a new run")
        lengths = json.loads(store._attributes.pop(LENGTHS, "{}"))
        if any(len(counts) != chains for counts in lengths.values()):
            raise ResumeError(f"{root} is not of {chains} chains; restore the file, or start a new run")
        noted: list[Checksums] = json.loads(store._attributes.pop(CHECKSUMS, "null")) or []
        for chain, checksums in enumerate(noted):
            for name, found in checksums.items():
                store._note(name)[chain] = found
        for warmup, key in ((True, "warmup"), (False, "draws")):
            store._received[warmup][:] = lengths.get(key, 0)
            store._published[warmup][:] = store._received[warmup]
        for name, metadata in content["consolidated_metadata"]["metadata"].items():
            if metadata["node_type"] == "array" and tuple(metadata["dimension_names"][:2]) == SAMPLE_DIMS:
                group, _, variable = name.partition("/")
                if group in DERIVED:
                    shutil.rmtree(store.path / group, ignore_errors=True)
                    continue
                store._arrays[group, variable] = ArrayFormat.read(metadata)
        store._listed = set(store._arrays)
        return store

    def append(self, chain: int, warmup: bool, groups: Groups) -> None:
        """Keep the next draws of a chain."""
        self.put((chain,), warmup, *of_chain(groups))

    def put(self, chains: Sequence[int], warmup: bool, groups: Groups, first: np.ndarray, last: np.ndarray) -> None:
        """Keep the next draws of chains that follow each other: rows `first[i]` to `last[i]` of arrays (chain, row).

        Whole chunks go to disk at once, the rest now and then.
        """
        own = slice(chains[0], chains[-1] + 1)
        received = self._received[warmup][own]
        if not warmup or self.keep.warmup:
            places = self.keep.places(received, first, last)
            for group, variables in groups.items():
                for name, values in variables.items():
                    if self.keep.wants(group, name):
                        self._put(warmup_name(group, warmup), name, chains, places, values)
        self._received[warmup][own] = received + (last - first)
        if time.monotonic() >= self._next_flush[chains[0]]:
            self._show(chains)

    def _put(self, group: str, name: str, chains: Sequence[int], places: Places, values: np.ndarray) -> None:
        """Put draws of chains that follow each other into the columns of an array."""
        for column in self._columns_of(group, name, chains, values):
            low, high = max(chains[0], column.first), min(chains[-1], column.chains[-1]) + 1
            given = slice(low - chains[0], high - chains[0])
            own = slice(low - column.first, high - column.first)
            column.put(own, places.of(given.start, given.stop), values[given])

    def add(self, group: str, chain: int, values: Mapping[str, np.ndarray]) -> None:
        """Add rows to a group that is made from draws (`DERIVED`); resuming the run deletes such groups."""
        for name, rows in values.items():
            (column,) = self._columns_of(group, name, (chain,), rows[None])
            count = np.asarray([len(rows)])
            column.put(slice(0, 1), Keep().places(column.lengths, np.zeros_like(count), count), rows[None])

    def lengths(self, warmup: bool) -> np.ndarray:
        """Draws received from each chain so far, (chains,)."""
        return self._received[warmup].copy()

    def truncate(self, chains: Sequence[int], warmup: bool, lengths: np.ndarray) -> None:
        """Forget the draws beyond `lengths`, (chains,), of chains that follow each other; all others must have been
        flushed.
        """
        own = slice(chains[0], chains[-1] + 1)
        before = self._published[warmup][own].copy()
        self._received[warmup][own] = self._published[warmup][own] = lengths
        for name, noted in self._noted.items():
            if name.startswith("warmup_") == warmup:
                noted[own] = 0
        if warmup and not self.keep.warmup:
            return
        for group, name in list(self._arrays):
            if group.startswith("warmup_") == warmup:
                for column in self._columns_of(group, name, chains):
                    self._truncate(column, warmup)
        self._note_checksums(chains)
        if np.any(lengths < before):
            self._publish_metadata()  # before the last chunks are written again, with fewer draws in them

    def flush(self, chains: Sequence[int]) -> None:
        """Put everything received from chains that follow each other on the disk and publish it."""
        self._write(chains)
        for column in self._opened(chains):
            sync(dict.fromkeys(column.unsynced))
            column.unsynced.clear()
        self._publish(chains)
        if self._arrays:
            sync([self.path / "zarr.json"])

    def checksums(self, chains: Sequence[int]) -> list[Checksums]:
        """What tells the draws that are kept of each chain from those of others."""
        found: list[Checksums] = [{} for _ in chains]
        for column in self._opened(chains):
            for chain, length, checksum in zip(
                column.chains, column.lengths.tolist(), column.checksums.tolist(), strict=True
            ):
                if length and chains[0] <= chain <= chains[-1]:
                    found[chain - chains[0]][column.name] = [length, checksum]
        return found

    def finalize(self, attributes: Mapping[str, Any]) -> None:
        """Publish the last draws, and add attributes. The store can still be resumed."""
        self._write(range(self._chains))
        with self._lock:
            self._attributes.update(attributes)
            for warmup in (True, False):
                self._published[warmup][:] = self._received[warmup]
            self._note_checksums(range(self._chains))
            self._publish_metadata()

    def to_datatree(self) -> Any:
        """The ArviZ DataTree of the draws so far, read lazily from disk."""
        self._write(range(self._chains))
        self._publish(range(self._chains))
        return open_draws(self.path)

    def _show(self, chains: Sequence[int]) -> None:
        """Write and publish the draws of chains, and decide when to do it again."""
        begin = time.monotonic()
        self._write(chains)
        self._publish(chains)
        end = time.monotonic()
        self._next_flush[chains[0]] = end + max(FLUSH_SECONDS, (end - begin) / FLUSH_SHARE)

    def _write(self, chains: Sequence[int]) -> None:
        for column in self._opened(chains):
            column.write()

    def _publish(self, chains: Sequence[int]) -> None:
        """Let readers see the draws of chains, as far as the other chains have them too."""
        own = slice(chains[0], chains[-1] + 1)
        with self._lock:
            before = self._shown(False), self._shown(True)
            for warmup in (True, False):
                self._published[warmup][own] = self._received[warmup][own]
            self._note_checksums(chains)
            if before != (self._shown(False), self._shown(True)) or self._unpublished():
                self._publish_metadata()

    def _note(self, name: str) -> np.ndarray:
        """Lengths and checksums of the published draws of an array, (chains, 2)."""
        return self._noted.setdefault(name, np.zeros((self._chains, 2), np.int64))

    def _note_checksums(self, chains: Sequence[int]) -> None:
        for column in self._opened(chains):
            own = slice(max(chains[0], column.first), min(chains[-1], column.chains[-1]) + 1)
            part = slice(own.start - column.first, own.stop - column.first)
            noted = np.stack([column.lengths[part], column.checksums[part]], axis=1)
            self._note(column.name)[own] = noted

    def _unpublished(self) -> bool:
        """Whether there are arrays that no reader knows of yet, nor who resumes the run."""
        return not self._listed.issuperset(self._arrays)

    def _rows(self, group: str) -> int:
        """Number of rows that readers see of each chain in a group."""
        if group not in DERIVED:
            return self._shown(group.startswith("warmup_"))
        columns = [column for column in self._opened(range(self._chains)) if column.name.startswith(f"{group}/")]
        return min((int(column.lengths.min()) for column in columns), default=0)

    def _shown(self, warmup: bool) -> int:
        """Number of draws that readers see of each chain."""
        return self.keep.kept(int(self._published[warmup].min()))

    def _publish_metadata(self) -> None:
        """Write all metadata, the root's last."""
        members: dict[str, dict[str, Any]] = {}
        attributes, arrays = storable(self._attributes), set(self._arrays)
        for group in sorted({group for group, _ in list(self._arrays)}, key=group_rank):
            members |= self._draws_members(group, attributes)
        members |= self._data_members(attributes)
        for name, metadata in members.items():
            self._replace(f"{name}/zarr.json", encode_json(metadata))
        lengths = {"warmup": self._published[True].tolist(), "draws": self._published[False].tolist()}
        attributes |= {LENGTHS: json.dumps(lengths), CHECKSUMS: json.dumps(self._published_checksums())}
        attributes |= {FILES: json.dumps({name: crc for name, (_, crc) in self._fixed.items() if name in members})}
        self._replace("zarr.json", encode_json(sealed_root(group_metadata(attributes, members))))
        self._listed = arrays

    def _draws_members(self, group: str, attributes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Metadata of a group of draws, its arrays and its coordinates, which are written."""
        draws = self._rows(group)
        names = [name for owner, name in list(self._arrays) if owner == group]
        arrays = {name: self._arrays[group, name] for name in variable_order(names, self.labels)}
        members = {group: group_metadata(group_attributes(group, self.labels, attributes))}
        for name, array in arrays.items():
            shape = (self._chains, draws, *array.shape[2:])
            members[f"{group}/{name}"] = array.sized(shape).metadata()
        axes = resolve_axes({name: array.shape[2:] for name, array in arrays.items()}, self.labels)
        for axis, values in {"chain": np.arange(self._chains), **axes.coords}.items():
            members[f"{group}/{axis}"] = self._whole(f"{group}/{axis}", values, (axis,))
        members[f"{group}/draw"] = self._draw_coordinate(group, draws)
        return members

    def _data_members(self, attributes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Metadata of the groups of data, which are written."""
        observed = [name for group, name in self._arrays if group.endswith("log_likelihood")]
        members: dict[str, dict[str, Any]] = {}
        groups = zip(("observed_data", "constant_data"), split_data(self.labels, observed), strict=True)
        for group, arrays in groups:
            if not arrays:
                continue
            axes = resolve_axes({name: array.shape for name, array in arrays.items()}, self.labels)
            members[group] = group_metadata(group_attributes(group, self.labels, attributes))
            for name, array in arrays.items():
                members[f"{group}/{name}"] = self._whole(f"{group}/{name}", array, axes.dims[name])
            for axis, values in axes.coords.items():
                members[f"{group}/{axis}"] = self._whole(f"{group}/{axis}", values, (axis,))
        return members

    def _whole(self, name: str, values: np.ndarray, dims: tuple[str, ...]) -> dict[str, Any]:
        """Write an array that does not grow, and give its metadata."""
        if name not in self._fixed:
            array = whole_array(values, dims)
            content = array.encode(values)
            self._replace(f"{name}/{chunk_key((0,) * values.ndim)}", content)
            self._fixed[name] = array.metadata(), zlib.crc32(content)
        return self._fixed[name][0]

    def _draw_coordinate(self, group: str, draws: int) -> dict[str, Any]:
        """Write the numbers of the draws as far as needed, in chunks that never change."""
        array = ArrayFormat(dtype=np.dtype(np.int64), shape=(draws,), chunk=(CHUNK_DRAWS,), dims=("draw",))
        for chunk in range(-(-draws // CHUNK_DRAWS)):
            name = f"{group}/draw/{chunk_key((chunk,))}"
            if name not in self._contents:
                self._replace(name, array.encode(np.arange(CHUNK_DRAWS) + chunk * CHUNK_DRAWS))
        return array.metadata()

    def _replace(self, name: str, content: bytes) -> None:
        """Write a file of the store unless it has this content already."""
        if self._contents.get(name) == hash(content):
            return
        path = self.path / name
        make_parents(path, self.path)
        atomic_write(path, content, durable=False)
        self._contents[name] = hash(content)

    def _published_checksums(self) -> list[Checksums]:
        """The checksums of each chain, of the draws that it has published."""
        found: list[Checksums] = [{} for _ in range(self._chains)]
        for name, noted in list(self._noted.items()):
            for checksums, (length, checksum) in zip(found, noted.tolist(), strict=True):
                if length:
                    checksums[name] = [length, checksum]
        return found

    def _opened(self, chains: Sequence[int]) -> Iterator[Column]:
        """The columns, as far as they are open, that some of the chains are in."""
        for key, columns in list(self._columns.items()):
            for column in columns[self._blocks(key, chains)]:
                if column is not None:
                    yield column

    def _blocks(self, key: tuple[str, str], chains: Sequence[int]) -> slice:
        """Numbers of the columns of an array that some of the chains are in."""
        size = self._arrays[key].chunk[0]
        return slice(chains[0] // size, chains[-1] // size + 1)

    def _columns_of(
        self, group: str, name: str, chains: Sequence[int], values: np.ndarray | None = None
    ) -> list[Column]:
        """The columns of an array that chains are in; the array is created when its first draws come."""
        key = group, name
        with self._lock:
            if key not in self._arrays:
                assert values is not None
                self._arrays[key] = self._new_array(group, name, values)
            if key not in self._columns:
                self._columns[key] = [None] * -(-self._chains // self._arrays[key].chunk[0])
        columns, blocks = self._columns[key], self._blocks(key, chains)
        for k in range(*blocks.indices(len(columns))):
            if columns[k] is None:
                columns[k] = self._open_column(key, k)
        return [column for column in columns[blocks] if column is not None]

    def _open_column(self, key: tuple[str, str], block: int) -> Column:
        group, name = key
        array = self._arrays[key].sized((self._chains, *self._arrays[key].shape[1:]))
        column = Column(root=self.path, name=f"{group}/{name}", first=block * array.chunk[0], array=array)
        if group not in DERIVED:
            self._truncate(column, group.startswith("warmup_"))
        return column

    def _truncate(self, column: Column, warmup: bool) -> None:
        """Let a column have the draws that were received."""
        own = slice(column.first, column.chains[-1] + 1)
        column.truncate(self.keep.kept(self._received[warmup][own]))

    def _new_array(self, group: str, name: str, values: np.ndarray) -> ArrayFormat:
        dtype = self.keep.dtype(values.dtype)
        item = values.shape[2:]
        together = 1 if group in DERIVED else self._together
        chains, draws = chunk_shape(int(np.prod(item, dtype=np.int64)) * dtype.itemsize, together)
        known = {other: array.shape[2:] for (owner, other), array in self._arrays.items() if owner == group}
        dims = resolve_axes({**known, name: item}, self.labels).dims[name]
        return ArrayFormat(
            dtype=dtype,
            shape=(self._chains, 0, *item),
            chunk=(chains, draws, *(max(1, size) for size in item)),
            dims=(*SAMPLE_DIMS, *dims),
        )
