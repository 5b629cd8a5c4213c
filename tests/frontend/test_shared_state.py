"""Lists, dicts, arrays and objects with several names: a store by one is seen by the others, or refused."""

import copy
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradmc.errors import ProgramError
from gradmc.program.compiler import UnrolledLoopWarning
from tests.frontend.laws import agree

X = np.array([0.3, -0.7, 1.1, 2.0, -0.2, 0.6])
ARGS = (0.7, -0.4, np.linspace(-1.0, 1.5, 6))
PROGRAMS: list[Callable[..., Any]] = []
REFUSED: list[Callable[..., Any]] = []


def program(function: Callable[..., Any]) -> Callable[..., Any]:
    PROGRAMS.append(function)
    return function


def refused(function: Callable[..., Any]) -> Callable[..., Any]:
    """A program that Python runs, of which the compiler says that it cannot follow the names."""
    REFUSED.append(function)
    return function


@pytest.mark.parametrize("function", PROGRAMS, ids=lambda f: f.__name__)
def test_compiled_is_plain(function: Callable[..., Any]) -> None:
    agree(function, ARGS, {"x": X})


@pytest.mark.parametrize("function", REFUSED, ids=lambda f: f.__name__)
def test_not_wrong_in_silence(function: Callable[..., Any]) -> None:
    with pytest.raises(ProgramError, match="is stored into by one"):
        agree(function, ARGS, {"x": X})


# --- records in a long list -----------------------------------------------------------------------


@program
def players_of_a_league(p, q, theta, *, x):
    players = [{"rating": p, "games": 0} for _ in range(12)]
    lp = 0.0
    for k in range(30):
        one, other = players[k % 12], players[(k * 5 + 1) % 12]
        won = 1.0 / (1.0 + math.exp(other["rating"] - one["rating"] - 0.1))
        lp += math.log(won)
        one["rating"] += q * (1.0 - won)
        other["rating"] -= q * (1.0 - won)
        one["games"] += 1
    return lp + sum(d["rating"] * d["games"] for d in players)


@program
def records_in_turn(p, q, theta, *, x):
    states = [{"level": p, "kept": 1.0} for _ in range(12)]
    for d in states:
        d["level"] += q
    for i in range(12):
        states[i - 1]["kept"] += states[i]["level"] * i
    return sum(d["level"] * (i + 1) + d["kept"] for i, d in enumerate(states))


@program
def arrays_in_records(p, q, theta, *, x):
    units = [{"w": theta.copy(), "c": p * i} for i in range(12)]
    for d in units:
        d["w"][1] += q * d["c"]
        d["w"] = d["w"] * 0.5
    return sum(np.sum(d["w"]) * (i + 1) for i, d in enumerate(units))


@program
def lists_of_arrays_in_a_list(p, q, theta, *, x):
    pairs = [[theta.copy(), x * p] for _ in range(12)]
    for pair in pairs:
        pair[0][1] += q
    return sum(np.sum(pair[0]) * (i + 1) for i, pair in enumerate(pairs))


@program
def records_by_name(p, q, theta, *, x):
    records = {name: {"s": p, "n": 1.0} for name in "abcd"}
    lists = {name: [p, 0.0] for name in "abcd"}
    for i in range(12):
        r = records["abcd"[i % 4]]
        r["s"] += theta[i % 6]
        r["n"] += 1
        lists["abcd"[i % 3]][0] += q * i
    return sum(r["s"] * p / r["n"] for r in records.values()) + sum(
        v[0] * (k + 1) for k, v in enumerate(lists.values())
    )


@program
def a_record_kept_in_every_iteration(p, q, theta, *, x):
    history, d = [], {"z": p}
    for _ in range(7):
        d["z"] += q
        history.append(dict(d))
    return sum(h["z"] * i for i, h in enumerate(history))


@program
def one_record_kept_again_and_again(p, q, theta, *, x):
    history, d = [], {"z": p}
    for _ in range(7):
        d["z"] += q
        history.append(d)
    return sum(h["z"] * i for i, h in enumerate(history))


@program
def a_record_with_a_second_name(p, q, theta, *, x):
    one, other = {"z": p}, {"z": q}
    first = one
    for k in range(7):
        one, other = other, one
        one["z"] += p * k
    return one["z"] + 3.0 * other["z"] + first["z"]


@refused
def arrays_in_tuples_of_a_long_list(p, q, theta, *, x):
    pairs = [(theta.copy(), p * i) for i in range(12)]
    for w, c in pairs:
        w[1] += q * c
    return sum(np.sum(w) * (i + 1) for i, (w, _) in enumerate(pairs))


