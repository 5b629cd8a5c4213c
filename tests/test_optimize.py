"""`gm.optimize`: the mode and its standard errors, and wrong arguments."""

import numpy as np
import pytest

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.errors import UsageError
from gradmc.lpdf import gamma, normal


@gm.model
def location(tau: Positive, mu: Real["k"], *, y: Data["k"]):
    """Normal means with known errors, and a gamma prior for an unrelated scale."""
    return normal(mu, 0.0, 1.0) + normal(y, mu, 1.0) + gamma(tau, 3.0, 2.0)


DATA = {"y": [1.0, -2.0]}


def test_mode_and_errors():
    optimum = gm.optimize(location, DATA, seed=1)
    assert optimum.converged, optimum.message
    assert list(optimum.values) == list(optimum.errors) == ["tau", "mu"], "in their order"
    np.testing.assert_allclose(optimum.values["mu"], [0.5, -1.0], atol=1e-6)
    np.testing.assert_allclose(optimum.values["tau"], 2.0 / 2.0, rtol=1e-6)
    np.testing.assert_allclose(optimum.errors["mu"], np.sqrt(0.5), rtol=1e-4)


def test_the_jacobian_moves_the_mode():
    optimum = gm.optimize(location, DATA, jacobian=True)
    np.testing.assert_allclose(optimum.values["tau"], 3.0 / 2.0, rtol=1e-6)


def test_printing_shows_parameters_errors_and_verdict():
    text = str(gm.optimize(gm.density(location, DATA)))
    assert "mu = [ 0.5 -1. ]  (se [0.7071 0.7071])" in text
    assert "converged: the gradient vanishes" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed must be a whole number at least 0"),
        ({"restarts": 0}, "restarts must be a whole number at least 1"),
        ({"restarts": 1.5}, "restarts must be a whole number"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(UsageError, match=message):
        gm.optimize(location, DATA, **arguments)


def test_what_is_no_model():
    with pytest.raises(UsageError, match="expected a model or a density, got int"):
        gm.optimize(3)
