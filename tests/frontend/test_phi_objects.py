"""Names that mean one object on a side of a branch: what is stored by one of them is not missed by the other."""

import random
import re

import numpy as np
import pytest

from gradmc.errors import ProgramError
from gradmc.program.frontend.phi_objects import EITHER
from tests.frontend.grammar import compiled
from tests.frontend.grammar_of_dicts import indent
from tests.frontend.laws import agree, agree_or_refused

pytestmark = pytest.mark.filterwarnings("ignore::gradmc.program.compiler.UnrolledLoopWarning")
ARGS = (0.3, 1.5)
R = [float(r) for r in np.random.default_rng(20260102).random(40).round(2)]
A = [int(a) for a in np.random.default_rng(20260103).integers(0, 2, 40)]


class Holder:
    def __init__(self, row):
        self.row = row


def one_from_outside(p, q):
    x, y = np.zeros(2), np.ones(2)
    if p < q:
        u, v = x, x
    else:
        u, v = y, x
    u[0] = p
    return v.sum() + q


def one_made_there(p, q):
    if p < q:
        u = v = np.zeros(2)
    else:
        u, v = np.ones(2), np.ones(2)
    u[0] = p
    return v.sum() + q


def in_a_list(p, q):
    if p < q:
        u = np.zeros(2)
        v = [u]
    else:
        u = np.ones(2)
        v = [u]
    u[0] = p
    return v[0].sum() + q


def item_of_a_dict(p, q):
    d = {"u": np.ones(2)}
    if p < q:
        d["u"] = np.zeros(2)
    u = d["u"]
    v = d["u"]
    u[0] = p
    return v.sum() + d["u"].sum() + q


def new_item_of_a_dict(p, q):
    d = {"u": np.ones(2)}
    if p < q:
        d["u"] = np.zeros(2)
        u = d["u"]
    else:
        u = d["u"]
    u[0] = p
    return d["u"].sum() + q


def appended(p, q):
    rows = []
    if p < q:
        u = np.zeros(2)
        rows.append(u)
    else:
        u = np.ones(2)
        rows.append(u)
    u[0] = p
    return rows[0].sum() + q


def attribute(p, q):
    h = Holder(np.ones(2))
    if p < q:
        h.row = np.zeros(2)
        u = h.row
    else:
        u = h.row
    u[0] = p
    return h.row.sum() + q


def attribute_and_item(p, q):
    h, d = Holder(np.ones(2)), {}
    d["u"] = h.row
    if p < q:
        h.row = np.zeros(2)
        d["u"] = h.row
    h.row[0] = p
    return d["u"].sum() + q


def added_in_place(p, q):
    u = v = np.zeros(2)
    if p < q:
        u = v = np.zeros(2)
    u += p
    return v.sum() + q


def row_of_a_list(p, q):
    rows = [[2.0, 3.0]]
    if p < q:
        rows = [[0.0, 1.0]]
        row = rows[0]
    else:
        row = rows[0]
    row[0] = p
    return sum(rows[0]) + q


def row_of_a_matrix(p, q):
    if p < q:
        m = np.zeros((2, 2))
        row = m[0]
    else:
        m = np.ones((2, 2))
        row = m[1]
    row[0] = p
    return m.sum() + q


def rows_in_a_list(p, q):
    if p < q:
        m = np.zeros((2, 2))
        rows = [m[0], m[1]]
    else:
        m = np.ones((2, 2))
        rows = [m[1], m[0]]
    m[0, 1] = p
    return rows[0].sum() + q


def nested_choice(p, q):
    x, y, z = np.zeros(2), np.ones(2), np.full(2, 2.0)
    rows = [x if p * q < 1 else y, y.copy()] if p < q else [z, x.copy()]
    rows[0][0] = p * q
    return x.sum() + q


def choice_of_a_choice(p, q):
    rows = [np.zeros(2), np.ones(2)] if p < q else [np.ones(2), np.ones(2)]
    row = rows[0] if p * q < 1 else np.ones(2)
    row[0] = p
    return rows[0].sum() + q


