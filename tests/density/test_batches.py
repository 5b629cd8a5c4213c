"""Batches of rows: unbiased estimates of the density, and what is refused."""

import itertools

import jax
import numpy as np
import pytest

import gradmc as gm
from gradmc import Data, Real
from gradmc.density.batches import Batches
from gradmc.density.shards import Shards
from gradmc.errors import ProgramError, StartError, UsageError
from gradmc.lpdf import normal
from tests.density.rows import POINT, data, line

N, SIZE = 7, 3
DATA = data(N)


@pytest.fixture(scope="module")
def density():
    return gm.density(line, DATA)


@pytest.mark.parametrize("jacobian", [False, True])
def test_the_mean_over_all_batches_is_the_density_and_its_gradient(density, jacobian):
    """Exactly, since there are only 35 batches; a uniformly drawn batch is therefore unbiased."""
    batches = Batches.of(density, "n", SIZE)
    x = POINT
    assert batches.observed(x, np.random.default_rng(0)) == ("y",), "but not z"
    estimate = batches.estimate(("y",), N)
    with density.scope():
        both = jax.jit(jax.value_and_grad(lambda x, rows: estimate(x, rows, batches.arrays(), jacobian=jacobian)))
        found = [both(x, np.array(rows)) for rows in itertools.combinations(range(N), SIZE)]
        if jacobian:
            value, gradient = density.value_and_grad(x)
        else:
            value, gradient = jax.value_and_grad(lambda x: density.log_density(density.constrain(x)))(
                jax.numpy.array(x)
            )
    np.testing.assert_allclose(np.mean([v for v, _ in found]), value, rtol=1e-12)
    np.testing.assert_allclose(np.mean([g for _, g in found], axis=0), gradient, rtol=1e-10, atol=1e-12)
    assert np.std([v for v, _ in found]) > 0.1, "batches differ"


@gm.model
def unmarked(mu: Real, *, y: Data["n"]):
    return normal(mu, 0.0, 1.0) + normal(y, mu, 1.0)


@gm.model
def half_marked(mu: Real, *, y: Data["n"]):
    lp = normal(mu, np.mean(y), 1.0)
    for i in range(len(y)):
        lp += gm.observe("y", normal(y[i], mu, 1.0))
    return lp


@gm.model
def series(mu: Real, *, y: Data["n"]):
    lp, before = normal(mu, 0.0, 1.0), 0.0
    for i in range(len(y)):
        lp += gm.observe("y", normal(y[i], mu * before, 1.0))
        before = y[i]
    return lp


@gm.model
def local(theta: Real["n"], *, y: Data["n"]):
    return gm.observe("y", normal(y, theta, 1.0, pointwise=True)).sum() + normal(theta, 0.0, 1.0)


@gm.model
def shaped(mu: Real, *, y: Data["n"], label: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    for i in range(len(y)):
        for _ in range(label[i]):
            lp += gm.observe("y", normal(y[i], mu, 1.0))
    return lp


Y = {"y": [0.1, -1.0, 2.0, 0.4]}


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        (unmarked, Y, "the model marks none"),
        (half_marked, Y, "not marked by gm.observe depends on the rows"),
        (series, Y, "not a sum over 'n'"),
        (local, Y, "'theta' has entries along 'n'"),
    ],
)
def test_what_is_no_sum_over_rows_is_refused(model, given, message):
    density = gm.density(model, given)
    with pytest.raises(UsageError, match=f"^batch: .*{message}"):
        Batches.of(density, "n", 2).observed(np.full(density.dim, 0.3), np.random.default_rng(0))
    with pytest.raises(UsageError, match=f"^shard: .*{message}"):
        Shards.of(density, "n", 2)


def test_data_that_decide_lengths_are_refused():
    density = gm.density(shaped, {**Y, "label": [1, 2, 1, 1]})
    with pytest.raises(ProgramError, match="the number of iterations is not known while compiling"):
        Batches.of(density, "n", 2).marked()
    with pytest.raises(ProgramError, match="the number of iterations is not known while compiling"):
        Shards.of(density, "n", 2)


def test_shards_need_rows_and_devices(density):
    with pytest.raises(UsageError, match="shard: 'n' has 7 rows for 8 devices"):
        Shards.of(density, "n", 8)
    with pytest.raises(UsageError, match="shard: there is one device"):
        Shards.of(density, "n", 1)


@gm.model
def half_finite(mu: Real, *, y: Data["n"]):
    lp, before = normal(mu, 0.0, 1.0), 0.0
    for i in range(len(y)):
        lp += gm.observe("y", np.log(y[i]) + mu * before)
        before = y[i]
    return lp


def test_what_cannot_be_seen_is_not_taken_for_a_sum():
    """A series whose terms are -inf in most rows, where any comparison would come out even."""
    density = gm.density(half_finite, {"y": [1.0, 2.0, *[0.0] * 30]})
    with pytest.raises(UsageError, match=r"^batch: the terms of some rows of 'n' are not finite where it is looked"):
        Batches.of(density, "n", 4).observed(np.full(1, 0.3), np.random.default_rng(0))


@gm.model
def nowhere(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    for i in range(len(y)):
        lp += gm.observe("y", np.log(-(mu**2) - y[i] ** 2))
    return lp


def test_a_density_that_is_finite_nowhere_cannot_be_looked_at():
    with pytest.raises(StartError, match="none of 100 points has a finite log density"):
        Shards.of(gm.density(nowhere, Y), "n", 2)


@pytest.mark.parametrize(
    ("dimension", "size", "message"),
    [("m", 2, "'m' is no dimension of the model; it has 'n', 'other'"), ("n", 8, "which has 7; give 1 to 7")],
)
def test_wrong_batches(density, dimension, size, message):
    with pytest.raises(UsageError, match=message):
        Batches.of(density, dimension, size)
