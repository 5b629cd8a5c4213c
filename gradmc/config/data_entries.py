"""The table [data]: what its entries may look like.

`file = "data.json"` takes all names from one file; `y = { file = "schools.csv", column = "effect" }` takes
one name; `K = 3` and `y = [1.0, 2.0]` give values directly. Only the form is checked here, files are read
later.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from gradmc.config.data_files import EXTRA, is_option
from gradmc.config.layers import Layer
from gradmc.config.problems import origin, shorten, suggestion

SUFFIXES = (".json", ".csv", ".npz", ".parquet")
ENTRY_KEYS = ("file", "column", "key")


def data_problems(table: Mapping[str, Any], layer: Layer) -> list[str]:
    """What is wrong with the form of the table [data]."""
    problems: list[str] = []
    for name, value in table.items():
        path = f"data.{name}"
        if name == "file" and isinstance(value, str):
            problems += file_problems(path, value, layer)
        elif isinstance(value, Mapping) and "file" in value:
            problems += _entry_problems(path, value, layer)
        elif name == "extra" and isinstance(value, str) and not is_option(name, value):
            known = " or ".join(f'"{word}"' for word in EXTRA)
            problems.append(f"{path}: expected {known}, got {shorten(value)}{origin(path, layer)}")
        elif name == "file" or not _is_value(value):
            advice = f'{name} = {{ file = "data.csv", column = "{name}" }}'
            problems.append(
                f"{path}: expected a number, text, a list, or a table, got {shorten(value)}"
                f"{origin(path, layer)}; write, for example, `{advice}`"
            )
    return problems


def _entry_problems(path: str, entry: Mapping[str, Any], layer: Layer) -> list[str]:
    problems = []
    for key, value in entry.items():
        if key not in ENTRY_KEYS:
            hint = suggestion(key, ENTRY_KEYS) or f"known are {', '.join(ENTRY_KEYS)}"
            problems.append(f"{path}.{key}: unknown key{origin(path, layer)}; {hint}")
        elif not isinstance(value, str):
            problems.append(
                f"{path}.{key}: expected text in quotes, got {shorten(value)}{origin(path, layer)}; "
                f'write, for example, `{key} = "{"data.csv" if key == "file" else "y"}"`'
            )
    if isinstance(entry.get("file"), str):
        problems += file_problems(f"{path}.file", entry["file"], layer)
    return problems


def file_problems(path: str, file: str, layer: Layer, suffixes: Sequence[str] = SUFFIXES) -> list[str]:
    """What is wrong with the name of a file that stands at a key path: its ending, or that there is no such file."""
    location = Path(file)
    if location.suffix.lower() not in suffixes:
        advice = f'write, for example, `{path.rpartition(".")[2]} = "{location.stem or "data"}.json"`'
        ends = f"expected a file that ends in {', '.join(suffixes)}"
        return [f"{path}: {ends}, got {shorten(file, 200)}{origin(path, layer)}; {advice}"]
    try:
        if location.is_file():
            return []
        if location.is_dir():
            return [f"{path}: {shorten(file, 200)} is a directory{origin(path, layer)}; name the file in it"]
        others = [other.name for other in location.parent.iterdir() if other.suffix in suffixes]
    except (OSError, ValueError):
        others = []
    close = get_close_matches(location.name, others, n=1)
    hint = f"did you mean {close[0]}?" if close else "check the path, which is relative to the configuration file"
    return [f"{path}: no such file {shorten(file, 200)}{origin(path, layer)}; {hint}"]


def _is_value(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_value(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_value(item) for item in value)
    return isinstance(value, bool | int | float | str)
