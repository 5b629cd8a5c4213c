"""Draws streamed to a Zarr 3 directory that other programs can read while the run goes on.

Each array has the axes (chain, draw, ...) and is chunked so that a chunk belongs to one chain; chains are
therefore written without waiting for each other. What readers see is decided by metadata alone: after chunks
are written, one rename publishes the number of draws that all chains have in common, with checksums of everything that
the files hold; `verify` reads everything back.
"""

import json
import shutil
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradmc.errors import ResumeError
from gradmc.results.attrs import group_attributes, standard_attributes, storable
from gradmc.results.files import atomic_write, make_parents, storage_errors, sync
from gradmc.results.keep import Keep
from gradmc.results.labels import SAMPLE_DIMS, Labels, group_rank, resolve_axes, split_data, variable_order
from gradmc.results.memory import chunk_length, warmup_name
from gradmc.results.reading import open_draws
from gradmc.results.sealed import digest
from gradmc.results.store import Checksums, Groups
from gradmc.results.zarr_column import CHUNK_DRAWS, Column, chunk_draws
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
    """

    def __init__(
        self, path: Path | str, *, chains: int, labels: Labels | None = None, keep: Keep | None = None, run: str = ""
    ) -> None:
        self.path = Path(path)
        self.labels = labels or Labels()
        self.keep = keep or Keep()
        self._chains = chains
        self._arrays: dict[tuple[str, str], ArrayFormat] = {}
        self._columns: list[dict[tuple[str, str], Column]] = [{} for _ in range(chains)]
        self._received = {True: [0] * chains, False: [0] * chains}
        self._published = {True: [0] * chains, False: [0] * chains}
        self._next_flush = [0.0] * chains
        self._attributes = standard_attributes(self.labels) | ({RUN: run} if run else {})
        self._checksums: list[Checksums] = [{} for _ in range(chains)]
        self._listed: set[tuple[str, str]] = set()  # arrays in the metadata on disk
        self._fixed: dict[str, tuple[dict[str, Any], int]] = {}  # metadata and CRC-32 of the only chunk
        self._contents: dict[str, int] = {}
        self._lock = threading.RLock()
        codec()
        with storage_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)

    @classmethod
    def resume(
        cls, path: Path | str, *, chains: int, labels: Labels | None = None, keep: Keep | None = None, run: str = ""
    ) -> "ZarrStore":
        """Open a store that was written before; `truncate` each chain to its checkpoint before appending.

        Raises:
            ResumeError: the draws in it are those of another run, or of another number of chains.
        """
        store = cls(path, chains=chains, labels=labels, keep=keep, run=run)
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
        store._checksums = json.loads(store._attributes.pop(CHECKSUMS, "null")) or store._checksums
        for warmup, key in ((True, "warmup"), (False, "draws")):
            store._received[warmup] = list(lengths.get(key, [0] * chains))
            store._published[warmup] = list(store._received[warmup])
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
        """Keep the next draws of a chain; whole chunks go to disk at once, the rest now and then."""
        count = chunk_length(groups)
        if not warmup or self.keep.warmup:
            rows = self.keep.rows(self._received[warmup][chain], count)
            for group, variables in groups.items():
                for name, values in variables.items():
                    if self.keep.wants(group, name):
                        self._column(chain, warmup_name(group, warmup), name, values).extend(values[rows])
        self._received[warmup][chain] += count
        if time.monotonic() >= self._next_flush[chain]:
            self._show(chain)

    def put(self, chains: Sequence[int], warmup: bool, groups: Groups, first: np.ndarray, last: np.ndarray) -> None:
        """Keep the next draws of chains that follow each other: rows `first[i]` to `last[i]` of arrays (chain, row)."""
        for i, chain in enumerate(chains):
            rows = slice(int(first[i]), int(last[i]))
            if rows.stop > rows.start:
                own = {group: {name: v[i, rows] for name, v in of.items()} for group, of in groups.items()}
                self.append(chain, warmup, own)

    def add(self, group: str, chain: int, values: Mapping[str, np.ndarray]) -> None:
        """Add rows to a group that is made from draws (`DERIVED`); resuming the run deletes such groups."""
        for name, rows in values.items():
            self._column(chain, group, name, rows).extend(rows)

    def chain_length(self, chain: int, warmup: bool) -> int:
        """Draws received from a chain so far."""
        return self._received[warmup][chain]

    def truncate(self, chain: int, warmup: bool, length: int) -> None:
        """Forget the draws of a chain beyond `length`, which must have been flushed."""
        before = self._published[warmup][chain]
        self._received[warmup][chain] = self._published[warmup][chain] = length
        noted = self._checksums[chain]
        self._checksums[chain] = {name: of for name, of in noted.items() if name.startswith("warmup_") != warmup}
        if warmup and not self.keep.warmup:
            return
        for group, name in list(self._arrays):
            if group.startswith("warmup_") == warmup:
                self._columns[chain][group, name] = self._open_column(chain, group, name, length)
        self._checksums[chain] |= self.checksums(chain)
        if length < before:
            self._publish_metadata()  # before the last chunk is written again, with fewer draws in it

    def flush(self, chain: int) -> None:
        """Put everything received from a chain on the disk and publish it."""
        self._write(chain)
        for column in self._columns[chain].values():
            sync(dict.fromkeys(column.unsynced))
            column.unsynced.clear()
        self._publish(chain)
        if self._arrays:
            sync([self.path / "zarr.json"])

    def checksums(self, chain: int) -> Checksums:
        """What tells the draws that are kept of a chain from those of others."""
        columns = self._columns[chain].items()
        return {f"{group}/{name}": [c.length, c.checksum] for (group, name), c in columns if c.length}

    def finalize(self, attributes: Mapping[str, Any]) -> None:
        """Publish the last draws, and add attributes. The store can still be resumed."""
        for chain in range(self._chains):
            self._write(chain)
        with self._lock:
            self._attributes.update(attributes)
            for warmup in (True, False):
                self._published[warmup] = list(self._received[warmup])
            for chain, before in enumerate(self._checksums):
                before.update(self.checksums(chain))
            self._publish_metadata()

    def to_datatree(self) -> Any:
        """The ArviZ DataTree of the draws so far, read lazily from disk."""
        for chain in range(self._chains):
            self._write(chain)
            self._publish(chain)
        return open_draws(self.path)

    def _show(self, chain: int) -> None:
        """Write and publish a chain's draws, and decide when to do it again."""
        begin = time.monotonic()
        self._write(chain)
        self._publish(chain)
        end = time.monotonic()
        self._next_flush[chain] = end + max(FLUSH_SECONDS, (end - begin) / FLUSH_SHARE)

    def _write(self, chain: int) -> None:
        for column in self._columns[chain].values():
            column.write()

    def _publish(self, chain: int) -> None:
        """Let readers see a chain's draws, as far as the other chains have them too."""
        with self._lock:
            before = self._shown(False), self._shown(True)
            for warmup in (True, False):
                self._published[warmup][chain] = self._received[warmup][chain]
            self._checksums[chain].update(self.checksums(chain))
            if before != (self._shown(False), self._shown(True)) or self._unpublished():
                self._publish_metadata()

    def _unpublished(self) -> bool:
        """Whether there are arrays that no reader knows of yet, nor who resumes the run."""
        return not self._listed.issuperset(self._arrays)

    def _rows(self, group: str) -> int:
        """Number of rows that readers see of each chain in a group."""
        if group not in DERIVED:
            return self._shown(group.startswith("warmup_"))
        lengths = [
            column.length for columns in self._columns for (owner, _), column in columns.items() if owner == group
        ]
        return min(lengths, default=0)

    def _shown(self, warmup: bool) -> int:
        """Number of draws that readers see of each chain."""
        return min(self.keep.kept(length) for length in self._published[warmup])

    def _publish_metadata(self) -> None:
        """Write all metadata, the root's last."""
        members: dict[str, dict[str, Any]] = {}
        attributes, arrays = storable(self._attributes), set(self._arrays)
        for group in sorted({group for group, _ in list(self._arrays)}, key=group_rank):
            members |= self._draws_members(group, attributes)
        members |= self._data_members(attributes)
        for name, metadata in members.items():
            self._replace(f"{name}/zarr.json", encode_json(metadata))
        lengths = {"warmup": self._published[True], "draws": self._published[False]}
        attributes |= {LENGTHS: json.dumps(lengths), CHECKSUMS: json.dumps(self._checksums)}
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

    def _column(self, chain: int, group: str, name: str, values: np.ndarray) -> Column:
        """The column of a chain in an array, which is created when its first draws come."""
        columns = self._columns[chain]
        if (group, name) not in columns:
            with self._lock:
                if (group, name) not in self._arrays:
                    self._arrays[group, name] = self._new_array(group, name, values)
            received = 0 if group in DERIVED else self._received[group.startswith("warmup_")][chain]
            columns[group, name] = self._open_column(chain, group, name, received)
        return columns[group, name]

    def _open_column(self, chain: int, group: str, name: str, received: int) -> Column:
        column = Column(root=self.path, name=f"{group}/{name}", chain=chain, array=self._arrays[group, name])
        column.truncate(self.keep.kept(received))
        return column

    def _new_array(self, group: str, name: str, values: np.ndarray) -> ArrayFormat:
        dtype = self.keep.dtype(values.dtype)
        item = values.shape[1:]
        draws = chunk_draws(int(np.prod(item, dtype=np.int64)) * dtype.itemsize)
        known = {other: array.shape[2:] for (owner, other), array in self._arrays.items() if owner == group}
        dims = resolve_axes({**known, name: item}, self.labels).dims[name]
        return ArrayFormat(
            dtype=dtype,
            shape=(self._chains, 0, *item),
            chunk=(1, draws, *(max(1, size) for size in item)),
            dims=(*SAMPLE_DIMS, *dims),
        )
