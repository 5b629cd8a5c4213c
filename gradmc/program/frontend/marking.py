"""Marks along loops: what a body marks leaves the loop stacked along its index."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from gradmc.program import marks
from gradmc.program.frontend import context
from gradmc.program.frontend.values import strong

type Names = list[tuple[str, str, int]]
"""Kind ('observe' or 'record'), name, and how many values one run of the body marked."""


def pack(made: marks.Marks) -> tuple[Names, list[list[Any]]]:
    """The marks of one run of a body as arrays, to be stacked along the loop."""
    names, values = [], []
    for kind in ("observe", "record"):
        for name, items in getattr(made, kind).items():
            names.append((kind, name, len(items)))
            values.append([strong(_value(v)) for v in items])
    return names, values


def _value(value: Any) -> Any:
    content = context.current().memory.content(value)
    return jnp.stack([jnp.asarray(v) for v in content]) if isinstance(content, list | tuple) else content


def deliver(names: Names, values: Sequence[Sequence[Any]]) -> None:
    """Hand stacked marks to whoever listens around the loop."""
    listener = marks.collector.get()
    if listener is None:
        return
    for (kind, name, _), stacked in zip(names, values, strict=True):
        entry = stacked[0] if len(stacked) == 1 else joined(stacked, axis=1)
        getattr(listener, kind).setdefault(name, []).append(entry)


def joined(values: Sequence[Any], axis: int) -> Any:
    """Several marks of one name as one array: stacked if they are alike, else one after the other."""
    arrays = [jnp.asarray(strong(_value(v))) for v in values]
    if len(arrays) == 1:
        return arrays[0]
    if len({a.shape for a in arrays}) == 1:
        return jnp.stack(arrays, axis=axis)
    flat = [a.reshape((*a.shape[:axis], -1)) for a in arrays]
    return jnp.concatenate(flat, axis=axis)


def along(runs: Sequence[marks.Marks]) -> None:
    """Hand on the marks of a loop that ran in Python, one `Marks` for each iteration."""
    listener = marks.collector.get()
    if listener is None:
        return
    for kind in ("observe", "record"):
        names = dict.fromkeys(name for run in runs for name in getattr(run, kind))
        for name in names:
            per_run = [getattr(run, kind).get(name, []) for run in runs]
            entries = [joined(items, axis=0) for items in per_run if items]
            if not entries:
                continue
            shapes = {e.shape for e in entries}
            if len(shapes) == 1:
                entry = jnp.stack(entries)
            else:
                entry = jnp.concatenate([e.reshape(-1) for e in entries])
            getattr(listener, kind).setdefault(name, []).append(entry)
