"""The parts of the engine by name: the one place where a new one is registered.

Each kind of part has a contract (`gradmc.kernels.kernel`, `gradmc.adaptation.metric_adaptation`,
`gradmc.starts.start`, `gradmc.run.executor`).  A user names a part, names it with some of its settings, or passes an
object that keeps the contract.
"""

import dataclasses
import importlib
from collections.abc import Iterable, Mapping
from typing import Any

from gradmc.errors import UsageError

PARTS: Mapping[str, Mapping[str, str]] = {
    "kernel": {
        "nuts": "gradmc.kernels.nuts:Nuts",
        "hmc": "gradmc.kernels.hmc:Hmc",
        "microcanonical": "gradmc.kernels.microcanonical:Microcanonical",
        "chees": "gradmc.kernels.chees:Chees",
        "sghmc": "gradmc.kernels.sghmc:Sghmc",
    },
    "metric": {
        "low_rank": "gradmc.adaptation.windowed:LowRank",
        "diagonal": "gradmc.adaptation.diagonal:Diagonal",
        "dense": "gradmc.adaptation.windowed:Dense",
    },
    "start": {
        "pathfinder": "gradmc.starts.pathfinder:Pathfinder",
        "uniform": "gradmc.starts.uniform:Uniform",
    },
    "executor": {
        "threads": "gradmc.run.executor:Threads",
        "batch": "gradmc.run.executor:Batch",
    },
}
"""Where the class of each part is; it is imported when a run asks for it."""

CONTRACT = {"kernel": "extend", "metric": "on_host", "start": "find", "executor": "lanes"}
"""A method by which an object of a kind is known."""

type Part = str | Mapping[str, Any] | object
"""A name, a table of a `name` and settings, or an object."""


def check_part(kind: str, given: Any, also: Iterable[str] = ()) -> None:
    """Refuse what is no part of a kind.

    Args:
        kind: a key of `PARTS`.
        given: by the user.
        also: further names.

    Raises:
        UsageError: an unknown name, or neither a name nor a table nor an object with the contract's methods.
    """
    names = [*also, *PARTS[kind]]
    name = given.get("name") if isinstance(given, Mapping) else given
    if isinstance(name, str):
        known = name in names
    else:
        known = not isinstance(given, Mapping) and callable(getattr(given, CONTRACT[kind], None))
    if not known:
        listed = ", ".join(repr(name) for name in names)
        raise UsageError(f"{kind} must be one of {listed}; got {given!r}")


def make_part(kind: str, given: Any, settings: Mapping[str, Any] | None = None) -> Any:
    """The object that a user asks for.

    Args:
        kind: a key of `PARTS`.
        given: by the user, checked.
        settings: further settings for a part that is given by its name; those that it does not have are left out.

    Raises:
        UsageError: the part has no such setting, or its value is outside the range.
    """
    if isinstance(given, str):
        made = _class_of(kind, given)
        names = {field.name for field in dataclasses.fields(made)}
        return made(**{name: value for name, value in (settings or {}).items() if name in names})
    if isinstance(given, Mapping):
        own = {key: value for key, value in given.items() if key != "name"}
        made = _class_of(kind, given["name"])
        names = [field.name for field in dataclasses.fields(made)]
        for key in own:
            if key not in names:
                known = f"it has {', '.join(names)}" if names else "it has none"
                raise UsageError(f"{kind} {given['name']!r} has no setting {key!r}; {known}")
        return made(**own)
    return given


def name_of(kind: str, made: Any) -> str:
    """The name of a part, or that of its class if it has none."""
    own = type(made)
    names = [name for name, place in PARTS[kind].items() if place == f"{own.__module__}:{own.__qualname__}"]
    return names[0] if names else own.__qualname__


def settings_of(made: Any) -> dict[str, Any]:
    """The settings of a part that are numbers or words."""
    if not dataclasses.is_dataclass(made):
        return {}
    values = {field.name: getattr(made, field.name) for field in dataclasses.fields(made)}
    return {name: value for name, value in values.items() if isinstance(value, (bool, int, float, str))}


def _class_of(kind: str, name: str) -> Any:
    module, _, qualified = PARTS[kind][name].partition(":")
    return getattr(importlib.import_module(module), qualified)