def items_of_a_tuple_that_a_loop_leaves(p, q):
    pair = (np.zeros(2), np.ones(2))
    for r in R:
        pair = (pair[1] * p, pair[0] + r)
    row = pair[0] if p * q < 1 else np.ones(2)
    row[0] = p
    return pair[0].sum() + q


def pair_of_one(p, q):
    x, y = np.zeros(2), np.ones(2)
    u, v = (x, x) if p < q else (y, y)
    u[0] = p
    return v.sum() + q


def perhaps_none(p, q):
    u = v = None
    if p < q:
        u = v = np.zeros(2)
    if u is not None:
        u[0] = p
    lp = q
    if v is not None:
        lp += v.sum()
    return lp


def best_so_far(p, q):
    lp = q
    best = cur = np.zeros(2)
    for r, a in zip(R, A, strict=True):
        if p * r < lp:
            best = cur = np.array([lp, r])
        best[a] += p
        lp = np.tanh(lp + cur.sum())
    return lp


def keys_that_data_decide(p, q):
    lp, d = q, {k: np.zeros(2) for k in (0, 1)}
    for r, a in zip(R, A, strict=True):
        row = d[a] if p * lp < q else d[1 - a]
        row[0] = np.tanh(p * r)
        lp += d[0].sum()
    return lp


SHARED = [
    one_from_outside,
    one_made_there,
    in_a_list,
    new_item_of_a_dict,
    appended,
    attribute,
    attribute_and_item,
    added_in_place,
    row_of_a_list,
    row_of_a_matrix,
    rows_in_a_list,
    nested_choice,
    choice_of_a_choice,
    items_of_a_tuple_that_a_loop_leaves,
    pair_of_one,
    perhaps_none,
    best_so_far,
    keys_that_data_decide,
]


@pytest.mark.parametrize("program", SHARED, ids=lambda f: f.__name__)
def test_a_store_by_one_name_that_another_misses_is_refused(program) -> None:
    with pytest.raises(ProgramError, match=re.escape(EITHER)):
        agree(program, ARGS, {}, differences=False)


def exchanged(p, q):
    lp, u, v = q, np.zeros(2), np.ones(2)
    for r in R:
        if r < p * lp:
            u, v = v, u
        u[0] = p * lp
        lp = np.tanh(lp + v.sum())
    return lp


def exchanged_and_made_anew(p, q):
    lp, rows = q, [np.zeros(2), np.ones(2), np.full(2, 2.0)]
    for r in R:
        if r < p * lp:
            rows[0], rows[1] = rows[1], rows[0]
        rows[0] = rows[0] * 0.5 + p
        lp = np.tanh(lp + rows[1].sum())
    return lp


def copied_there(p, q):
    lp, z = q, np.zeros(2)
    for r, a in zip(R, A, strict=True):
        w = z.copy() if p * r < lp else z * 2
        w[a] = p
        lp = np.tanh(lp + w.sum() + z.sum())
    return lp


def never_stored_into(p, q):
    lp = q
    u = v = np.zeros(2)
    for r in R:
        if p * r < lp:
            u = v = np.array([lp, r])
        elif p < r:
            u = np.ones(2)
        u = u + lp
        lp = np.tanh(lp + u[0] * p + v[1])
    return lp


APART = [item_of_a_dict, exchanged, exchanged_and_made_anew, copied_there, never_stored_into]


@pytest.mark.parametrize("program", APART, ids=lambda f: f.__name__)
def test_what_is_never_one_object_is_not_refused(program) -> None:
    agree(program, ARGS, {}, differences=False)


# --- random programs ------------------------------------------------------------------------------

HEAD = """
import numpy as np

class Holder:
    def __init__(self, row):
        self.row = row
"""
REFUSALS = ("stored into by one", "several that have names", "depending on a branch")
PLACES = ("u", "v", "w", "rows[0]", "rows[1]", "d['a']", "d['b']", "h.row", "m[0]", "m[1]")


