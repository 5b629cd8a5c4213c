"""What a run that was begun in Python was given, kept beside it, so that the command line can go on with it.

A configuration names the model's file and those of the data. A call names objects: kept are where the model is found,
the data as the model sees them, how the density is computed, the settings and the starting points, in the format of
checkpoints; or why one cannot be.
"""

import ast
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gradmc.density import Density, ProgramDensity
from gradmc.errors import ResumeError
from gradmc.program.binding import BoundModel, accepted
from gradmc.program.declaration import Declaration
from gradmc.results.checkpoint import decode, encode
from gradmc.results.files import atomic_write

ELSEWHERE = "; in Python the same call with resume=True goes on"


@dataclass(frozen=True, slots=True)
class Given:
    """What a run was given.

    Attributes:
        target: the model, as a configuration names it.
        data: its data.
        settings: those of the run, by name.
        density: how the density is computed: arguments of `gm.density`.
        initial: flat starting points, one per chain, or None.
    """

    target: str
    data: dict[str, Any]
    settings: dict[str, Any]
    density: dict[str, Any]
    initial: list[np.ndarray] | None


def keep_given(path: Path, density: Density, settings: Mapping[str, Any], initial: Sequence[np.ndarray] | None) -> None:
    """Write what a run was given, or why that cannot be kept.

    Args:
        path: the file.
        density: what it samples.
        settings: those of the run, by name.
        initial: flat starting points, one per chain, or None.
    """
    bound = density.bound if type(density) is ProgramDensity else None
    arrays: dict[str, np.ndarray] = {} if initial is None else {f"initial {k}": x for k, x in enumerate(initial)}
    plain: dict[str, Any] = {}
    target, why = ("", "it samples a density, not a model") if bound is None else place_of(bound.model)
    for name, value in {} if bound is None else _entries(bound).items():
        if isinstance(value, np.ndarray) and not value.dtype.hasobject:
            arrays[f"data {name}"] = value
        elif _is_plain(value):
            plain[name] = value
        else:
            why = why or f"its datum {name} cannot be kept"
    told = {name: value for name, value in settings.items() if _is_plain(value)}
    for name in settings.keys() - told.keys():
        why = why or f"its {name} was given as an object"
    computed: dict[str, Any] = {"precision": str(density.dtype)}
    if bound is not None:
        computed |= {"gradient": bound.gradient, "max_loop_iterations": bound.max_loop_iterations}
    meta = {"target": target, "why": why, "data": plain, "settings": told, "density": computed}
    meta["chains"] = None if initial is None else len(initial)
    atomic_write(path, encode(arrays, meta))


def read_given(path: Path) -> Given:
    """What a run was given.

    Raises:
        ResumeError: that was not kept, or the file is damaged.
    """
    try:
        found = decode(path.read_bytes())
    except OSError as error:
        raise ResumeError(f"cannot read {path} ({error.strerror}){ELSEWHERE}") from None
    if found is None:
        raise ResumeError(f"{path} is damaged; restore it{ELSEWHERE}")
    meta = found.meta
    if meta["why"]:
        raise ResumeError(f"the command line cannot go on with this run of gm.sample: {meta['why']}{ELSEWHERE}")
    arrays = {name.removeprefix("data "): a for name, a in found.arrays.items() if name.startswith("data ")}
    initial = None if meta["chains"] is None else [found.arrays[f"initial {k}"] for k in range(meta["chains"])]
    return Given(meta["target"], {**meta["data"], **arrays}, meta["settings"], meta["density"], initial)


def place_of(model: Declaration) -> tuple[str, str]:
    """Where a model is found, and why it is not."""
    module = sys.modules.get(model.fn.__module__)
    file = getattr(module, "__file__", None)
    if module is None or vars(module).get(model.name) is not model or not isinstance(file, str):
        return "", f"the model {model.name} stands in no file under this name"
    if module.__name__ == "__main__" and not _is_guarded(file):
        return "", f'{file} would sample again when it is imported: it has no `if __name__ == "__main__":`'
    if "." in module.__name__ and not module.__name__.startswith("gradmc_model_"):
        return f"{module.__name__}:{model.name}", ""
    return f"{os.path.abspath(file)}:{model.name}", ""


def _is_guarded(file: str) -> bool:
    """Whether a script says what it does only when it is run."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    tests = [ast.unparse(node.test) for node in tree.body if isinstance(node, ast.If)]
    return any(test in ("__name__ == '__main__'", "'__main__' == __name__") for test in tests)


def _entries(bound: BoundModel) -> dict[str, Any]:
    """The data, and sizes and labels of dimensions that are not data themselves."""
    defaults = {field.name: field.default for field in bound.model.data}
    entries = {name: value for name, value in bound.data.items() if value is not defaults[name]}
    for name in sorted(accepted(bound.model) - bound.data.keys()):
        labels = list(bound.coords.get(name, ()))
        if labels and labels != list(range(len(labels))):
            entries[name] = labels
        elif name in bound.sizes:
            entries[name] = bound.sizes[name]
    return entries


def _is_plain(value: Any) -> bool:
    """Whether JSON gives a value back as it is."""
    if type(value) is list:
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(type(key) is str and _is_plain(inner) for key, inner in value.items())
    return type(value) in (bool, int, str, type(None)) or (type(value) is float and math.isfinite(value))
