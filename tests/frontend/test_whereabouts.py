"""Which objects places hold after loops that exchange them, put them elsewhere, or put others in their place."""

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradmc.errors import ProgramError
from tests.frontend.laws import agree

X = np.array([0.3, -0.7, 1.1, 2.0, -0.2, 0.6])
ARGS = (0.7, -0.4, np.linspace(-1.0, 1.5, 6))
N = 33
"""Iterations: an odd number, so that what is exchanged ends exchanged."""
PROGRAMS: list[Callable[..., Any]] = []
REFUSED: list[Callable[..., Any]] = []
Pair = namedtuple("Pair", "a b")


class State:
    pass


def program(function: Callable[..., Any]) -> Callable[..., Any]:
    PROGRAMS.append(function)
    return function


def refused(function: Callable[..., Any]) -> Callable[..., Any]:
    """A program that Python runs: how often its loop does is not known, nor what an old object holds after it."""
    REFUSED.append(function)
    return function


@pytest.mark.parametrize("function", PROGRAMS, ids=lambda f: f.__name__)
def test_compiled_is_plain(function: Callable[..., Any]) -> None:
    agree(function, ARGS, {"x": X})


@pytest.mark.parametrize("function", REFUSED, ids=lambda f: f.__name__)
def test_not_wrong_in_silence(function: Callable[..., Any]) -> None:
    with pytest.raises(ProgramError, match="is stored into by one"):
        agree(function, ARGS, {"x": X})


@program
def items_exchanged(p, q, theta, *, x):
    d = {"h": theta.copy(), "c": x * p}
    old = d["h"]
    for k in range(N):
        d["h"][k % 6] += q
        d["h"], d["c"] = d["c"], d["h"]
    return np.sum(d["h"] * x) + np.sum(d["c"]) * 0.3 + np.sum(old)


@program
def an_item_replaced(p, q, theta, *, x):
    d = {"h": theta.copy()}
    old = d["h"]
    for k in range(N):
        d["h"][k % 6] += q
        d["h"] = d["h"] * 0.5
    return np.sum(d["h"] * x) + np.sum(old)


@program
def a_tuple_turned_round(p, q, theta, *, x):
    d = (theta.copy(), x * p)
    old = d[0]
    for k in range(N):
        d[0][k % 6] += q
        d = (d[1], d[0])
    return np.sum(d[0] * x) + np.sum(d[1]) * 0.3 + np.sum(old)


@program
def a_list_turned_round(p, q, theta, *, x):
    d = [theta.copy(), x * p]
    old = d[0]
    for k in range(N):
        d[0][k % 6] += q
        d = [d[1], d[0]]
    return np.sum(d[0] * x) + np.sum(d[1]) * 0.3 + np.sum(old)


@program
def items_exchanged_and_stored_into_later(p, q, theta, *, x):
    d = {"h": theta.copy(), "c": x * p}
    old = d["h"]
    for _ in range(N):
        d["h"], d["c"] = d["c"], d["h"]
    d["h"][1] = 5.0
    d["c"][2] = p
    return np.sum(d["h"] * x) + np.sum(d["c"]) * 0.3 + np.sum(old)


@program
def items_exchanged_and_an_old_one_stored_into(p, q, theta, *, x):
    d = {"h": theta.copy(), "c": x * p}
    old = d["h"]
    for _ in range(N):
        d["h"], d["c"] = d["c"], d["h"]
    old[1] = 5.0
    return np.sum(d["h"] * x) + np.sum(d["c"]) * 0.3 + np.sum(old)


@program
def a_tuple_turned_round_and_stored_into_later(p, q, theta, *, x):
    d = (theta.copy(), x * p)
    old = d[0]
    for _ in range(N):
        d = (d[1], d[0])
    d[0][1] = 5.0
    d[1][2] = p
    return np.sum(d[0] * x) + np.sum(d[1]) * 0.3 + np.sum(old)


@program
def a_variable_put_into_a_dict(p, q, theta, *, x):
    h = theta.copy()
    d = {"c": x * p}
    old = h
    o2 = d["c"]
    for k in range(N):
        d["c"][k % 6] += q
        d["c"] = h
        h = h * 0.5
    return np.sum(h * x) + np.sum(d["c"]) * 0.3 + np.sum(old) + np.sum(o2 * x)


@program
def three_items_in_a_circle(p, q, theta, *, x):
    d = {"a": theta.copy(), "b": x * p, "c": x + q}
    old = d["a"]
    o2 = d["b"]
    for k in range(N):
        d["a"][k % 6] += q
        d["a"], d["b"], d["c"] = d["b"], d["c"], d["a"]
    return np.sum(d["a"] * x) + np.sum(d["b"]) * 0.3 + np.sum(old) + np.sum(o2 * x)


@program
def three_items_in_a_row(p, q, theta, *, x):
    d = {"a": theta.copy(), "b": x * p, "c": x + q}
    old = d["a"]
    o2 = d["b"]
    o3 = d["c"]
    for k in range(N):
        d["a"][k % 6] += q
        d["a"], d["b"], d["c"] = d["b"], d["c"], d["a"] * 0.5
    return np.sum(d["a"] * x) + np.sum(d["b"]) * 0.3 + np.sum(old) + np.sum(o2 * x) + np.sum(o3 * x * x)


