"""Starting values: a table in the configuration, a list of tables (one for each chain), or a file.

Only the form is checked here; names, shapes and supports are those of the model.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradmc.config.data_files import as_data, read_npz
from gradmc.config.problems import shorten
from gradmc.errors import DataError

SUFFIXES = (".json", ".npz")

type Initial = Mapping[str, Any] | Sequence[Mapping[str, Any]]


def load_initial(value: str | Mapping[str, Any] | Sequence[Mapping[str, Any]] | None) -> Initial | None:
    """The starting values that `sampler.initial` gives.

    Args:
        value: a table from parameter names to values, a list of tables, or a file that holds either.

    Raises:
        DataError: the file cannot be read, or holds something else.
    """
    content = _read(Path(value)) if isinstance(value, str) else value
    if content is None or isinstance(content, Mapping):
        return None if content is None else _table(content)
    return [_table(table) for table in content]


def _table(table: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: as_data(name, value, section="sampler.initial") for name, value in table.items()}
    for name, value in values.items():
        if np.asarray(value).dtype.kind not in "biuf":
            raise DataError(f"sampler.initial.{name}: expected a number or a list of numbers, got {shorten(value)}")
    return values


def _read(path: Path) -> Any:
    try:
        content = read_npz(path) if path.suffix == ".npz" else json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"sampler.initial: cannot read {path}: {error}") from error
    tables = content if isinstance(content, list) else [content]
    if not tables or not all(isinstance(table, Mapping) for table in tables):
        raise DataError(
            f"sampler.initial: {path} must hold an object with a value for each parameter, or a list of such objects, "
            f"one for each chain"
        )
    return content
