"""Every log density against scipy's, on plain numbers: the parameters mean what the documentation says."""

import math

import numpy as np
import pytest
from scipy import stats

from gradmc import lpdf

COVARIANCE = np.array([[2.0, 0.4], [0.4, 1.0]])
CORRELATION = np.array([[1.0, 0.3, -0.2], [0.3, 1.0, 0.5], [-0.2, 0.5, 1.0]])
FACTOR = np.linalg.cholesky(COVARIANCE)

CASES = {
    "normal": ((1.0, 0.5, 2.0), stats.norm(0.5, 2).logpdf(1)),
    "cauchy": ((1.0, 0.5, 2.0), stats.cauchy(0.5, 2).logpdf(1)),
    "student_t": ((1.0, 3.0, 0.5, 2.0), stats.t(3, 0.5, 2).logpdf(1)),
    "laplace": ((1.0, 0.5, 2.0), stats.laplace(0.5, 2).logpdf(1)),
    "logistic": ((1.0, 0.5, 2.0), stats.logistic(0.5, 2).logpdf(1)),
    "gumbel": ((1.0, 0.5, 2.0), stats.gumbel_r(0.5, 2).logpdf(1)),
    "von_mises": ((1.0, 0.5, 2.0), stats.vonmises(2, 0.5).logpdf(1)),
    "half_normal": ((1.0, 2.0), stats.halfnorm(scale=2).logpdf(1)),
    "half_cauchy": ((1.0, 2.0), stats.halfcauchy(scale=2).logpdf(1)),
    "half_student_t": ((1.0, 3.0, 2.0), stats.t(3, 0, 2).logpdf(1) + math.log(2)),
    "exponential": ((1.2, 3.0), stats.expon(scale=1 / 3).logpdf(1.2)),
    "gamma": ((1.2, 3.0, 2.0), stats.gamma(3, scale=0.5).logpdf(1.2)),
    "inverse_gamma": ((1.2, 3.0, 2.0), stats.invgamma(3, scale=2).logpdf(1.2)),
    "chi_square": ((1.2, 3.0), stats.chi2(3).logpdf(1.2)),
    "lognormal": ((1.2, 3.0, 2.0), stats.lognorm(2, scale=math.exp(3)).logpdf(1.2)),
    "weibull": ((1.2, 3.0, 2.0), stats.weibull_min(3, scale=2).logpdf(1.2)),
    "gompertz": ((1.0, 0.5, 2.0), stats.gompertz(0.5, scale=0.5).logpdf(1)),
    "pareto": ((1.2, 1.0, 2.0), stats.pareto(2, scale=1).logpdf(1.2)),
    "beta": ((0.2, 3.0, 2.0), stats.beta(3, 2).logpdf(0.2)),
    "beta_proportion": ((0.2, 0.6, 5.0), stats.beta(3, 2).logpdf(0.2)),
    "kumaraswamy": ((0.2, 3.0, 2.0), math.log(3 * 2 * 0.2**2 * (1 - 0.2**3))),
    "uniform": ((1.2, 1.0, 3.0), -math.log(2)),
    "log_uniform": ((1.2, 1.0, 3.0), stats.loguniform(1, 3).logpdf(1.2)),
    "asymmetric_laplace": ((1.0, 0.5, 2.0, 0.3), math.log(0.3 * 0.7 / 2) - 0.25 * 0.3),
    "skew_normal": ((1.0, 0.5, 2.0, -3.0), stats.skewnorm(-3, 0.5, 2).logpdf(1)),
    "exp_mod_normal": ((1.0, 0.5, 2.0, 0.3), stats.exponnorm(1 / 0.6, 0.5, 2).logpdf(1)),
    "pareto_type_2": ((1.2, 1.0, 2.0, 3.0), stats.lomax(3, loc=1, scale=2).logpdf(1.2)),
    "inverse_chi_square": ((1.2, 3.0), stats.invgamma(1.5, scale=0.5).logpdf(1.2)),
    "scaled_inverse_chi_square": ((1.2, 3.0, 2.0), stats.invgamma(1.5, scale=6).logpdf(1.2)),
    "frechet": ((1.2, 3.0, 2.0), stats.invweibull(3, scale=2).logpdf(1.2)),
    "log_logistic": ((1.2, 3.0, 2.0), stats.fisk(2, scale=3).logpdf(1.2)),
    "rayleigh": ((1.2, 2.0), stats.rayleigh(scale=2).logpdf(1.2)),
    "zero_inflated_negative_binomial": (
        (0, 0.3, 2.5, 1.3),
        math.log(0.3 + 0.7 * stats.nbinom(1.3, 1.3 / 3.8).pmf(0)),
    ),
    "poisson": ((3, 2.5), stats.poisson(2.5).logpmf(3)),
    "poisson_log": ((3, 2.5), stats.poisson(math.exp(2.5)).logpmf(3)),
    "zero_inflated_poisson": ((0, 0.3, 2.0), math.log(0.3 + 0.7 * math.exp(-2))),
    "hurdle_poisson": (
        (2, 0.3, 2.0),
        math.log(0.7) + stats.poisson(2).logpmf(2) - math.log1p(-math.exp(-2)),
    ),
    "negative_binomial": ((3, 2.5, 1.3), stats.nbinom(1.3, 1.3 / 3.8).logpmf(3)),
    "negative_binomial_log": ((3, math.log(2.5), 1.3), stats.nbinom(1.3, 1.3 / 3.8).logpmf(3)),
    "geometric": ((3, 0.3), stats.geom(0.3, loc=-1).logpmf(3)),
    "bernoulli": ((1, 0.3), math.log(0.3)),
    "bernoulli_logit": ((1, -0.4), stats.logistic.logcdf(-0.4)),
    "binomial": ((3, 5, 0.3), stats.binom(5, 0.3).logpmf(3)),
    "binomial_logit": ((3, 5, -0.4), stats.binom(5, stats.logistic.cdf(-0.4)).logpmf(3)),
    "beta_binomial": ((3, 5, 1.2, 2.0), stats.betabinom(5, 1.2, 2).logpmf(3)),
    "discrete_uniform": ((3, 1, 5), -math.log(5)),
    "categorical": ((1, [0.2, 0.5, 0.3]), math.log(0.5)),
    "categorical_logit": ((1, [1.2, 0.5, 0.3]), 0.5 - np.log(np.sum(np.exp([1.2, 0.5, 0.3])))),
    "ordered_logistic": (
        (1, 0.3, [-1.0, 1.0]),
        math.log(stats.logistic.cdf(0.7) - stats.logistic.cdf(-1.3)),
    ),
    "multinomial": (([1, 2, 3], [0.2, 0.5, 0.3]), stats.multinomial(6, [0.2, 0.5, 0.3]).logpmf([1, 2, 3])),
    "multinomial_logit": (
        ([1, 2, 3], np.log([0.2, 0.5, 0.3])),
        stats.multinomial(6, [0.2, 0.5, 0.3]).logpmf([1, 2, 3]),
    ),
    "dirichlet_multinomial": (
        ([1, 2, 3], [1.0, 2.0, 3.0]),
        stats.dirichlet_multinomial([1, 2, 3], 6).logpmf([1, 2, 3]),
    ),
    "dirichlet": (([0.2, 0.5, 0.3], [1.0, 2.0, 3.0]), stats.dirichlet([1, 2, 3]).logpdf([0.2, 0.5, 0.3])),
    "multivariate_normal": (
        ([1.0, 2.0], [0.5, 0.3], COVARIANCE),
        stats.multivariate_normal([0.5, 0.3], COVARIANCE).logpdf([1, 2]),
    ),
    "multivariate_normal_cholesky": (
        ([1.0, 2.0], [0.5, 0.3], FACTOR),
        stats.multivariate_normal([0.5, 0.3], COVARIANCE).logpdf([1, 2]),
    ),
    "multivariate_normal_precision": (
        ([1.0, 2.0], [0.5, 0.3], np.linalg.inv(COVARIANCE)),
        stats.multivariate_normal([0.5, 0.3], COVARIANCE).logpdf([1, 2]),
    ),
    "multivariate_student_t_cholesky": (
        ([1.0, 2.0], 4.0, [0.5, 0.3], FACTOR),
        stats.multivariate_t([0.5, 0.3], COVARIANCE, 4).logpdf([1, 2]),
    ),
    "wishart": ((COVARIANCE, 4.0, np.eye(2)), stats.wishart(4, np.eye(2)).logpdf(COVARIANCE)),
    "inverse_wishart": ((COVARIANCE, 4.0, np.eye(2)), stats.invwishart(4, np.eye(2)).logpdf(COVARIANCE)),
    "gaussian_random_walk": (
        ([1.0, 0.5, 2.0], 2.0),
        stats.norm(0, 2).logpdf([1.0, -0.5, 1.5]).sum(),
    ),
}

