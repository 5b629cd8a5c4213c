"""The density of a model: values, derivatives, named parameters, precision, and what the results hold."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from gradmc.density import density
from gradmc.errors import DataError, ProgramError, UsageError
from gradmc.lpdf import exponential, half_cauchy, normal
from gradmc.program.data import Data
from gradmc.program.marks import observe, record
from gradmc.program.model import model
from gradmc.program.supports import CholeskyCorr, Circular, Interval, Positive, Real, Simplex, UnitInterval

Y = np.array([28.0, 8.0, -3.0])
SIGMA = np.array([15.0, 10.0, 16.0])
DATA = {"y": Y, "sigma": SIGMA, "school": ["A", "B", "C"]}


@model
def schools(mu: Real, tau: Positive, theta: Real["school"], *, y: Data["school"], sigma: Data["school"]):
    lp = normal(mu, 0.0, 5.0) + half_cauchy(tau, 5.0)
    record("ratio", mu / tau)
    for j in range(len(y)):
        lp += normal(theta[j], mu, tau)
        lp += observe("y", normal(y[j], theta[j], sigma[j]))
        record("shift", theta[j] - mu)
    return lp


@pytest.fixture(scope="module")
def d():
    return density(schools, DATA)


X = np.array([0.3, -0.4, 1.0, -1.0, 0.5])


def by_hand(x):
    mu, tau, theta = x[0], np.exp(x[1]), x[2:]
    lp = normal(mu, 0.0, 5.0) + half_cauchy(tau, 5.0) + normal(theta, mu, tau) + normal(Y, theta, SIGMA)
    return lp + x[1]


def test_names_and_dimension(d):
    assert d.dim == 5
    assert d.names == ("mu", "tau", "theta[0]", "theta[1]", "theta[2]")
    assert [argument.dtype for argument in d.arguments] == [np.float64, np.float64]
    assert d.coords == {"school": ["A", "B", "C"]}
    assert repr(d) == "<density of schools in 5 dimensions: mu, tau, theta[0], theta[1], theta[2]>"


def test_value_is_the_program_plus_the_jacobian(d):
    assert d(X) == pytest.approx(by_hand(X), rel=1e-13)
    assert isinstance(d(X), float)
    assert d(list(X)) == d(X)


def test_gradient_is_that_of_finite_differences(d):
    value, gradient = d.value_and_grad(X)
    assert value == pytest.approx(d(X), rel=1e-14)
    np.testing.assert_allclose(gradient, optimize.approx_fprime(X, d, 1e-6), rtol=1e-4)
    with pytest.raises(UsageError, match=r"expected a vector of shape \(5,\), got shape \(4,\)"):
        d.value_and_grad(X[:4])


def test_named_parameters_and_back(d):
    values = d.constrain(X)
    assert set(values) == {"mu", "tau", "theta"}
    assert values["tau"] == pytest.approx(np.exp(-0.4))
    np.testing.assert_allclose(d.unconstrain(values), X, rtol=1e-13)
    np.testing.assert_allclose(d.unconstrain({"mu": 1, "tau": 2, "theta": [1, 2, 3]})[0], 1.0)


def test_transformed_coordinates_by_name(d):
    parts = d.unconstrained_by_name(X)
    assert set(parts) == {"tau"}
    assert float(parts["tau"]) == np.float32(X[1])


def test_log_density_of_named_parameters(d):
    values = d.constrain(X)
    plain = schools(*values.values(), y=Y, sigma=SIGMA)
    assert d.log_density(values) == pytest.approx(plain, rel=1e-12)
    assert d.log_density(values, jacobian=True) == pytest.approx(d(X), rel=1e-12)
    assert d.log_density({**values, "tau": -1.0}) == -np.inf


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0], "expected a dictionary from parameter names to values, got list"),
        ({"mu": 1.0, "tau": 1.0}, r"missing parameters \['theta'\]"),
        ({"mu": 1.0, "tau": 1.0, "theta": np.zeros(3), "nu": 1.0}, r"unknown parameters \['nu'\]"),
        ({"mu": 1.0, "tau": 1.0, "theta": np.zeros(2)}, r"theta: expected shape \(3,\), got \(2,\)"),
        ({"mu": 1.0, "tau": -1.0, "theta": np.zeros(3)}, "tau = -1. is not in its support Positive"),
    ],
)
def test_wrong_named_parameters(d, values, message):
    with pytest.raises(UsageError, match=message):
        d.unconstrain(values)


@pytest.mark.parametrize("x", ["abc", np.zeros((5, 1)), 1.0, {"mu": 1.0}, None])
def test_wrong_vectors(d, x):
    with pytest.raises(UsageError, match=r"expected a vector of (5 numbers|shape \(5,\))"):
        d(x)


def test_transformations_of_the_density(d):
    # The process works in float32 here, as users' processes do; the density still computes in float64.
    x = jnp.asarray(X)
    assert x.dtype == np.float32
    assert jax.jit(d)(x).dtype == np.float32
    assert float(jax.jit(d)(x)) == pytest.approx(by_hand(np.asarray(x, float)), rel=1e-7)
    np.testing.assert_allclose(jax.grad(d)(x), d.value_and_grad(X)[1], rtol=1e-6)
    batch = jnp.stack([x, 2 * x])
    np.testing.assert_allclose(jax.vmap(d)(batch), [float(d(x)), float(d(2 * x))], rtol=1e-6)
    named = jax.vmap(d.constrain)(batch)
    np.testing.assert_allclose(jax.vmap(d.unconstrain)(named), batch, rtol=1e-6)
    one_by_one = [d.log_density(d.constrain(b)) for b in batch]
    np.testing.assert_allclose(jax.vmap(d.log_density)(named), one_by_one, rtol=1e-6)
    with jax.enable_x64(True):
        assert jax.jit(d)(jnp.asarray(X)).dtype == np.float64
        assert float(jax.jit(d)(jnp.asarray(X))) == pytest.approx(by_hand(X), rel=1e-13)


def test_an_optimiser_takes_it_as_it_is(d):
    def negative(x):
        value, gradient = d.value_and_grad(x)
        return -value, -gradient

    found = optimize.minimize(negative, np.zeros(5), jac=True, options={"maxiter": 3})
    assert found.fun < -d(np.zeros(5))


def test_new_data_of_the_same_shape_need_no_new_trace(d):
    other = density(schools, {**DATA, "y": Y + 1})
    with d.scope():
        compiled = jax.jit(d.logdensity)
        first = compiled(X, d.arguments)
        second = compiled(X, other.arguments)
        assert compiled._cache_size() == 1
    assert float(first) == d(X)
    assert float(second) == other(X)


def test_float32(d):
    single = density(schools, DATA, precision="float32")
    assert single.dtype == np.float32
    assert {argument.dtype for argument in single.arguments} == {np.dtype(np.float32)}
    value, gradient = single.value_and_grad(X)
    assert gradient.dtype == np.float32
    assert value == pytest.approx(d(X), rel=1e-5)
    with single.scope():
        assert single.logdensity(jnp.asarray(X, jnp.float32), single.arguments).dtype == np.float32


def test_expansion_of_one_draw(d):
    with d.scope():
        groups = jax.device_get(jax.jit(d.expand)(X, d.arguments))
    assert set(groups) == {"posterior", "log_likelihood", "log_prior"}
    values = d.constrain(X)
    np.testing.assert_allclose(groups["posterior"]["shift"], values["theta"] - values["mu"])
    assert groups["posterior"]["ratio"] == pytest.approx(values["mu"] / values["tau"])
    np.testing.assert_allclose(groups["posterior"]["theta"], values["theta"])
    terms = normal(Y, values["theta"], SIGMA, pointwise=True)
    np.testing.assert_allclose(groups["log_likelihood"]["y"], terms)
    total = groups["log_prior"]["log_prior"] + groups["log_likelihood"]["y"].sum()
    assert total == pytest.approx(d.log_density(values))


def test_axes_of_the_results_are_named(d):
    assert d.group_dims == {
        "posterior": {"mu": (), "tau": (), "theta": ("school",), "ratio": (), "shift": ("shift_dim_0",)},
        "log_likelihood": {"y": ("school",)},
        "log_prior": {"log_prior": ()},
    }


def test_axes_of_marks_follow_the_data_of_their_name():
    @model
    def program(mu: Real, *, y: Data["row", "column"]):
        observe("y", normal(y[:, 0], mu, 1.0, pointwise=True))
        record("other", y[0])
        return normal(y, mu, 1.0)

    dims = density(program, {"y": np.ones((3, 2))}).group_dims
    assert dims["log_likelihood"] == {"y": ("row",)}
    assert dims["posterior"]["other"] == ("other_dim_0",)


def test_a_condition_on_data_decides_what_is_observed():
    """The data are arguments of the density; where marks need to know them, they are built in."""

    @model
    def positive(mu: Real, *, y: Data["n"]):
        lp = normal(mu, 0.0, 1.0)
        for i in range(len(y)):
            if y[i] > 0:
                lp += observe("y", normal(y[i], mu, 1.0))
        return lp

    d = density(positive, {"y": [1.0, -1.0, 2.0, -3.0, 0.5]})
    with d.scope():
        observed = d.expand(np.array([0.3]), d.arguments)["log_likelihood"]["y"]
    np.testing.assert_allclose(observed, [normal(y, 0.3, 1.0) for y in (1.0, 2.0, 0.5)], rtol=1e-12)


def test_nothing_observed_gives_no_likelihood():
    @model
    def program(mu: Real):
        return normal(mu, 0.0, 1.0)

    d = density(program)
    with d.scope():
        assert set(jax.eval_shape(d.expand, np.zeros(1), d.arguments)) == {"posterior"}


def test_supports_of_all_kinds_together():
    @model
    def program(
        a: Interval(0, "top"),
        b: Interval(0, lambda a: 1 + a)["n"],
        p: Simplex["K"],
        c: CholeskyCorr["K"],
        phi: Circular,
        *,
        top: float,
        K: int,
        y: Data["n"],
    ):
        return a + sum(b) + p[0] + c[1, 0] + jnp.sin(phi)

    d = density(program, {"top": 2.0, "K": 3, "y": [1.0, 2.0]})
    assert d.dim == 1 + 2 + 2 + 3 + 2
    assert d.names[3:] == ("p[0]", "p[1]", "c[0]", "c[1]", "c[2]", "phi[0]", "phi[1]")
    x = np.linspace(-1, 1, d.dim)
    values = d.constrain(x)
    assert 0 < values["a"] < 2
    assert np.all(values["b"] < 1 + values["a"])
    assert [values[name].shape for name in "bpc"] == [(2,), (3,), (3, 3)]
    np.testing.assert_allclose(d.unconstrain(values)[:-2], x[:-2], rtol=1e-12)
    assert d.log_density({**values, "b": values["b"] + 5}) == -np.inf
    slopes = optimize.approx_fprime(x, d, 1e-6)
    np.testing.assert_allclose(d.value_and_grad(x)[1], slopes, rtol=1e-4, atol=1e-6)


def test_ends_that_are_data_arrays_are_arguments():
    @model
    def program(b: Interval("low", "high")["n"], *, low: Data["n"], high: Data["n"]):
        return 0.0 * b[0]

    data = {"low": [0.0, 1.0], "high": [1.0, 3.0]}
    d = density(program, data)
    x = np.array([0.3, -0.2])
    values = d.constrain(x)["b"]
    np.testing.assert_allclose(values, np.array([0, 1]) + np.array([1, 2]) / (1 + np.exp(-x)))
    slope = (values - data["low"]) * (np.array(data["high"]) - values) / np.array([1.0, 2.0])
    assert d(x) == pytest.approx(np.log(slope).sum())


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_strict_promotion(precision):
    @model
    def program(
        a: Interval(0, 2),
        b: Interval("low", lambda a: 3 + a)["n"],
        share: UnitInterval["n"],
        *,
        low,
        y: Data["n"],
    ):
        return normal(y, a * b + share, 1.0)

    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        d = density(program, {"low": np.array([0, 1]), "y": [1.0, 2.0]}, precision=precision)
        value, gradient = d.value_and_grad(np.zeros(d.dim))
    assert value.dtype == gradient.dtype == np.dtype(precision)


def test_bounds_that_raise_name_the_parameter():
    @model
    def program(a: Real, b: Interval(0, lambda a: a.nonsense)):
        return a + b

    with pytest.raises(ProgramError, match=r"the bound of b \(Interval\(0, lambda\)\) raised AttributeError"):
        density(program).constrain([0.0, 0.0])


@pytest.mark.parametrize("kind", ["gradient", "value"])
def test_small_densities_stay_within_one_native_function(d, kind):
    with d.scope():
        fn = jax.value_and_grad(d.logdensity) if kind == "gradient" else d.logdensity
        text = jax.jit(fn).lower(X, d.arguments).as_text()
    assert not {"scatter", "dot_general", "sort", "custom_call", "convolution"} & {
        word.split("(")[0].split(" ")[0].strip('"') for word in text.split("stablehlo.")[1:]
    }


def returning(value):
    def program(mu: Real):
        return value

    return model(program)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "returned None"),
        (np.ones(3), r"returned an array of shape \(3,\)"),
        ("text", "returned a str"),
        (1j, "expected a real number"),
    ],
)
def test_programs_that_return_something_else(value, message):
    with pytest.raises(ProgramError, match=message) as caught:
        density(returning(value))
    assert "test_density.py" in str(caught.value)


def test_marks_may_not_collide():
    @model
    def over(mu: Real):
        record("mu", 2 * mu)
        return mu

    d = density(over)
    with pytest.raises(ProgramError, match=r"record\('mu', \.\.\.\): 'mu' is a parameter"):
        d.group_dims  # noqa: B018

    @model
    def dimension(mu: Real, *, y: Data["n"]):
        record("n", 2 * mu)
        return mu

    d = density(dimension, {"y": [1.0]})
    with pytest.raises(ProgramError, match="'n' is the name of a dimension of the results"):
        d.group_dims  # noqa: B018


def test_wrong_arguments_of_density():
    with pytest.raises(UsageError, match=r"expected a model declared with @gm\.model, got .* declare it"):
        density(lambda mu: mu)
    with pytest.raises(UsageError, match="expected a model declared"):
        density(3)
    with pytest.raises(UsageError, match='precision must be "float64" or "float32", got 16'):
        density(schools, DATA, precision=16)
    with pytest.raises(DataError, match="missing data"):
        density(schools)


def test_data_dependent_sizes_do_not_leak_between_densities():
    @model
    def program(rate: Positive, *, y: Data["n"]):
        return exponential(y, rate)

    assert density(program, {"y": [1.0]})([0.0]) == pytest.approx(-1.0)
    assert density(program, {"y": [1.0, 2.0]})([0.0]) == pytest.approx(-3.0)


def test_names_are_what_log_density_takes() -> None:
    d = density(schools, DATA)
    x = np.array([0.5, 0.1, 1.0, -1.0, 2.0])
    whole = d.constrain(x)
    entries = {"mu": 0.5, "tau": whole["tau"], "theta[0]": 1.0, "theta[1]": -1.0, "theta[2]": 2.0}
    assert tuple(entries) == d.names
    assert d.log_density(entries) == d.log_density(whole)
    np.testing.assert_allclose(d.unconstrain(entries), x, rtol=1e-12)
    assert d.shapes == {"mu": (), "tau": (), "theta": (3,)}
    del entries["theta[1]"]
    with pytest.raises(
        UsageError, match=r"theta is not whole: no theta\[1\]; give either 'theta' or all of theta\[0\]"
    ):
        d.log_density(entries)
    with pytest.raises(UsageError, match="theta came beside entries of its own"):
        d.unconstrain({**whole, "theta[1]": 0.0})
