"""What is missing never becomes a number: where plain Python has no value, the compiled program is NaN.

Each program is compiled once and compared at points on all of its sides: where plain Python returns a number, value and
gradient are plain Python's; where it raises, the compiled value is NaN.
"""
# ruff: noqa: RET503, RET505, E711

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import pytest

from gradmc.errors import ProgramError
from gradmc.program.compiler import evaluate

X = np.array([0.31, -1.23, 0.83, 2.03, -0.71, 1.13, 0.43, -0.91, 0.23, 1.73])
COUNTS = np.array([1, 2, 3, 0])
SIDES = (0.52, -0.41, -3.2)
"""Points on the three sides of the programs."""


@dataclass(frozen=True)
class Case:
    """A program, its points, and at how many of them plain Python has no value."""

    fn: Callable[[float], Any]
    points: tuple[float, ...]
    missing: int


CASES: list[Case] = []


def case(*points: float, missing: int) -> Callable[[Callable[[float], Any]], Callable[[float], Any]]:
    """Add a program to the table."""

    def add(fn: Callable[[float], Any]) -> Callable[[float], Any]:
        CASES.append(Case(fn, points, missing))
        return fn

    return add


@pytest.mark.parametrize("entry", CASES, ids=lambda e: e.fn.__name__)
def test_missing_is_not_a_number(entry: Case, x64: None) -> None:
    program = jax.jit(jax.value_and_grad(lambda a: evaluate(entry.fn, (a,), {})[0]))
    missing = 0
    for a in entry.points:
        value, slope = map(float, program(a))
        try:
            want = float(entry.fn(a))
        except (TypeError, IndexError, UnboundLocalError, AttributeError, AssertionError):
            missing += 1
            assert math.isnan(value), (entry.fn.__name__, a)
            continue
        assert value == pytest.approx(want, rel=1e-12, abs=1e-12), a
        differences = (float(entry.fn(a + 1e-6)) - float(entry.fn(a - 1e-6))) / 2e-6
        assert slope == pytest.approx(differences, rel=1e-6, abs=1e-6), a
    assert missing == entry.missing


# --- a last `if` without `else` ------------------------------------------------------------------


def gap(v):
    if v > 0:
        return 2 * v
    if v > -1:
        return 3 * v


@case(*SIDES, missing=0)
def all_cases_covered(a):
    if a > 0:
        return math.log(a)
    if a <= 0:
        return math.sqrt(-a)


@case(*SIDES, missing=1)
def some_case_uncovered(a):
    if a > 0:
        return math.log(a)
    elif a > -1:
        return math.sqrt(-a)


@case(*SIDES, missing=0)
def none_at_the_end(a):
    if a > 0:
        return a**2
    elif a > -1:
        return 2 * a
    elif a <= -1:
        return 3 * a
    return None


@case(*SIDES, missing=1)
def match_without_wildcard(a):
    match a:
        case v if v > 0:
            return v
        case v if v > -1:
            return v * v


@case(*SIDES, missing=1)
def nested_ifs(a):
    if a > 0:
        if a > 0.7:
            return a
        if a > 0.1:
            return 2 * a
    else:
        if a > -1:
            return 3 * a


@case(*SIDES, missing=1)
def tuples(a):
    def pair(v):
        if v > 0:
            return v, 2 * v
        if v > -1:
            return v * v, 1.0

    p, q = pair(a)
    return p * q


@case(*SIDES, missing=1)
def arrays(a):
    def pair(v):
        if v > 0:
            return np.array([v, 1.0])
        if v > -1:
            return np.array([v * v, 2.0])

    made = pair(a)
    for k in range(8):
        made[k % 2] += a * k
    return made.sum()


@case(*SIDES, missing=1)
def used_by_many_operations(a):
    return abs(gap(a)) + math.exp(-gap(a)) + max(gap(a), 0.3) + (1.0 if gap(a) > 0.1 else 0.0)


