"""Layers of configuration: defaults, file, environment, command line; the later wins.

A layer is a flat mapping from key path (`sampler.draws`) to a `SourcedValue` that remembers where the value came
from. Paths are made absolute here, because only here is known what they are relative to.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gradmc.config.places import with_path
from gradmc.config.schema import PATHS

ENVIRONMENT_PREFIX = "GRADMC_"
ENVIRONMENT_SEPARATOR = "__"
NAMED = ("data", "stop.mcse", "sampler.initial", "many.sets")
"""Tables whose keys are names of the model's."""


@dataclass(frozen=True, slots=True)
class SourcedValue:
    """A value and where it came from: `run.toml:12`, an environment variable, an option."""

    value: Any
    origin: str


type Layer = dict[str, SourcedValue]


def default_layer(path: Path) -> Layer:
    """Defaults that depend on the file."""
    return {"output.dir": SourcedValue(str(path.parent / "runs" / path.stem), "default")}


def file_layer(content: Mapping[str, Any], text: str, path: Path) -> Layer:
    """The entries of a parsed file."""
    layer: Layer = {}
    for section, table in content.items():
        if not isinstance(table, Mapping):
            layer[section] = SourcedValue(table, f"{path.name}:{line_of(text, (), section)}")
            continue
        for key, value in table.items():
            origin = f"{path.name}:{line_of(text, (section,), key)}"
            layer[f"{section}.{key}"] = SourcedValue(absolute(f"{section}.{key}", value, path.parent), origin)
    return layer


def environment_layer(environment: Mapping[str, str]) -> Layer:
    """Variables such as GRADMC_SAMPLER__DRAWS=2000; names of the model's (GRADMC_DATA__K) keep their case."""
    layer: Layer = {}
    for name, text in sorted(environment.items()):
        rest = name.removeprefix(ENVIRONMENT_PREFIX)
        if rest == name or ENVIRONMENT_SEPARATOR not in rest:
            continue
        key = _key_of(rest.replace(ENVIRONMENT_SEPARATOR, "."))
        _put(layer, key, SourcedValue(absolute(key, parse_value(text), Path.cwd()), f"environment variable {name}"))
    return layer


def _key_of(written: str) -> str:
    """The key path that a variable's name gives."""
    key, parts = written.lower(), written.split(".")
    for table in NAMED:
        if key.startswith(f"{table}.") and key not in PATHS:
            place = table.count(".") + 1
            return ".".join([table, parts[place], *(part.lower() for part in parts[place + 1 :])])
    return key


def option_layer(overrides: Iterable[tuple[str, str]]) -> Layer:
    """Options such as `--sampler.draws 2000`; later ones over earlier ones."""
    layer: Layer = {}
    for key, text in overrides:
        _put(layer, key, SourcedValue(absolute(key, parse_value(text), Path.cwd()), f"option --{key}"))
    return layer


def merge(layers: Iterable[Layer]) -> Layer:
    """Later layers over earlier ones; `a.b` and `a.b.c` of different layers do not mix."""
    merged: Layer = {}
    for layer in layers:
        for key, entry in layer.items():
            _put(merged, key, entry)
    return merged


def _put(layer: Layer, key: str, entry: SourcedValue) -> None:
    """Set an entry over what it does not mix with: the tables above it that are set as a whole, and their entries."""
    for old in [old for old in layer if old.startswith(f"{key}.") or key.startswith(f"{old}.")]:
        del layer[old]
    layer[key] = entry


def nest(layer: Layer) -> dict[str, Any]:
    """Nested tables from key paths."""
    tree: dict[str, Any] = {}
    for path, entry in layer.items():
        *parents, last = path.split(".")
        table = tree
        for parent in parents:
            table = table.setdefault(parent, {})
        table[last] = entry.value
    return tree


def parse_value(text: str) -> Any:
    """The value of an override: TOML where it is TOML, else the text itself."""
    try:
        value = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, ValueError, RecursionError):
        return text
    if set(value) != {"value"} or not isinstance(value["value"], bool | int | float | str | list | dict):
        return text
    return value["value"]


def absolute(key: str, value: Any, base: Path) -> Any:
    """Make the paths in a value absolute."""
    return with_path(key, value, partial(_join, base))


def _join(base: Path, path: str) -> str:
    try:
        return str((base / Path(path).expanduser()).resolve())
    except (OSError, RuntimeError, ValueError):
        return path


def line_of(text: str, tables: tuple[str, ...], key: str) -> int:
    """The line of a key in a TOML file; the line of its table, or 1, where that is not plain to see."""
    table: str = ""
    best = 1
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("["):
            table = stripped.strip("[] \t").split("#")[0].strip("[] \t")
            if table in (".".join(tables), ".".join((*tables, key))):
                best = number
            if table == ".".join((*tables, key)):
                return number
            continue
        name, equals, _ = stripped.partition("=")
        if equals and name.strip().strip("\"'") == key and table == ".".join(tables):
            return number
    return best
