"""What `enumerate`, `zip`, `map`, `reversed` and generator expressions give can be run through once."""

import collections
import functools
import itertools
import math
import operator
import statistics

import numpy as np
import pytest

from gradmc.errors import ProgramError
from tests.frontend.laws import agree

X = np.random.default_rng(20260101).normal(size=12)


def squared(v):
    return v * v


def a_second_loop(mu, *, x):
    pairs, lp = zip(x, x[::-1], strict=True), 0.0
    for a, b in pairs:
        lp -= (a - mu * b) ** 2
    for _ in pairs:
        lp -= 100.0 * mu
    return lp


def sums_of_a_generator(mu, *, x):
    terms = (mu * v for v in x)
    one, other = sum(terms), sum(terms)
    squares = map(squared, x - mu)
    first, second = list(squares), list(squares)
    return -((one - 1) ** 2) - other - len(second) - first[0]


def inside_of_another_loop(mu, *, x):
    places, lp = enumerate(x), 0.0
    for k in range(6):
        for j, v in places:
            lp -= (v - mu * k) ** 2 * j
    return lp


def on_one_side_of_a_branch(mu, *, x):
    places, lp = enumerate(x), -mu * mu
    if mu > 0:
        for k, v in places:
            lp -= (v - mu * k) ** 2
    return lp


def made_of_one_another(mu, *, x):
    lp = 0.0
    for k, (a, b) in enumerate(zip(x, reversed(x), strict=True)):
        lp -= (a - mu * b) ** 2 + k * mu
    first, second, *rest = map(squared, x * mu)
    names = dict(zip("abc", (mu, first, second), strict=True))
    return lp - first * second - sum(rest) - names["c"]


def items_of_a_dict_last(mu, *, x):
    table, lp = {k: mu * v for k, v in enumerate(x)}, 0.0
    items, values = table.items(), table.values()
    for _, v in items:
        lp -= v**2
    for k, v in items:
        lp -= k * v**2
    return lp - sum(values) - 2 * sum(values) + max(values)


PROGRAMS = [
    a_second_loop,
    sums_of_a_generator,
    inside_of_another_loop,
    on_one_side_of_a_branch,
    made_of_one_another,
    items_of_a_dict_last,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_compiled_is_plain(program) -> None:
    agree(program, (0.3,), {"x": X})


EXHAUSTING = {
    "math.fsum": math.fsum,
    "math.prod": math.prod,
    "statistics.fmean": statistics.fmean,
    "functools.reduce": lambda terms: functools.reduce(operator.add, terms),
    "deque": lambda terms: collections.deque(terms)[0],
    "np.fromiter": lambda terms: np.sum(np.fromiter(terms, float)),
    "list.extend": lambda terms: extended([], terms)[1],
}


def extended(items, more):
    items.extend(more)
    return items


@pytest.mark.parametrize("name", EXHAUSTING)
def test_nothing_is_left_after_a_function_that_runs_to_the_end(name) -> None:
    def program(mu, *, x):
        terms = (mu * v + 0.1 for v in x)
        first = EXHAUSTING[name](terms)
        return first + mu * len(list(terms))

    agree(program, (0.3,), {"x": X})


LEAVING = {
    "islice": lambda terms: sum(itertools.islice(terms, 3)),
    "takewhile": lambda terms: sum(v for k, v in itertools.takewhile(lambda pair: pair[0] < 3, enumerate(terms))),
    "zip": lambda terms: sum(a * b for a, b in zip(terms, [1.0, 2.0], strict=False)),
    "any": lambda terms: float(any(v > 0.5 for v in terms)),
    "chain": lambda terms: next(itertools.chain(terms)),
    "both": lambda terms: sum(itertools.chain(terms, terms)),
    "a loop over enumerate": lambda terms: left_early(terms),
}


def left_early(terms):
    last = 0.0
    for k, v in enumerate(terms):
        if k == 3:
            break
        last = v
    return last


@pytest.mark.parametrize("name", LEAVING)
def test_what_is_left_by_functions_is_not_guessed(name) -> None:
    def program(mu, *, x):
        terms = (mu * v + 0.1 for v in x)
        first = LEAVING[name](terms)
        return first + sum(terms)

    with pytest.raises(ProgramError, match=r"an iterator is .*\n.*Make a list of it"):
        agree(program, (0.3,), {"x": X})


def after_a_break(mu, *, x):
    places, lp = enumerate(x), 0.0
    for k, v in places:
        if k == 3:
            break
        lp -= (v - mu) ** 2
    for k, v in places:
        lp -= k * mu * v
    return lp


def after_a_test(mu, *, x):
    signs = (v > mu for v in x)
    return mu * any(signs) + mu * sum(signs)


def with_itself(mu, *, x):
    terms = map(squared, x * mu)
    return sum(a * b for a, b in zip(terms, terms, strict=False))


@pytest.mark.parametrize("program", [after_a_break, after_a_test, with_itself], ids=lambda f: f.__name__)
def test_what_is_left_must_be_known(program) -> None:
    with pytest.raises(ProgramError, match=r"an iterator is .*\n.*Make a list of it"):
        agree(program, (0.3,), {"x": X})


def a_list_instead(mu, *, x):
    places, lp = list(enumerate(x)), 0.0
    for k, v in places:
        if k == 3:
            break
        lp -= (v - mu) ** 2
    for k, v in places[4:]:
        lp -= k * mu * v
    return lp


def test_the_remedy_works() -> None:
    agree(a_list_instead, (0.3,), {"x": X})
