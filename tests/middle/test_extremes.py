"""The derivative of the largest entry, where XLA computes the entries more than once and rounds them differently."""

import jax
import numpy as np
import pytest
from jax.scipy.special import logsumexp

from gradmc.program.middle import lower
from tests.frontend.laws import agree

X = np.random.default_rng(2).normal(size=12)


def best_paths(a, *, x):
    level, best = np.arange(3) * a, np.zeros(3)
    for t in range(len(x)):
        level = 0.9 * level + x[t]
        best = np.max(best[:, None] * 0.3 + (level - a) * (level[:, None] + a) * a + level, axis=1) - best * a
    return np.sum(best)


def worst_paths(a, *, x):
    level, worst = np.arange(3) * a, np.zeros(3)
    for t in range(len(x)):
        level = 0.9 * level + x[t]
        worst = np.min(worst[:, None] * 0.3 - (level - a) * (level[:, None] + a) * a - level, axis=1) - worst * a
    return np.sum(worst)


@pytest.mark.parametrize("paths", [best_paths, worst_paths])
@pytest.mark.parametrize("a", [0.4, 0.7, 1.1])
def test_the_largest_entry_is_found_again(paths, a):
    agree(paths, (a,), {"x": X})


@pytest.mark.parametrize("batched", [False, True])
def test_every_transformation(batched):
    with jax.enable_x64(True):
        points = jax.numpy.asarray([[0.3, 2.0, -1.0], [1.5, 0.2, 0.7]])
        closed = lower(jax.make_jaxpr(lambda x: jax.numpy.max(x * x) - jax.numpy.min(x))(points[0]))
        assert sum(eqn.primitive.name == "settled" for eqn in closed.eqns) == 2

        def value(x):
            return jax.extend.core.jaxpr_as_fun(closed)(x)[0]

        gradient = jax.grad(value)
        found = jax.vmap(gradient)(points) if batched else np.array([gradient(x) for x in points])
        np.testing.assert_allclose(found, [[0.0, 4.0, -1.0], [3.0, -1.0, 0.0]])
        curvature = jax.jacfwd(gradient)(points[0])
        np.testing.assert_allclose(curvature, np.diag([0.0, 2.0, 0.0]))


def test_what_is_not_differentiated_stays_as_it_is():
    with jax.enable_x64(True):
        closed = lower(jax.make_jaxpr(logsumexp)(np.ones(3)))
    assert not any(eqn.primitive.name == "settled" for eqn in closed.eqns)
