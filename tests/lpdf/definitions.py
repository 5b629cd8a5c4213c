"""Log densities by their definitions, in mpmath's arithmetic: what the table of `test_whole_range` compares with."""

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mpmath as mp
from mpmath import mpf

DIGITS = 80
INF = mp.inf


def log(x):
    return mp.log(x) if x else -INF


def times_log(factor, x):
    """factor log(x), where 0 log(0) = 0."""
    return factor * log(x) if factor else mpf(0)


def log_mix(gate, log_rest):
    return log(gate + (1 - gate) * mp.exp(log_rest))


def log_choose(n, k):
    return mp.loggamma(n + 1) - mp.loggamma(k + 1) - mp.loggamma(n - k + 1)


def log_beta(a, b):
    return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)


def complement(log_p):
    """log(1 - p)."""
    return mp.log(-mp.expm1(log_p)) if log_p else -INF


def _series(first, ratios):
    """first (1 + r1 + r1 r2 + ...)."""
    total = term = mpf(1)
    for ratio in ratios:
        term *= ratio
        total += term
        if abs(term) < total * mpf(10) ** -DIGITS:
            break
    return first + mp.log(total)


@functools.cache
def gamma_p(a, x):
    """log P(a, x), by the series of the lower tail or the continued fraction of the upper one."""
    if x >= a + 1:
        return complement(gamma_q(a, x))
    return _series(a * log(x) - x - mp.loggamma(a + 1), (x / (a + k) for k in itertools.count(1)))


@functools.cache
def gamma_q(a, x):
    if x < a + 1:
        return complement(gamma_p(a, x))
    return mp.log(mp.gammainc(a, x)) - mp.loggamma(a) if x < 1e4 else _gamma_far(a, x)


def _gamma_far(a, x):
    """The asymptotic series x^(a - 1) exp(-x) / G(a) (1 + (a - 1) / x + (a - 1)(a - 2) / x^2 + ...)."""
    return _series((a - 1) * mp.log(x) - x - mp.loggamma(a), ((a - k) / x for k in itertools.count(1)))


@functools.cache
def beta_i(a, b, x):
    """log I_x(a, b)."""
    if x > a / (a + b):
        return complement(beta_i(b, a, 1 - x))
    first = a * log(x) + b * log(1 - x) - mp.log(a) - log_beta(a, b)
    return _series(first, ((a + b + k) / (a + 1 + k) * x for k in itertools.count(0)))


def student_t_cdf(z, nu):
    beyond = beta_i(nu / 2, mpf(1) / 2, nu / (nu + z * z)) - mp.log(2) if z else -mp.log(2)
    return beyond if z < 0 else complement(beyond)


def cauchy_cdf(z):
    return mp.log(mp.acot(-z) / mp.pi if z < 0 else 1 - mp.acot(z) / mp.pi if z > 0 else mpf(1) / 2)


def laplace_cdf(z):
    return z - mp.log(2) if z < 0 else mp.log1p(-mp.exp(-z) / 2)


def normal_cdf(z):
    return mp.log(mp.erfc(-z / mp.sqrt(2)) / 2)


def softplus(x):
    return mp.log1p(mp.exp(x))


@dataclass(frozen=True)
class Case:
    """A law and where to try it.

    Attributes:
        define: its log density at mpmath numbers.
        rows: the arguments to try, value first.
        known: how many arguments from the first on are whole numbers, without derivatives.
        tolerance: of the value; larger where a constant of the data has large terms.
    """

    define: Callable
    rows: Sequence[tuple[float, ...]]
    known: int = 0
    tolerance: float = 1e-12


def grid(*axes):
    return list(itertools.product(*axes))


