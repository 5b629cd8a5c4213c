"""A law of a matrix that is built from its Cholesky factor takes that factor."""

import jax.numpy as jnp
import numpy as np
import pytest

from gradmc import Correlation, Covariance, Data, lpdf, model
from gradmc.density import density

Y = np.random.default_rng(1).normal(size=(2, 5, 3))


@model
def one(R: Correlation["k"], S: Covariance["k"], *, y: Data["g", "n", "k"]):
    lp = lpdf.lkj(R, 2.0)
    for i in range(len(y[0])):
        lp += lpdf.multivariate_normal(y[0, i], 0.0, R) + lpdf.multivariate_normal(y[1, i], 0.0, S)
    return lp


@model
def many(R: Correlation["g", "k"], *, y: Data["g", "n", "k"]):
    lp = 0.0
    for g in range(len(y)):
        lp += lpdf.lkj(R[g], 2.0)
        for i in range(len(y[0])):
            lp += lpdf.multivariate_normal(y[g, i], 0.0, R[g])
    return lp


@model
def scaled(R: Correlation["k"], *, y: Data["g", "n", "k"]):
    return lpdf.multivariate_normal(y[0, 0], 0.0, 2.0 * R) + R[1, 0]


PROGRAMS = {"one": (one, ("R", "S"), 0), "many": (many, ("R",), 0), "scaled": (scaled, (), 1)}


@pytest.mark.parametrize("name", PROGRAMS)
def test_factors_are_inputs(name):
    program, factorised, left = PROGRAMS[name]
    traced = density(program, {"y": Y})._program
    assert traced.factorised == factorised
    assert sum(eqn.primitive.name == "cholesky" for eqn in traced.jaxpr.eqns) == left


@pytest.mark.parametrize("name", PROGRAMS)
def test_value_and_gradient_are_those_of_the_plain_program(name):
    program = PROGRAMS[name][0]
    d = density(program, {"y": Y})
    x = np.random.default_rng(2).normal(size=d.dim)
    values = d.constrain(x)
    with d.scope():
        log_det = float(d.layout.constrain(jnp.asarray(x), {})[1])
    assert d.log_density(values) == pytest.approx(program.fn(**values, y=Y), rel=1e-12)
    assert d(x) == pytest.approx(d.log_density(values) + log_det, rel=1e-12)
    differences = [(d(x + h) - d(x - h)) / 2e-5 for h in 1e-5 * np.eye(d.dim)]
    np.testing.assert_allclose(d.value_and_grad(x)[1], differences, rtol=1e-6, atol=1e-6)


def test_a_matrix_that_is_singular_in_floating_point_has_a_density():
    """At y = 0 the density is det(R)^(1/2) times that of the map from x: sums of log cosh(x)."""
    value, gradient = density(many, {"y": np.zeros((1, 1, 3))}).value_and_grad([12.0, 15.0, -14.0])
    constant = lpdf.lkj(np.eye(3), 2.0) - 1.5 * np.log(2 * np.pi)
    expected = constant - 4 * np.log(np.cosh(12.0)) - 4 * np.log(np.cosh(15.0)) - 3 * np.log(np.cosh(14.0))
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(gradient, [-4, -4, 3], rtol=1e-9)


def test_starts_of_a_density_are_as_narrow_as_its_supports_say():
    np.testing.assert_array_equal(density(one, {"y": Y}).start_radius, np.full(9, 2 / np.sqrt(3)))
