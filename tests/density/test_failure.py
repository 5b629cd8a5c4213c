"""What is said when the log density or its gradient is not finite: the term, the line, the parameters."""

import inspect
import math
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from gradmc.density import density
from gradmc.density.prior import prior_density
from gradmc.errors import StartError
from gradmc.lpdf import exponential, normal
from gradmc.program.data import Data
from gradmc.program.marks import observe
from gradmc.program.model import model
from gradmc.program.supports import Interval, Positive, Real
from gradmc.program.watching import watched
from gradmc.sample import sample

Y = {"y": [1.0, 0.0, 2.0]}


@model
def negative_scale(mu: Real, s: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 5.0)
    for j in range(len(y)):
        lp += observe("y", normal(y[j], mu, s))
    return lp


@model
def logarithm(mu: Real, *, y: Data["n"]):
    lp = 0.0
    for j in range(len(y)):
        distance = y[j] - mu
        lp += jnp.log(distance)
    return lp


@model
def root_at_zero(mu: Real, s: Positive, *, y: Data["n"]):
    root = jnp.sqrt(mu - mu)
    return normal(mu, 0.0, 5.0) + observe("y", normal(y, root, s, pointwise=True)).sum()


@model
def empty_interval(a: Real, b: Interval("a", lambda a: a - 1)):
    return normal(b, a, 1.0)


@model
def plain_error(mu: Real):
    if mu < 0:
        return math.sqrt(mu)
    return mu


@model
def uncovered(mu: Real):
    if mu > 0:
        return -mu
    elif mu > -1:  # noqa: RET505
        return 2 * mu
    return None


def line_of(program, text):
    lines, first = inspect.getsourcelines(program.fn)
    return first + next(i for i, line in enumerate(lines) if text in line)


def test_the_observed_term_the_line_and_the_values_are_named():
    said = density(negative_scale, Y).describe_failure([0.5, -1.0])
    assert "the log density is nan: observe('y')[0] is nan" in said
    assert f"test_failure.py:{line_of(negative_scale, 'observe')}" in said
    assert 'lp += observe("y", normal(y[j], mu, s))' in said
    assert "lp becomes nan with j = 0" in said
    assert "mu = 0.5" in said
    assert "s = -1." in said


def test_a_line_without_marks_is_named():
    said = density(logarithm, Y).describe_failure([0.5])
    assert f"test_failure.py:{line_of(logarithm, 'jnp.log')}" in said
    assert "with j = 1" in said


def test_a_line_is_named_beside_a_string_in_the_first_column():
    @model
    def quoting(mu: Real, *, y: Data["n"]):
        text = """
in the first column
"""
        lp = 0.0 * len(text)
        for j in range(len(y)):
            distance = y[j] - mu
            lp += jnp.log(distance)
        return lp

    told = density(quoting, Y).describe_failure(np.array([0.5]))
    assert "first at" in told
    assert f":{line_of(quoting, 'lp += jnp.log(distance)')}" in told


def test_terms_whose_gradient_is_not_finite_are_named():
    said = density(root_at_zero, Y).describe_failure([-0.5, 0.0])
    assert "its gradient with respect to mu is not finite" in said
    assert "The gradient is not finite in y[0], y[1], y[2]" in said
    assert "where a branch that is not taken" in said.replace("\n", " ")


def test_an_empty_support_is_named():
    said = density(empty_interval).describe_failure([0.0, 0.0])
    assert "the support of b is empty: Interval('a', lambda) is (0.0, -1.0)" in said


def test_a_parameter_that_overflows_is_named():
    said = density(root_at_zero, Y).describe_failure([1.0, 800.0])
    assert "the parameter s = inf is not finite" in said


def test_an_exception_in_plain_python_is_shown_with_its_line():
    said = density(plain_error).describe_failure([-1.0])
    assert f"test_failure.py:{line_of(plain_error, 'math.sqrt')}" in said
    assert "ValueError" in said


def test_a_path_that_returns_nothing_is_told():
    said = density(uncovered).describe_failure([-3.0])
    assert "the log density is nan: the program, run as ordinary Python, returned None" in said
    assert "mu = -3" in said


def test_a_good_point_is_called_good():
    assert "its gradient is finite" in density(negative_scale, Y).describe_failure([0.5, 1.0])


