"""Counts as real numbers: integer arrays that may be arguments of a compiled program.

Integers are built into a program, since they may be subscripts, sizes and conditions, so that each other array of them
has to be compiled anew. Many are only counts, which enter a log density as numbers: the program takes them as reals,
and is then compiled once. Which these are is found by trying.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradmc.density.base import Precision
from gradmc.density.program_density import ProgramDensity, density
from gradmc.errors import GradmcError
from gradmc.program.model import Model

POINTS = 3
TOLERANCE = 1e-9
"""How far the log density may move, relatively: what is known while compiling is rounded in another order."""


def counts(
    model: Model, first: Mapping[str, Any], second: Mapping[str, Any], precision: Precision = "float64"
) -> tuple[str, ...]:
    """The integer arrays that differ between two data sets, and that the program takes as reals without any difference.

    Args:
        model: the program.
        first, second: data sets.
        precision: of the computation.
    """
    try:
        before, after = model.bind(first).data, model.bind(second).data
    except GradmcError:
        return ()
    differing = [
        name
        for name, value in before.items()
        if isinstance(value, np.ndarray) and value.dtype.kind == "i" and not np.array_equal(value, after[name])
    ]
    if not differing:
        return ()
    try:
        plain = density(model, first, precision=precision)
    except GradmcError:
        return ()
    return tuple(name for name in differing if _same(model, first, name, plain, precision))


def as_reals(data: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """A data set with some of its arrays as reals."""
    return {name: np.asarray(value, float) if name in names else value for name, value in data.items()}


def _same(model: Model, data: Mapping[str, Any], name: str, plain: Any, precision: Precision) -> bool:
    """Whether the program takes an array as reals, as an argument, and its value stays."""
    try:
        real = density(model, as_reals(data, (name,)), precision=precision)
    except GradmcError:
        return False
    assert isinstance(real, ProgramDensity)
    if name not in real._program.traced or real.dim != plain.dim:
        return False
    rng = np.random.default_rng(0)
    points = rng.uniform(-1.0, 1.0, (POINTS, real.dim))
    tolerance = TOLERANCE if precision == "float64" else 1e-4
    return all(np.isclose(real(x), plain(x), rtol=tolerance, atol=tolerance, equal_nan=True) for x in points)
