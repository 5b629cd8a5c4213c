"""`sorted`, `list.sort`, `max` and `min` whose order parameters decide."""

import math

import numpy as np
import pytest

from gradmc.errors import ProgramError
from tests.frontend.laws import agree

ARGS = (0.7, -1.2)
R = [0.31, 0.92, 0.05, 0.31, 0.66, 0.47]


def largest_first(p, q):
    xs = [v * p + q * (v - 0.4) ** 2 for v in R]
    xs.sort(key=lambda v: -v)
    return sum(v * (k + 1) for k, v in enumerate(xs))


def pairs_by_their_second(p, q):
    pairs = sorted([(k, math.sin(p * k + q)) for k in range(6)], key=lambda pair: pair[1])
    return sum((n + 1) * k * v for n, (k, v) in enumerate(pairs))


def tuples_without_a_key(p, q):
    found = sorted((round(v) * 1.0, v * p, n) for n, v in enumerate(R))
    return sum((n + 1) * a + (n + 2) ** 2 * b + n * c * q for n, (a, b, c) in enumerate(found))


def those_alike_stay_in_order(p, q):
    xs = [(v, 1.0 * n) for n, v in enumerate(R)]
    up = sorted(xs, key=lambda pair: pair[0] * p)
    down = sorted(xs, key=lambda pair: pair[0] * p, reverse=True)
    return sum((n + 1) * u[1] + (n + 1) ** 2 * d[1] for n, (u, d) in enumerate(zip(up, down, strict=True))) + q


def two_keys(p, q):
    xs = sorted(R, key=lambda v: (v > 0.4, -v * p), reverse=True)
    return sum((n + 1) * v * q for n, v in enumerate(xs))


def a_simplex(p, q):
    def f(x):
        return (x[0] - p) ** 2 + 2.0 * (x[1] - q) ** 2

    points = [np.array([0.0, 0.0]), np.array([1.0, 0.0]), np.array([0.0, 1.0])]
    for _ in range(4):
        points.sort(key=f)
        centre = (points[0] + points[1]) / 2
        points[2] = centre + 0.6 * (centre - points[2])
    return -f(min(points, key=f))


def the_best_of_some(p, q):
    best = min([0.0, 1.0, 2.0, 3.0], key=lambda v: (v - 3 * p) ** 2)
    worst = max(range(5), key=lambda k: math.cos(k * q))
    return best * p + worst * q


def the_first_of_those_alike(p, q):
    return (
        max(enumerate(R), key=lambda pair: abs(pair[1] - pair[1]) * p)[0]
        + min((v * p, n) for n, v in enumerate(R))[1]
        + q
    )


def tuples_one_by_one(p, q):
    best, least = (-9.0, 0), (9.0, 0)
    for n, v in enumerate(R):
        best, least = max(best, (v * p, n)), min(least, (v * q, n), key=lambda pair: pair)
    return best[0] + best[1] * q + least[0] * least[1]


def tuples_that_are_generated(p, q):
    most = max((v * p, -n) for n, v in enumerate(R))
    pairs = []
    for n in range(6):
        pairs.append([R[n] * q, n])
    least = min(pairs)
    return most[0] * most[1] + least[0] * least[1]


def compared_in_turn(p, q):
    lp = p + q
    for n in range(1, 6):
        if (R[n] * p, n % 2) > (R[n - 1] * p, q):
            lp += 0.1 * p
        if [n % 2, R[n] * p] <= [0, 0.3]:
            lp += n * q
        if (n % 2, R[n]) == (0, R[3] * p / 0.7) or (1, p) != (n % 2, p):
            lp -= 0.01 * n * p
        if (p, q) < (p,) or (p,) >= (p, q) or (p, q) == (p,):
            lp += 100.0
    return lp


def pairs_with_names(p, q):
    items = sorted({"v": np.array([p, 1.0]), "u": np.array([q, 2.0])}.items())
    first = min((name, k * p) for k, name in enumerate("bca"))
    return sum((n + 1) * row[0] for n, (_, row) in enumerate(items)) * first[1]


def nothing_but_what_is_known(p, q):
    words = sorted(["bb", "a", "ccc"], key=len, reverse=True)
    return len(words[0]) * p + max(words, key=len).count("c") * q + max([], default=q, key=len)


PROGRAMS = [
    largest_first,
    pairs_by_their_second,
    tuples_without_a_key,
    those_alike_stay_in_order,
    two_keys,
    a_simplex,
    the_best_of_some,
    the_first_of_those_alike,
    tuples_one_by_one,
    tuples_that_are_generated,
    compared_in_turn,
    pairs_with_names,
    nothing_but_what_is_known,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_is_pythons(program) -> None:
    agree(program, ARGS, {})


def stored_into(p, q):
    rows = [np.array([1.0, p]), np.array([0.5, q])]
    first = rows[0]
    rows.sort(key=lambda row: row[1])
    rows[0][0] = 5.0
    return first[0] + q


def things_that_are_no_numbers(p, q):
    return len(sorted(["a", "bb"], key=lambda word: len(word) * p)[0]) * q


@pytest.mark.parametrize(
    ("program", "why"),
    [(stored_into, "depending on a branch"), (things_that_are_no_numbers, "things that are no numbers are sorted")],
)
def test_is_refused(program, why: str) -> None:
    with pytest.raises(ProgramError, match=why):
        agree(program, ARGS, {})