def test_watching_changes_nothing():
    scale = 2.0

    def program(x, /, y=3.0, *, table, flag=True):
        total = 0.0
        for i, value in enumerate(table):
            total += scale * value if flag else i
            table[i] = total
        best = -math.inf
        while total > 100:
            total -= 1
        return max(best, total) + x + y

    seen = []
    copy = watched(program, lambda line, target, value, loops: seen.append((target, loops)) or value)
    assert copy(1.0, table=[1.0, 2.0]) == program(1.0, table=[1.0, 2.0])
    assert ("total", {"i": 1, "value": 2.0}) in seen
    assert "best" not in [target for target, _ in seen]
    assert seen[-1][0] == "return"


def test_sources_that_cannot_be_had():
    scope = {}
    exec("def program(x): return x", scope)
    assert watched(scope["program"], lambda *_: None) is None


@pytest.mark.parametrize("x", [[0.5, -1.0], [0.5, np.nan]])
def test_descriptions_do_not_fail_themselves(x):
    assert density(negative_scale, Y).describe_failure(x)


@model
def root_at_zero_without_marks(mu: Real, *, y: Data["n"]):
    return normal(mu, 0.0, 1.0) + jnp.sqrt(mu - mu)


def test_a_bad_gradient_without_marks_names_the_parameter():
    said = density(root_at_zero_without_marks, Y).describe_failure(np.array([0.5]))
    assert "gradient with respect to mu is not finite" in said


def logarithm_of_the_excess(a, b):
    return math.log(a - b)


@model
def calls_a_helper(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    for j in range(len(y)):
        lp += observe("y", normal(y[j], logarithm_of_the_excess(mu, 10.0), 1.0))
    return lp


@model
def beyond_the_support(rate: Real, *, y: Data["n"]):
    lp = normal(rate, 0.0, 1.0)
    for j in range(len(y)):
        lp += exponential(y[j] - 1.5, 1.0 + rate**2)
    return lp


@model
def flat_quotient(mu: Real, nu: Real):
    distance = mu - nu
    return normal(mu, 0.0, 1.0) + normal(nu, 0.0, 1.0) - (distance / distance) ** 2


@model
def powers(mu: Real, a: Positive):
    base = abs(mu)
    lp = normal(mu, 0.0, 1.0) + normal(a, 1.0, 1.0)
    return lp - base ** (0.1 * a)


@pytest.mark.parametrize(
    ("program", "x", "what", "text"),
    [
        (root_at_zero, [-0.5, 0.0], "the derivative of sqrt of 0", "jnp.sqrt(mu - mu)"),
        (powers, [0.0, 0.1], "the derivative of the power 0 ** 0.1105", "base ** (0.1 * a)"),
        (calls_a_helper, [0.5], "log of -9.5", "return math.log(a - b)"),
        (beyond_the_support, [0.5], "exponential of a value outside its support", "lp += exponential"),
        (flat_quotient, [0.5, 0.5], "the division 0 / 0", "(distance / distance)"),
    ],
    ids=lambda v: getattr(v, "name", None),
)
def test_the_first_operation_is_named_with_its_line(program, x, what, text):
    d = density(program, Y if program.data else None)
    said = d.describe_failure(x)
    file = inspect.getsourcefile(program.fn)
    lines = Path(file).read_text().splitlines()
    line = next(n for n, source in enumerate(lines, 1) if text in source)
    assert f"The first operation that is not finite is {what} at {file}:{line}, in " in said
    assert lines[line - 1].strip() in said
    assert f"mu = {x[0]:g}" in said or f"rate = {x[0]:g}" in said


@pytest.mark.parametrize(("program", "what"), [(powers, "the derivative of the power 0"), (calls_a_helper, "log of -")])
def test_a_start_that_fails_names_the_operation(program, what):
    d = density(program, Y if program.data else None)
    start = {name: 0.0 if name == "mu" else 1.0 for name in (p.name for p in program.parameters)}
    with pytest.raises(StartError, match="no valid start for chain 0") as caught:
        sample(d, chains=1, warmup=10, draws=10, seed=1, initial=start, progress="none")
    said = str(caught.value)
    assert f"The first operation that is not finite is {what}" in said
    assert f"{__file__}:" in said
    assert "mu = 0" in said


@model
def prior_without_a_gradient(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0) - math.sqrt(mu - mu)
    return lp + observe("y", math.log(mu - 10.0))


def test_the_prior_alone_is_described_without_its_observed_terms():
    said = prior_density(prior_without_a_gradient, Y).describe_failure([0.5])
    assert "the log density is -1.04394" in said
    assert "is the derivative of sqrt of 0 at" in said
    assert "lp = normal(mu, 0.0, 1.0) - math.sqrt(mu - mu)" in said