@refused
def a_record_of_a_list_under_its_own_name(p, q, theta, *, x):
    one = {"z": p}
    records = [one, {"z": q}]
    for k in range(6):
        records[k % 2]["z"] += theta[k]
    return one["z"]


# --- what a dict holds, while a loop changes the dict ---------------------------------------------


@program
def arrays_in_a_dict_that_changes(p, q, theta, *, x):
    a, m = theta.copy(), np.outer(theta, x)
    d = {"a": a, "row": m[2], "pair": (a, p), "s": p}
    for k in range(6):
        a[1] += p
        d["s"] = theta[k]
        m[2, 1] += q
    a[0] = q
    d["row"][0] = p
    return np.sum(d["a"] * x) + np.sum(d["row"]) + np.sum(m) + d["s"] + d["pair"][0][0] * d["pair"][0][1]


@program
def lists_and_dicts_in_a_dict_that_changes(p, q, theta, *, x):
    inner, numbers = {"z": p}, [p, q, 0.1]
    d = {"inner": inner, "numbers": numbers, "s": p}
    for k in range(6):
        d["s"] = theta[k]
        inner["z"] += q
        d["numbers"][0] += q
    d["inner"]["z"] *= 2.0
    numbers[1] = p * p
    return inner["z"] + sum(numbers) + d["inner"]["z"] + sum(d["numbers"])


@program
def a_list_in_a_dict_that_grows(p, q, theta, *, x):
    d = {"h": [p, q], "n": 0}
    for k in range(7):
        d["h"].append(d["h"][-1] * 0.5 + x[k % 6])
        d["n"] += 1
    return sum(d["h"]) + d["n"]


@program
def arrays_of_a_dict_exchanged(p, q, theta, *, x):
    d = {"h": theta.copy(), "c": x * p}
    old = d["h"]
    for k in range(7):
        d["h"][k % 6] += q
        d["h"], d["c"] = d["c"], d["h"]
    return np.sum(d["h"] * x) + np.sum(d["c"]) * 0.3 + np.sum(old)


# --- copies of what a loop changes ----------------------------------------------------------------


class Particle:
    def __init__(self, v, a):
        self.v = v
        self.a = a


def _weighted(z, w):
    return 2.0 * z + w


@program
def a_dict_spread_out(p, q, theta, *, x):
    d, s = {"z": p, "w": q}, 0.0
    for k in range(7):
        d["z"] += x[k % 6]
        e, f, g = {**d}, dict(d), dict(**d)
        d["z"] *= 0.5
        s += e["z"] + 2.0 * f["z"] + 3.0 * g["z"] + _weighted(**d)
    return s


@program
def copies_of_lists_of_lists(p, q, theta, *, x):
    d, s = [[p, q], [q, p]], 0.0
    for k in range(7):
        d[0][0] += x[k % 6]
        deep, shallow, rows, other = copy.deepcopy(d), copy.copy(d), [list(t) for t in d], d.copy()
        d[0][1] *= 0.5
        s += deep[0][0] + 2.0 * deep[0][1] + 3.0 * shallow[0][1] + 5.0 * rows[0][1] + 7.0 * other[0][1]
    return s


@program
def copies_of_objects(p, q, theta, *, x):
    o, s = Particle(p, theta.copy()), 0.0
    for k in range(7):
        o.v += x[k % 6]
        o.a[k % 6] = q
        shallow, deep = copy.copy(o), copy.deepcopy(o)
        o.v *= 0.5
        o.a[0] += 1.0
        s += shallow.v + 2.0 * deep.v + 3.0 * shallow.a[0] + 5.0 * deep.a[0] + vars(o)["v"] + o.__dict__["v"]
    return s


# --- lists that change while they are iterated ----------------------------------------------------


@program
def lists_stored_into_while_iterated(p, q, theta, *, x):
    few, many, back = [p, q, 0.3], [p, q, 0.3, p, q, 0.1, 0.2, 0.3, p, q, 0.3], list(theta)
    for _ in range(6):
        for e in few:
            few[-1] += 0.1 * e
        for j, e in enumerate(few):
            few[1] += 0.1 * e * j
    for e in many:
        many[-1] += 0.1 * e
    s = 0.0
    for i, v in enumerate(reversed(back)):
        back[i] += v * 0.5
        s += v * (i + 1)
    return few[-1] + few[1] + many[-1] + s


