"""A loop that parameters end has a bound to its iterations; beyond it the point is invalid, and the loop is named."""

import inspect
import math
import warnings

import jax
import numpy as np
import pytest

import gradmc as gm
from gradmc import Data, Real
from gradmc.errors import StartError, UsageError
from gradmc.lpdf import normal


@gm.model
def halving(k: Real):
    x, n = 1.0, 0
    while x > 1e-3:
        x = x * math.exp(-k)
        n += 1
    return normal(k, 0.0, 1.0) + 0.001 * n


@gm.model
def counting(k: Real):
    """What depends on the loop is a whole number alone."""
    n = 0
    while n * k < 10.0:
        n += 1
    return normal(k, 0.0, 1.0) - n


@gm.model
def ranged(k: Real):
    total = 0.0
    for i in range(int(20.0 / abs(k))):
        total += 1.0 / (1.0 + i)
    return normal(k, 0.0, 1.0) + 0.001 * total


@gm.model
def rows(k: Real, *, y: Data["n"]):
    """A loop for each row, all of which run as one."""
    lp = normal(k, 0.0, 1.0)
    for i in range(len(y)):
        x = 1.0
        while x > 1e-3:
            x = x * math.exp(-k * y[i])
        lp += normal(y[i], x, 1.0)
    return lp


@gm.model
def chosen(k: Real):
    lp = normal(k, 0.0, 1.0)
    if k < 0.5:
        x = 1.0
        while x > 1e-3:
            x = x * math.exp(-k)
        lp += x
    return lp


@gm.model
def nested(k: Real):
    lp, s = normal(k, 0.0, 1.0), 3.0
    while s > 1.0:
        x = 1.0
        while x > 1e-3:
            x = x * math.exp(-k)
        s = s * 0.5 + 0.01 * x
    return lp + s


CASES = [(halving, {}), (counting, {}), (ranged, {}), (rows, {"y": [2.0, 1.0, 3.0]}), (chosen, {}), (nested, {})]


@pytest.mark.parametrize(("model", "data"), CASES, ids=[model.name for model, _ in CASES])
def test_beyond_its_bound_a_loop_is_invalid(model, data):
    density = gm.density(model, data, max_loop_iterations=60)
    inside, outside = np.array([0.45]), np.array([0.01])
    assert np.isfinite(density(inside))
    value, gradient = density.value_and_grad(inside)
    assert density(inside) == value == pytest.approx(gm.density(model, data)(inside), rel=1e-14)
    assert np.all(np.isfinite(gradient))
    assert np.isnan(density(outside))
    line = next(
        k for k, text in enumerate(lines(model)) if "while x" in text or "while n" in text or "in range(int" in text
    )
    told = density.describe_failure(outside)
    assert "a loop that takes more than 60 iterations (max_loop_iterations)" in told
    assert f"{__file__}:{model.fn.__code__.co_firstlineno + line}" in told


def lines(model):
    return inspect.getsource(model.fn).splitlines()


@pytest.mark.parametrize("below", [0, 1])
def test_a_loop_may_take_as_many_iterations_as_the_bound_says(below):
    needed = math.ceil(math.log(1e3) / 0.4)
    density = gm.density(halving, {}, max_loop_iterations=needed - below)
    assert np.isnan(density(np.array([0.4]))) == bool(below)


def test_in_a_batch_each_has_its_own():
    density = gm.density(halving, {}, max_loop_iterations=60)
    with density.scope():
        found = jax.vmap(lambda x: density.logdensity(x, density.arguments))(np.array([[0.4], [0.01], [3.0]]))
    assert np.isnan(found).tolist() == [False, True, False]


def test_loops_that_end_by_themselves_have_no_bound():
    @gm.model
    def long(k: Real, *, y: Data["n"]):
        total, i, n = 0.0, 0, 0
        for j in range(len(y)):
            if y[j] > 1e6 + k:
                break
            total += y[j]
        while i < 500:
            i += 1
            n += i % 3
        return normal(k, 0.0, 1.0) + 1e-6 * total + n

    y = np.linspace(0.0, 1.0, 300)
    assert gm.density(long, {"y": y}, max_loop_iterations=10)(np.array([0.3])) == pytest.approx(
        normal(0.3, 0.0, 1.0) + 1e-6 * y.sum() + sum(i % 3 for i in range(501))
    )


def test_it_is_counted_and_said():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        draws = gm.sample(halving, seed=1, chains=1, warmup=100, draws=200, max_loop_iterations=60, progress="none")
    assert draws["posterior"]["k"].values.min() > math.log(1e3) / 61
    assert "a loop that takes more than 60 iterations" in draws.attrs["not_finite"]
    assert any("where the density or its gradient is not finite" in str(w.message) for w in caught)


def test_where_it_never_ends_no_chain_starts():
    @gm.model
    def never(k: Real):
        x = 1.0
        while x > 1e-3:
            x = x + math.exp(-k)
        return normal(k, x, 1.0)

    with pytest.raises(StartError, match=r"a loop that takes more than 1,000 iterations"):
        gm.sample(never, seed=1, chains=1, max_loop_iterations=1000, progress="none")


@pytest.mark.parametrize("wrong", [0, 2**31, 1.5])
def test_the_bound_has_a_range(wrong):
    with pytest.raises(UsageError, match="max_loop_iterations"):
        gm.density(halving, {}, max_loop_iterations=wrong)