REAL = (-1e30, -1e6, -40.0, -1.5, 0.0, 1e-8, 2.0, 35.0, 1e9)
LINE = (-1e6, -40.0, -1.5, 0.0, 1e-8, 2.0, 35.0, 1e9)
HALF = (0.0, 1e-30, 1e-8, 0.3, 2.5, 60.0, 1e8)
VAST = (1e160, 1e300)
PLUS = HALF[1:]
UNIT = (0.0, 1e-30, 1e-6, 0.3, 0.9, 1.0 - 2.0**-30, 1.0)
COUNTS = (0.0, 1.0, 4.0, 60.0, 1e4)
TRIALS = [(y, n) for n in (0.0, 1.0, 7.0, 1e4) for y in sorted({0.0, 1.0, 5.0, n}) if y <= n]
LOGITS = (-1e4, -40.0, 0.0, 2.0, 900.0)
SCALES = (1e-3, 1.0, 40.0)
SHAPES = (0.02, 0.7, 1.0, 3.0, 60.0, 1e5)


def normal(y, mu, sigma):
    return -(((y - mu) / sigma) ** 2) / 2 - mp.log(sigma) - mp.log(2 * mp.pi) / 2


def cauchy(y, mu, sigma):
    return -mp.log1p(((y - mu) / sigma) ** 2) - mp.log(mp.pi * sigma)


def student_t(y, nu, mu, sigma):
    z = (y - mu) / sigma
    return (mp.loggamma((nu + 1) / 2) - mp.loggamma(nu / 2) - mp.log(mp.pi * nu) / 2 - mp.log(sigma)) - (
        nu + 1
    ) / 2 * mp.log1p(z * z / nu)


def laplace(y, mu, sigma):
    return -abs(y - mu) / sigma - mp.log(2 * sigma)


def asymmetric_laplace(y, mu, sigma, tau):
    z = (y - mu) / sigma
    return mp.log(tau * (1 - tau) / sigma) - z * (tau if z > 0 else tau - 1)


def logistic(y, mu, sigma):
    z = abs(y - mu) / sigma
    return -z - 2 * mp.log1p(mp.exp(-z)) - mp.log(sigma)


def gumbel(y, mu, beta):
    z = (y - mu) / beta
    return -z - mp.exp(-z) - mp.log(beta)


def skew_normal(y, mu, sigma, alpha):
    return mp.log(2) + normal(y, mu, sigma) + normal_cdf(alpha * (y - mu) / sigma)


def exp_mod_normal(y, mu, sigma, rate):
    z, shift = (y - mu) / sigma, rate * sigma
    return mp.log(rate) + shift * shift / 2 - shift * z + normal_cdf(z - shift)


def von_mises(y, mu, kappa):
    return kappa * mp.cos(y - mu) - mp.log(2 * mp.pi * mp.besseli(0, kappa))


def gamma(y, shape, rate):
    return shape * mp.log(rate) - mp.loggamma(shape) + times_log(shape - 1, y) - rate * y


def inverse_gamma(y, shape, scale):
    return shape * mp.log(scale) - mp.loggamma(shape) - (shape + 1) * log(y) - scale / y


def weibull(y, shape, scale):
    z = y / scale
    return mp.log(shape / scale) + times_log(shape - 1, z) - z**shape


def log_logistic(y, scale, shape):
    z = y / scale
    return mp.log(shape / scale) + times_log(shape - 1, z) - 2 * mp.log1p(z**shape)


def beta(y, a, b):
    return times_log(a - 1, y) + times_log(b - 1, 1 - y) - log_beta(a, b)


def poisson(y, rate):
    return times_log(y, rate) - rate - mp.loggamma(y + 1)


def negative_binomial(y, mu, phi):
    return (mp.loggamma(y + phi) - mp.loggamma(phi) - mp.loggamma(y + 1) + phi * mp.log(phi / (mu + phi))) + times_log(
        y, mu / (mu + phi)
    )


def binomial(y, n, p):
    return log_choose(n, y) + times_log(y, p) + times_log(n - y, 1 - p)


def zero_inflated(y, gate, mass):
    return log_mix(gate, mass(0)) if y == 0 else log(1 - gate) + mass(y)


def hurdle_poisson(y, gate, rate):
    if y and not rate:  # the limit: a count that is not 0 is 1
        return log(1 - gate) if y == 1 else -mp.inf
    return log(gate) if y == 0 else log(1 - gate) + poisson(y, rate) - mp.log(-mp.expm1(-rate))


def kumaraswamy(y, a, b):
    return mp.log(a * b) + times_log(a - 1, y) + times_log(b - 1, 1 - y**a)