@case(*SIDES, missing=1)
def whole_numbers(a):
    def kind(v):
        if v > 0:
            return 1
        if v > -1:
            return 2

    total = 0.0
    for k in range(kind(a)):
        total += a * (k + 1)
    return total + X[kind(a)] * a


@case(*SIDES, missing=1)
def in_a_loop(a):
    return sum(gap(a + 0.013 * k) for k in range(12)) + sum([gap(a + 0.017 * k) for k in range(12)])


@case(*SIDES, missing=1)
def in_a_while(a):
    total, k = 0.0, 0
    while total < 4 and k < 30:
        k += 1
        total += 0.3 + 0.1 * gap(a + 0.01 * k) ** 2
    return total


@case(1.52, *SIDES, missing=1)
def returned_from_a_loop_or_not(a):
    for v in X:
        if v * a > 0.9:
            return a * v


# --- None that is asked for ----------------------------------------------------------------------


@case(*SIDES, missing=0)
def asked_whether_it_is_none(a):
    found = gap(a)
    if found is None:
        return 5 * a
    return found * a


@case(*SIDES, missing=0)
def asked_in_other_ways(a):
    total = a if gap(a) == None else 2 * a
    total += (gap(a) or 7.0) * a
    total += a if not gap(a) else 3 * a
    return total + (a if isinstance(gap(a), float) else 4 * a)


@case(*SIDES, missing=0)
def default_of_an_argument(a):
    def scaled(v, s=None):
        if s is None:
            s = 2.0
        return v * s

    return scaled(a, gap(a)) + scaled(a)


@case(*SIDES, missing=0)
def found_in_a_loop(a):
    best = None
    for v in X:
        score = a * v - 0.4
        if score > 0 and (best is None or score < best):
            best = score
    return -a if best is None else best * a


@case(*SIDES, missing=1)
def found_in_a_loop_and_used(a):
    found = None
    for v in X:
        if v * a > 0.6 and v < 2:
            found = v * a
            break
    return found + 1


@case(*SIDES, missing=0)
def returned_from_loops(a):
    def first():
        for i in range(6):
            for j in range(6):
                if a * i + j > 4.3:
                    return a * i * j
        return None

    found = first()
    return a if found is None else found


@case(*SIDES, missing=1)
def set_by_an_inner_function(a):
    best = None

    def put(v):
        nonlocal best
        if v > -1:
            best = v

    put(a)
    put(a - 0.3)
    return best * 2


# --- loops that surely run -----------------------------------------------------------------------


@case(0.4, 1.3, missing=0)
def first_set_in_an_endless_loop(a):
    n = 0
    while True:
        delta = math.exp(-a * (n + 1))
        n += 1
        if delta < 1e-3 or n > 500:
            break
    return -delta - a


@case(1.7, 0.4, missing=0)
def returned_from_an_endless_loop(a):
    x = a
    while True:
        new = 0.5 * (x + a / x)
        if abs(new - x) < 1e-13:
            return new
        x = new


@case(*SIDES, missing=1)
def asserted_in_a_while(a):
    total, k = 0.0, 0
    while total < 4 and k < 50:
        assert a > -1
        k += 1
        total += 0.3 + 0.01 * a * a
    return total


# --- indices beyond the end ----------------------------------------------------------------------


@case(0.52, 2.52, -3.48, 9.5, missing=1)
def beyond_whole_numbers(a):
    return COUNTS[int(a)] * a


@case(0.52, -3.48, 9.5, missing=1)
def stored_beyond(a):
    z = np.zeros(4)
    z[int(a)] = a
    return a + z.sum()


@case(0.52, 0.04, -0.61, missing=1)
def counted_beyond(a):
    z, k = np.zeros(4), 0
    for v in X:
        if a * v > 0.12:
            z[k] = a * v
            k += 1
    return z.sum()


@case(0.52, -0.61, missing=1)
def stored_beyond_on_one_side(a):
    z = np.zeros(9)
    for i in range(10):
        if a * X[i] < 0.7:
            z[i] = a * X[i]
    return z.sum()


