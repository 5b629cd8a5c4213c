"""`gradmc config show | init | schema`."""

from collections.abc import Mapping
from pathlib import Path

from gradmc.cli.options import Common, Overrides
from gradmc.cli.output import emit
from gradmc.config import Config, load_config
from gradmc.config.schema import toml_value
from gradmc.config.template import template
from gradmc.errors import UsageError
from gradmc.results.files import atomic_write, chosen_file
from gradmc.results.manifest import flatten


def show(path: Path, overrides: Overrides, *, common: Common) -> int:
    """Print every value and its origin."""
    loaded = load_config(path, overrides)
    values = flatten(loaded.config.model_dump())
    origins = {key: _origin(key, loaded.origins) for key in values}
    width = max(len(f"{key} = {_text(value)}") for key, value in values.items())
    lines = [f"{f'{key} = {_text(values[key])}':<{min(width, 60)}}  # {origins[key]}" for key in values]
    content = {key: {"value": values[key], "origin": origins[key]} for key in values}
    emit("\n".join(lines), content, as_json=common.json)
    return 0


def init(path: Path, *, target: str, force: bool, common: Common) -> int:
    """Write a configuration file with every key explained."""
    if path.is_dir():
        raise UsageError(f"{path} is a directory; name a file, for example {path / 'run.toml'}")
    if path.exists() and not force:
        raise UsageError(f"{path} exists already; use --force to overwrite it")
    if not path.parent.is_dir():
        raise UsageError(f"no such directory: {path.parent}; create it first")
    with chosen_file(path):
        atomic_write(path, template(target).encode())
    next_step = f"Wrote {path}. Fill in [model] and [data], then run `gradmc sample {path}`."
    emit(next_step, {"file": str(path)}, as_json=common.json)
    return 0


def schema(*, common: Common) -> int:
    """Print the JSON schema, which is JSON with or without --json."""
    del common
    emit("", Config.model_json_schema(), as_json=True)
    return 0


def _origin(key: str, origins: Mapping[str, str]) -> str:
    while key:
        if key in origins:
            return origins[key]
        key = key.rpartition(".")[0]
    return "default"


def _text(value: object) -> str:
    return "none" if value is None else toml_value(value)
