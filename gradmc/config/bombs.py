"""Files that would take far more memory than they are: they are refused before the memory is taken."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gradmc._process import memory
from gradmc.errors import DataError

MOST_UNPACKED = 2**28
MOST_RATIO = 100
"""What takes more than so many bytes and more than so many times the size of its file is refused."""

ROWS = 4096
"""Of a Parquet file, which are decoded at once: the memory of a few repeated texts is that of so many copies."""

NUMBER = 8
"""Bytes of a number in the data."""


def refuse_bomb(path: Path, unpacked: int) -> None:
    """Refuse a file whose content takes far more bytes than the file, or more than this machine has.

    Raises:
        DataError: it does.
    """
    size = max(path.stat().st_size, 1)
    if unpacked > MOST_UNPACKED and unpacked > MOST_RATIO * size:
        raise DataError(f"{path} would unpack to {unpacked:,} bytes, {unpacked // size} times its size")
    if unpacked > memory():
        raise DataError(f"{path} would unpack to {unpacked:,} bytes, more than the memory of this machine")


def refuse_archive(path: Path) -> None:
    """Refuse an archive that is a bomb, or holds an array whose shape is larger than its content.

    What its members say of their packed sizes does not count: several may share the same bytes.

    Raises:
        DataError: it is one.
    """
    import zipfile

    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        refuse_bomb(path, sum(member.file_size for member in members))
        for member in members:
            with archive.open(member) as file:
                try:
                    version = np.lib.format.read_magic(file)
                    header = (
                        np.lib.format.read_array_header_1_0
                        if version == (1, 0)
                        else (np.lib.format.read_array_header_2_0)
                    )
                    shape, _, dtype = header(file)
                except ValueError:
                    continue  # no array, at which `np.load` complains
                if math.prod(shape) * dtype.itemsize > member.file_size:
                    raise DataError(f"{path}: {member.filename} is cut: an array of shape {shape} does not fit into it")


def refuse_texts(path: Path, texts: list[Any]) -> None:
    """Refuse texts as an array, in which each takes the room of the longest, if that is a bomb.

    Raises:
        DataError: it is one.
    """
    count = longest = 0
    for text in _entries(texts):
        count += 1
        longest = max(longest, len(text) if isinstance(text, str) else 0)
    refuse_bomb(path, count * longest * np.dtype("U1").itemsize)


def _entries(values: list[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _entries(value)
        else:
            yield value


def parquet_batches(path: Path) -> Iterator[Any]:
    """The record batches of a Parquet file, decoded; what the file says of its size is checked, and then the size.

    Raises:
        DataError: it is a bomb.
    """
    import pyarrow as pa
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        told = file.metadata
        groups = [told.row_group(k).total_byte_size for k in range(told.num_row_groups)]
        refuse_bomb(path, max(sum(groups), told.num_rows * told.num_columns * NUMBER))
        taken = 0
        for batch in file.iter_batches(batch_size=ROWS):
            columns = [
                column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
                for column in batch.columns
            ]
            taken += sum(max(column.nbytes, len(column) * NUMBER) for column in columns)
            refuse_bomb(path, taken)
            yield pa.record_batch(columns, names=batch.schema.names)
