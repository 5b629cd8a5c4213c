"""Where the files of a run's configuration are, when run and files may have been moved since it began.

The manifest keeps paths relative to the run directory, the directory in which the run began, and a hash of each file. A
file is looked for beside the run first, as when everything was moved together, then where it was when the run began, as
when only the run was moved. The hash says which of two is the one meant.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from gradmc.config.schema import PATHS
from gradmc.errors import ResumeError

NOT_READ = ("output.dir", "sampler.warm_start")
"""Directories that nothing is read from when a run goes on."""


ADDRESSES = ("output.dir", "optimize.dir", "sampler.warm_start")
"""Keys that may hold an address (`s3://...`) in place of a path."""


def with_path(key: str, value: Any, change: Callable[[str], str]) -> Any:
    """A value of the configuration with the path in it, if there is one, changed."""
    if key.startswith("data.") and isinstance(value, Mapping) and isinstance(value.get("file"), str):
        return {**value, "file": change(value["file"])}
    if key == "many.sets" and isinstance(value, Mapping):
        return {name: change(file) if isinstance(file, str) else file for name, file in value.items()}
    named = key in PATHS or (key.startswith("data.") and key.endswith(".file") and key.count(".") == 2)
    if not named or not isinstance(value, str) or not value or (key in ADDRESSES and "://" in value):
        return value
    if key != "model.target":
        return change(value)
    file, colon, name = value.rpartition(":")
    if not colon:
        file, name = value, ""
    return change(file) + colon + name if file.endswith(".py") else value


def kept(config: Mapping[str, Any], directory: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """A configuration as the manifest of a run holds it.

    Args:
        config: the configuration as nested tables, with absolute paths.
        directory: the run directory.

    Returns:
        The configuration with relative paths, and a hash of each file by its relative path.
    """
    hashes: dict[str, str] = {}

    def relative(path: str) -> str:
        short = relative_path(path, directory)
        if (hashed := file_hash(Path(path))) is not None:
            hashes[short] = hashed
        return short

    return _mapped(config, lambda _, path: relative(path)), hashes


def relative_path(path: str, directory: Path) -> str:
    """A path relative to a directory, where there is one."""
    try:
        return Path(os.path.relpath(path, directory.resolve())).as_posix()
    except ValueError:  # on another drive
        return path


def found(manifest: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """The configuration in a manifest, with absolute paths to the files as they are now.

    Args:
        manifest: the manifest.
        directory: the run directory.

    Raises:
        ResumeError: a file is neither beside the run nor where it was when the run began.
    """
    directory = directory.resolve()
    places = [directory, Path(manifest.get("origin", directory))]
    config = _mapped(manifest["config"], partial(_find, places=places, hashes=manifest.get("files", {})))
    config["output"] = {**config["output"], "dir": str(directory)}
    return config


def _find(key: str, path: str, *, places: list[Path], hashes: Mapping[str, str]) -> str:
    candidates = list(dict.fromkeys(os.path.normpath(place / path) for place in places))
    if key in NOT_READ:
        return candidates[0]
    present = [candidate for candidate in candidates if os.path.exists(candidate)]
    if not present:
        where = "neither " + " nor ".join(candidates) if len(candidates) > 1 else f"no {candidates[0]}"
        raise ResumeError(f"{key} of the run is gone: there is {where}; put it back, or start a new run")
    same = [candidate for candidate in present if file_hash(Path(candidate)) == hashes.get(path)]
    return (same or present)[0]


def _mapped(config: Mapping[str, Any], change: Callable[[str, str], str]) -> dict[str, Any]:
    """A configuration with all its paths changed."""

    def changed(key: str, value: Any) -> Any:
        return with_path(key, value, partial(change, key))

    return {
        section: {key: changed(f"{section}.{key}", value) for key, value in table.items()}
        for section, table in config.items()
    }


def file_hash(path: Path) -> str | None:
    """A short hash of a file's content, or None if there is no such file."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except (OSError, ValueError):
        return None
