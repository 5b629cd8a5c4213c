"""Dicts whose items are arrays or lists, stored into by keys that data decide: values of states and actions."""

import math
import random
import warnings
from collections import defaultdict

import numpy as np
import pytest

from gradmc.program.compiler import UnrolledLoopWarning
from tests.frontend.grammar import compiled
from tests.frontend.grammar_of_dicts import indent
from tests.frontend.laws import agree, agree_or_refused

RNG = np.random.default_rng(20260101)
N = 40
STATES = [str(s) for s in RNG.choice(["u", "v", "w"], N)]
ACTIONS = [int(a) for a in RNG.integers(0, 2, N)]
REWARDS = [float(r) for r in RNG.random(N).round(2)]
DATA = {"s": STATES, "a": ACTIONS, "r": REWARDS}
ARGS = (0.3, 1.5)


def items_made_before(rate, slope, *, s, a, r):
    values, lp = {k: np.zeros(2) for k in ("u", "v", "w")}, 0.0
    for state, action, reward in zip(s, a, r, strict=True):
        p = np.exp(slope * values[state])
        lp += np.log(p[action] / p.sum())
        values[state][action] += rate * (reward - values[state][action])
    return lp - values["u"].sum() + sum(q[0] for q in values.values())


def items_made_when_first_seen(rate, slope, *, s, a, r):
    values, lp = {}, 0.0
    for state, action, reward in zip(s, a, r, strict=True):
        if state not in values:
            values[state] = np.array([0.5, slope])
        lp += slope * values[state][action] - math.log(np.exp(slope * values[state]).sum())
        values[state][action] += rate * (reward - values[state][action])
    return lp + sum((k + 1) * q[0] for k, q in enumerate(values.values()))


def items_by_default(rate, slope, *, s, a, r):
    values, lp = defaultdict(lambda: np.zeros(2)), 0.0
    for state, action, reward in zip(s, a, r, strict=True):
        q = values[state]
        lp += slope * q[action] - np.log(np.exp(slope * q).sum())
        q[action] += rate * (reward - q[action])
    return lp + len(values) - sum(values[k][1] for k in values)


def set_by_default(rate, slope, *, s, a, r):
    values, lp = {"u": np.ones(2)}, 0.0
    for state, action, reward in zip(s, a, r, strict=True):
        q = values.setdefault(state, np.array([rate, slope]))
        lp += slope * q[action]
        values[state] = q + rate * (reward - q) * np.array([action, 1 - action])
    return lp - sum(v.sum() for _, v in sorted(values.items()))


def lists_of_numbers(rate, slope, *, s, a, r):
    values, lp = {k: [0.0, 0.5] for k in ("u", "v", "w")}, 0.0
    for state, action, reward in zip(s, a, r, strict=True):
        lp += slope * values[state][action] - math.log(sum(math.exp(slope * v) for v in values[state]))
        values[state][action] = values[state][action] + rate * (reward - values[state][action])
    return lp - values["u"][1]


def stored_on_one_side(rate, slope, *, s, a, r):
    values, lp = {k: np.zeros(2) for k in ("u", "v", "w")}, 0.0
    for state, action, reward in zip(s, a, r, strict=True):
        surprise = reward - values[state][action]
        if surprise > 0:
            values[state][action] += rate * surprise
        else:
            values[state] = values[state] * slope
            values[state][1 - action] += rate * surprise
        lp -= surprise**2
    return lp - values["u"][1]


def pairs_as_keys(rate, slope, *, s, a, r):
    values, lp = {}, 0.0
    for t in range(len(s)):
        key = (s[t], a[t])
        if key not in values:
            values[key] = np.zeros(3)
        values[key][t % 3] += rate * (r[t] - 0.1 * values[key].sum())
        lp -= slope * values[key][0] ** 2
    return lp


def items_with_names(rate, slope, *, s, a, r):
    first = np.zeros(2)
    first[0] = rate
    values, lp = {"u": first, "v": np.zeros(2), "w": np.zeros(2)}, 0.0
    second = values["v"]
    for state, action, reward in zip(s, a, r, strict=True):
        values[state][action] += rate * reward
        lp -= first[0] ** 2
    first[1], second[0] = slope, rate
    return lp - values["u"][0] * slope - values["u"][1] - second.sum() - values["v"][0]


