"""The data sets of `gradmc sample-many`: a pattern of files, a table of files, or a column to group by."""

import glob
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gradmc.config.data_files import load_data, read_file
from gradmc.config.schema import Config
from gradmc.errors import ConfigError


class DataSets(Mapping[str, Mapping[str, Any]]):
    """Data sets by name, read when they are asked for."""

    def __init__(self, readers: Mapping[str, Callable[[], Mapping[str, Any]]]) -> None:
        self._readers = readers

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        return self._readers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)


def data_sets(config: Config, accepted: Collection[str]) -> DataSets:
    """The data sets that a configuration asks for.

    Args:
        config: the configuration.
        accepted: the names that the model takes.

    Raises:
        ConfigError: [many] does not say which, or there are none.
        DataError: a file cannot be read.
    """
    chosen = {key: value for key, value in config.many.model_dump(exclude={"pad"}).items() if value is not None}
    if len(chosen) != 1:
        told = f"it has {' and '.join(chosen)}" if chosen else "it has none of them"
        raise ConfigError(f'many: expected one of files = "data/*.json", sets = {{...}} or by = "column"; {told}')
    if config.many.by is not None:
        return DataSets(_grouped(config.data, config.many.by, accepted))
    found = config.many.sets if config.many.sets is not None else _matching(config.many.files or "")
    if not found:
        raise ConfigError(f"many.{next(iter(chosen))}: no data sets: {next(iter(chosen.values()))!r} names no file")
    return DataSets({name: lambda file=file: _with_file(config.data, file, accepted) for name, file in found.items()})


def _matching(pattern: str) -> dict[str, str]:
    """The files of a pattern, by the part of their names before the ending, or all of it where two agree in that."""
    files = [Path(file) for file in sorted(glob.glob(pattern, recursive=True))]
    stems = [file.stem for file in files]
    return {file.stem if stems.count(file.stem) == 1 else str(file): str(file) for file in files}


def _with_file(data: Mapping[str, Any], file: str, accepted: Collection[str]) -> dict[str, Any]:
    """What stands under [data], and over it what is in a file."""
    common = load_data(data, accepted)
    return {**common, **load_data({"file": file, "extra": data.get("extra", "refuse")}, accepted)}


def _grouped(
    data: Mapping[str, Any], column: str, accepted: Collection[str]
) -> dict[str, Callable[[], Mapping[str, Any]]]:
    """The rows of `data.file` with each value of a column; its other entries, and those beside it, go to all."""
    if not isinstance(data.get("file"), str):
        raise ConfigError(f'many.by: {column!r} is to be a column of data.file; write `file = "data.csv"` under [data]')
    table = read_file(Path(data["file"]), {})
    if column not in table or np.ndim(table[column]) != 1:
        raise ConfigError(f"many.by: no column {column!r} in {data['file']}; it has {', '.join(table)}")
    values = np.asarray(table[column])
    whole = load_data(data, {*accepted, column})
    beside = load_data({name: value for name, value in data.items() if name != "file"})
    split = [n for n, v in table.items() if n in whole and n not in beside and np.shape(v)[:1] == values.shape]
    if column not in accepted:
        whole.pop(column, None)
        split.remove(column)

    def rows(value: Any) -> dict[str, Any]:
        chosen = values == value
        return {**whole, **{name: np.asarray(whole[name])[chosen] for name in split}}

    return {str(value): lambda value=value: rows(value) for value in dict.fromkeys(values.tolist())}
