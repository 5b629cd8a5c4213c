"""Functions of numpy that return views: what is stored into one is seen in the array, and the other way round."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from gradmc.errors import ProgramError
from gradmc.program.compiler import evaluate
from tests.frontend.laws import agree

Y = np.arange(12.0).reshape(3, 4) / 7
ARRANGED: dict[str, Callable[[Any], Any]] = {
    "moveaxis": lambda x: np.moveaxis(x, 0, 1),
    "moveaxis of several": lambda x: np.moveaxis(x, [0, 1], [1, 0]),
    "rollaxis": lambda x: np.rollaxis(x, 1),
    "matrix_transpose": np.matrix_transpose,
    "flip": np.flip,
    "flip of an axis": lambda x: np.flip(x, axis=(1,)),
    "flipud": np.flipud,
    "fliplr": np.fliplr,
    "expand_dims": lambda x: np.expand_dims(x, 0)[0],
    "expand_dims at the end": lambda x: np.expand_dims(x, -1)[:, :, 0],
    "expand_dims twice": lambda x: np.expand_dims(x, (0, 3))[0, :, :, 0],
    "atleast_2d": np.atleast_2d,
    "atleast_2d of a row": lambda x: np.atleast_2d(x[0]),
    "atleast_3d": lambda x: np.atleast_3d(x)[:, :, 0],
}
SPLIT: dict[str, Callable[[Any], Any]] = {
    "split": lambda x: np.split(x, 3),
    "split of columns": lambda x: np.split(x, 2, axis=1),
    "split of the last axis": lambda x: np.split(x, 2, axis=-1),
    "split at places": lambda x: np.split(x, [1, 2]),
    "split at one end": lambda x: np.split(x, [1, 3])[:2],
    "array_split": lambda x: np.array_split(x, 2),
    "hsplit": lambda x: np.hsplit(x, 2),
    "vsplit": lambda x: np.vsplit(x, [1]),
    "dsplit": lambda x: [part[0] for part in np.dsplit(np.expand_dims(x, 0), 2)],
}


@pytest.mark.parametrize("arrange", ARRANGED.values(), ids=ARRANGED)
def test_an_arrangement_is_a_view(arrange) -> None:
    def program(a, *, y):
        x = np.exp(a * y)
        v = arrange(x)
        v[0] = a
        x[1] = x[1] * 2
        v[-1] = v[-1] + v[0] * 3
        return (x * y).sum() + (v * 2).sum()

    agree(program, (0.7,), {"y": Y})


@pytest.mark.parametrize("split", SPLIT.values(), ids=SPLIT)
def test_parts_are_views(split) -> None:
    def program(a, *, y):
        x = np.exp(a * y)
        parts = split(x)
        parts[0][0] = a
        x[1] = x[1] * 2
        first, *others = parts
        first[-1] = first[-1] + 3 * others[-1][0].sum()
        return (x * y).sum() + sum((k + 1) * part.sum() for k, part in enumerate(parts)) + len(parts)

    agree(program, (0.7,), {"y": Y})


def test_an_axis_that_is_not_there() -> None:
    def program(a, *, y):
        return np.flip(a * y, 2).sum()

    with jax.enable_x64(True), pytest.raises(ProgramError, match="axis 2 is out of bounds for array of dimension 2"):
        jax.make_jaxpr(lambda a: evaluate(program, (a,), {"y": Y})[0])(0.7)


def test_elements_in_a_row_are_stored_into() -> None:
    def program(a, *, y):
        x, z = np.zeros(y.shape), np.zeros((2, 3))
        for i in range(y.size):
            x.flat[i] = a * y.flat[i]
        x.T.flat[1] += a
        x.flat[2:4] = a
        z[1].flat[0] = a
        return (x * y).sum() + sum(k * v for k, v in enumerate(z.flat)) + len(x.flat)

    agree(program, (0.7,), {"y": Y})
