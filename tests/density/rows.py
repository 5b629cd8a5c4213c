"""A model of rows that are independent given its parameters."""

from typing import Any

import numpy as np

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.lpdf import half_normal, normal


@gm.model
def line(a: Real[2], b: Real, sigma: Positive, *, x: Data["n", 2], kind: Data["n"], y: Data["n"], z: Data["other"]):
    """Rows along n; integers that choose an entry and a branch; other terms that are no rows."""
    lp = normal(a, 0.0, 1.0) + normal(b, 0.0, 1.0) + half_normal(sigma, 1.0)
    for j in range(len(z)):
        lp += gm.observe("z", normal(z[j], b, 1.0))
    for i in range(len(y)):
        mean = a[kind[i]] + b * x[i, 0]
        if kind[i] == 1:
            mean += x[i, 1] ** 2
        lp += gm.observe("y", normal(y[i], mean, sigma))
    return lp


def data(rows: int) -> dict[str, Any]:
    """Data with so many rows."""
    rng = np.random.default_rng(1)
    return {
        "x": rng.normal(size=(rows, 2)),
        "kind": rng.integers(0, 2, rows),
        "y": rng.normal(size=rows),
        "z": np.array([0.3, -0.2]),
    }


POINT = np.array([0.2, -0.4, 0.3, 0.1])
"""Unconstrained coordinates for `line`."""