@program
def records_exchanged(p, q, theta, *, x):
    d = {"h": {"a": p}, "c": {"a": q}}
    old = d["h"]
    for k in range(N):
        d["h"]["a"] += q * x[k % 6]
        d["h"], d["c"] = d["c"], d["h"]
    return d["h"]["a"] + d["c"]["a"] * 0.3 + old["a"] * x[1]


@program
def a_tuple_in_a_dict(p, q, theta, *, x):
    d = {"s": (theta.copy(), x * p), "n": 0}
    old = d["s"][0]
    for k in range(N):
        d["s"][0][k % 6] += q
        d["s"] = (d["s"][1], d["s"][0])
    return np.sum(d["s"][0] * x) + np.sum(d["s"][1]) * 0.3 + np.sum(old)


@program
def one_array_twice_in_a_dict(p, q, theta, *, x):
    a = theta.copy()
    d = {"h": a, "c": a}
    for k in range(N):
        d["h"][k % 6] += q
        d["h"], d["c"] = d["c"] * 0.5, d["h"]
    return np.sum(d["h"] * x) + np.sum(d["c"]) * 0.3 + np.sum(a)


@program
def one_array_exchanged_with_itself(p, q, theta, *, x):
    a = theta.copy()
    d = {"h": a, "c": a}
    for k in range(N):
        d["h"][k % 6] += q
        d["h"], d["c"] = d["c"], d["h"]
    return np.sum(d["h"] * x) + np.sum(d["c"]) * 0.3 + np.sum(a)


@program
def two_rows_in_turn(p, q, theta, *, x):
    m = {"prev": np.zeros(6), "cur": np.zeros(6)}
    m["prev"][0] = p
    for _ in range(N):
        for j in range(6):
            m["cur"][j] = 0.5 * m["prev"][j] + q * x[j] + (0.1 * m["cur"][j - 1] if j else 0.0)
        m["prev"], m["cur"] = m["cur"], m["prev"]
    return np.sum(m["prev"] * x)


@program
def a_named_tuple_turned_round(p, q, theta, *, x):
    s = Pair(theta.copy(), x * p)
    first = s.a
    second = s.b
    for k in range(N):
        s.a[k % 6] += q
        s = Pair(s.b, s.a)
    first[0] += 1.0
    return np.sum(s.a * x) + np.sum(s.b) * 0.3 + np.sum(first) + np.sum(second * x)


@refused
def items_exchanged_until(p, q, theta, *, x):
    d = {"h": theta.copy(), "c": x * p}
    old = d["h"]
    k = 0
    while k < N and d["h"][0] < 50 + p:
        d["h"][k % 6] += q
        d["h"], d["c"] = d["c"], d["h"]
        k += 1
    return np.sum(d["h"] * x) + np.sum(d["c"]) * 0.3 + np.sum(old)


@refused
def an_item_replaced_until(p, q, theta, *, x):
    d = {"h": theta.copy()}
    old = d["h"]
    k = 0
    while k < N and d["h"][0] < 50 + p:
        d["h"][k % 6] += q
        d["h"] = d["h"] * 0.5
        k += 1
    return np.sum(d["h"] * x) + np.sum(old)


@refused
def variables_exchanged_until(p, q, theta, *, x):
    h = theta.copy()
    c = x * p
    old = h
    k = 0
    while k < N and h[0] < 50 + p:
        h[k % 6] += q
        h, c = c, h
        k += 1
    return np.sum(h * x) + np.sum(c) * 0.3 + np.sum(old)


@refused
def variables_in_a_row_until(p, q, theta, *, x):
    h = theta.copy()
    c = x * p
    o2 = c
    k = 0
    while k < N and h[0] < 50 + p:
        h[k % 6] += q
        h, c = c, c * 0.5
        k += 1
    return np.sum(h * x) + np.sum(c) * 0.3 + np.sum(o2)


@program
def attributes_exchanged(p, q, theta, *, x):
    d = State()
    d.h = theta.copy()
    d.c = x * p
    old = d.h
    for k in range(N):
        d.h[k % 6] += q
        d.h, d.c = d.c, d.h
    return np.sum(d.h * x) + np.sum(d.c) * 0.3 + np.sum(old)


@program
def an_attribute_replaced(p, q, theta, *, x):
    d = State()
    d.h = theta.copy()
    old = d.h
    for k in range(N):
        d.h[k % 6] += q
        d.h = d.h * 0.5
    return np.sum(d.h * x) + np.sum(old)


@program
def attributes_exchanged_and_stored_into_later(p, q, theta, *, x):
    d = State()
    d.h = theta.copy()
    d.c = x * p
    old = d.h
    for _ in range(N):
        d.h, d.c = d.c, d.h
    d.h[1] = 5.0
    return np.sum(d.h * x) + np.sum(d.c) * 0.3 + np.sum(old)
