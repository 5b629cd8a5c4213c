"""The terms of a program: alone they add up to the whole, and each is the line that adds it."""

import inspect
import math

import jax
import numpy as np
import pytest
from jax.extend.core import jaxpr_as_fun

from gradmc import Data, Positive, Real, model, observe
from gradmc.density import density
from gradmc.lpdf import half_normal, normal
from gradmc.program.middle import lower
from gradmc.program.middle.terms import terms
from tests.models.shipped import NAMES, shipped

Y = {"y": np.array([1.2, -0.4, 0.7, 2.1])}


def helper(a, b):
    both = normal(a, 0.0, 1.0)  # term
    return both + normal(b, 0.0, 2.0)  # term


@model
def nested(mu: Real, theta: Real[3], *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)  # term
    for i in range(len(y)):
        for k in range(20):
            lp += 0.1 * normal(theta[k % 3], mu, 1.0)  # term
        lp -= (y[i] - theta[i % 3]) ** 2  # term
    return lp


@model
def branching(mu: Real, s: Positive, *, y: Data["n"]):
    lp = helper(mu, s)
    if mu > 0.3:
        lp += half_normal(s, 1.0)  # term
    else:
        lp = lp - s  # term
    for i in range(len(y)):
        if y[i] > 0:
            lp += observe("y", normal(y[i], mu, s))  # term
    return lp + np.where(mu > 0.0, mu, 0.0)  # term


@model
def searching(rate: Positive, *, y: Data["n"]):
    lp, mass = 0.0, 0.0
    while mass < 3.0:
        mass = mass + rate + 0.1
        lp -= mass**2  # term
    for i in range(len(y)):
        lp += math.log(rate) * y[i]  # term
    return lp


@model
def doubling(mu: Real):
    lp = normal(mu, 0.0, 1.0)  # term
    for _ in range(2):
        lp = lp + lp
    for k in range(3):
        lp += mu * k  # term
    return lp


@model
def with_numbers(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0) - 3.0  # term
    for i in range(len(y)):
        lp += 0.25  # term
        if mu > y[i]:
            lp -= 0.5  # term
    return lp + 7.0  # term


@model
def not_a_sum(mu: Real):
    return math.exp(normal(mu, 0.0, 1.0))  # term


PROGRAMS = [nested, branching, searching, doubling, with_numbers, not_a_sum]


def total(d, jaxpr, operands):
    with d.scope():
        return float(jaxpr_as_fun(jaxpr)(*operands)[0])


def whole(d, operands):
    with d.scope():
        return float(jaxpr_as_fun(lower(d.equations))(*operands)[0])


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_every_line_that_adds_is_a_term(program):
    d = density(program, Y if program.data else None)
    lines = source_lines(program.fn) | (source_lines(helper) if program is branching else {})
    marked = sorted(n for n, line in lines.items() if line.endswith("# term"))
    assert [term.location.line for term in terms(d.equations)] == marked


def source_lines(function):
    lines, first = inspect.getsourcelines(function)
    return {first + k: line.rstrip() for k, line in enumerate(lines)}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_the_terms_add_up(program):
    d = density(program, Y if program.data else None)
    for x in (np.linspace(-1, 1, d.dim), np.linspace(0.5, 1.5, d.dim)):
        operands = d.operands_at(x)
        parts = [total(d, summand.equations, operands) for summand in d.summands()]
        assert sum(parts) == pytest.approx(whole(d, operands), rel=1e-12)
        assert all(parts) or program in (branching, with_numbers)  # of a branch one side adds


ONE_LINE = {"constants_from_tests"}  # adds all its terms in one line


@pytest.mark.parametrize("name", NAMES)
def test_the_terms_of_shipped_models_add_up(name):
    made = shipped(name)
    d = made.density
    operands = d.operands_at(made.positions(1, seed=3)[0])
    found = list(d.summands())
    assert len(found) >= (1 if name in ONE_LINE else 2)
    assert sum(total(d, s.equations, operands) for s in found) == pytest.approx(whole(d, operands), rel=1e-12)


def test_how_often_a_line_runs():
    d = density(nested, Y)
    assert [term.times for term in terms(d.equations)] == [1, 80, 4]


def test_a_sum_of_thousands_of_terms_is_followed():
    def long(x):
        total = x * 0.0
        for k in range(3000):
            total = total + x * k
        return total

    found = terms(jax.make_jaxpr(long)(1.0))
    assert [len(term.slots) for term in found] == [1, 3000]