AT_RATE_0 = grid((0.0, 1.0, 2.0), (0.4,), (0.0,))
DENSITIES = {
    "normal": Case(normal, grid(REAL, (0.3,), SCALES)),
    "cauchy": Case(cauchy, grid((*REAL, *VAST), (0.3,), SCALES)),
    "student_t": Case(student_t, grid((*REAL, *VAST), (0.5, 4.0, 1e4, 1e12), (0.3,), SCALES)),
    "laplace": Case(laplace, grid(REAL, (0.3,), SCALES)),
    "asymmetric_laplace": Case(asymmetric_laplace, grid(REAL, (0.3,), SCALES, (0.01, 0.6))),
    "logistic": Case(logistic, grid(REAL, (0.3,), SCALES)),
    "gumbel": Case(gumbel, grid((-600.0, *LINE[1:]), (0.3,), (1.0, 40.0))),
    "skew_normal": Case(skew_normal, grid(LINE, (0.3,), SCALES, (-30.0, 0.0, 2.0))),
    "exp_mod_normal": Case(exp_mod_normal, grid((-1e3, -6.0, 0.0, 3.0, 40.0, 1e6), (0.3,), SCALES, (1e-3, 1.0, 1e5))),
    "von_mises": Case(von_mises, grid((-3.1, 0.0, 2.0), (0.3,), (1e-6, 1.0, 40.0, 1e4))),
    "half_normal": Case(lambda y, s: mp.log(2) + normal(y, 0, s), grid(HALF, SCALES)),
    "half_cauchy": Case(lambda y, s: mp.log(2) + cauchy(y, 0, s), grid((*HALF, *VAST), SCALES)),
    "half_student_t": Case(
        lambda y, nu, s: mp.log(2) + student_t(y, nu, 0, s), grid((*HALF, *VAST), (0.5, 1e4), SCALES)
    ),
    "exponential": Case(lambda y, r: mp.log(r) - r * y, grid(HALF, SCALES)),
    "gamma": Case(gamma, grid(HALF, (*SHAPES, 1e12), SCALES)),
    "inverse_gamma": Case(inverse_gamma, grid(PLUS, (*SHAPES, 1e12), SCALES)),
    "chi_square": Case(lambda y, nu: gamma(y, nu / 2, mpf(1) / 2), grid(HALF, (0.3, 2.0, 60.0, 1e9))),
    "lognormal": Case(lambda y, mu, s: normal(mp.log(y), mu, s) - mp.log(y), grid(PLUS, (-3.0, 0.5), SCALES)),
    "weibull": Case(weibull, grid(HALF, (0.02, 0.7, 1.0, 3.0), SCALES)),
    "gompertz": Case(
        lambda y, shape, rate: mp.log(shape * rate) + rate * y - shape * mp.expm1(rate * y),
        grid((0.0, 1e-30, 1e-8, 0.3, 2.5, 60.0), (1e-3, 2.0), (1e-3, 1.0)),
    ),
    "pareto": Case(
        lambda y, low, shape: mp.log(shape / low) - (shape + 1) * mp.log(y / low),
        grid((2.0, 2.0 + 2.0**-40, 2.5, 60.0, 1e30), (2.0,), SCALES),
    ),
    "pareto_type_2": Case(
        lambda y, mu, scale, shape: mp.log(shape / scale) - (shape + 1) * mp.log1p((y - mu) / scale),
        grid((-1.0, -1.0 + 2.0**-40, 2.5, 1e30), (-1.0,), SCALES, SCALES),
    ),
    "inverse_chi_square": Case(lambda y, nu: inverse_gamma(y, nu / 2, mpf(1) / 2), grid(PLUS, (0.3, 2.0, 60.0))),
    "scaled_inverse_chi_square": Case(
        lambda y, nu, s: inverse_gamma(y, nu / 2, nu * s * s / 2), grid(PLUS, (0.3, 2.0, 60.0, 1e9), SCALES)
    ),
    "frechet": Case(
        lambda y, shape, scale: mp.log(shape / scale) - (shape + 1) * mp.log(y / scale) - (y / scale) ** -shape,
        grid((1e-8, 0.3, 2.5, 60.0, 1e8), (0.02, 0.7, 3.0), SCALES),
    ),
    "log_logistic": Case(log_logistic, grid((*HALF, 1e30), SCALES, (0.02, 0.7, 1.0, 3.0, 60.0))),
    "rayleigh": Case(lambda y, s: mp.log(y / s / s) - (y / s) ** 2 / 2, grid(PLUS, SCALES)),
    "beta": Case(beta, grid(UNIT, (0.02, 1.0, 3.0, 1e5), (0.7, 1.0, 40.0))),
    "beta_proportion": Case(
        lambda y, mu, kappa: beta(y, mu * kappa, (1 - mu) * kappa), grid(UNIT[1:-1], (1e-3, 0.5), (0.1, 8.0, 1e9))
    ),
    "kumaraswamy": Case(kumaraswamy, grid(UNIT, (0.02, 1.0, 3.0), (0.7, 1.0, 40.0))),
    "uniform": Case(lambda y, a, b: -mp.log(b - a), grid((-1.0, 0.0, 2.0), (-1.0,), (2.0,))),
    "log_uniform": Case(lambda y, a, b: -mp.log(y) - mp.log(mp.log(b / a)), grid((0.1, 1.0, 2.0), (0.1,), (2.0, 1e9))),
    "poisson": Case(poisson, grid(COUNTS, (0.0, 1e-30, 1e-3, 3.5, 70.0, 1e5)), 1),
    "poisson_log": Case(lambda y, eta: poisson(y, mp.exp(eta)), grid(COUNTS, (-700.0, -2.0, 0.0, 5.0, 700.0)), 1),
    "zero_inflated_poisson": Case(
        lambda y, gate, rate: zero_inflated(y, gate, lambda k: poisson(k, rate)),
        grid((0.0, 1.0, 60.0), (0.0, 1e-8, 0.4, 1.0), (0.0, 1e-3, 3.5, 70.0, 1e5)),
        1,
    ),
    "hurdle_poisson": Case(
        hurdle_poisson,
        [*grid((0.0, 1.0, 60.0), (0.0, 1e-8, 0.4, 1.0), (1e-12, 1e-3, 3.5, 70.0, 1e5)), *AT_RATE_0],
        1,
    ),
    "negative_binomial": Case(negative_binomial, grid(COUNTS, (0.0, 1e-30, 1e-3, 3.5, 1e5), (1e-3, 1.0, 50.0, 1e9)), 1),
    "negative_binomial_log": Case(
        lambda y, eta, phi: negative_binomial(y, mp.exp(eta), phi),
        grid(COUNTS, (-700.0, -2.0, 0.0, 5.0, 700.0), (1e-3, 1.0, 50.0, 1e9)),
        1,
    ),
    "zero_inflated_negative_binomial": Case(
        lambda y, gate, mu, phi: zero_inflated(y, gate, lambda k: negative_binomial(k, mu, phi)),
        grid((0.0, 1.0, 60.0), (0.0, 1e-8, 0.4, 1.0), (0.0, 1e-3, 3.5, 1e5), (1.0, 50.0, 1e9)),
        1,
    ),
    "geometric": Case(lambda y, p: log(p) + times_log(y, 1 - p), grid(COUNTS, UNIT), 1),
    "bernoulli": Case(lambda y, p: log(p if y else 1 - p), grid((0.0, 1.0), UNIT), 1),
    "bernoulli_logit": Case(
        lambda y, eta: -softplus(-eta if y else eta), grid((0.0, 1.0), (-1e4, -40.0, 0.0, 2.0, 900.0)), 1
    ),
    "binomial": Case(binomial, [(*trial, p) for trial in TRIALS for p in UNIT], 2, 1e-11),
    "binomial_logit": Case(
        lambda y, n, eta: log_choose(n, y) - y * softplus(-eta) - (n - y) * softplus(eta),
        [(*trial, eta) for trial in TRIALS for eta in LOGITS],
        2,
        1e-11,
    ),
    "beta_binomial": Case(
        lambda y, n, a, b: log_choose(n, y) + log_beta(y + a, n - y + b) - log_beta(a, b),
        [(*trial, *shapes) for trial in TRIALS for shapes in grid((*SHAPES, 1e9, 1e14), (0.3, 60.0, 1e12))],
        2,
        1e-11,
    ),
    "discrete_uniform": Case(lambda y, low, high: -mp.log(high - low + 1), grid((-2.0, 3.0), (-2.0,), (3.0,)), 3),
}


