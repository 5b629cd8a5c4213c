"""Checkpoints of chains: small files that are either whole or ignored.

A checkpoint is written to a temporary file, synced, and renamed over the last one, which is kept under
another name. A checkpoint that fails its checksum is skipped with a warning in favour of the one before it.

The format is one file: magic, length of the header, header (JSON: the arrays and the caller's `meta`), the
bytes of the arrays, and a BLAKE2 digest of everything before.
"""

import hashlib
import json
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gradmc.errors import ResumeError
from gradmc.results.files import atomic_write, storage_errors

MAGIC = b"gradmc-checkpoint-1\n"
DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was saved of a chain: arrays, and anything that JSON can hold."""

    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]
    path: Path | None = None  # where it was read from

    def refuse_other(self, *, run: str, chains: Sequence[int]) -> None:
        """Refuse a checkpoint that is whole, but not that of these chains of this run.

        Raises:
            ResumeError: it is another's.
        """
        whose = self.meta.get("run"), self.meta.get("chains")
        if whose == (run, list(chains)):
            return
        other = "another run" if whose[0] != run else f"chain {_listed(whose[1] or ['?'])}"
        raise ResumeError(
            f"{self.path} is the checkpoint of {other}, expected that of chain {_listed(chains)} of this run; put the "
            "run's own back, or start a new run"
        )


def checkpoint_path(directory: Path | str, chain: int) -> Path:
    """The newest checkpoint of a chain."""
    return Path(directory) / f"chain-{chain}.checkpoint"


def previous_path(directory: Path | str, chain: int) -> Path:
    """The checkpoint before the newest."""
    return Path(directory) / f"chain-{chain}.previous"


def save_checkpoint(
    directory: Path | str, chain: int, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]
) -> None:
    """Save the state of a chain so that a kill at any moment leaves this checkpoint or the last one.

    Args:
        directory: the directory `state/` of the run.
        chain: which chain.
        arrays: arrays by name, of any dtype but object.
        meta: anything that JSON can hold.
    """
    newest, previous = checkpoint_path(directory, chain), previous_path(directory, chain)
    with storage_errors(newest):
        if newest.exists():
            os.replace(newest, previous)
    atomic_write(newest, encode(arrays, meta))


def load_checkpoint(directory: Path | str, chain: int) -> Checkpoint | None:
    """The newest whole checkpoint of a chain, or None if there is none.

    A damaged one is skipped with a warning, in favour of the one before it or, if it was the first, of the start. That
    costs time but changes nothing: the draws of a chain are a function of its seed.

    Raises:
        ResumeError: the newest and the one before it are damaged.
    """
    damaged: list[Path] = []
    for path in (checkpoint_path(directory, chain), previous_path(directory, chain)):
        if not path.exists():
            continue
        checkpoint = _read(path)
        if checkpoint is not None:
            _warn(damaged, f"going on from the one before it ({path.name})")
            return replace(checkpoint, path=path)
        damaged.append(path)
    if len(damaged) > 1:
        newest, before = damaged
        raise ResumeError(
            f"{newest} and the one before it, {before.name}, are damaged; restore one, or start a new run"
        )
    _warn(damaged, f"chain {chain} starts again from the beginning")
    return None


def load_finished(directory: Path | str, chain: int) -> Checkpoint | None:
    """The newest whole checkpoint of a chain of another run, or None if there is none.

    Raises:
        ResumeError: there are only damaged ones.
    """
    paths = [path for path in (checkpoint_path(directory, chain), previous_path(directory, chain)) if path.exists()]
    for path in paths:
        if (checkpoint := _read(path)) is not None:
            return replace(checkpoint, path=path)
    if paths:
        raise ResumeError(f"{paths[0]} is damaged; restore it, or name another run")
    return None


def refuse_foreign_checkpoints(directory: Path | str, *, run: str, chains: int) -> None:
    """Refuse checkpoints, where there are some, that are not those of a run's chains.

    Raises:
        ResumeError: one is another's.
    """
    for chain in range(chains):
        for path in (checkpoint_path(directory, chain), previous_path(directory, chain)):
            checkpoint = _read(path)
            if checkpoint is not None:
                together = checkpoint.meta.get("chains") or []  # those of a batch are in the file of the first
                own = together if together[:1] == [chain] else [chain]
                replace(checkpoint, path=path).refuse_other(run=run, chains=own)


def tell_of_draws(directory: Path | str) -> bool:
    """Whether checkpoints say that draws were stored before them; the first whole one is asked."""
    names = sorted(Path(directory).glob("chain-*.checkpoint")) + sorted(Path(directory).glob("chain-*.previous"))
    for path in names:
        if (checkpoint := _read(path)) is not None:
            noted = dict(checkpoint.meta.get("checksums") or {})
            return any(count for stored in noted.values() for count, *_ in stored.values())
    return False


def _read(path: Path) -> Checkpoint | None:
    """The checkpoint in a file; None where there is none, or it is damaged."""
    try:
        return decode(path.read_bytes())
    except OSError:
        return None


def _listed(chains: Sequence[Any]) -> str:
    return ", ".join(map(str, chains))


def _warn(damaged: list[Path], consequence: str) -> None:
    if damaged:
        text = f"checkpoint {damaged[0].name} is damaged; {consequence}"
        warnings.warn(text, RuntimeWarning, stacklevel=3)


def encode(arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> bytes:
    """The bytes of a checkpoint file."""
    parts = {name: np.asarray(array) for name, array in arrays.items()}
    header = {
        "arrays": [[name, part.dtype.str, list(part.shape)] for name, part in parts.items()],
        "meta": dict(meta),
    }
    text = json.dumps(header).encode()
    body = b"".join([MAGIC, len(text).to_bytes(8, "little"), text, *(part.tobytes() for part in parts.values())])
    return body + _digest(body)


def decode(content: bytes) -> Checkpoint | None:
    """What a checkpoint file holds, or None if it is damaged."""
    body, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    if not body.startswith(MAGIC) or _digest(body) != digest:
        return None
    try:
        return _decode(body)
    except (ValueError, TypeError, KeyError):  # whole, but not written by `encode`
        return None


def _decode(body: bytes) -> Checkpoint:
    start = len(MAGIC) + 8
    length = int.from_bytes(body[len(MAGIC) : start], "little")
    header = json.loads(body[start : start + length])
    position = start + length
    arrays: dict[str, np.ndarray] = {}
    for name, dtype, shape in header["arrays"]:
        count = math.prod(shape)
        if min(shape, default=0) < 0:
            raise ValueError("a shape is negative")
        array = np.frombuffer(body, np.dtype(dtype), count, position).reshape(shape).copy()
        arrays[name] = array
        position += array.nbytes
    return Checkpoint(arrays=arrays, meta=header["meta"])


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=DIGEST_BYTES).digest()
