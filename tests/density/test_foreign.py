"""Densities from JAX functions and from numpyro models."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from gradmc.density import density
from gradmc.errors import ProgramError, UsageError
from gradmc.foreign import from_logdensity, from_numpyro
from gradmc.lpdf import half_cauchy, normal
from gradmc.program.data import Data
from gradmc.program.marks import observe, record
from gradmc.program.model import model
from gradmc.program.supports import Positive, Real

Y = np.array([28.0, 8.0, -3.0])
SIGMA = np.array([15.0, 10.0, 16.0])


def quadratic(position):
    record("sum", position["a"].sum() + position["b"])
    observe("terms", -0.5 * position["a"] ** 2)
    return -0.5 * jnp.sum(position["a"] ** 2) - position["b"] ** 2


def test_a_function_of_named_arrays():
    d = from_logdensity(quadratic, {"a": np.zeros((2, 2)), "b": 1})
    assert d.names == ("a[0,0]", "a[0,1]", "a[1,0]", "a[1,1]", "b")
    x = np.arange(5.0)
    assert d(x) == -0.5 * 14 - 16
    np.testing.assert_allclose(d.value_and_grad(x)[1], [0, -1, -2, -3, -8])
    values = d.constrain(x)
    np.testing.assert_allclose(values["a"], [[0, 1], [2, 3]])
    np.testing.assert_allclose(d.unconstrain(values), x)
    assert d.log_density(values) == d(x)
    assert d.bound is None
    assert d.arguments == ()
    with d.scope():
        groups = jax.device_get(jax.jit(d.expand)(x, ()))
    assert groups["posterior"]["sum"] == 10
    assert groups["log_likelihood"]["terms"].shape == (2, 2)
    assert groups["log_prior"]["log_prior"] == pytest.approx(-16)
    assert d.group_dims["posterior"]["a"] == ("a_dim_0", "a_dim_1")


def test_a_function_of_an_array():
    d = from_logdensity(lambda x: -0.5 * jnp.sum(x**2), np.zeros(2), precision="float32")
    assert d.names == ("x[0]", "x[1]")
    assert d.dtype == np.float32
    assert d([1, 2]) == -2.5


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3, np.zeros(2)), UsageError, "expects a function first, got int"),
        ((jnp.sum, {}), UsageError, "expects a position of real numbers"),
        ((jnp.sum, {"a": "b"}), UsageError, "expects a position of real numbers"),
        ((lambda x: x, np.zeros(2)), ProgramError, "expected one number"),
        ((lambda x: (x.sum(), 1), np.zeros(2)), ProgramError, "expected one number"),
        ((lambda x: None, np.zeros(2)), ProgramError, "expected one number"),
    ],
)
def test_wrong_functions(arguments, error, message):
    with pytest.raises(error, match=message):
        from_logdensity(*arguments)


def test_wrong_named_values():
    d = from_logdensity(lambda x: -jnp.sum(x), np.zeros(2))
    with pytest.raises(UsageError, match=r"expected a dictionary with the entries \['x'\], got \['y'\]"):
        d.unconstrain({"y": [1.0, 2.0]})
    with pytest.raises(UsageError, match=r"x: expected shape \(2,\), got \(1,\)"):
        d.unconstrain({"x": [1.0]})


def numpyro_schools(y, sigma):
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfCauchy(5))
    with numpyro.plate("school", len(sigma)):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)
    numpyro.deterministic("ratio", mu / tau)


@model
def gradmc_schools(mu: Real, tau: Positive, theta: Real["school"], *, y: Data["school"], sigma: Data["school"]):
    record("ratio", mu / tau)
    prior = normal(mu, 0.0, 5.0) + half_cauchy(tau, 5.0) + normal(theta, mu, tau)
    return prior + observe("y", normal(y, theta, sigma, pointwise=True)).sum()


def test_a_numpyro_model_equals_the_same_program():
    ours = density(gradmc_schools, {"y": Y, "sigma": SIGMA})
    theirs = from_numpyro(numpyro_schools, Y, sigma=SIGMA)
    assert theirs.names == ours.names
    x = np.linspace(-1, 1, ours.dim)
    assert theirs(x) == pytest.approx(ours(x), rel=1e-12)
    np.testing.assert_allclose(theirs.value_and_grad(x)[1], ours.value_and_grad(x)[1], rtol=1e-10)
    assert set(theirs.unconstrained_by_name(x)) == {"tau"}
    values = theirs.constrain(x)
    assert set(values) == {"mu", "tau", "theta"}
    np.testing.assert_allclose(theirs.unconstrain(values), x, rtol=1e-12)
    assert theirs.log_density(values) == pytest.approx(ours.log_density(values), rel=1e-12)
    assert theirs.log_density(values, jacobian=True) == pytest.approx(ours(x), rel=1e-12)
    with ours.scope():
        mine = jax.device_get(jax.jit(ours.expand)(x, ours.arguments))
        other = jax.device_get(jax.jit(theirs.expand)(x, theirs.arguments))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10), mine, other)
    assert theirs.group_dims == ours.group_dims
    assert theirs.coords == {"school": [0, 1, 2]}


def test_numpyro_models_that_cannot_be_sampled():
    def discrete():
        numpyro.sample("k", dist.Poisson(3.0))

    def nothing():
        numpyro.sample("y", dist.Normal(0, 1), obs=1.0)

    with pytest.raises(UsageError, match="the latent site 'k' is discrete"):
        from_numpyro(discrete)
    with pytest.raises(UsageError, match="no latent continuous sample site"):
        from_numpyro(nothing)
    with pytest.raises(UsageError, match="expects a model function first"):
        from_numpyro(3)


def test_failures_of_foreign_densities_are_described():
    d = from_numpyro(numpyro_schools, Y, sigma=SIGMA)
    assert "y[1] is nan" in d.describe_failure([0.0, 0.0, 0.0, np.nan, 0.0])
    d = from_logdensity(lambda x: jnp.sum(jnp.sqrt(x)), np.zeros(2))
    assert "its gradient with respect to x[0] is not finite" in d.describe_failure([0.0, 1.0])
    assert "the log density is nan" in d.describe_failure([-1.0, 1.0])


def test_errors_of_foreign_functions_show_their_line():
    with pytest.raises(ProgramError, match=r"test_foreign\.py:\d+, in numpyro_schools[\s\S]*invalid scale parameter"):
        from_numpyro(numpyro_schools, Y, sigma=np.array([1.0, -1.0, 1.0]))
    with pytest.raises(ProgramError, match=r"test_foreign\.py:\d+, in quadratic[\s\S]*KeyError: 'a'"):
        from_logdensity(quadratic, {"c": 1.0})


@pytest.mark.parametrize(
    ("position", "message"),
    [
        ({"draw": 0.0}, "the entry name 'draw' is reserved by ArviZ"),
        ({"a/b": 0.0}, "the entry name 'a/b': the results are a tree"),
        ({"a.b": 0.0, "a": {"b": 0.0}}, "the entry name 'a.b' comes twice"),
    ],
)
def test_entries_that_the_results_cannot_name(position, message):
    with pytest.raises(UsageError, match=message):
        from_logdensity(lambda p: 0.0, position)


@pytest.mark.parametrize(("name", "message"), [("chain", "is reserved by ArviZ"), ("x", "comes twice")])
def test_derived_quantities_that_the_results_cannot_name(name, message):
    d = from_logdensity(lambda x: record(name, -(x**2)), 0.0)
    with pytest.raises(UsageError, match=f"the variable name '{name}' {message}"):
        d.group_dims  # noqa: B018 - computed before sampling


def test_sites_that_the_results_cannot_name():
    def scoped():
        with numpyro.handlers.scope(prefix="a"):
            numpyro.sample("mu", dist.Normal(0, 1))

    def reserved():
        numpyro.deterministic("chain", numpyro.sample("mu", dist.Normal(0, 1)) + 1.0)

    with pytest.raises(UsageError, match=r"the site name 'a/mu': the results are a tree.*divider=\"\.\""):
        from_numpyro(scoped)
    with pytest.raises(UsageError, match="the site name 'chain' is reserved"):
        from_numpyro(reserved)


def test_numpyro_models_of_a_random_part_of_the_data():
    def subsampled():
        mu = numpyro.sample("mu", dist.Normal(0, 1))
        with numpyro.plate("N", 3, subsample_size=2):
            numpyro.sample("y", dist.Normal(mu, 1.0), obs=Y[:2])

    with pytest.raises(ProgramError, match=r"test_foreign\.py:\d+, in subsampled[\s\S]*do not support subsampling"):
        from_numpyro(subsampled)


def test_improper_priors_of_numpyro():
    def improper():
        mu = numpyro.sample("mu", dist.ImproperUniform(dist.constraints.real, (), ()))
        sigma = numpyro.sample("sigma", dist.ImproperUniform(dist.constraints.positive, (), ()))
        numpyro.sample("y", dist.Normal(mu, sigma), obs=Y)

    d = from_numpyro(improper)
    assert d.names == ("mu", "sigma")
    assert d([1.0, 0.5]) == pytest.approx(normal(Y, 1.0, np.exp(0.5)) + 0.5, rel=1e-12)


def test_a_complex_log_density_is_refused():
    with pytest.raises(ProgramError, match="returned a complex number, expected a real one"):
        from_logdensity(lambda x: jnp.exp(1j * x[0]), np.zeros(1))