def symmetric(log_cdf):
    """Both tails of a law of location and scale by its distribution function: P(Y > y) is that of -y around -mu."""
    return (
        lambda y, *p: log_cdf((y - p[-2]) / p[-1], *p[:-2]),
        lambda y, *p: log_cdf((p[-2] - y) / p[-1], *p[:-2]),
    )


def survival(log_survival):
    """Both tails of a law by the logarithm of its survival function."""
    return lambda *a: complement(log_survival(*a)), log_survival


TAILS = {
    "normal": (symmetric(normal_cdf), grid(LINE, (0.3,), SCALES)),
    "lognormal": (
        (
            lambda y, mu, s: normal_cdf((mp.log(y) - mu) / s),
            lambda y, mu, s: normal_cdf((mu - mp.log(y)) / s),
        ),
        grid(PLUS, (0.5,), (0.5, 40.0)),
    ),
    "student_t": (
        symmetric(student_t_cdf),
        grid((-1e300, -1e160, -1e30, -40.0, -1.5, 0.3, 1e-8, 2.0, 1e6, 1e300), (0.5, 4.0, 60.0), (0.3,), (1.0, 40.0)),
    ),
    "cauchy": (symmetric(cauchy_cdf), grid((*REAL, *VAST), (0.3,), SCALES)),
    "laplace": (symmetric(laplace_cdf), grid(LINE, (0.3,), SCALES)),
    "logistic": (symmetric(lambda z: -softplus(-z)), grid(LINE, (0.3,), (1.0, 40.0))),
    "gumbel": (
        (
            lambda y, mu, b: -mp.exp(-(y - mu) / b),
            lambda y, mu, b: complement(-mp.exp(-(y - mu) / b)),
        ),
        grid((-600.0, -40.0, -1.5, 0.0, 2.0, 35.0, 1e6), (0.3,), (1.0, 40.0)),
    ),
    "exponential": (survival(lambda y, r: -r * y), grid(PLUS, SCALES)),
    "weibull": (survival(lambda y, k, s: -((y / s) ** k)), grid((1e-300, *PLUS), (0.02, 0.7, 3.0, 60.0), SCALES)),
    "gompertz": (
        survival(lambda y, k, r: -k * mp.expm1(r * y)),
        grid((1e-30, 1e-8, 0.3, 2.5, 60.0, 1e3), (1e-3, 2.0), (1e-3, 1.0)),
    ),
    "pareto": (
        survival(lambda y, low, k: -k * mp.log(y / low)),
        grid((2.0 + 2.0**-40, 2.5, 60.0, 1e30), (2.0,), SCALES),
    ),
    "gamma": (
        (lambda y, k, r: gamma_p(k, r * y), lambda y, k, r: gamma_q(k, r * y)),
        grid(PLUS, (0.02, 0.7, 3.0, 60.0, 1e3), (1e-3, 1.0)),
    ),
    "inverse_gamma": (
        (lambda y, k, s: gamma_q(k, s / y), lambda y, k, s: gamma_p(k, s / y)),
        grid((1e-5, *PLUS[1:]), (0.02, 0.7, 3.0, 60.0), (1e-3, 1.0)),
    ),
    "uniform": (
        (lambda y, a, b: mp.log((y - a) / (b - a)), lambda y, a, b: mp.log((b - y) / (b - a))),
        grid((-1.0 + 1e-9, 0.0, 1.5), (-1.0,), (2.0,)),
    ),
    "beta": (
        (lambda y, a, b: beta_i(a, b, y), lambda y, a, b: beta_i(b, a, 1 - y)),
        grid((1e-30, 1e-6, 0.1, 0.3, 0.9), (0.02, 0.7, 3.0, 60.0), (0.3, 1.0, 40.0)),
    ),
    "poisson": (
        (lambda y, rate: gamma_q(y + 1, rate), lambda y, rate: gamma_p(y + 1, rate)),
        grid((0.0, 1.0, 4.0, 60.0), (1e-30, 1e-3, 3.5, 70.0, 1e3)),
    ),
}