def a_copy_keeps_its_keys(rate, slope, *, s, a, r):
    values = {k: np.zeros(2) for k in ("u", "v", "w")}
    for state, action, reward in zip(s, a, r, strict=True):
        values[state][action] += rate * reward
    other = values.copy()
    other["u"] = np.ones(2) * slope
    other["v"][0] = slope
    return -(values["u"] ** 2).sum() - values["v"].sum() - 2 * other["v"].sum() + other["u"][0]


def made_before_both_loops(rate, slope, *, s, a, r):
    lp, values = 0.0, {}
    for k in range(6):
        for state, action, reward in zip(s, a, r, strict=True):
            if state not in values:
                values[state] = np.zeros(2)
            values[state][action] += rate * reward * (k - slope)
            lp -= 0.01 * values[state].sum() ** 2
    return lp - values["v"][0]


def made_before_a_branch(rate, slope, *, s, a, r):
    lp, values = 0.0, {"u": np.zeros(2)}
    if rate > 0.2:
        for state, action, reward in zip(s, a, r, strict=True):
            if state not in values:
                values[state] = np.zeros(2)
            values[state][action] += rate * reward * slope
            lp -= 0.01 * values[state].sum() ** 2
    else:
        lp -= values["u"][0]
    return lp - values["u"][0]


def other_things_later(rate, slope, *, s, a, r):
    values, lp = {k: np.zeros(2) for k in ("u", "v", "w")}, 0.0
    for state, action, reward in zip(s, a, r, strict=True):
        values[state][action] += rate * reward
    values["z"] = np.ones(3) * slope
    values.pop("v")
    del values["w"]
    for q in values.values():
        lp -= q.sum()
    other = {**values, "k": rate}
    return lp - len(other) * rate - other["k"] - ("z" in values)


class Agent:
    def __init__(self, rate, actions):
        self.rate, self.actions = rate, actions
        self.values, self.visits = {}, defaultdict(int)

    def of(self, state):
        if state not in self.values:
            self.values[state] = np.zeros(self.actions)
        return self.values[state]

    def learn(self, state, action, reward):
        self.visits[state] += 1
        self.values[state][action] += self.rate / self.visits[state] * (reward - self.values[state][action])


def attributes_of_an_object(rate, slope, *, s, a, r):
    agent, lp = Agent(rate, 2), 0.0
    for state, action, reward in zip(s, a, r, strict=True):
        q = agent.of(state)
        lp += slope * q[action] - np.log(np.sum(np.exp(slope * q)))
        agent.learn(state, action, reward)
    return lp


def matrices_of_counts(rate, slope, *, s, a, r):
    counts, lp = {k: np.full((2, 2), rate) for k in "uvw"}, 0.0
    for t in range(1, len(s)):
        counts[s[t]][a[t - 1], a[t]] += slope * r[t]
        row = counts[s[t]][a[t]]
        lp += np.log(row[a[t]] / row.sum())
    return lp


PROGRAMS = [
    items_made_before,
    items_made_when_first_seen,
    items_by_default,
    set_by_default,
    lists_of_numbers,
    stored_on_one_side,
    pairs_as_keys,
    items_with_names,
    a_copy_keeps_its_keys,
    made_before_both_loops,
    made_before_a_branch,
    other_things_later,
    attributes_of_an_object,
    matrices_of_counts,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_is_traced_once(program) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnrolledLoopWarning)  # of 40 iterations
        agree(program, ARGS, DATA)


def one_array_under_two_keys(rate, slope, *, s, a, r):
    one = np.zeros(2)
    values = {"u": one, "v": one, "w": np.zeros(2)}
    for state, action, reward in zip(s, a, r, strict=True):
        values[state][action] += rate * reward
    return -slope * values["u"][0] - one.sum()


def rows_of_a_matrix(rate, slope, *, s, a, r):
    matrix = np.zeros((3, 2))
    values = {"u": matrix[0], "v": matrix[1], "w": matrix[2]}
    for state, action, reward in zip(s, a, r, strict=True):
        values[state][action] += rate * reward
    return -matrix.sum() * slope