@program
def slices_of_lists_from_lists(p, q, theta, *, x):
    one, other, third = [0.1, 0.2, 0.3], [0.0, 0.0], [1.0, 2.0, 3.0]
    for e in x:
        one[1] += p * e
    other[1:] = one
    third[:] = one
    one[1] = q
    return sum(c * (j + 1) for j, c in enumerate(other)) + sum(third) + sum(one)


# --- what variables hold after a loop -------------------------------------------------------------


@program
def a_view_turned_round(p, q, theta, *, x):
    z, m = theta.copy(), np.outer(theta, x)
    v, t = z, m
    for k in range(6):
        v = v[::-1]
        v[0] += p * x[k]
        t = t.T
        t[0, 1] += p * x[k]
    return np.sum(z * x) + np.sum(v) + np.sum(t * np.outer(x, theta)) + np.sum(m * np.outer(x, theta))


@program
def two_views_exchanged(p, q, theta, *, x):
    z = theta.copy()
    v, w = z[::-1], z
    for _ in range(7):
        v, w = w, v
        v[0] += p
    return np.sum(z * x)


@refused
def the_last_row_stored_into_after_the_loop(p, q, theta, *, x):
    m, s = np.outer(theta, x), 0.0
    for i in range(6):
        row = m[i]
        s += row[0] * p
    row[0] = q
    return s + np.sum(m)


@refused
def the_matrix_of_the_last_row_stored_into(p, q, theta, *, x):
    m, s = np.outer(theta, x), 0.0
    for row in m:
        s += row[0] * p
    m[5] = q
    return s + np.sum(row)


@refused
def one_of_two_arrays_after_a_loop(p, q, theta, *, x):
    a, c = theta.copy(), x * p
    t = a
    for k in range(6):
        if theta[k] > 0:
            t = c
    c[0] = q
    return np.sum(t) + np.sum(c)


@refused
def an_attribute_that_a_loop_sets_to_a_part_of_a_parameter(p, q, theta, *, x):
    a = theta[:4]
    o = Particle(p, theta[2:].copy())
    for _ in range(6):
        o.a = a
    a[1] = 7.0 * q
    return np.sum(o.a)


@refused
def arrays_in_a_tuple_that_one_side_makes_anew(p, q, theta, *, x):
    a, c = np.zeros(6), theta.copy()
    if p > 0.1:
        c = theta * 2.0
    t = (a, c)
    if q > 0.1:
        t = (a, c)
    a += 0.4
    return t[0][1] * p


@refused
def a_variable_of_a_function_around_that_one_side_sets(p, q, theta, *, x):
    a, c = np.zeros(6), theta * p

    def take():
        nonlocal a
        a = c

    if p > 0.1:
        take()
    c[0] = q
    return np.sum(a)


@refused
def the_last_array_of_a_list_stored_into(p, q, theta, *, x):
    z, history = theta.copy(), []
    for k in range(6):
        z = z + p * x[k]
        history.append(z)
    z[0] = q
    return sum(np.sum(h) * i for i, h in enumerate(history))


@refused
def a_list_that_one_iteration_replaces(p, q, theta, *, x):
    one = [p, q, 0.1]
    other = one
    for k in range(6):
        if theta[k] > 0:
            other = [0.0, 1.0, 2.0]
        other[0] += p
    return sum(one) + sum(other)


# --- one side of a branch changes what the other puts elsewhere --------------------------------------


class Record:
    def __init__(self, a):
        self.a = a
        self.n = 1.0


@program
def rows_that_the_other_side_swaps(p, q, theta, *, x):
    lp = 0.0
    for sign in (1.0, -1.0):
        m = np.outer(x, theta[:3])
        rows = [m[0], m[1]]
        if sign * p > 0:
            rows[0][1:] *= q
        else:
            rows[0], rows[1] = rows[1], rows[0]
        lp += np.sum(rows[0]) + p * rows[1][0] + q * np.sum(m)
    return lp


@program
def a_matrix_whose_row_the_other_side_replaces(p, q, theta, *, x):
    lp = 0.0
    for sign in (1.0, -1.0):
        m = np.outer(x, theta[:3])
        held = {"a": m[0]}
        if sign * p > 0:
            m[0] = 7.0 * q
        else:
            held["a"] = m[1]
        lp += np.sum(held["a"])
    return lp


@program
def a_record_whose_array_the_other_side_replaces(p, q, theta, *, x):
    lp = 0.0
    for sign in (1.0, -1.0):
        m = np.outer(x, theta[:3])
        record = Record(m[0])
        if sign * p > 0:
            m[0] = 7.0 * q
        else:
            record.a = m[1]
            record.n = q
        lp += np.sum(record.a) * record.n
    return lp


