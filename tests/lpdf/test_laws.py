"""What all log densities have in common: sums and terms, supports, dtypes, and derivatives."""

import math
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import gradmc as gm
from gradmc import lpdf
from gradmc._numpyro import distributions
from gradmc.errors import UsageError

OUTSIDE = {
    "half_normal": (-1.0, 2.0),
    "half_cauchy": (-1.0, 2.0),
    "half_student_t": (-1.0, 3.0, 2.0),
    "exponential": (-1.0, 2.0),
    "gamma": (-1.0, 3.0, 2.0),
    "inverse_gamma": (-1.0, 3.0, 2.0),
    "chi_square": (-1.0, 3.0),
    "lognormal": (-1.0, 0.0, 2.0),
    "weibull": (-1.0, 3.0, 2.0),
    "gompertz": (-1.0, 3.0, 2.0),
    "pareto": (0.5, 1.0, 2.0),
    "pareto_type_2": (0.5, 1.0, 0.2, 3.0),
    "inverse_chi_square": (-1.0, 3.0),
    "scaled_inverse_chi_square": (-1.0, 3.0, 2.0),
    "frechet": (-1.0, 3.0, 2.0),
    "log_logistic": (-1.0, 3.0, 2.0),
    "rayleigh": (-1.0, 2.0),
    "beta": (1.5, 3.0, 2.0),
    "beta_proportion": (-0.5, 0.3, 2.0),
    "kumaraswamy": (1.5, 3.0, 2.0),
    "uniform": (1.5, 2.0, 3.0),
    "log_uniform": (1.5, 2.0, 3.0),
    "von_mises": (4.0, 2.0, 3.0),
    "poisson": (-1.0, 2.0),
    "poisson_log": (-1.0, 2.0),
    "negative_binomial": (-1.0, 2.0, 3.0),
    "zero_inflated_negative_binomial": (-1.0, 0.3, 2.0, 3.0),
    "geometric": (-1.0, 0.3),
    "bernoulli": (2.0, 0.3),
    "bernoulli_logit": (2.0, 0.3),
    "binomial": (6.0, 5.0, 0.3),
    "binomial_logit": (6.0, 5.0, 0.3),
    "beta_binomial": (6.0, 5.0, 0.3, 0.4),
    "discrete_uniform": (6.0, 1.0, 5.0),
}

ELEMENTWISE = {
    "normal": (0.5, 2.0),
    "half_cauchy": (2.0,),
    "student_t": (3.0, 0.5, 2.0),
    "gamma": (3.0, 2.0),
    "lognormal": (0.5, 2.0),
    "weibull": (3.0, 2.0),
    "skew_normal": (0.5, 2.0, -3.0),
    "exp_mod_normal": (0.5, 2.0, 0.3),
    "pareto_type_2": (0.5, 2.0, 3.0),
    "scaled_inverse_chi_square": (3.0, 2.0),
    "frechet": (3.0, 2.0),
    "log_logistic": (3.0, 2.0),
    "rayleigh": (2.0,),
    "zero_inflated_negative_binomial": (0.3, 2.0, 3.0),
    "poisson": (2.0,),
    "poisson_log": (0.5,),
    "negative_binomial": (2.0, 3.0),
    "binomial_logit": (9.0, 0.5),
    "normal_lccdf": (0.5, 2.0),
    "weibull_lccdf": (3.0, 2.0),
    "gamma_lccdf": (3.0, 2.0),
    "inverse_gamma_lcdf": (3.0, 2.0),
    "student_t_lcdf": (3.0, 0.5, 2.0),
    "poisson_lccdf": (2.5,),
}
Y = np.array([1.0, 2.0, 4.0])


@pytest.mark.parametrize("name", OUTSIDE)
def test_outside_the_support_is_minus_infinity_with_zero_gradient(name):
    function, arguments = getattr(lpdf, name), OUTSIDE[name]
    assert function(*arguments) == -math.inf
    with jax.enable_x64(True):
        value, gradient = jax.value_and_grad(function, argnums=tuple(range(len(arguments))))(*arguments)
    assert float(value) == -math.inf
    assert all(np.isfinite(g) for g in gradient)


@pytest.mark.parametrize("name", ["categorical", "categorical_logit"])
@pytest.mark.parametrize("y", [-1, 3])
def test_unknown_categories_are_impossible(name, y):
    assert getattr(lpdf, name)(y, [0.2, 0.5, 0.3]) == -math.inf