@pytest.mark.parametrize("program", [one_array_under_two_keys, rows_of_a_matrix], ids=lambda f: f.__name__)
def test_items_that_are_shared_are_right(program) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnrolledLoopWarning)
        agree(program, ARGS, DATA)


# --- random programs ------------------------------------------------------------------------------

STARTS = ("{}", "{k: np.zeros(2) for k in 'uvw'}", "defaultdict(lambda: np.zeros(2))", "{'v': np.array([p, 0.3])}")
HEAD = """
import numpy as np
from collections import defaultdict

def squash(v):
    return 0.5 * np.tanh(v)
"""


REFUSALS = (
    "stored into by one",
    "several that have names",
    "the keys of a dict are asked for",
    "the two sides of a branch store different things",
)


def statement(choose: random.Random, depth: int = 0) -> list[str]:
    """A random statement of a loop over `i`; `d` has the item of key `k`."""
    key = choose.choice(["k", "k", "s[i - 1]", "'v'", "s[(i * 3 + 1) % n]"])
    place = choose.choice(["a[i]", "1 - a[i]", "0"])
    number = choose.choice(["p", "q", "r[i]", "lp", "p * r[i]", "row.sum()", "row[0]", "d[k][1]"])
    test = choose.choice(["p * lp < q", "r[i] > 0.5", "d[k][0] > 0.1 * p", "i % 3 == 1"])
    options = [
        [f"d[k][{place}] += squash({number})"],
        [f"d[k][{place}] = squash({number} + d[k][0])"],
        [f"d[k] = squash(d[k] + {number})"],
        [f"d[k] = np.array([0.2, {number}])", "row = d[k]"],
        [f"d[k] *= {choose.choice(['0.5', 'p', 'np.array([0.5, 0.9])'])}"],
        [f"row[{place}] = squash({number})"],
        ["row = d[k]"],
        ["row = d[k].copy()"],
        [f"if {key} in d:", f"    lp = squash(lp + d[{key}].sum())"],
        [f"if {key} in d:", f"    d[{key}][{place}] += squash({number})"],
        [f"if {key} in d:", f"    d[{key}] = squash(d[{key}] * {number})"],
        [f"lp = squash(lp + {number})"],
        [f"lp = squash(lp + d.get({key}, row)[0])"],
        [f"lp = squash(lp + d.setdefault({key}, np.array([p, 0.1])).sum())"],
    ]
    if depth < 1 and choose.random() < 0.25:
        sides = [[line for _ in range(2) for line in statement(choose, depth + 1)] for _ in range(2)]
        return [f"if {test}:", *indent(sides[0]), "else:", *indent(sides[1])]
    return choose.choice(options)


def source(number: int) -> str:
    """The source text of a random program."""
    choose = random.Random(number)
    body = ["k = s[i]", "if k not in d:", "    d[k] = np.array([p, 0.25])", "row = d[k]"]
    body += [line for _ in range(choose.randrange(1, 5)) for line in statement(choose)]
    loop = ["for i in range(n):", *indent(body)]
    end = ["for k in d:", "    lp = lp + (d[k] * np.array([1.0, 2.0])).sum()"]
    lines = ["lp, n = q, len(s)", f"d = {choose.choice(STARTS)}", *loop, *end, "return lp"]
    return f"{HEAD}\n\ndef program(p, q, *, s, a, r):\n" + "\n".join(indent(lines))


def check(number: int) -> bool:
    """Whether a random program is taken; it is right then."""
    args, short = (
        tuple(np.random.default_rng(number).normal(size=2)),
        {key: column[:11] for key, column in DATA.items()},
    )
    fn = compiled(source(number), f"<dict of arrays {number}>")
    return agree_or_refused(fn, args, short, REFUSALS, data_as_arguments=number % 2 == 1)


def test_random_programs_are_right_or_refused() -> None:
    taken = [check(number) for number in range(12)]
    assert sum(taken) >= 5


@pytest.mark.slow
def test_new_programs(seed: int) -> None:
    """20 programs, others in every session."""
    taken = [check(1000 * seed + number) for number in range(20)]
    assert sum(taken) >= 5
