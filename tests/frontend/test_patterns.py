"""Loops that select by rows of masks: traced once for each pattern that comes up, not for each iteration."""

import warnings

import numpy as np
import pytest

from gradmc.program.compiler import UnrolledLoopWarning
from tests.frontend.laws import agree

RNG = np.random.default_rng(20260101)
N = 40
Y = np.where(RNG.random((N, 2)) < 0.3, np.nan, RNG.normal(size=(N, 2)))


def filter_with_missing_entries(q, r, *, y):
    m, p, h, lp = np.zeros(2), np.eye(2), np.array([[1.0, 0.0], [0.5, 0.5]]), 0.0
    for t in range(len(y)):
        m, p = 0.8 * m, 0.64 * p + q * q * np.eye(2)
        seen = ~np.isnan(y[t])
        if not seen.any():
            continue
        v = y[t][seen] - h[seen] @ m
        f = h[seen] @ p @ h[seen].T + (1.0 + r * r) * np.eye(2)[np.ix_(seen, seen)]
        gain = p @ h[seen].T @ np.linalg.inv(f)
        m, p = m + gain @ v, p - gain @ h[seen] @ p
        lp -= 0.5 * (np.linalg.slogdet(f)[1] + v @ np.linalg.solve(f, v) + seen.sum())
    return lp


def places_of_what_is_there(a, b, *, y):
    scale, lp = np.array([[1.0 + a * a, 0.3 * a], [0.3 * a, 1.0 + b * b]]), 0.0
    for row in y:
        there = np.where(~np.isnan(row))[0]
        if len(there) == 0:
            continue
        part, away = scale[np.ix_(there, there)], row[there] - a
        lp -= 0.5 * (np.linalg.slogdet(part)[1] + away @ np.linalg.solve(part, away))
    return lp


def cumulated_parts(a, b, *, w, x):
    lp, carried = 0.0, 0.0
    for i in range(len(x)):
        some = w[i]
        if some.sum() > 0:
            carried = 0.5 * carried + np.cumsum(x[i][some] * a + b)[-1]
        lp -= carried**2
    return lp


@pytest.mark.parametrize(
    ("program", "data"),
    [
        (filter_with_missing_entries, {"y": Y}),
        (places_of_what_is_there, {"y": Y}),
        (cumulated_parts, {"w": ~np.isnan(Y), "x": RNG.normal(size=(N, 2))}),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_is_not_unrolled(program, data) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnrolledLoopWarning)
        agree(program, (0.4, -0.7), data)


def test_a_product_with_gaps_has_gaps_everywhere() -> None:
    def program(a, *, y):
        z = np.array([[1.0, a], [a, 2.0]]) @ (y - a)
        return a * np.isnan(z).sum() + np.where(np.isnan(z), a * a, z).sum()

    agree(program, (0.4,), {"y": np.array([0.5, np.nan])})


def test_rows_of_which_nothing_is_there() -> None:
    """What is selected of them may be stored, whatever stands in the others."""

    def last_known(a, b, *, y):
        last, lp = np.zeros(3), 0.0
        for row in y:
            there = ~np.isnan(row)
            last[there] = row[there] * a
            lp -= np.sum((last - b) ** 2) + np.sum(a * row[there])
        return lp

    y = np.where(RNG.random((30, 3)) < 0.4, np.nan, RNG.normal(size=(30, 3)))
    y[4] = np.nan
    agree(last_known, (0.4, -0.7), {"y": y})


def test_more_patterns_than_are_worth_it() -> None:
    def selected(a, b, *, y):
        scale, lp = np.eye(3) + b * b, -a * a
        for row in y:
            there = ~np.isnan(row)
            lp -= np.sum(scale[np.ix_(there, there)]) + a * np.sum(row[there])
        return lp

    y = np.where(RNG.random((20, 3)) < 0.4, np.nan, RNG.normal(size=(20, 3)))
    agree(selected, (0.4, -0.7), {"y": y})
