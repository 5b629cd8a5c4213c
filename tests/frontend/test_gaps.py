"""NaN among the data of programs that tell it from other numbers themselves: values and gradients of the rest."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradmc as gm
from gradmc.errors import DataError
from tests.frontend.laws import agree

Y = np.array([0.3, np.nan, 1.2, 0.5, np.nan, *[0.1] * 6])
TWO = np.stack([Y, Y[::-1]])


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


@pytest.mark.parametrize("program", [masked, where, skipping, filtered, itself, rows])
def test_gaps(program: Callable[..., Any]) -> None:
    data = {"two": TWO} if program is rows else {"y": Y}
    agree(program, (0.5,), data)


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
