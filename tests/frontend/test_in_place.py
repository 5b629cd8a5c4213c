"""Library functions that change what they are given: in loops and branches as in plain Python, or refused."""

import bisect
import heapq
import operator

import numpy as np
import pytest

from gradmc.errors import ProgramError
from gradmc.program.compiler import trace
from tests.frontend.laws import agree

pytestmark = pytest.mark.filterwarnings("ignore::gradmc.program.compiler.UnrolledLoopWarning")
ARGS = (0.3, 1.5)
Y = [float(v) for v in np.random.default_rng(20260101).random(20).round(3)]


def pushed_the_same_again(p, q, *, y):
    h, lp = [], p
    for _ in range(20):
        heapq.heappush(h, 0.5)
        lp = np.tanh(lp)
    return lp + q * len(h)


def popped(p, q, *, y):
    h, lp = sorted(y), p
    for _ in range(12):
        lp = np.tanh(lp + heapq.heappop(h))
    return lp + q * len(h)


def until_it_is_empty(p, q, *, y):
    h, lp = [(v, i) for i, v in enumerate(y)], 0.0
    heapq.heapify(h)
    while h:
        v, k = heapq.heappop(h)
        lp = np.tanh(lp + p * v - 0.01 * q * k)
    return lp


def the_largest_but_three(p, q, *, y):
    h, lp = [], 0.0
    for v in y:
        heapq.heappush(h, v)
        if len(h) > 3:
            lp += p * heapq.heappop(h)
    return lp * q


def shortest_ways(p, q, *, y):
    h, found, lp = [(0.0, 0)], {0: 0.0}, 0.0
    while h:
        d, u = heapq.heappop(h)
        if d > found[u]:
            continue
        lp += p * d + q
        for v in ((u * 3 + 1) % 8, (u + 5) % 8):
            if d + y[2 * u] < found.get(v, 9.0):
                found[v] = d + y[2 * u]
                heapq.heappush(h, (found[v], v))
    return lp


def kept_sorted(p, q, *, y):
    s, lp = [], 0.0
    for v in y:
        bisect.insort(s, v)
        lp += p * s[0] + q * bisect.bisect(s, 0.2)
    return lp


def place_of_a_parameter(p, q, *, y):
    s = sorted(y)
    return bisect.bisect(s, p) * q + bisect.bisect_left(s, p * q) * p + s[bisect.bisect_right(s, p) - 1]


def out_on_a_side(p, q, *, y):
    x = np.array(y)
    if p > q:
        np.cumsum(x, out=x)
    return x.sum() * p + q


def out_by_place_on_a_side(p, q, *, y):
    x = np.array(y)
    if p > q:
        np.clip(x, 0.4, 0.5, x)
    return x.sum() * p + q


def out_in_a_loop(p, q, *, y):
    x, lp = np.array(y), p
    for _ in range(20):
        np.add(x, 1.0, out=x)
        lp = np.tanh(lp + 0.01 * x[0])
    return x.sum() * p + lp * q


def out_of_parameters(p, q, *, y):
    x, b = np.array(y) * p, np.zeros(20)
    for _ in range(20):
        np.tanh(x, b)
        np.multiply(b, q, out=b)
        same = np.add(x, b, out=x)
    same[0] = q
    return x.sum() + x[0]


def out_into_a_view(p, q, *, y):
    x = np.array(y)
    part = x[:5]
    np.add(part, q, out=part)
    np.cumsum(x, out=x)
    return x.sum() * p + part[1]


def partitioned_on_a_side(p, q, *, y):
    x = np.array(y)
    if p > q:
        x.partition(3)
    return x[0] * p + q


def nan_replaced_on_a_side(p, q, *, y):
    x = np.array([np.nan, 1.0])
    if p > q:
        np.nan_to_num(x, copy=False)
    return np.nansum(x) * p + q + np.isnan(x).sum()


RIGHT = [
    pushed_the_same_again,
    popped,
    until_it_is_empty,
    the_largest_but_three,
    shortest_ways,
    kept_sorted,
    place_of_a_parameter,
    out_on_a_side,
    out_by_place_on_a_side,
    out_in_a_loop,
    out_of_parameters,
    out_into_a_view,
    partitioned_on_a_side,
    nan_replaced_on_a_side,
]


@pytest.mark.parametrize("program", RIGHT, ids=lambda f: f.__name__.replace("_", " "))
def test_changes_by_library_functions_are_followed(program) -> None:
    agree(program, ARGS, {"y": Y}, differences=False)


def pushed_on_a_side(p, q, *, y):
    h = [0.3, 0.4]
    if p > q:
        heapq.heappush(h, 0.1)
    return p * h[0] + q * len(h)


def added_in_place_on_a_side(p, q, *, y):
    x = [1.0, 2.0]
    if p > q:
        operator.iadd(x, [3.0])
    return sum(x) * p + q


def ordered_by_parameters(p, q, *, y):
    h = []
    for i in range(len(y)):
        heapq.heappush(h, (y[i] * p, i))
    return heapq.heappop(h)[0] * q


def into_whole_numbers(p, q, *, y):
    x = np.arange(3)
    np.add(x, p, out=x)
    return x.sum() * q


REFUSED = [
    (pushed_on_a_side, "a list grows on one side"),
    (added_in_place_on_a_side, "a list grows on one side"),
    (ordered_by_parameters, "kept in order by heapq or bisect"),
    (into_whole_numbers, "Cannot cast output"),
]


@pytest.mark.parametrize(("program", "words"), REFUSED, ids=lambda f: getattr(f, "__name__", "").replace("_", " "))
def test_others_are_refused(program, words) -> None:
    with pytest.raises(ProgramError, match=words):
        trace(program, ARGS, {"y": Y})
