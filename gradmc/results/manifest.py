"""The manifest of a run: what is needed to repeat it, and what a resumed run must have in common with it."""

import hashlib
import os
import platform
import sys
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from gradmc.errors import ResumeError
from gradmc.results.sealed import CHECKSUM, is_whole

FORMAT = 3
"""Since 2 a run has an identifier, which its checkpoints and draws bear; since 3 the manifest has a checksum, and paths
that are relative to the run."""

LIBRARIES = ("gradmc", "jax", "jaxlib", "numpyro", "numpy", "arviz-base", "arviz-stats", "xarray", "zarr")

OF_PYTHON = {"made_by": "gm.sample"}
"""What the configuration says in the manifest of a run that a call in Python began."""

FREE = frozenset({"cluster", "output.dir", "output.checkpoint_seconds", "sampler.check", "sampler.cores", "stop"})
"""Configuration that may change when a run goes on, since the draws do not depend on it."""


def new_manifest(
    *,
    command: Sequence[str],
    config_path: str,
    config: Mapping[str, Any],
    origin: str,
    files: Mapping[str, str],
    file: Mapping[str, Any],
    identity: Mapping[str, str],
    packages: Mapping[str, str],
    seed: int,
) -> dict[str, Any]:
    """The manifest of a run that begins, with an identifier of its own.

    Args:
        command: the command line.
        config_path: the configuration file, relative to the run.
        config: the resolved configuration, as nested tables; paths are relative to the run.
        origin: the run directory, as an absolute path.
        files: a hash of each file that the configuration names, by its path there.
        file: what stands in the configuration file.
        identity: hashes of everything that the draws depend on, by name.
        packages: versions of the packages that the model imports.
        seed: the seed in use.
    """
    return {
        "format": FORMAT,
        "run": uuid.uuid4().hex,
        "status": "running",
        "command": list(command),
        "config_path": config_path,
        "config": dict(config),
        "origin": origin,
        "files": dict(files),
        "file": dict(file),
        "seed": seed,
        "identity": dict(identity),
        "versions": versions() | dict(packages),
        "machine": machine(),
        "started": now(),
        "seconds": 0.0,
        "sessions": [],
    }


def is_of_python(manifest: Mapping[str, Any]) -> bool:
    """Whether a call in Python began a run, rather than a configuration."""
    return OF_PYTHON.items() <= manifest["config"].items()


def run_of(manifest: Mapping[str, Any]) -> str:
    """The identifier of a run; empty for runs of versions of gradmc that gave none."""
    return str(manifest.get("run", ""))


def check_manifest(content: Any, path: Path) -> None:
    """Refuse a manifest that is not whole, or that a newer version of gradmc wrote.

    Raises:
        ResumeError: naming the file.
    """
    number = content.get("format") if isinstance(content, dict) else None
    if isinstance(number, int) and number > FORMAT:
        raise ResumeError(
            f"{path} is of format {number}, written by gradmc {_writer(content)}; this version reads formats up to "
            f"{FORMAT}: use that version"
        )
    sealed = number == FORMAT or (isinstance(content, dict) and CHECKSUM in content)
    if not isinstance(number, int) or (sealed and not is_whole(content)):
        raise ResumeError(f"{path} is damaged or was edited; restore it, or start a new run")


def _writer(manifest: Mapping[str, Any]) -> str:
    versions = manifest.get("versions")
    return str(versions.get("gradmc", "?")) if isinstance(versions, Mapping) else "?"


def refuse_old(manifest: Mapping[str, Any]) -> None:
    """Refuse to go on with a run whose checkpoints do not say which run and chain they are of.

    Raises:
        ResumeError: the run is of an older (or a newer) version of gradmc.
    """
    if manifest.get("format") != FORMAT or not run_of(manifest):
        wrote = _writer(manifest)
        raise ResumeError(
            f"this run was written by gradmc {wrote}, in format {manifest.get('format')}; this version goes on with "
            f"runs of format {FORMAT}: go on with that version, or start a new run (its draws can still be read)"
        )


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that matter."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """The machine, as far as it can influence the draws or the time."""
    return {
        "system": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "host": platform.node(),
        "python": sys.executable,
    }


def now() -> str:
    """The time in UTC."""
    return datetime.now(UTC).isoformat()


def hash_text(text: str) -> str:
    """A short hash of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def hash_data(data: Mapping[str, Any]) -> str:
    """A short hash of data: names, types, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(data):
        value = data[name]
        digest.update(name.encode() + b"\0")
        if isinstance(value, Mapping):
            digest.update(hash_data(value).encode())
            continue
        array = np.asarray(value)
        digest.update(f"{array.dtype.kind}{array.shape}".encode())
        digest.update(repr(value).encode() if array.dtype.hasobject else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Key paths from nested tables."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{path}.")
        else:
            flat[path] = value
    return flat


def config_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What differs between two configurations, apart from what is free to change."""
    old, new = flatten(before), flatten(after)
    return [
        f"{key}: {old.get(key)!r} in the run, {new.get(key)!r} now"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key) and not is_free(key)
    ]


def change_freely(manifest: dict[str, Any], config: Mapping[str, Any]) -> None:
    """Let what is free to change be what it is in another configuration; a run stays where it is."""
    for key in FREE - {"output.dir"}:
        section, _, name = key.partition(".")
        if name:
            manifest["config"][section][name] = config[section][name]
        else:
            manifest["config"][section] = config[section]


def is_free(key: str) -> bool:
    """Whether a key may change when a run goes on."""
    return any(key == free or key.startswith(f"{free}.") for free in FREE)