TAILS = {
    "normal": ((0.5, 2.0), stats.norm(0.5, 2)),
    "lognormal": ((0.5, 2.0), stats.lognorm(2, scale=math.exp(0.5))),
    "student_t": ((3.0, 0.5, 2.0), stats.t(3, 0.5, 2)),
    "cauchy": ((0.5, 2.0), stats.cauchy(0.5, 2)),
    "laplace": ((0.5, 2.0), stats.laplace(0.5, 2)),
    "logistic": ((0.5, 2.0), stats.logistic(0.5, 2)),
    "gumbel": ((0.5, 2.0), stats.gumbel_r(0.5, 2)),
    "exponential": ((0.5,), stats.expon(scale=2)),
    "weibull": ((1.5, 2.0), stats.weibull_min(1.5, scale=2)),
    "gompertz": ((0.5, 0.4), stats.gompertz(0.5, scale=2.5)),
    "pareto": ((0.5, 2.0), stats.pareto(2, scale=0.5)),
    "gamma": ((1.5, 2.0), stats.gamma(1.5, scale=0.5)),
    "inverse_gamma": ((1.5, 2.0), stats.invgamma(1.5, scale=2)),
    "uniform": ((0.5, 4.0), stats.uniform(0.5, 3.5)),
    "beta": ((1.5, 2.0), stats.beta(1.5, 2)),
    "poisson": ((2.5,), stats.poisson(2.5)),
}