def truncated(density, log_cdf, rows):
    """A symmetric law of location and scale on an interval, by its density and distribution function."""

    def define(y, *p):
        *shapes, mu, sigma, lower, upper = p
        if not lower <= y <= upper:
            return -INF
        a, b = (lower - mu) / sigma, (upper - mu) / sigma
        a, b = (-b, -a) if a + b > 0 else (a, b)
        low, high = log_cdf(a, *shapes), log_cdf(b, *shapes)
        return density(y, *shapes, mu, sigma) - high - mp.log(-mp.expm1(low - high))

    return Case(define, rows, tolerance=1e-11)


ENDS = ((-1.0, 2.0), (30.0, 31.0), (-31.0, -30.0), (0.5, 5.0), (1e3, 1e6), (-1e9, 1e9))
NARROW = ((0.25, 0.25 + 2**-30), (-8.0, -8.0 + 2**-20), (0.25, 0.3125), (0.0, 0.5), (5.0, 5.0625))


def _between(ends, *shapes):
    """Values at both ends, inside, and outside; bounds on both sides of the centre and far out on either."""
    return [
        (y, *shape, 0.3, sigma, low, high)
        for low, high in ends
        for *shape, sigma in grid(*shapes, SCALES[1:])
        for y in (low, low + 0.3 * (high - low), high, high + 1.0)
    ]


