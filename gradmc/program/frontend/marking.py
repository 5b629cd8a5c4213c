"""Marks along loops: what a body marks leaves the loop stacked along its index.

A mark inside loops of lengths n and m becomes an array of shape (n, m, ...). One that only some iterations make is
kept for those (`sometimes`), along one axis.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from gradmc.errors import ProgramError
from gradmc.program import marks
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.sometimes import Sometimes, any_sometimes
from gradmc.program.frontend.values import strong

KINDS = ("observe", "record")
EVEN = "Mark them one after the other in one array, np.concatenate(rows), or fill them up to one shape."

type Made = list[tuple[str, str, list[Any]]]
"""Kind, name, and the values that one run of a body marked."""


def pack(ev: Evaluation, made: marks.Marks) -> tuple[Made, list[list[Any]]]:
    """The marks of one run of a body, and their arrays, to be stacked along the loop."""
    names = [(kind, name, values) for kind in KINDS for name, values in getattr(made, kind).items()]
    return names, [[strong(array(ev, v)) for v in values] for _, _, values in names]


def array(ev: Evaluation, value: Any) -> Any:
    """A marked value as an array.

    Raises:
        ProgramError: it is a list of arrays or lists of different shapes.
    """
    if isinstance(value, Sometimes):
        return array(ev, value.value)
    content = ev.heap.content(value)
    if not isinstance(content, list | tuple):
        return content
    parts = [jnp.asarray(array(ev, v)) for v in content]
    shapes = list(dict.fromkeys(part.shape for part in parts))
    if len(shapes) > 1:
        raise ProgramError(f"a marked list holds arrays of different shapes: {shapes[0]} and {shapes[1]}", remedy=EVEN)
    return jnp.stack(parts)


def deliver(ev: Evaluation, made: Made, stacked: Sequence[Sequence[Any]], loop: int) -> None:
    """Hand stacked marks to whoever listens around the loop."""
    for (kind, name, values), arrays in zip(made, stacked, strict=True):
        if any_sometimes(values):
            for value, along in zip(values, arrays, strict=True):
                _mark(kind, name, value.stacked(along, loop) if isinstance(value, Sometimes) else along)
        else:
            _mark(kind, name, arrays[0] if len(arrays) == 1 else joined(ev, arrays, axis=1))


def _mark(kind: str, name: str, value: Any) -> None:
    listener = marks.collector.get()
    if listener is not None:
        getattr(listener, kind).setdefault(name, []).append(value)


def joined(ev: Evaluation, values: Sequence[Any], axis: int = 0) -> Any:
    """Several marks of one name as one array: stacked if they are alike, else one after the other."""
    arrays = [jnp.asarray(strong(array(ev, v))) for v in values]
    if len(arrays) == 1:
        return arrays[0]
    if len({a.shape for a in arrays}) == 1:
        return jnp.stack(arrays, axis=axis)
    return jnp.concatenate([a.reshape((*a.shape[:axis], -1)) for a in arrays], axis=axis)


def finished(ev: Evaluation, values: Sequence[Any]) -> Any:
    """All marks of one name at the end of a program."""
    if not any_sometimes(values):
        return joined(ev, values)
    return jnp.concatenate([jnp.ravel(v.kept() if isinstance(v, Sometimes) else array(ev, v)) for v in values])


def along(ev: Evaluation, runs: Sequence[marks.Marks]) -> None:
    """Hand on the marks of a loop that ran in Python, one `Marks` for each iteration."""
    for kind in KINDS:
        for name in dict.fromkeys(name for run in runs for name in getattr(run, kind)):
            per_run = [getattr(run, kind).get(name, []) for run in runs]
            every = [value for values in per_run for value in values]
            if any_sometimes(every):
                for value in every:
                    _mark(kind, name, value)
            else:
                _mark(kind, name, _even([joined(ev, values) for values in per_run if values]))


def _even(entries: Sequence[Any]) -> Any:
    """Stacked along the loop; one after the other if the iterations marked different numbers of values."""
    if len({e.shape for e in entries}) == 1:
        return jnp.stack(entries)
    return jnp.concatenate([jnp.ravel(e) for e in entries])