TRUNCATED = {
    "normal": ((0.5, 2.0), stats.norm(0.5, 2)),
    "cauchy": ((0.5, 2.0), stats.cauchy(0.5, 2)),
    "laplace": ((0.5, 2.0), stats.laplace(0.5, 2)),
    "logistic": ((0.5, 2.0), stats.logistic(0.5, 2)),
    "student_t": ((3.0, 0.5, 2.0), stats.t(3, 0.5, 2)),
}


@pytest.mark.parametrize("name", CASES)
def test_value_is_scipys(name):
    arguments, expected = CASES[name]
    value = getattr(lpdf, name)(*arguments)
    assert type(value) is float
    assert value == pytest.approx(float(expected), rel=1e-10, abs=1e-12)


def test_every_function_is_covered():
    densities = [name for name in lpdf.__all__ if not name.endswith(("_lcdf", "_lccdf"))]
    assert sorted(densities) == sorted([*CASES, "truncated", "lkj", "lkj_cholesky"])
    tails = {name.rsplit("_", 1)[0] for name in lpdf.__all__ if name.endswith(("_lcdf", "_lccdf"))}
    assert tails == set(TAILS)


def test_lkj_is_normalised_in_two_dimensions():
    # The correlation of a 2 x 2 LKJ(eta) matrix is 2 Beta(eta, eta) - 1.
    rho, eta = 0.3, 2.5
    matrix = np.array([[1.0, rho], [rho, 1.0]])
    expected = stats.beta(eta, eta).logpdf((rho + 1) / 2) - math.log(2)
    assert lpdf.lkj(matrix, eta) == pytest.approx(expected, rel=1e-9)
    assert lpdf.lkj_cholesky(np.linalg.cholesky(matrix), eta) == pytest.approx(expected, rel=1e-9)


def test_lkj_is_a_power_of_the_determinant():
    near = np.eye(3) + 0.5 * (CORRELATION - np.eye(3))
    difference = lpdf.lkj(CORRELATION, 3.0) - lpdf.lkj(near, 3.0)
    expected = 2 * (np.linalg.slogdet(CORRELATION)[1] - np.linalg.slogdet(near)[1])
    assert difference == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", TAILS)
@pytest.mark.parametrize("y", [-2.0, 0.25, 1.0, 3.0])
def test_tails_are_scipys(name, y):
    parameters, law = TAILS[name]
    assert getattr(lpdf, f"{name}_lcdf")(y, *parameters) == pytest.approx(law.logcdf(y), rel=1e-9, abs=1e-12)
    assert getattr(lpdf, f"{name}_lccdf")(y, *parameters) == pytest.approx(law.logsf(y), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", ["normal", "logistic", "exponential", "weibull", "laplace", "cauchy", "gompertz"])
def test_far_tails_keep_their_digits(name):
    parameters, law = TAILS[name]
    y = {"cauchy": 1e12, "gompertz": 12.0}.get(name, 70.0)
    assert getattr(lpdf, f"{name}_lccdf")(y, *parameters) == pytest.approx(law.logsf(y), rel=1e-9)
    assert getattr(lpdf, f"{name}_lcdf")(y, *parameters) == pytest.approx(-law.sf(y), rel=1e-6, abs=1e-300)


@pytest.mark.parametrize("name", TRUNCATED)
@pytest.mark.parametrize("bounds", [(0.0, None), (None, 3.0), (0.0, 3.0), (-4.0, 1.5)])
def test_truncated_laws_are_normalised(name, bounds):
    parameters, law = TRUNCATED[name]
    lower, upper = bounds
    mass = law.cdf(math.inf if upper is None else upper) - law.cdf(-math.inf if lower is None else lower)
    value = lpdf.truncated(getattr(lpdf, name), 1.0, *parameters, lower=lower, upper=upper)
    assert value == pytest.approx(law.logpdf(1.0) - math.log(mass), rel=1e-9)


def test_truncation_far_in_a_tail_keeps_its_digits():
    for lower, upper, y in [(30.0, 31.0, 30.1), (-31.0, -30.0, -30.1)]:
        expected = stats.truncnorm(lower, upper).logpdf(y)
        assert lpdf.truncated(lpdf.normal, y, 0.0, 1.0, lower=lower, upper=upper) == pytest.approx(expected, rel=1e-8)
