"""Lists that loops fill with short lists and tuples: as arrays they have the axes that numpy gives them."""

import functools
import itertools
import math
import operator
from collections import deque

import numpy as np
import pytest
from scipy import stats

from tests.frontend.laws import agree

Z = np.linspace(0.1, 1.0, 20)
ARGS = (0.3, 1.5)

MADE = {
    "one in a list": lambda p, q, z: np.array([[p * v] for v in z]),
    "one in a tuple": lambda p, q, z: np.array([(p * v,) for v in z]),
    "one in two lists": lambda p, q, z: np.array([[[p * v]] for v in z]),
    "two in a list in a list": lambda p, q, z: np.array([[[p * v, q]] for v in z]),
    "arrays": lambda p, q, z: np.array([[np.array([p, v]), np.array([1.0, q])] for v in z]),
    "one array in a list": lambda p, q, z: np.array([[np.array([p, v * q])] for v in z]),
    "numbers of other types": lambda p, q, z: np.array([[i, v > 0.5, p * v] for i, v in enumerate(z)]),
    "a comprehension of one": lambda p, q, z: np.array([[p * v + q for _ in range(1)] for v in z]),
    "a comprehension of many": lambda p, q, z: np.array([[[p * v * w] for w in z] for v in z]),
    "pairs in a comprehension of many": lambda p, q, z: np.array([[(p * v * w, q) for w in z] for v in z]),
    "with a condition": lambda p, q, z: np.array([[p * v] for v in z if v > 0.5]),
    "the same in each": lambda p, q, z: np.array([[p] for _ in z]),
    "part of it": lambda p, q, z: np.array([[p * v] for v in z][3:7]),
    "one more": lambda p, q, z: np.array([[p * v] for v in z] + [[q]]),
    "stack": lambda p, q, z: np.stack([[p * v] for v in z]),
    "concatenate": lambda p, q, z: np.concatenate([[p * v, q] for v in z]),
    "column_stack": lambda p, q, z: np.column_stack([[p * v] for v in z]),
    "hstack": lambda p, q, z: np.hstack([[p * v] for v in z]),
    "vstack": lambda p, q, z: np.vstack([[p * v] for v in z]),
    "block": lambda p, q, z: np.block([[np.eye(2) * p * v * w for w in z] for v in z]),
    "block of a row": lambda p, q, z: np.block([np.eye(2) * p * v for v in z]),
    "sums along an axis": lambda p, q, z: np.sum([[p * v] for v in z], axis=1),
    "largest along an axis": lambda p, q, z: np.max([[p * v, q * v] for v in z], axis=0),
    "beside an array": lambda p, q, z: [[p * v] for v in z] * np.array([[1.0, 2.0]]),
    "times a matrix": lambda p, q, z: np.ones((2, 20)) @ [[p * v] for v in z],
    "in a function": lambda p, q, z: stats.norm.logpdf([[p * v] for v in z], 0.0, [q, 2.0]),
    "chosen": lambda p, q, z: np.where([[v > 0.5] for v in z], [[p * v] for v in z], q),
    "solved": lambda p, q, z: np.linalg.solve(np.eye(20) * q + 1.0, [[p * v] for v in z]),
    "copied": lambda p, q, z: np.array([list(r) for r in [[p * v] for v in z]]),
    "chained": lambda p, q, z: np.array(list(itertools.chain.from_iterable([[p * v, q] for v in z]))),
    "chained ones": lambda p, q, z: np.array(list(itertools.chain(*[[p * v] for v in z]))),
    "transposed by zip": lambda p, q, z: np.array(list(zip(*[[p * v, q * v] for v in z], strict=True))),
    "added up": lambda p, q, z: np.array(functools.reduce(operator.add, [[p * v] for v in z])),
    "in a deque": lambda p, q, z: np.array([r[0] + r[1] for r in deque([[p * v, q] for v in z])]),
    "the largest": lambda p, q, z: np.array(max([[np.sin(9.0 * p * v), q] for v in z])),
    "the largest of ones": lambda p, q, z: np.array(max([[np.sin(9.0 * p * v)] for v in z])),
    "how many axes": lambda p, q, z: np.array([np.ndim([[p * v] for v in z]), p, q]),
}


@pytest.mark.parametrize("name", MADE)
def test_shapes_and_values(name):
    def program(p, q, *, z):
        made = MADE[name](p, q, z)
        weights = np.cos(np.arange(made.size)).reshape(made.shape)
        return np.sum(made * weights) + p * made.ndim + q * made.shape[-1]

    agree(program, ARGS, {"z": Z})


def appended(p, q, *, z):
    rows = []
    for v in z:
        rows.append([p * v])
    return np.sum(np.array(rows) * np.ones((20, 3))) * q


def appended_one_by_one(p, q, *, z):
    rows = []
    for v in z:
        row = []
        for k in range(1):
            row.append(p * v + k)
        rows.append(row)
    return np.sum(np.array(rows) * np.ones((20, 3))) * q


def one_after_the_other(p, q, *, z):
    rows = [[p]]
    for v in z:
        rows.append([rows[-1][0] * q * v])
    return np.sum(np.array(rows) * np.ones((21, 3)))


def stored(p, q, *, z):
    square = np.zeros((20, 20))
    square[:] = [[p * v] for v in z]
    return np.sum(square * np.arange(20.0)) * q


def changed(p, q, *, z):
    rows = [[p * v] for v in z]
    for row in rows:
        row[0] *= q
    rows[2] = [q]
    return np.sum(np.array(rows) * np.ones((20, 3)))


def mapped(p, q, *, z):
    def pair(v):
        return [p * v]

    return np.sum(np.array(list(map(pair, z))) * np.ones((20, 3))) * q


def beside_plain_lists(p, q, *, z):
    known, given, start, end = [1.0, 2], [p, q], (0, p), (q,)
    one, start = known + given, start + end
    other = [[1, 2]] * 2 + [[p, q]]
    return np.sum(np.array(one)) + np.sum(np.array(other) * np.arange(2.0)) + np.sum(start * np.arange(3.0))


def slices_replaced(p, q, *, z):
    out = [p * v for v in z]
    out[2:4] = [q, 1, p]
    out[:1] = []
    total = 0.0
    for k in range(3):
        out[:] = [v * q + k for v in out]
        total += out[k] * out[-1]
    return total + len(out)


def as_lists(p, q, *, z):
    rows, end = np.outer(z, [p, q]).tolist(), [1.0]
    return sum((row + end)[k % 3] for k, row in enumerate(rows)) + (rows[0] + rows[1])[3]


def in_other_words(p, q, *, z):
    rows = [[p * v, q] for v in z]
    turned = np.transpose(rows) + np.permute_dims(tuple(map(tuple, rows)))
    return np.sum(turned * np.arange(20.0)) + np.sum(np.atleast_2d((p, q, 1)) @ np.ones((3, 2)))


def products_along_rows(p, q, *, z):
    rows = np.outer(z, [p, q, 1.0])
    return np.sum(math.prod(rows) * np.arange(3.0)) + np.sum(math.sumprod(rows, rows) * np.arange(3.0))


@pytest.mark.parametrize(
    "program", [beside_plain_lists, slices_replaced, as_lists, in_other_words, products_along_rows]
)
def test_lists_and_functions(program):
    agree(program, ARGS, {"z": Z})


@pytest.mark.parametrize("program", [mapped, appended, appended_one_by_one, one_after_the_other, stored, changed])
def test_programs(program):
    agree(program, ARGS, {"z": Z})