def test_known_zero_probabilities_do_not_spoil_the_gradient():
    gradient = jax.grad(lambda p: lpdf.categorical(1, jnp.stack([0.0 * p, p, 1 - p])))(0.4)
    assert gradient == pytest.approx(2.5)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_sum_and_terms_agree(name):
    function, parameters = getattr(lpdf, name), ELEMENTWISE[name]
    terms = function(Y, *parameters, pointwise=True)
    assert isinstance(terms, np.ndarray)
    assert terms.dtype == np.float64
    assert terms.shape == (3,)
    assert function(Y, *parameters) == pytest.approx(terms.sum(), rel=1e-12)
    assert [function(float(y), *parameters) for y in Y] == pytest.approx(terms, rel=1e-12)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_traced_equals_plain(name):
    function, parameters = getattr(lpdf, name), ELEMENTWISE[name]
    with jax.enable_x64(True):
        traced = jax.jit(lambda *p: function(Y, *p, pointwise=True))(*parameters)
    assert traced.dtype == np.float64
    np.testing.assert_allclose(traced, function(Y, *parameters, pointwise=True), rtol=1e-12)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_float32_stays_float32(name):
    parameters = [np.float32(p) for p in ELEMENTWISE[name]]
    with jax.enable_x64(False):
        traced = jax.jit(lambda *p: getattr(lpdf, name)(Y, *p, pointwise=True))(*parameters)
    assert traced.dtype == np.float32
    np.testing.assert_allclose(traced, getattr(lpdf, name)(Y, *parameters, pointwise=True), rtol=2e-5)


@pytest.mark.parametrize(
    ("name", "arguments", "slope"),
    [
        ("bernoulli_logit", (0.0, 0.0), -0.5),
        ("bernoulli_logit", (1.0, 0.0), 0.5),
        ("bernoulli_logit", (0.0, -40.0), -math.exp(-40.0)),
        ("binomial_logit", (1.0, 7.0, 0.0), -2.5),
        ("binomial_logit", (7.0, 7.0, 40.0), 7 * math.exp(-40.0)),
        ("negative_binomial_log", (5.0, 0.0, 1.0), 2.0),
    ],
)
def test_slopes_by_log_odds(name, arguments, slope):
    # At 0, where an optimiser or a user starts, and far out.
    with jax.enable_x64(True):
        position = {"negative_binomial_log": 1}.get(name, len(arguments) - 1)
        assert float(jax.grad(getattr(lpdf, name), position)(*arguments)) == pytest.approx(slope, rel=1e-12)


@pytest.mark.parametrize("precision", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [((0.0, 720.0, 1.0), -720.0), ((3.0, 720.0, 1.0), -720.0), ((0.0, -300.0, 0.5), 0.0), ((2.0, -300.0, 1.0), -600.0)],
)
def test_negative_binomial_far_out(precision, arguments, expected):
    with jax.enable_x64(precision is np.float64):
        y, *parameters = map(precision, arguments)
        value, slopes = jax.value_and_grad(lpdf.negative_binomial_log, (1, 2))(y, *parameters)
    assert float(value) == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert np.all(np.isfinite(slopes))


@pytest.mark.parametrize("phi", [1e10, 1e15])
def test_negative_binomial_tends_to_poisson(phi):
    for y, mu in [(0, 0.1), (3, 1.0), (100, 50.0)]:
        expected = lpdf.poisson(y, mu)
        assert lpdf.negative_binomial(y, mu, phi) == pytest.approx(expected, rel=1e-6)
        assert lpdf.negative_binomial_log(y, math.log(mu), phi) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("y", [3, np.int64(3), np.array([3, 4]), [3, 4], True])
def test_integers_are_accepted_everywhere(y):
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        traced = jax.jit(lambda mu: lpdf.normal(y, mu, 2) + lpdf.poisson(y, mu))(0.5)
    assert traced == pytest.approx(lpdf.normal(y, 0.5, 2) + lpdf.poisson(y, 0.5), rel=1e-12)


def test_plain_values_stay_plain_while_something_else_is_traced():
    def program(x):
        constant = lpdf.normal(1.0, 0.0, 1.0)
        assert type(constant) is float
        return x * constant

    assert jax.jit(program)(2.0) == pytest.approx(2 * lpdf.normal(1.0, 0.0, 1.0), rel=1e-6)


def test_plain_evaluation_is_in_float64_without_touching_the_setting():
    before = jax.config.jax_enable_x64
    assert lpdf.normal(1e-9, 0.0, 1.0) == pytest.approx(-0.9189385332046727, rel=1e-15)
    assert jax.config.jax_enable_x64 == before


