"""Are the draws in a store those that the run wrote?

When a run ends, its store holds the checksums of each chain's draws in each array. Reading everything back tells
chunks that were swapped between chains, copied from another run, cut or lost, which a reader of Zarr shows as if
nothing had happened: a missing chunk is an array of fill values.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradmc.errors import ResumeError
from gradmc.results.store import Checksums
from gradmc.results.zarr_column import Column
from gradmc.results.zarr_format import ArrayFormat
from gradmc.results.zarr_store import CHECKSUMS, RUN


def verify(path: Path, *, run: str = "", draws: int | None = None) -> None:
    """Read the draws of a store back and compare them with their checksums.

    A store that is still written to, or that an older version of gradmc wrote, has no checksums and passes.

    Args:
        path: the store.
        run: which run the draws must be of; nothing where that is not known.
        draws: how many draws each chain must have; None where that is not known.

    Raises:
        ResumeError: they are not those that were written, or not as many.
    """
    content = json.loads((path / "zarr.json").read_bytes())
    attributes = content["attributes"]
    if run and attributes.get(RUN, run) != run:
        raise ResumeError(f"{path} holds the draws of another run; restore its own, or start a new run")
    noted: list[Checksums] = json.loads(attributes.get(CHECKSUMS, "null")) or []
    arrays = content["consolidated_metadata"]["metadata"]
    for chain, checksums in enumerate(noted):
        for name, (length, checksum) in checksums.items():
            if name in arrays:
                _check(path, name, chain, arrays[name], length, checksum, draws)
    _refuse_copies(path, noted)


def _check(
    path: Path, name: str, chain: int, metadata: Mapping[str, Any], length: int, checksum: int, draws: int | None
) -> None:
    warmup = name.startswith("warmup_")
    if draws is not None and not warmup and length != draws:
        raise ResumeError(f"{path / name} holds {length} draws of chain {chain}, expected {draws}; start a new run")
    if metadata["shape"][1] > length:
        raise ResumeError(f"{path / name} shows {metadata['shape'][1]} draws of chain {chain}, which has {length}")
    column = Column(root=path, name=name, chain=chain, array=ArrayFormat.read(metadata))
    column.truncate(length)
    if column.checksum != checksum:
        raise ResumeError(
            f"the draws of chain {chain} in {path / name} are not those that the run wrote: files were changed, or "
            "copied from another chain or run; restore them, or start a new run"
        )


def _refuse_copies(path: Path, noted: list[Checksums]) -> None:
    """Refuse chains with the same draws: even chains that never move have momenta of their own."""
    for chain, checksums in enumerate(noted):
        for other, theirs in enumerate(noted[:chain]):
            if checksums and checksums == theirs:
                raise ResumeError(f"chains {other} and {chain} in {path} have the same draws; start a new run")
