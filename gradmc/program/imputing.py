"""Missing data as parameters: `Data["n"].missing(Real)`.

Where such an array has NaN, the model gets a parameter NAME_missing with as many entries, each with the support that
the declaration gives, and the program sees the array with the parameter's entries in their places.  `filled` makes
the program of the longer list of parameters from the user's; the compiler reads it like the user's own.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradmc.program.dims import plain_labels

SUFFIX = "_missing"

type Places = Mapping[str, tuple[np.ndarray, ...]]
"""By name of a data array, the index of its missing entries, an array of whole numbers for each axis."""


def places(array: np.ndarray) -> tuple[np.ndarray, ...] | None:
    """Where an array has missing entries; None where it has none."""
    found = np.nonzero(np.isnan(array)) if array.dtype.kind == "f" else ()
    return found if found and len(found[0]) else None


def entry_labels(where: tuple[np.ndarray, ...], labels: list[list[Any]]) -> list[Any]:
    """A label for each missing entry: the label along its one axis, or those along all as one text."""
    if len(where) == 1:
        return [labels[0][i] for i in where[0]]
    rows = zip(*where, strict=True)
    return plain_labels([", ".join(str(axis[i]) for axis, i in zip(labels, row, strict=True)) for row in rows])


def filled(fn: Callable[..., Any], where: Places) -> Callable[..., Any]:
    """A function whose last arguments are the missing entries, made from one that takes whole arrays.

    Args:
        fn: the user's program, or its simulator.
        where: the places of the missing entries, in the order of those arguments.
    """
    names = list(where)
    spots = [where[name] for name in names]

    def program(*arguments: Any, **data: Any) -> Any:
        known = len(arguments) - len(names)
        whole = dict(data)
        for k in range(len(names)):
            if names[k] in data:
                array = np.array(data[names[k]])
                array[spots[k]] = arguments[known + k]
                whole[names[k]] = array
        return fn(*arguments[:known], **whole)

    program.__wrapped__ = fn  # pyright: ignore[reportFunctionMemberAccess]
    program.__name__, program.__doc__ = fn.__name__, fn.__doc__
    return program