def statement(choose: random.Random, depth: int = 0) -> list[str]:
    """A random statement: names, stores and branches."""
    a, b, c = (choose.choice(PLACES) for _ in range(3))
    options = [
        [f"{a} = {b}"],
        [f"{a} = {b}"],
        [f"{a} = {c} = {b}"],
        [f"{a} = {b} = np.array([p, {choose.choice(['r', '0.3'])}])"],
        [f"{a} = {b}.copy()"],
        [f"{a}, {b} = {b}, {a}"],
        [f"{a} = {b} if {choose.choice(['p * lp < q', 'r < 0.5'])} else {c}"],
        [f"{a}[{choose.choice('01')}] = np.tanh(lp + r)"],
        [f"{a} += 0.1 * p"],
        [f"{a} = np.tanh({b} + p)"],
        [f"lp = np.tanh(lp + {a}[0] - {b}[1])"],
    ]
    if depth < 2 and choose.random() < 0.35:
        test = choose.choice(["p * lp < q", "r < 0.5 * p", "lp > 0.2", "r < 0.5"])
        sides = [[line for _ in range(choose.randrange(1, 4)) for line in statement(choose, depth + 1)] for _ in "01"]
        return [f"if {test}:", *indent(sides[0]), "else:", *indent(sides[1])]
    return choose.choice(options)


def source(number: int) -> str:
    """The source text of a random program."""
    choose = random.Random(number)
    body = [line for _ in range(choose.randrange(2, 6)) for line in statement(choose)]
    body = ["for r in rs:", *indent(body)] if choose.random() < 0.5 else ["r = rs[0]", *body]
    begin = [
        "lp, m = q, np.full((2, 2), 0.4)",
        "u, v, w = np.array([0.1, 0.2]), np.array([p, 0.3]), np.zeros(2)",
        "rows, d, h = [np.ones(2), np.zeros(2)], {'a': np.full(2, 0.5), 'b': np.full(2, q)}, Holder(np.full(2, 0.7))",
    ]
    end = [f"return lp + {' + '.join(f'{n + 1}.0 * {place}.sum()' for n, place in enumerate(PLACES))}"]
    return f"{HEAD}\n\ndef program(p, q, *, rs):\n" + "\n".join(indent([*begin, *body, *end]))


def check(number: int) -> bool:
    """Whether a random program is taken; it is right then."""
    args, data = tuple(np.random.default_rng(number).normal(size=2)), {"rs": R[: 5 if number % 3 else 20]}
    return agree_or_refused(compiled(source(number), f"<names {number}>"), args, data, REFUSALS)


def test_random_programs_are_right_or_refused() -> None:
    taken = [check(number) for number in range(16)]
    assert sum(taken) >= 4


def item_of_a_dict_of_before(p, q):
    lp, d, m, x = q, {"b": np.full(2, 0.5)}, np.ones((2, 2)), np.zeros(2)
    for r in R:
        d["b"][0] = np.tanh(lp + r)
        d["b"] = m[1] if p * lp < q else x
        lp = np.tanh(lp + m[1][0] - x[0])
    return lp


def item_of_a_tuple_of_before(p, q):
    lp, both, m, x = q, (np.zeros(2), np.zeros(2)), np.ones((2, 2)), np.zeros(2)
    for r in R:
        both[0][0] = np.tanh(lp + r)
        both = (m[1] if p * lp < q else x, x)
        lp = np.tanh(lp + m[1][0] - x[0])
    return lp


@pytest.mark.parametrize(
    "program", [item_of_a_dict_of_before, item_of_a_tuple_of_before], ids=lambda f: f.__name__.replace("_", " ")
)
def test_a_store_that_the_next_iteration_makes_into_one_of_several_is_refused(program) -> None:
    with pytest.raises(ProgramError, match="stored into by one"):
        agree(program, ARGS, {}, differences=False)


def items_that_are_one_row(p, q):
    lp, d, m = q, {"a": np.zeros(2), "b": np.zeros(2)}, np.ones((2, 2))
    for r in R:
        d["b"][0] = np.tanh(lp + r)
        d["b"] = d["a"] = m[1]
        lp = np.tanh(lp + d["a"][0])
    return lp + p * d["a"][1]


def test_items_that_are_one_row_are_one() -> None:
    agree(items_that_are_one_row, ARGS, {}, differences=False)


@pytest.mark.slow
def test_new_programs(seed: int) -> None:
    """24 programs, others in every session."""
    taken = [check(1000 * seed + number) for number in range(24)]
    assert sum(taken) >= 4
