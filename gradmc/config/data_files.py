"""Reading data from files: JSON, CSV, NumPy archives and Parquet."""

import csv
import json
import sys
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gradmc.config.bombs import parquet_batches, refuse_archive, refuse_texts
from gradmc.config.problems import suggestion
from gradmc.errors import DataError

MISSING = ("", "na", "n/a", "null", "none", ".")
"""Texts that stand for a missing value in CSV files."""

EXTRA = ("refuse", "ignore")
"""What `data.extra` says of entries of `data.file` that the model does not take."""


def load_data(table: Mapping[str, Any], accepted: Collection[str] | None = None) -> dict[str, Any]:
    """The data of a model from the table [data].

    Args:
        table: `file` (a path) gives all names of a file; other entries give one name each, as a value or as
            a table with `file` and `column` or `key`. Entries override names of the file. `extra = "ignore"` leaves
            out what the file has beyond `accepted`.
        accepted: the names that the model takes; None where they are not known.

    Raises:
        DataError: a file cannot be read, or lacks a name.
    """
    data: dict[str, Any] = {}
    files: dict[Path, dict[str, Any]] = {}
    if isinstance(table.get("file"), str):
        data |= read_file(Path(table["file"]), files)
        if accepted is not None and table.get("extra") == "ignore":
            data = {name: value for name, value in data.items() if name in accepted}
    for name, value in table.items():
        if isinstance(value, Mapping) and "file" in value:
            path = Path(value["file"])
            wanted = value.get("column") or value.get("key") or name
            data[name] = pick(read_file(path, files), wanted, path, name)
        elif not is_option(name, value):
            data[name] = as_data(name, value)
    return data


def is_option(name: str, value: Any) -> bool:
    """Whether an entry of [data] says how to read data, rather than being one."""
    return isinstance(value, str) and (name == "file" or (name == "extra" and value in EXTRA))


def pick(content: Mapping[str, Any], wanted: str, path: Path, name: str) -> Any:
    """One entry of a file."""
    if wanted not in content:
        hint = suggestion(wanted, content) or f"it has {', '.join(content) or 'nothing'}"
        raise DataError(f"data.{name}: no {wanted!r} in {path}; {hint}")
    return content[wanted]


def read_file(path: Path, cache: dict[Path, dict[str, Any]]) -> dict[str, Any]:
    """All entries of a file, read once."""
    if path not in cache:
        readers = {".json": read_json, ".csv": read_csv, ".npz": read_npz, ".parquet": read_parquet}
        reader = readers.get(path.suffix.lower())
        if reader is None:
            raise DataError(f"cannot read {path}: expected a file that ends in {', '.join(readers)}")
        try:
            cache[path] = reader(path)
        except DataError:
            raise
        except RecursionError:
            raise DataError(f"cannot read {path}: it is nested too deeply; write arrays as lists of rows") from None
        except (OSError, ValueError, csv.Error) as error:
            raise DataError(f"cannot read {path}: {error}; check that it is a whole {path.suffix} file") from error
    return cache[path]


def _distinct(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The entries of an object in a JSON file."""
    entries = dict(pairs)
    if len(entries) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for k, name in enumerate(names) if name in names[:k])
        raise DataError(f"{path} has two entries of the name {twice!r}")
    return entries


def read_json(path: Path) -> dict[str, Any]:
    """The entries of a JSON object."""
    content = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=partial(_distinct, path))
    if not isinstance(content, dict):
        raise DataError(f"{path} holds a {type(content).__name__}, expected an object with a name for each entry")
    return {str(name): as_data(str(name), value, path) for name, value in content.items()}


def read_csv(path: Path) -> dict[str, Any]:
    """The columns of a CSV file with a header: whole numbers, numbers or texts."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        before = csv.field_size_limit(sys.maxsize)
        try:
            rows = list(csv.reader(file, strict=True))
        finally:
            csv.field_size_limit(before)
    rows = [row for row in rows if row]
    if not rows:
        raise DataError(f"{path} is empty, expected a header with column names")
    header = [name.strip() for name in rows[0]]
    if len(set(header)) < len(header):
        raise DataError(f"{path} has two columns of the same name in its header {', '.join(header)}")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(header):
            raise DataError(f"{path}, row {number}: {len(row)} entries, expected {len(header)} as in the header")
    columns = zip(*rows[1:], strict=True) if len(rows) > 1 else [()] * len(header)
    return {name: _column(path, name, list(column)) for name, column in zip(header, columns, strict=True)}


def read_npz(path: Path) -> dict[str, Any]:
    """The arrays of a NumPy archive; one that claims to hold more than it can is refused before memory is taken."""
    import zipfile

    try:
        refuse_archive(path)
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except zipfile.BadZipFile as error:
        raise DataError(f"cannot read {path}: {error}; write it with `numpy.savez`") from error


def read_parquet(path: Path) -> dict[str, Any]:
    """The columns of a Parquet file."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise DataError(f"reading {path} needs pyarrow; install it with `pip install 'gradmc[parquet]'`") from None
    columns: dict[str, list[Any]] = {name: [] for name in pyarrow.parquet.read_schema(path).names}
    for batch in parquet_batches(path):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            columns[name] += column.to_pylist()
    return {name: as_data(name, values, path) for name, values in columns.items()}


def as_data(name: str, value: Any, path: Path | None = None, section: str = "data") -> Any:
    """Lists become arrays; numbers, texts and tables stay what they are."""
    if not isinstance(value, list):
        return value
    if path is not None:
        refuse_texts(path, value)
    try:
        array = np.array(value)
    except ValueError:
        array = np.array(None)
    if array.dtype.kind not in "biufU":
        where = f" in {path}" if path else ""
        raise DataError(
            f"{section}.{name}{where}: expected a list of numbers or texts with rows of equal length, "
            "got rows of different lengths, missing values, or a mixture"
        )
    return array


def _column(path: Path, name: str, texts: list[str]) -> np.ndarray:
    for kind in (int, float):
        try:
            return np.array([kind(text) for text in texts])
        except (ValueError, OverflowError):
            continue
    missing = [i for i, text in enumerate(texts) if text.strip().lower() in MISSING]
    if missing and all(_is_number(text) for i, text in enumerate(texts) if i not in missing):
        raise DataError(
            f"{path}: row {missing[0] + 2} of column {name} is {texts[missing[0]]!r}, "
            "the other rows are numbers; remove rows with missing values, or fill them in"
        )
    refuse_texts(path, texts)
    return np.array(texts)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
