"""Laws of categories and vectors at their ends and far out, and what a row without exposure gives."""

import math

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from gradmc import lpdf
from gradmc.lpdf.tails import LOWER, UPPER


def value_and_slope(function, *arguments, by=-1):
    with jax.enable_x64(True):
        return jax.device_get(jax.value_and_grad(function, by % len(arguments))(*arguments))


@pytest.mark.parametrize(
    ("name", "arguments", "value"),
    [
        ("poisson", (0, 0.0), 0.0),
        ("poisson", (2, 0.0), -math.inf),
        ("poisson_log", (0, -math.inf), 0.0),
        ("negative_binomial", (0, 0.0, 3.0), 0.0),
        ("negative_binomial_log", (0, -math.inf, 3.0), 0.0),
        ("zero_inflated_poisson", (0, 0.3, 0.0), 0.0),
        ("zero_inflated_negative_binomial", (0, 0.3, 0.0, 2.0), 0.0),
        ("hurdle_poisson", (0, 0.3, 0.0), math.log(0.3)),
        ("binomial", (0, 0, 0.0), 0.0),
        ("binomial", (3, 3, 0.0), -math.inf),
        ("binomial", (3, 3, 1.0), 0.0),
        ("bernoulli", (1, 0.0), -math.inf),
        ("bernoulli", (0, 1.0), -math.inf),
        ("bernoulli", (0, 0.0), 0.0),
        ("geometric", (0, 1.0), 0.0),
        ("gamma", (0.0, 1.0, 2.0), math.log(2.0)),
        ("gamma", (0.0, 0.5, 2.0), math.inf),
        ("gamma", (0.0, 1.5, 2.0), -math.inf),
        ("chi_square", (0.0, 2.0), -math.log(2.0)),
        ("weibull", (0.0, 1.0, 2.0), -math.log(2.0)),
        ("log_logistic", (0.0, 2.0, 1.0), -math.log(2.0)),
        ("beta", (0.0, 1.0, 3.0), math.log(3.0)),
        ("beta", (1.0, 3.0, 1.0), math.log(3.0)),
        ("kumaraswamy", (1.0, 3.0, 1.0), math.log(3.0)),
        ("dirichlet", ([1.0, 0.0, 0.0], [1.0, 1.0, 1.0]), math.log(2.0)),
        ("dirichlet", ([1.0, 0.0, 0.0], [1.0, 2.0, 1.0]), -math.inf),
        ("multinomial", ([2.0, 0.0], [1.0, 0.0]), 0.0),
        ("multinomial", ([2.0, 1.0], [1.0, 0.0]), -math.inf),
        ("multinomial_logit", ([2.0, 0.0], [1.0, -math.inf]), 0.0),
        ("poisson_lcdf", (0, 0.0), 0.0),
        ("poisson_lccdf", (0, 0.0), -math.inf),
        ("beta_lcdf", (0.0, 2.0, 3.0), -math.inf),
        ("beta_lcdf", (1.0, 2.0, 3.0), 0.0),
        ("beta_lccdf", (1.0, 2.0, 3.0), -math.inf),
        ("gamma_lccdf", (0.0, 2.0, 3.0), 0.0),
        ("lkj_cholesky", ([[1.0]], 2.0), 0.0),
        ("lkj", ([[1.0]], 2.0), 0.0),
    ],
)
def test_values_at_the_ends(name, arguments, value):
    function = getattr(lpdf, name)
    assert function(*arguments) == pytest.approx(value, rel=1e-14, abs=1e-14)
    if math.isfinite(value):
        arguments = [np.asarray(argument, float) for argument in arguments]
        for k in range(1, len(arguments)):
            if np.all(np.isfinite(arguments[k])):
                assert np.all(np.isfinite(value_and_slope(function, *arguments, by=k)[1])), f"slope in argument {k}"


@pytest.mark.parametrize(
    ("name", "arguments", "slope"),
    [
        ("poisson", (0.0, 0.0), -1.0),
        ("negative_binomial", (0.0, 0.0, 3.0), -1.0),
        ("multinomial", ([2.0, 0.0], [1.0, 0.0]), [2.0, 0.0]),
        ("beta", (0.0, 1.0, 3.0), -2.0),
        ("gamma", (0.0, 1.0, 2.0), -2.0),
        ("laplace_lcdf", (0.0, 0.0, 1.0), 1.0),
        ("cauchy_lccdf", (0.0, 0.0, 1.0), -2.0 / math.pi),
        ("student_t_lcdf", (0.0, 1.0, 0.0, 1.0), 2.0 / math.pi),
    ],
)
def test_slopes_at_the_ends(name, arguments, slope):
    by = 1 if name in ("poisson", "negative_binomial", "multinomial") else 0
    arguments = [np.asarray(argument) for argument in arguments]
    np.testing.assert_allclose(value_and_slope(getattr(lpdf, name), *arguments, by=by)[1], slope, rtol=1e-13)


