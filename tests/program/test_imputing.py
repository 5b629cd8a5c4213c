"""Missing data as parameters: `Data["n"].missing(Real)`."""

import math

import numpy as np
import pytest

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.errors import DataError, DeclarationError
from gradmc.lpdf import half_normal, lognormal, normal
from tests.check import AMPLE

X = np.array([0.3, math.nan, -1.2, 0.8, math.nan])
DATA = {"x": X, "y": [1.0, 2.0, -1.5, 2.2, 0.1], "n": ["a", "b", "c", "d", "e"]}
MORE = np.linspace(-2.0, 2.0, 20)
LARGER = {"x": [*X, *MORE], "y": [*DATA["y"], *(0.3 + 1.5 * MORE + 0.4 * np.sin(9 * MORE))]}


@gm.model
def regression(a: Real, b: Real, sigma: Positive, *, x: Data["n"].missing(Real), y: Data["n"]):
    """A line whose predictor is known in part; it is standard normal."""
    lp = normal(a, 0.0, 5.0) + normal(b, 0.0, 5.0) + half_normal(sigma, 5.0)
    for i in range(len(y)):
        lp += normal(x[i], 0.0, 1.0) + gm.observe("y", normal(y[i], a + b * x[i], sigma))
    return lp


@regression.simulator
def simulate(rng, a, b, sigma, *, x, y):
    return {"y": a + b * x + sigma * rng.normal(size=len(x))}


@gm.model
def by_hand(a: Real, b: Real, sigma: Positive, gap: Real[2], *, x: Data["n"], y: Data["n"]):
    x = np.array([x[0], gap[0], x[2], x[3], gap[1]])
    lp = normal(a, 0.0, 5.0) + normal(b, 0.0, 5.0) + half_normal(sigma, 5.0)
    return lp + normal(x, 0.0, 1.0) + normal(y, a + b * x, sigma)


@pytest.fixture(scope="module")
def density():
    return gm.density(regression, DATA)


def test_missing_entries_are_parameters(density):
    assert density.names == ("a", "b", "sigma", "x_missing[0]", "x_missing[1]")
    own = gm.density(by_hand, {"x": np.nan_to_num(X), "y": DATA["y"]})
    x = np.array([0.2, 1.1, -0.3, 0.7, -0.4])
    value, gradient = density.value_and_grad(x)
    wanted, slope = own.value_and_grad(x)
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    np.testing.assert_allclose(gradient, slope, rtol=1e-10)


def test_results_show_where_they_are():
    draws = gm.sample(
        regression,
        {**LARGER, "n": [f"row {i}" for i in range(25)]},
        seed=1,
        chains=2,
        warmup=200,
        draws=200,
        progress="none",
    )
    posterior = draws["posterior"]
    assert list(posterior["x_missing"].coords["x_entry"].values) == ["row 1", "row 4"]
    np.testing.assert_array_equal(np.isnan(draws["constant_data"]["x"]), np.isnan(LARGER["x"]))
    assert abs(float(posterior["x_missing"].mean(("chain", "draw"))[0]) - 1.05) < 0.3, "where the line says"
    predicted = gm.predict(regression, LARGER, draws, seed=1)["posterior_predictive"]["y"]
    assert predicted.shape == (2, 200, 25)
    assert np.all(np.isfinite(predicted))


def test_it_passes_its_check():
    assert not gm.check(regression, LARGER, seconds=AMPLE).findings


def test_without_gaps_there_are_no_parameters():
    assert gm.density(regression, {**DATA, "x": np.nan_to_num(X)}).dim == 3


@gm.model
def table(mu: Real, *, z: Data["row", "column"].missing(Positive)):
    lp = normal(mu, 0.0, 1.0)
    for i in range(len(z)):
        for j in range(len(z[0])):
            lp += lognormal(z[i, j], mu, 1.0)
    return lp


def test_entries_of_tables_are_named_by_both_labels():
    z = np.array([[1.0, np.nan, 2.0], [np.nan, 0.4, 1.0]])
    density = gm.density(table, {"z": z, "column": ["u", "v", "w"]})
    assert density.coords["z_entry"] == ["0, v", "1, u"]
    assert density.shapes["z_missing"] == (2,)
    assert np.all(density.constrain([0.1, -1.0, 2.0])["z_missing"] > 0)


@gm.model
def half_used(mu: Real, *, x: Data["n"].missing(Real)):
    lp = normal(mu, 0.0, 1.0)
    for i in range(len(x) - 1):
        lp += normal(x[i], mu, 1.0)
    return lp


def test_entries_that_the_density_does_not_use_are_refused():
    with pytest.raises(DataError, match="does not depend on the missing entries of x at 4"):
        gm.density(half_used, {"x": X})


def test_wrong_declarations():
    with pytest.raises(DeclarationError, match="arrays with axes"):
        Data.missing(Real)
    with pytest.raises(DeclarationError, match="support of one number"):
        Data["n"].missing(gm.Simplex[3])
    with pytest.raises(DataError, match="infinite entries"):
        gm.density(regression, {**DATA, "x": [0.0, math.inf, 0.0, 0.0, 0.0]})