@program
def a_list_within_a_list(p, q, theta, *, x):
    lp = 0.0
    for sign in (1.0, -1.0):
        one, other = [p, 2.0], [1.0, q]
        both, pairs = [one, other], [[one, other], [other, one]]
        if sign * p > 0:
            one[0] = 9.0 * q
        else:
            both[0] = both[1]
            pairs[0][0] = other
        lp += both[0][0] + 2 * both[1][1] + sum(pairs[0][0]) * q
    return lp


# --- lists of arrays ------------------------------------------------------------------------------


@program
def an_array_in_a_list_before_the_list_is_carried(p, q, theta, *, x):
    """What was stored into one of the arrays is there when a loop carries the list as one array."""
    grids = [np.zeros(4), np.ones(4), x[:4].copy()]
    grids[0][1] = p
    first = grids[1]
    first[:2] += q
    lp = 0.0
    for i in range(6):
        grids[2] = grids[2] * p + x[i]
        lp += np.sum(grids[i % 3]) * theta[i]
    return lp + np.sum(grids[0]) + np.sum(grids[1] * x[:4])


@program
def an_array_in_a_list_stored_into_by_a_number_of_the_loop(p, q, theta, *, x):
    grids = [np.zeros(4), np.ones(4)]
    grids[0][1] = p
    for i in range(6):
        grids[i % 2] = theta[:4] * x[i] + grids[i % 2]
    return np.sum(grids[0]) + q * np.sum(grids[1])


@program
def an_array_in_a_list_whose_other_array_a_loop_stores_into(p, q, theta, *, x):
    grids = [np.zeros(4), np.ones(4)]
    grids[0][1] = p
    for i in range(6):
        grids[1][i % 4] += q * x[i]
    return np.sum(grids[0]) + q * grids[1][0]


# --- what runs, and what does not -----------------------------------------------------------------


@program
def operands_after_a_comparison_that_fails(p, q, theta, *, x):
    calls = 0
    items = [0]

    def told(v):
        nonlocal calls
        calls += 1
        items[0] += 1
        return v

    lp = 0.0
    for i in range(6):
        if told(x[i]) < told(theta[i]) < told(q + 1.0):
            lp += p
        if (told(theta[i]) > 0.2 and told(p) > 0) or told(q) > 0:
            lp += q * q
    return lp + calls * q + items[0] * p


# --- one object in several rows of a list ---------------------------------------------------------
#
# Rolled, rows are copies: stores into one of them would not be seen in the other. Short loops run in Python.

PLACES = np.random.default_rng(20260101).integers(0, 5, 400)
SHARERS: list[Callable[..., Any]] = []


def sharer(function: Callable[..., Any]) -> Callable[..., Any]:
    SHARERS.append(function)
    return function


@pytest.mark.parametrize("function", SHARERS, ids=lambda f: f.__name__)
def test_a_short_loop_shares_rows(function: Callable[..., Any]) -> None:
    agree(function, (0.7, -0.4), {"at": PLACES[:12]})


@pytest.mark.parametrize("function", SHARERS, ids=lambda f: f.__name__)
def test_a_long_loop_that_shares_rows_is_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(ProgramError, match="is stored into by one"):
        agree(function, (0.7, -0.4), {"at": PLACES})


@sharer
def an_array_that_becomes_several_rows(p, q, *, at):
    rows, shared = [np.zeros(2) for _ in range(5)], np.zeros(2)
    for t in range(len(at)):
        rows[at[t]] = shared
        rows[at[t]][0] += p * t
    return rows[2][0] * q


@sharer
def an_array_that_becomes_several_rows_on_one_side(p, q, *, at):
    rows, shared, lp = [np.zeros(2) for _ in range(5)], np.zeros(2), 0.0
    for t in range(len(at)):
        if t % 3 == 0:
            rows[at[t]] = shared
        rows[at[t]][0] += p * t
        lp += rows[at[t]][0]
    return lp * q


@sharer
def parts_of_a_matrix_that_become_rows(p, q, *, at):
    rows, matrix = [np.zeros(2) for _ in range(5)], np.zeros((5, 2))
    for t in range(len(at)):
        if t % 3 == 0:
            rows[at[t]] = matrix[at[t]]
        rows[at[t]][0] += p * t
    return q * np.sum(matrix)


