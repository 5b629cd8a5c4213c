"""Reading a configuration: file, environment and options into one checked record."""

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gradmc.config.data_entries import data_problems, file_problems
from gradmc.config.initial import SUFFIXES as INITIAL_SUFFIXES
from gradmc.config.layers import (
    Layer,
    default_layer,
    environment_layer,
    file_layer,
    merge,
    nest,
    option_layer,
)
from gradmc.config.places import with_path
from gradmc.config.problems import describe, origin, shorten, suggestion, unknown_key
from gradmc.config.schema import SECTIONS, Config
from gradmc.errors import ConfigError

MOST_PARTS = 16
"""Most parts of a key such as `sampler.initial.mu`."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A checked configuration and how it came about.

    Args:
        config: the values; paths are absolute.
        origins: key path -> where the value came from; keys that are absent have their default.
        path: the file.
        text: its content.
    """

    config: Config
    origins: Mapping[str, str]
    path: Path
    text: str


def load_config(
    path: Path | str,
    overrides: Iterable[tuple[str, str]] = (),
    environment: Mapping[str, str] | None = None,
) -> Loaded:
    """Read and check a configuration.

    Args:
        path: the TOML file.
        overrides: key paths and values from the command line.
        environment: environment variables; those of the process by default.

    Raises:
        ConfigError: with all problems at once.
    """
    path = Path(path)
    text = read_text(path)
    layers = [
        default_layer(path.resolve()),
        file_layer(parse(text, path), text, path.resolve()),
        environment_layer(os.environ if environment is None else environment),
        option_layer(overrides),
    ]
    refuse_deep(key for layer in layers for key in layer)
    merged = merge(layers)
    config, problems = check(merged)
    if config is None or problems:
        raise ConfigError(report(path, problems))
    return Loaded(config=config, origins={key: entry.origin for key, entry in merged.items()}, path=path, text=text)


def check(layer: Layer) -> tuple[Config | None, list[str]]:
    """The configuration that a merged layer gives, and what is wrong with it."""
    tree = nest(layer)
    problems: list[str] = []
    for name in [name for name in tree if name not in Config.model_fields]:
        problems.append(_unknown_section(name, layer))
        del tree[name]
    problems += _impossible_paths(layer)
    if isinstance(tree.get("data"), Mapping):
        problems += data_problems(tree["data"], layer)
    sampler = tree.get("sampler")
    if isinstance(sampler, Mapping) and isinstance(initial := sampler.get("initial"), str) and initial:
        problems += file_problems("sampler.initial", initial, layer, INITIAL_SUFFIXES)
    try:
        return Config.model_validate(tree), problems
    except ValidationError as error:
        return None, problems + describe(error, layer)


def refuse_deep(keys: Iterable[str]) -> None:
    """Refuse keys with more parts than any table has.

    Raises:
        ConfigError: naming the key.
    """
    for key in keys:
        if key.count(".") >= MOST_PARTS:
            raise ConfigError(f"{shorten(key)}: nested more than {MOST_PARTS} deep; write SECTION.KEY")


def _impossible_paths(layer: Layer) -> list[str]:
    """What no file can be called: NUL ends a path for the operating system."""
    paths: list[tuple[str, str]] = []
    for key, entry in layer.items():
        with_path(key, entry.value, lambda path, key=key: paths.append((key, path)) or path)
    return [
        f"{key}: expected a path without NUL, got {shorten(path)}{origin(key, layer)}; check the path"
        for key, path in paths
        if "\0" in path
    ]


def read_text(path: Path) -> str:
    """The text of a configuration file."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"no such configuration file: {path}; {_nearby(path)}") from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a directory, expected a TOML file; {_nearby(path / 'run.toml')}") from None
    except UnicodeDecodeError as error:
        message = f"{path} is not a text file in UTF-8 ({error.reason}); save it as UTF-8 text"
        raise ConfigError(message) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the configuration file {path}: {error}; check the path") from None


def parse(text: str, path: Path) -> dict[str, Any]:
    """The tables of a TOML text."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        advice = "strings need quotes, tables look like [sampler]; `gradmc config init` writes a valid file"
        raise ConfigError(f"{path} is not valid TOML: {error}; {advice}") from None


def report(path: Path, problems: list[str]) -> str:
    """All problems in one message."""
    if len(problems) == 1:
        return f"{path}: {problems[0]}"
    return "\n  ".join([f"{path} has {len(problems)} problems:", *problems])


def _unknown_section(name: str, layer: Layer) -> str:
    homes = [section for section, model in SECTIONS.items() if name in model.model_fields]
    if homes and not suggestion(name, Config.model_fields):
        return f"{name}: unknown key at the top level; {name} belongs under [{homes[0]}]"
    return unknown_key(name, layer)


def _nearby(path: Path) -> str:
    try:
        found = sorted(candidate.name for candidate in path.parent.glob("*.toml"))
    except OSError:
        found = []
    hint = suggestion(path.name, found)
    if hint:
        return hint
    if found:
        return f"there is {', '.join(found[:3])} in that directory"
    return "write one with `gradmc config init`"