TRUNCATED = {
    "truncated_normal": truncated(normal, normal_cdf, _between(ENDS + NARROW)),
    "truncated_cauchy": truncated(cauchy, cauchy_cdf, _between(ENDS + NARROW)),
    "truncated_laplace": truncated(laplace, laplace_cdf, _between(ENDS + NARROW)),
    "truncated_logistic": truncated(logistic, lambda z: -softplus(-z), _between(ENDS + NARROW)),
    "truncated_student_t": truncated(student_t, student_t_cdf, _between(ENDS[:3] + NARROW, (0.3, 4.0))),
}


def rising(y, alpha):
    """log of G(alpha + y) / G(alpha) / y!."""
    return mp.loggamma(alpha + y) - mp.loggamma(alpha) - mp.loggamma(y + 1)


def dirichlet_multinomial(y, alpha):
    return mp.fsum(map(rising, y, alpha)) - rising(mp.fsum(y), mp.fsum(alpha))


def multinomial(y, probs):
    return mp.loggamma(mp.fsum(y) + 1) + mp.fsum(
        times_log(n, p) - mp.loggamma(n + 1) for n, p in zip(y, probs, strict=True)
    )


def softmax(logits):
    total = mp.fsum(map(mp.exp, logits))
    return [mp.exp(x) / total for x in logits]


def multivariate_normal(y, mu, covariance):
    gap = mp.matrix(y) - mp.matrix(mu)
    square = (gap.T * mp.inverse(mp.matrix(covariance)) * gap)[0]
    return -square / 2 - mp.log(mp.det(mp.matrix(covariance))) / 2 - len(y) * mp.log(2 * mp.pi) / 2


def multivariate_student_t(y, nu, mu, factor):
    size, z = len(y), mp.lu_solve(mp.matrix(factor), mp.matrix(y) - mp.matrix(mu))
    constant = mp.loggamma((nu + size) / 2) - mp.loggamma(nu / 2) - size * mp.log(mp.pi * nu) / 2
    spread = mp.fsum(mp.log(factor[k][k]) for k in range(size))
    return constant - spread - (nu + size) / 2 * mp.log1p(mp.fsum(x * x for x in z) / nu)


def _log_multigamma(a, size):
    return size * (size - 1) * mp.log(mp.pi) / 4 + mp.fsum(mp.loggamma(a - mpf(k) / 2) for k in range(size))