@sharer
def rows_of_two_lists(p, q, *, at):
    one, other = [np.zeros(2) for _ in range(5)], [np.zeros(2) for _ in range(5)]
    for t in range(len(at)):
        if t % 2 == 0:
            other[at[t]] = one[at[t]]
        one[at[t]][0] += p * t
    return q * sum(row[0] for row in other)


@sharer
def a_row_that_becomes_another_one(p, q, *, at):
    rows, lp = [np.zeros(2) for _ in range(5)], 0.0
    for t in range(len(at)):
        rows[at[t]] = rows[t % 5]
        rows[at[t]][0] += p * t
        lp += rows[t % 5].sum()
    return lp * q


@sharer
def an_array_that_becomes_several_items_of_a_dict(p, q, *, at):
    items, shared, lp = {}, np.zeros(2), 0.0
    for t in range(len(at)):
        if at[t] not in items:
            items[at[t]] = shared
        items[at[t]][0] += p * t
        lp += q * items[at[t]][0]
    return lp


@sharer
def an_item_that_becomes_another_one(p, q, *, at):
    items, lp = {k: np.zeros(2) for k in range(5)}, 0.0
    for t in range(len(at)):
        items[at[t]] = items[t % 5]
        items[at[t]][0] += p * t
        lp += items[t % 5].sum()
    return lp * q


@program
def rows_that_are_passed_on_and_not_stored_into(p, q, theta, *, x):
    rows = [theta * k for k in range(4)]
    for t in range(40):
        rows[t % 4] = rows[(3 * t + 1) % 4] * p
        rows[(t + 2) % 4] = rows[t % 4]
    return sum(row.sum() for row in rows) * q


# --- many rows, each an object of its own ---------------------------------------------------------

APART: list[Callable[..., Any]] = []


def apart(function: Callable[..., Any]) -> Callable[..., Any]:
    APART.append(function)
    return function


@pytest.mark.parametrize("function", APART, ids=lambda f: f.__name__)
def test_a_long_loop_over_rows_that_are_apart(function: Callable[..., Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnrolledLoopWarning)
        agree(function, (0.7, -0.4), {"at": PLACES})


@apart
def rows_of_another_list_one_by_one(p, q, *, at):
    one, other = [np.zeros(2) for _ in range(300)], [np.zeros(2) for _ in range(300)]
    for k in range(300):
        other[k] = one[k]
    for t in range(len(at)):
        other[at[t]][0] += p * t
    return q * other[2][0]


@apart
def rows_of_a_slice(p, q, *, at):
    one = [np.zeros(2) for _ in range(300)]
    other = one[:]
    for t in range(len(at)):
        other[at[t]][0] += p * t
    return q * other[2][0]


@apart
def a_record_with_a_name_of_its_own(p, q, *, at):
    one = {"z": p}
    records = [one, {"z": q}, {"z": 0.0}, {"z": 0.0}, {"z": 0.0}]
    for t in range(len(at)):
        records[at[t]]["z"] += p * t
    return records[0]["z"] * q


@apart
def fresh_rows_time_and_again(p, q, *, at):
    rows, lp = [np.zeros(2) for _ in range(5)], 0.0
    for t in range(len(at)):
        if t % 7 == 0:
            rows[at[t]] = np.array([p, q])
        rows[at[t]][0] += p
        lp += rows[(t + 1) % 5].sum()
    return lp


@refused
def one_row_for_two_after_a_loop(p, q, theta, *, x):
    rows = [theta * k for k in range(5)]
    for t in range(30):
        rows[3 * t % 5][0] += p * t
    rows[1] = rows[0]
    for t in range(30):
        rows[3 * t % 5][0] += q * t
    return rows[0][0] + 2.0 * rows[1][0]


@sharer
def rows_that_are_one_from_an_earlier_loop(p, q, *, at):
    rows, shared = [np.zeros(2) for _ in range(5)], np.zeros(2)
    for t in range(len(at)):
        if t % 2:
            rows[at[t]] = shared
    for t in range(len(at)):
        rows[at[t]][0] += q * t
    return rows[0][0] + 2.0 * rows[1][0] * p


@sharer
def a_row_that_one_side_replaces_and_reads_by_its_name(p, q, *, at):
    rows, lp = [np.array([p, q * k]) for k in range(5)], 0.0
    for t in range(len(at)):
        row = rows[at[t]]
        if t % 3 == 0:
            lp += row[0]
        else:
            rows[at[t]] = np.tanh(rows[at[t]] + 1.0)
            lp += row.sum()
    return lp
