"""Values that rounding has put next to their support, values on its boundary, and ends that are infinite."""

import math
from typing import Any

import jax
import numpy as np
import pytest

import gradmc as gm
from gradmc import Data, Interval
from gradmc.errors import DataError, UsageError
from gradmc.lpdf import normal

RNG = np.random.default_rng(3)
SCORES = RNG.normal(size=(40, 3)) @ np.array([[1.0, 0.3, 0.2], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
ROUNDED = np.corrcoef(SCORES.T).astype(np.float32).astype(float)
ROUNDED[0, 1] += 3e-8
UPSET = ROUNDED + np.diag([1e-7, 0.0, -1e-7])


@gm.model
def simplex(x: gm.Simplex[3]):
    return 0.0 * x[0]


@gm.model
def zero_sum(x: gm.ZeroSum[3]):
    return 0.0 * x[0]


@gm.model
def ordered(x: gm.Ordered[3]):
    return 0.0 * x[0]


@gm.model
def positive(x: gm.Positive):
    return 0.0 * x


@gm.model
def correlation(x: gm.Correlation[3]):
    return 0.0 * x[0, 1]


@gm.model
def factor(x: gm.CholeskyCorr[3]):
    return 0.0 * x[0, 0]


@gm.model
def covariance(x: gm.Covariance[3]):
    return 0.0 * x[0, 0]


@gm.model
def angle(x: gm.Circular):
    return 0.0 * x


NEAR: list[tuple[Any, Any]] = [
    (simplex, [0.2, 0.3, 0.4999999]),
    (simplex, np.array([0.2, 0.3, 0.5], np.float32)),
    (zero_sum, [1.0, 2.0, -3.0000001]),
    (correlation, UPSET),
    (factor, np.linalg.cholesky(ROUNDED).astype(np.float32)),
    (covariance, 100.0 * ROUNDED),
    (angle, float(np.float32(math.pi))),
]


@pytest.mark.parametrize(("model", "value"), NEAR, ids=lambda v: getattr(v, "name", ""))
def test_rounding_is_forgiven(model: Any, value: Any) -> None:
    density = gm.density(model)
    found = density.constrain(density.unconstrain({"x": value}))["x"]
    np.testing.assert_allclose(found, value, rtol=3e-7, atol=3e-7)
    again = density.constrain(density.unconstrain({"x": found}))["x"]
    np.testing.assert_allclose(again, found, rtol=1e-13, atol=1e-13)
    assert np.isfinite(density.log_density({"x": value}))


@pytest.mark.parametrize(
    ("model", "value"),
    [
        (simplex, [0.2, 0.3, 0.4]),
        (zero_sum, [1.0, 2.0, -2.9]),
        (correlation, 1.1 * ROUNDED),
        (correlation, ROUNDED + np.triu(np.full((3, 3), 0.01), 1)),
        (factor, 1.1 * np.linalg.cholesky(ROUNDED)),
        (angle, 3.2),
        (simplex, [0.0, 0.5, 0.5]),
        (ordered, [1.0, 1.0, 2.0]),
        (positive, 0.0),
        (positive, 1e-320),
        (correlation, np.ones((3, 3))),
    ],
    ids=lambda v: getattr(v, "name", ""),
)
def test_what_is_outside_or_on_the_boundary_is_refused_by_name(model: Any, value: Any) -> None:
    with pytest.raises(UsageError, match=r"x = .* (is not in its support|lies on the boundary of its support)"):
        gm.density(model).unconstrain({"x": value})
    with pytest.raises(UsageError, match="x = "):
        gm.sample(model, initial={"x": value}, chains=1, progress="none")


@gm.model
def between(x: Interval("low", "high")["n"], *, low: Data["n"], high: Data["n"]):
    return normal(x, 0.0, 1.0)


LOW, HIGH = np.array([-np.inf, 0.0, -1.0, -np.inf]), np.array([1.0, np.inf, 1.0, np.inf])


def test_an_infinite_end_among_the_data_is_none() -> None:
    density = gm.density(between, {"low": LOW, "high": HIGH})
    x = np.array([0.3, -0.2, 0.5, -4.0])
    value = density.constrain(x)["x"]
    np.testing.assert_allclose(value, [1 - math.exp(0.3), math.exp(-0.2), math.tanh(0.25), -4.0], rtol=1e-14)
    np.testing.assert_allclose(density.unconstrain({"x": value}), x, rtol=1e-13)
    with density.scope():
        slope = jax.jacfwd(lambda x: density.layout.constrain(x, density.bound.data)[0]["x"])(x)
    log_det = density(x) - normal(value, 0.0, 1.0)
    assert log_det == pytest.approx(np.linalg.slogdet(slope)[1], rel=1e-13)
    far, gradient = density.value_and_grad(np.array([800.0, -800.0, 40.0, 3.0]))
    assert np.isfinite(gradient[1:]).all()
    assert not np.isnan(far)


def test_infinite_ends_give_what_their_own_supports_give() -> None:
    data = {"low": np.full(3, -np.inf), "high": np.full(3, np.inf)}
    x = np.array([0.3, -0.2, 0.5])
    assert gm.density(between, data)(x) == pytest.approx(normal(x, 0.0, 1.0), rel=1e-14)


@pytest.mark.parametrize("name", ["low", "high"])
def test_a_missing_end_is_refused(name: str) -> None:
    data = {"low": np.zeros(2), "high": np.ones(2), name: np.array([np.nan, 0.5])}
    with pytest.raises(DataError, match=rf"{name}\[0\] is nan"):
        gm.density(between, data)


@gm.model
def up_to_the_ends(
    a: Interval(-10.0, 1.0),
    b: Interval(3.0, None),
    c: Interval(None, -7.0),
    d: Interval("low", "high")[2],
    e: Interval("a", None),
    *,
    low: Data[2],
    high: Data[2],
):
    """As boxes are written: with logarithms that the ends do not have, and with comparisons."""
    lp = math.log(a + 10.0) + math.log(1.0 - a) + math.log(b - 3.0) + math.log(-7.0 - c) + math.log(e - a)
    for i in range(2):
        if not low[i] < d[i] < high[i]:
            return -math.inf
    return lp


@pytest.mark.parametrize("x", [-60.0, -40.0, 40.0, 60.0])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_no_value_is_rounded_onto_an_end(x: float, dtype: Any) -> None:
    density = gm.density(up_to_the_ends, {"low": [-5.0, 1e6], "high": [5.0, 2e6]}, precision=dtype)
    value, gradient = density.value_and_grad(np.full(density.dim, x))
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))
    values = density.constrain(np.full(density.dim, x))
    assert -10.0 < values["a"] < 1.0
    assert values["b"] > 3.0
    assert values["c"] < -7.0
    assert values["e"] > values["a"]
