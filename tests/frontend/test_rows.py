"""Rows that a program keeps while their list gets other ones in their places: they stay what they were."""

import numpy as np
import pytest

from tests.frontend.laws import agree

X = np.linspace(-1.0, 1.0, 9)
PROGRAMS = []


def program(fn):
    PROGRAMS.append(fn)
    return fn


def grown(a):
    rows = []
    for i in range(9):
        rows.append(np.zeros(2) + a * i)
    return rows


@program
def replaced(a, *, x):
    rows, total = [np.zeros(2) + i for i in range(9)], 0.0
    for i in range(9):
        row = rows[i]
        rows[i] = row + a * x[i]
        total += row[0] * rows[i][0]
    return total + sum(row[1] for row in rows)


@program
def iterated(a, *, x):
    rows, total = grown(a), 0.0
    for i, row in enumerate(rows):
        rows[i] = row * a + x[i]
        total += row[0] * rows[i][1]
    return total


@program
def exchanged(a, *, x):
    rows, total = grown(a), 0.0
    for i in range(8):
        one, other = rows[i], rows[i + 1]
        rows[i], rows[i + 1] = other * a, one * 0.5
        total += one[0] + 2.0 * other[1] * x[i] + rows[i][0]
    return total


@program
def a_store_into_the_one_beside(a, *, x):
    rows, total = [np.zeros(2) + a for _ in range(9)], 0.0
    for i in range(8):
        row = rows[i + 1]
        rows[i] = row + a * x[i]
        row[0] += 1.0
        total += row[0] + rows[i][0] + rows[i + 1][0]
    return total


@program
def from_before_the_loop(a, *, x):
    rows = grown(a)
    first, last = rows[0], rows[-1]
    for i in range(9):
        rows[i] = rows[i] * x[i] + i
    total = first[1] + last[0] + rows[8][0]
    for i in range(9):
        rows[i][0] += a * i
    return total + rows[3][0]


@program
def read_within_the_loop(a, *, x):
    rows = grown(a)
    last, total = rows[-1], 0.0
    for i in range(9):
        total += last[1] * x[i]
        rows[i] = rows[i] * x[i] + i
    return total + rows[3][0]


@program
def on_one_side(a, *, x):
    rows = grown(a)
    last = rows[-1]
    if a > 0.1:
        rows[8] = np.ones(2) * a
    return last[0] + rows[8][0] * x[0]


@program
def lists(a, *, x):
    rows, total = [], 0.0
    for i in range(9):
        rows.append([a * i, 1.0])
    last = rows[-1]
    for i in range(9):
        old = rows[i]
        rows[i] = [old[0] * a, old[1] + x[i]]
        total += old[0] * rows[i][1]
    return total + last[0] + rows[8][0]


@program
def the_last_before_an_append(a, *, x):
    rows, total = [np.zeros(2) + a], 0.0
    for v in x:
        last = rows[-1]
        rows.append(last * a + v)
        total += last[0] + rows[-1][1]
    return total


@program
def moved_along(a, *, x):
    rows = grown(a)
    third, last = rows[3], rows[-1]
    gone = rows.pop(0)
    rows.reverse()
    rows.insert(1, np.ones(2) * a)
    rows.append(np.ones(2) * x[1])
    return third[0] + 2.0 * last[0] + rows[3][1] + gone[0] + rows[-1][0]


@pytest.mark.parametrize("fn", PROGRAMS, ids=lambda fn: fn.__name__)
def test_a_row_that_is_kept(fn) -> None:
    agree(fn, (0.7,), {"x": X})