@pytest.mark.parametrize(
    ("tail", "density", "parameters", "sign"),
    [
        ("normal_lcdf", "normal", (0.5, 2.0), 1),
        ("normal_lccdf", "normal", (0.5, 2.0), -1),
        ("weibull_lcdf", "weibull", (1.5, 2.0), 1),
        ("weibull_lccdf", "weibull", (1.5, 2.0), -1),
        ("lognormal_lccdf", "lognormal", (0.5, 2.0), -1),
        ("student_t_lcdf", "student_t", (3.0, 0.5, 2.0), 1),
        ("gamma_lccdf", "gamma", (1.5, 2.0), -1),
        ("gumbel_lccdf", "gumbel", (0.5, 2.0), -1),
    ],
)
def test_derivative_of_a_tail_is_the_density_over_it(tail, density, parameters, sign):
    y = 1.3
    with jax.enable_x64(True):
        slope = jax.grad(getattr(lpdf, tail))(y, *parameters)
    expected = sign * math.exp(getattr(lpdf, density)(y, *parameters) - getattr(lpdf, tail)(y, *parameters))
    assert float(slope) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("normal", (1.0, 0.5, 2.0)),
        ("student_t", (1.0, 3.0, 0.5, 2.0)),
        ("half_cauchy", (1.0, 2.0)),
        ("gamma", (1.0, 3.0, 2.0)),
        ("poisson_log", (3.0, 0.5)),
        ("binomial_logit", (3.0, 5.0, 0.5)),
        ("beta", (0.4, 3.0, 2.0)),
    ],
)
def test_gradients_need_no_scatter_or_product_of_matrices(function, arguments):
    gradient = jax.grad(getattr(lpdf, function), argnums=tuple(range(len(arguments))))
    assert not {"scatter", "dot_general", "sort", "custom_call"} & operations(gradient, *arguments)


def test_category_terms_need_no_scatter():
    gradient = jax.grad(lambda logits, y: lpdf.categorical_logit(y, logits))
    assert not {"scatter", "gather"} & operations(gradient, np.zeros(3), np.int32(1))


def test_what_cannot_be_truncated():
    with pytest.raises(UsageError, match=r"expects lower=\.\.\., upper=\.\.\. or both, got neither; use normal\(y"):
        lpdf.truncated(lpdf.normal, 1.0, 0.0, 1.0)
    with pytest.raises(UsageError, match="one of the laws normal, cauchy, laplace, logistic, student_t, got 'gamma'"):
        lpdf.truncated(lpdf.gamma, 1.0, 1.0, 1.0, lower=0.5)
    with pytest.raises(UsageError, match="expects 3 parameters of the law, got 2"):
        lpdf.truncated(lpdf.student_t, 1.0, 0.0, 1.0, lower=0.5)


def test_a_truncated_law_in_a_program():
    @gm.model
    def program(mu: gm.Real, *, y: gm.Data["n"]):
        lp = 0.0
        for value in y:
            lp += lpdf.truncated(lpdf.normal, value, mu, 2.0, lower=0.0)
        return lp

    expected = sum(stats.truncnorm(-0.5, np.inf, 1.0, 2.0).logpdf(v) for v in (0.5, 3.0))
    assert gm.density(program, {"y": [0.5, 3.0]})([1.0]) == pytest.approx(expected, rel=1e-9)


def operations(fn, *arguments):
    text = jax.jit(fn).lower(*arguments).as_text()
    return {word.split("(")[0].split(" ")[0] for word in text.split("stablehlo.")[1:]}


def test_a_lazy_stand_in_for_numpyro_is_loaded_in_full():
    # ArviZ leaves one in sys.modules; submodules imported through it would be incomplete.
    program = "import arviz_base, gradmc.lpdf; print(gradmc.lpdf.laplace(0.0, 0.0, 1.0))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(-math.log(2))


@pytest.mark.parametrize("wrap", [lambda v: v, np.asarray, jnp.asarray, lambda v: [v]])
def test_complex_numbers_are_refused(wrap):
    with pytest.raises(UsageError, match="takes real numbers, got a complex one"):
        lpdf.normal(wrap(1.0 + 2.0j), 0.0, 1.0)


@pytest.mark.parametrize(("z", "value", "slope"), [(900.0, -900.0, -1.0), (35.0, -35.0, -1.0), (-1e4, 0.0, 0.0)])
def test_the_upper_tail_of_gumbel_far_out(z, value, slope):
    with jax.enable_x64(True):
        got, derivative = jax.value_and_grad(lambda y: lpdf.gumbel_lccdf(y, 0.0, 1.0))(z)
    assert (float(got), float(derivative)) == pytest.approx((value, slope), rel=1e-13)


@pytest.mark.parametrize(
    ("name", "law"),
    [
        ("normal", lambda d, m, s: d.Normal(m, s)),
        ("cauchy", lambda d, m, s: d.Cauchy(m, s)),
        ("half_normal", lambda d, m, s: d.HalfNormal(s)),
        ("half_cauchy", lambda d, m, s: d.HalfCauchy(s)),
        ("exponential", lambda d, m, s: d.Exponential(s)),
    ],
)
def test_laws_that_are_written_out_are_numpyros_to_the_last_bit(name, law, x64):
    y, m, s = np.abs(np.random.default_rng(3).normal(size=(3, 50)))
    found = getattr(lpdf, name)(jnp.asarray(y), *([m] if name in ("normal", "cauchy") else []), s, pointwise=True)
    np.testing.assert_array_equal(found, law(distributions(), m, s).log_prob(y))