@case(0.52, 2.52, missing=1)
def ahead_of_a_growing_list(a):
    h, total = [a], 0.0
    for v in X:
        h.append(a + v)
        total += h[int(a)]
    return total


@case(0.52, missing=1)
def before_a_growing_list(a):
    h, total = [a], 0.0
    for k in range(10):
        if k > 0:
            total += h[-3]
        h.append(a + X[k])
    return total


# --- variables that some sides set -----------------------------------------------------------------


@case(*SIDES, missing=0)
def set_by_ifs_that_cover_all(a):
    if a > 0:
        v, w = 1 * a, (a, 2)
    if not a > 0:
        v, w = 2 * a, (3 * a, 4)
    if a < -1:
        x = np.array([a, 1.0])
    elif a < 0:
        x = np.array([2.0, a])
    elif a >= 0:
        x = np.array([a, a])
    if a > -2:
        if a > 0:
            y = a
        if a <= 0:
            y = 2 * a
    if a <= -2:
        y = 3
    return v * w[0] + w[1] + x[0] * a - y


@case(*SIDES, 0.0, 0.25, missing=2)
def set_by_ifs_that_leave_a_gap(a):
    if a > 0.25:
        v = a
    if a < 0:
        v = 2 * a
    v += 1.0
    return v * a


@case(*SIDES, 0.0, missing=0)
def set_in_iterations(a):
    lp = 0.0
    for t in X:
        if t * a > 0.1:
            v = a * t
        if t * a <= 0.1:
            v = t
        lp += v
    return lp


@case(*SIDES, 0.01, -0.07, 9.0, missing=1)
def kept_from_earlier_iterations(a):
    lp = 0.0
    for t in range(10):
        if a > 0.05 * t:
            v = a * t
        if a < 0.05 * t - 0.1:
            v = -t
        if t > 3 or a > 0.1:
            lp += v * a
    if a < -3:
        w = lp
    if a > 5:
        w = -lp
    if a < -1 or a > 1:
        return w
    if a > -0.1:
        return lp + v
    return w


@case(*SIDES, 9.0, missing=1)
def flagged(a):
    found = False
    for t in range(10):
        if a < X[t] and not found:
            at, found = t * a, True
    return at if a > 5 or found else a


@case(*SIDES, 4.0, missing=1)
def set_in_a_while(a):
    t, lp = 0.0, 0.0
    while t < a:
        if t > 0.2:
            s = 0.1
        if t <= 0.2:
            s = 0.05 * (1 + a)
        t += s
        lp += s * a
    return lp + (s if a > -3 else 0.0)


# --- what is refused -----------------------------------------------------------------------------


def torn(a):
    def kind(v):
        if v > 0:
            return 1.0
        if v > -1:
            return "one"
        return 2.0

    return a * kind(a)


def torn_in_a_loop(a):
    def kind(v):
        for k in range(10):
            if v + k > 3:
                if v > 0:
                    return 1.0
                else:
                    return (v, v)
        return 2.0

    return a * kind(a)


def shapes(a):
    def made(v):
        if v > 0:
            return np.array([v, 1.0])
        if v > -1:
            return np.array([v, 1.0, 2.0])
        return np.array([v, v])

    return made(a).sum()


def aliased(a):
    z = np.zeros(2)

    def chosen(v):
        if v > 0:
            return z
        if v > -1:
            return z

    chosen(a)[0] = a
    return z[0]


def kept_on_one_side(a):
    z = np.zeros(2)
    b = z
    if a > 0.7:
        b = None
    if b is not None:
        b[0] = a
    return z[0]


@pytest.mark.parametrize("fn", [torn, torn_in_a_loop, shapes, aliased, kept_on_one_side], ids=lambda f: f.__name__)
def test_unlike_values_are_refused(fn: Callable[..., Any], x64: None) -> None:
    with pytest.raises(ProgramError, match="may have no value here") as caught:
        jax.jit(lambda a: evaluate(fn, (a,), {})[0])(0.5)
    assert caught.value.location is not None
    assert caught.value.location.file == __file__