@pytest.mark.parametrize("name", LOWER)
@pytest.mark.parametrize("end", [-np.inf, np.inf])
def test_tails_end_at_infinity(name, end):
    arguments = {"pareto": (0.5, 2.0), "uniform": (0.1, 2.0), "student_t": (3.0, 0.3, 2.0)}
    two = arguments.get(name, (2.0,) if name in ("exponential", "poisson") else (1.3, 2.0))
    tails = {0.0: LOWER[name] if end > 0 else UPPER[name], -np.inf: UPPER[name] if end > 0 else LOWER[name]}
    with jax.enable_x64(True):
        for value, tail in tails.items():
            assert tail(end, *two) == value
        slopes = jax.grad(lambda two: tails[0.0](jnp.asarray([0.7, end]), *two))(two)
    assert np.isfinite(np.asarray(slopes)).all()


@pytest.mark.parametrize("eta", [-900.0, -40.0, -1.3, 0.0, 45.0, 900.0])
@pytest.mark.parametrize("y", range(4))
def test_ordered_logistic_far_from_its_cuts(y, eta):
    cuts = np.array([-1.0, 0.25, 3.0])

    def exact(eta):
        below = [mp.mpf(0), *(1 / (1 + mp.exp(eta - mp.mpf(c))) for c in cuts), mp.mpf(1)]
        return mp.log(below[y + 1] - below[y])

    with mp.workdps(900):
        expected, step = float(exact(mp.mpf(eta))), mp.mpf(10) ** -40
        slope = float((exact(eta + step) - exact(eta - step)) / (2 * step))
    got, gradient = value_and_slope(lpdf.ordered_logistic, y, eta, cuts, by=1)
    assert (got, gradient) == pytest.approx((expected, slope), rel=1e-12, abs=1e-15)
    assert lpdf.ordered_logistic(y, eta, cuts) == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert np.all(np.isfinite(value_and_slope(lpdf.ordered_logistic, y, eta, cuts, by=2)[1]))


@pytest.mark.parametrize("y", [-1, 3])
def test_ordered_logistic_knows_its_categories(y):
    assert lpdf.ordered_logistic(y, 0.3, [-1.0, 1.0]) == -math.inf


def test_ordered_logistic_of_two_categories_is_a_coin():
    assert lpdf.ordered_logistic(1, 0.3, [0.5]) == pytest.approx(lpdf.bernoulli_logit(1, -0.2), rel=1e-14)


@pytest.mark.parametrize("size", [1e3, 1e6, 1e12])
def test_huge_shapes_keep_the_digits(size):
    with mp.workdps(60):
        a, b, y = mp.mpf(size), mp.mpf(3 * size), mp.mpf(1) / 4
        total = mp.loggamma(a + b) - mp.loggamma(a) - mp.loggamma(b)
        beta = total + (a - 1) * mp.log(y) + (b - 1) * mp.log(1 - y)
        gamma = a * mp.log(4) - mp.loggamma(a) + (a - 1) * mp.log(a * y) - 4 * a * y
    assert lpdf.beta(0.25, size, 3 * size) == pytest.approx(float(beta), abs=1e-9)
    assert lpdf.dirichlet([0.25, 0.75], [size, 3 * size]) == pytest.approx(float(beta), abs=1e-9)
    assert lpdf.gamma(size / 4, size, 4.0) == pytest.approx(float(gamma), abs=1e-9)


def test_dirichlet_slopes():
    y, alpha = np.array([0.2, 0.5, 0.3]), np.array([1.0, 2.5, 30.0])
    expected = np.log(y) + float(mp.digamma(alpha.sum())) - [float(mp.digamma(a)) for a in alpha]
    np.testing.assert_allclose(value_and_slope(lpdf.dirichlet, y, alpha)[1], expected, rtol=1e-12)


@pytest.mark.parametrize("size", [2, 3, 7])
@pytest.mark.parametrize("eta", [0.3, 1.0, 40.0, 1e9])
def test_lkj_of_independent_variables(size, eta):
    """The density at the identity is one over the integral of det(R)^(eta - 1), a product of beta functions."""
    with mp.workdps(40):
        shapes = [mp.mpf(eta) + mp.mpf(size - 1 - k) / 2 for k in range(1, size)]
        integral = [
            (size - k) * ((2 * shape - 1) * mp.log(2) + mp.log(mp.beta(shape, shape)))
            for k, shape in enumerate(shapes, 1)
        ]
        expected = -float(mp.fsum(integral))
    assert lpdf.lkj(np.eye(size), eta) == pytest.approx(expected, rel=1e-12)
    assert lpdf.lkj_cholesky(np.eye(size), eta) == pytest.approx(expected, rel=1e-12)


def test_a_censored_student_t_has_slopes_in_all_parameters():
    with jax.enable_x64(True):
        found = jax.grad(lpdf.student_t_lccdf, (0, 1, 2, 3))(3.0, 4.0, 0.5, 2.0)
        step = 1e-6
        ahead = lpdf.student_t_lccdf(3.0, 4.0 + step, 0.5, 2.0) - lpdf.student_t_lccdf(3.0, 4.0 - step, 0.5, 2.0)
    density = math.exp(lpdf.student_t(3.0, 4.0, 0.5, 2.0) - lpdf.student_t_lccdf(3.0, 4.0, 0.5, 2.0))
    np.testing.assert_allclose(found, [-density, ahead / (2 * step), density, 1.25 * density], rtol=1e-8)
