"""Are the files of a store those that the run wrote?

A store publishes with its draws the checksums of each chain's draws in each array, and of everything else in it.
Reading everything back tells chunks that were swapped between chains, copied from another run, changed, cut or lost,
which a reader of Zarr shows as if nothing had happened: a missing chunk is an array of fill values. Memory is taken
only for chunks that are there, and of the size that a store writes.
"""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gradmc.errors import ResumeError
from gradmc.results.labels import SAMPLE_DIMS
from gradmc.results.plain_tree import PlainTree, read_plainly
from gradmc.results.reading import open_draws
from gradmc.results.store import Checksums
from gradmc.results.zarr_column import Column
from gradmc.results.zarr_format import (
    CHECKSUMS,
    FILES,
    MOST_CHUNK_BYTES,
    RUN,
    SEAL,
    ArrayFormat,
    chunk_key,
    frame_bytes,
)
from gradmc.results.zarr_store import read_root


def verify(path: Path, *, run: str = "", draws: int | None = None) -> None:
    """Read the files of a store back and compare them with their checksums.

    A store that an older version of gradmc wrote, without checksums, passes.

    Args:
        path: the store.
        run: which run the draws must be of; nothing where that is not known.
        draws: how many draws each chain must have; None where that is not known.

    Raises:
        ResumeError: they are not those that were written, or not as many.
    """
    content = read_root(path)
    attributes = content["attributes"]
    if run and attributes.get(RUN, run) != run:
        raise ResumeError(f"{path} holds the draws of another run; restore its own, or start a new run")
    noted: list[Checksums] = json.loads(attributes.get(CHECKSUMS, "null")) or []
    members = content["consolidated_metadata"]["metadata"]
    arrays = {name: metadata for name, metadata in members.items() if metadata["node_type"] == "array"}
    for name, metadata in arrays.items():
        if tuple(metadata["dimension_names"][:2]) == SAMPLE_DIMS:
            _check(path, name, metadata, noted, draws)
    _refuse_copies(path, noted)
    if SEAL in attributes:
        _check_lengths(path, arrays, noted)
        _check_rest(path, arrays, json.loads(attributes[FILES]))


def open_verified(path: Path, *, run: str = "") -> Any:
    """The DataTree of a Zarr store whose files are those that were written.

    Raises:
        UsageError: there is no store.
        ResumeError: its files are not those that were written.
    """
    if (path / "zarr.json").exists():
        verify(path, run=run)
    return open_draws(path)


def read_verified(path: Path, *, run: str = "") -> PlainTree:
    """What such a store holds, read without xarray.

    Raises:
        ResumeError: its files are not those that were written, or gone.
    """
    verify(path, run=run)
    return read_plainly(path)


def _check(path: Path, name: str, metadata: Mapping[str, Any], noted: list[Checksums], draws: int | None) -> None:
    """Compare the draws of each chain in an array with what is noted of them."""
    array = ArrayFormat.read(metadata)
    pairs = np.asarray([checksums.get(name, (0, 0)) for checksums in noted]).reshape(len(noted), 2)
    short = (pairs[:, 0] != draws) & (pairs[:, 0] > 0)
    if draws is not None and not name.startswith("warmup_") and np.any(short):
        chain = int(np.argmax(short))
        raise ResumeError(
            f"{path / name} holds {pairs[chain, 0]} draws of chain {chain}, expected {draws}; start a new run"
        )
    for first in range(0, len(noted), array.chunk[0]):
        column = Column(root=path, name=name, first=first, array=array)
        lengths, checksums = pairs[first : first + len(column.chains)].T
        column.truncate(lengths)
        if np.any(wrong := column.checksums != checksums):
            raise ResumeError(
                f"the draws of chain {first + int(np.argmax(wrong))} in {path / name} are not those that the run "
                "wrote: files were changed, or copied from another chain or run; restore them, or start a new run"
            )


def _check_lengths(path: Path, arrays: Mapping[str, Mapping[str, Any]], noted: list[Checksums]) -> None:
    """Refuse arrays that show more draws of a chain than were written."""
    for name, metadata in arrays.items():
        if tuple(metadata["dimension_names"][:2]) == SAMPLE_DIMS:
            chains, shown = metadata["shape"][:2]
            for chain in range(chains):
                length = noted[chain].get(name, [0])[0] if chain < len(noted) else 0
                if shown > length:
                    raise ResumeError(f"{path / name} shows {shown} draws of chain {chain}, which has {length}")


def _check_rest(path: Path, arrays: Mapping[str, Mapping[str, Any]], files: Mapping[str, int]) -> None:
    """Check what is not drawn: numbers of draws, coordinates and data."""
    for name, metadata in arrays.items():
        if tuple(metadata["dimension_names"][:2]) == SAMPLE_DIMS:
            continue
        array = ArrayFormat.read(metadata)
        if name.endswith("/draw") and name not in files:
            _check_draw_numbers(path / name, array)
            continue
        file = path / name / chunk_key((0,) * len(array.shape))
        stored = _bytes(file)
        if zlib.crc32(stored) != files.get(name) or (frame_bytes(stored) or 0) > MOST_CHUNK_BYTES:
            raise ResumeError(f"{file} is not what the run wrote; restore it, or start a new run")


def _check_draw_numbers(path: Path, array: ArrayFormat) -> None:
    size = array.chunk[0]
    for chunk in range(-(-array.shape[0] // size)):
        file = path / chunk_key((chunk,))
        try:
            numbers = array.decode(_bytes(file))
        except (RuntimeError, ValueError):
            numbers = None
        if numbers is None or not np.array_equal(numbers, np.arange(size) + chunk * size):
            raise ResumeError(f"{file} is not what the run wrote; restore it, or start a new run")


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ResumeError(f"cannot read {file}: {reason}; restore the file, or start a new run") from None


def _refuse_copies(path: Path, noted: list[Checksums]) -> None:
    """Refuse chains with the same draws: even chains that never move have momenta of their own."""
    seen: dict[Any, int] = {}
    for chain, checksums in enumerate(noted):
        draws = tuple(sorted((name, *found) for name, found in checksums.items()))
        if draws and (other := seen.setdefault(draws, chain)) != chain:
            raise ResumeError(f"chains {other} and {chain} in {path} have the same draws; start a new run")