def wishart(y, nu, scale):
    y, scale, size = mp.matrix(y), mp.matrix(scale), len(y)
    trace = mp.fsum((mp.inverse(scale) * y)[k, k] for k in range(size))
    constant = nu * size * mp.log(2) / 2 + nu * mp.log(mp.det(scale)) / 2 + _log_multigamma(nu / 2, size)
    return (nu - size - 1) / 2 * mp.log(mp.det(y)) - trace / 2 - constant


def inverse_wishart(y, nu, scale):
    inverse = mp.inverse(mp.matrix(y))
    jacobian = (len(y) + 1) * mp.log(mp.det(inverse))
    return wishart(inverse.tolist(), nu, mp.inverse(mp.matrix(scale)).tolist()) + jacobian


def lkj_cholesky_two(factor, eta):
    """Of two variables, whose correlation is 2 Beta(eta, eta) - 1; L[1, 0] is the correlation."""
    return (eta - 1) * 2 * mp.log(factor[1][1]) - (2 * eta - 1) * mp.log(2) - log_beta(eta, eta)


MATRICES = ([[2.0, 0.4], [0.4, 1.0]], [[1e-8, 1e-9], [1e-9, 1e8]], [[1.0, 0.99], [0.99, 1.0]])
FACTORS = ([[2.0, 0.0], [0.5, 1.0]], [[1e-4, 0.0], [0.0, 1e4]])
POINTS = ([0.5, 0.3], [1.0, -2.0], [1e4, -40.0])
SIMPLICES = ([0.25, 0.25, 0.5], [1e-30, 0.5, 0.5])
TABLES = ([3.0, 0.0, 2.0], [0.0, 0.0, 0.0], [5.0, 1e4, 7.0])
LOGITS_OF_3 = ([0.0, 1.0, 2.0], [900.0, 0.0, -900.0], [-900.0, -901.0, -940.0])
CONCENTRATIONS = ([1.0, 2.0, 3.0], [1e-3, 1e-3, 1e-3], [1e12, 1e9, 1e12], [1e5, 1.0, 60.0])

VECTORS = {
    "categorical": Case(lambda y, p: log(p[int(y)]), grid((0, 1, 2), SIMPLICES), 1),
    "categorical_logit": Case(lambda y, x: log(softmax(x)[int(y)]), grid((0, 1, 2), LOGITS_OF_3), 1),
    "multinomial": Case(multinomial, grid(TABLES, SIMPLICES), 1, 1e-11),
    "multinomial_logit": Case(lambda y, x: multinomial(y, softmax(x)), grid(TABLES, LOGITS_OF_3), 1, 1e-11),
    "dirichlet_multinomial": Case(dirichlet_multinomial, grid(TABLES, CONCENTRATIONS), 1),
    "multivariate_normal": Case(multivariate_normal, grid(POINTS, ([0.1, 0.2],), MATRICES)),
    "multivariate_normal_precision": Case(
        lambda y, mu, p: multivariate_normal(y, mu, mp.inverse(mp.matrix(p)).tolist()),
        grid(POINTS, ([0.1, 0.2],), MATRICES),
    ),
    "multivariate_normal_cholesky": Case(
        lambda y, mu, f: multivariate_normal(y, mu, (mp.matrix(f) * mp.matrix(f).T).tolist()),
        grid(POINTS, ([0.1, 0.2],), FACTORS),
    ),
    "multivariate_student_t_cholesky": Case(
        multivariate_student_t, grid(POINTS, (0.5, 4.0, 1e4, 1e12), ([0.5, 0.3],), FACTORS)
    ),
    "wishart": Case(wishart, grid(MATRICES, (1.001, 4.0, 1e5), MATRICES[:1])),
    "inverse_wishart": Case(inverse_wishart, grid(MATRICES, (1.001, 4.0, 1e5), MATRICES[:1])),
    "gaussian_random_walk": Case(lambda y, s: normal(y[0], 0, s) + normal(y[1] - y[0], 0, s), grid(POINTS, SCALES)),
    "lkj_cholesky": Case(lkj_cholesky_two, grid(([[1.0, 0.0], [0.6, 0.8]],), (0.02, 1.0, 40.0, 1e9))),
}
"""Laws of categories, vectors and matrices. `dirichlet`, `lkj` and `ordered_logistic` are in `test_ends`, where their
arguments keep to their supports.
"""
