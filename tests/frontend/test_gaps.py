"""NaN among the data of programs that tell it from other numbers themselves: values and gradients of the rest."""

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gradmc as gm
from gradmc.errors import DataError
from tests.frontend.laws import agree

Y = np.array([0.3, np.nan, 1.2, 0.5, np.nan, *[0.1] * 6])
TWO = np.stack([Y, Y[::-1]])
DATA = {"y": Y, "two": TWO, "df": pd.DataFrame({"y": Y, "x": np.arange(11)})}


def masked(q, *, y):
    """A mask of data."""
    seen = ~np.isnan(y)
    return -np.sum((y[seen] - q) ** 2)


def where(q, *, y):
    """`np.where`, and arithmetic with what is missing before it."""
    r = (y - q) / q
    return np.sum(np.where(np.isnan(y), 0.0, -(r**2) + np.exp(r) * math.log(q)))


def skipping(q, *, y):
    """Functions of numpy that leave NaN out."""
    r = (y - q) ** 2
    return -np.nansum(r) + np.nanmean(r) - np.nanmax(r) * q + np.nan_to_num(y) @ np.full(11, q)


def filtered(q, *, y):
    """A Kalman filter."""
    m, v, lp = 0.0, 1.0, 0.0
    for t in range(len(y)):
        v = v + q
        if not np.isnan(y[t]):
            lp -= 0.5 * (math.log(v + 1) + (y[t] - m) ** 2 / (v + 1))
            m, v = m + v / (v + 1) * (y[t] - m), v / (v + 1)
    return lp


def itself(q, *, y):
    """`v == v`."""
    lp = 0.0
    for v in y:
        if v == v:
            lp -= (v - q) ** 2
    return lp


def rows(q, *, two):
    """Rows and entries at a loop's index."""
    lp = 0.0
    for t in range(two.shape[1]):
        seen = np.isfinite(two[:, t])
        for k in range(2):
            if seen[k]:
                lp -= (two[k, t] - q) ** 2
        if not np.isnan(two[:, t]).any():
            lp -= np.sum((two[:, t] - q) ** 2)
    return lp


def spread(q, *, y, two):
    """More functions of numpy that leave NaN out, along an axis too."""
    r = (two - q) ** 2
    lines = np.nansum(r, 0) @ np.arange(11.0) + np.sum(np.nanmean(r, axis=1)) + np.nancumsum(y * q)[-1]
    return lines + np.nanvar(y * q) - np.nanstd(r, ddof=1) + np.nanmedian(y * q) * np.nanmedian(r, axis=1)[0]


def largest(q, *, y):
    """Python's `max` and `min` pass over NaN, unless it comes first."""
    seen = [v for v in y.tolist() if v == v]
    pairs = max(q * y[0], q * y[1]) + min(q * y[2], q * y[4]) * q
    return max(v * q for v in y) + min(y * q) - max(q * t for t in seen) ** 2 + pairs


def column(q, *, df):
    """A column of a frame as an array."""
    y, x = df["y"].values, df["x"].to_numpy()
    return -np.nansum((y - q * x) ** 2) - np.sum((y - q)[~np.isnan(y)] ** 2)


@pytest.mark.parametrize("program", [masked, where, skipping, filtered, itself, rows, spread, largest, column])
def test_gaps(program: Callable[..., Any]) -> None:
    names = inspect.signature(program).parameters
    agree(program, (0.5,), {name: value for name, value in DATA.items() if name in names})


def missing(v: float) -> bool:
    return math.isnan(v)


@gm.model
def asking(q: gm.Positive, *, y):
    lp = 0.0
    for v in y:
        if not missing(v):
            lp -= (v - q) ** 2
    return lp


@gm.model
def trusting(q: gm.Positive, *, y):
    return -np.sum((y - q) ** 2)


def test_a_program_that_asks_may_have_gaps_in_its_data() -> None:
    density = gm.density(asking, {"y": Y})
    value, gradient = density.value_and_grad(np.zeros(1))
    assert np.isfinite(float(value))
    assert np.all(np.isfinite(gradient))


def test_a_program_that_does_not_ask_must_not() -> None:
    with pytest.raises(DataError, match=r"y\[1\] is nan \(2 such entries in all\): data must be finite"):
        trusting.bind({"y": Y})
