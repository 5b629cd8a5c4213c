"""State machines whose states are texts or members of enumerations: which one it is may depend on parameters."""

import enum

import numpy as np
import pytest

from tests.frontend.laws import agree

X = np.linspace(-1.0, 1.0, 14).round(3)
K = [3, 1, 2, 0, 1, 3, 2, 2, 0, 1, 3, 1, 0, 2]
RATES = {"low": 0.5, "mid": 1.5, "high": 2.5}


class Phase(enum.Enum):
    GROWTH = 1
    DECAY = 2

    def rate(self, p):
        return p if self is Phase.GROWTH else -2.0 * p


def by_data(p, q, *, x):
    state, total = "idle", 0.0
    for v in x:
        if state == "idle":
            total += p
            if v > -0.5:
                state = "run"
        elif state == "run":
            total += q * v
            if v > 0.5:
                state = "stop"
        else:
            total -= p * v
    return total


def by_parameters(p, q, *, x):
    state, total = "low", 0.0
    for v in x:
        total += p if state == "low" else q * v
        state = "high" if v + 0.01 * total > p else "low"
    return total + (1.0 if state == "high" else 2.0)


def of_three(p, q, *, x):
    state, total = "low", 0.0
    for v in x:
        if state == "low" and v > -p:
            state = "mid"
        elif state == "mid" and v > p:
            state = "high"
        total = total * 0.9 + RATES[state] * v * q
    return total


def by_match(p, q, *, x):
    state, total = "up", 0.0
    for v in x:
        match state:
            case "up":
                total += p * v
                if total > 0.1 * q or v > 0.3:
                    state = "down"
            case "down":
                total -= q * v
                if total < -0.2:
                    state = "up"
    return total


def enumerations(p, q, *, x):
    phase, size = Phase.GROWTH, q
    for v in x:
        size += (p if phase is Phase.GROWTH else -2.0 * p) * 0.1 + 0.01 * v
        if size > q + 0.1:
            phase = Phase.DECAY
        elif size < q - 0.1:
            phase = Phase.GROWTH
    return size + (p if phase is Phase.DECAY else q)


def enumerations_by_data(p, q, *, x):
    total = 0.0
    for k, v in zip(K, x, strict=True):
        phase = Phase.GROWTH if k % 2 else Phase.DECAY
        total += phase.rate(p) * v + phase.value * q
    return total


def returned(p, q, *, x):
    def kind(v):
        if v < -p:
            return "low"
        return "mid" if v < p else "high"

    return sum(RATES[kind(v)] * v * q for v in x) + len(kind(q))


def in_a_while_loop(p, q, *, x):
    state, size, k = "far", q, 0
    while state != "near" and k < 40:
        size *= 0.8
        k += 1
        if size < p:
            state = "near"
    return size + 0.1 * k


def without_a_loop(p, q, *, x):
    name = "low" if p > q else "high"
    other = name if p > 0.0 else "mid"
    return RATES[other] * p + (q if name == "high" else 0.0)


def of_many_by_nested_branches(p, q, *, x):
    state, total = "low", 0.0
    rates = {"low": 1.0, "mid": p, "high": q, "down": p * q}
    for v in x:
        if v > 0.0:
            if v > p:
                state = "high"
            elif v > p / 2.0:
                state = "mid"
        elif -v > q / 3.0:
            state = "down"
        total += rates[state] * v
    return total


def exchanged(p, q, *, x):
    one, other, total = "a", "b", 0.0
    for v in x:
        if v > p:
            one, other = other, one
        total += p if one == "a" else q
        if one == other:
            total += 100.0
    return total


def in_a_tuple_and_in_lists(p, q, *, x):
    pair, kinds, kept = ("a", 0.0), ["a"] * 14, []
    for i, v in enumerate(x):
        pair = ("b", pair[1] + v) if v > p else ("a", pair[1] + q)
        if v > p:
            kinds[i] = "b"
            kept.append("b")
        else:
            kept.append("a")
    both = zip(kinds, kept, strict=True)
    return pair[1] + (1.0 if pair[0] == "b" else 0.0) + sum(p if k == m == "a" else q for k, m in both)


PROGRAMS = [
    *(by_data, by_parameters, of_three, by_match, enumerations, enumerations_by_data),
    *(returned, in_a_while_loop, without_a_loop, of_many_by_nested_branches, exchanged, in_a_tuple_and_in_lists),
]


@pytest.mark.parametrize("args", [(0.3, 1.5), (0.7, 0.6)])
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_compiled_is_plain(program, args):
    agree(program, args, {"x": X})
