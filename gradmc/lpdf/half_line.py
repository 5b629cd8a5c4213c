"""Log densities on the positive half line. See `gradmc.lpdf` for what all functions have in common."""

import math
from typing import Any

import jax.numpy as jnp

from gradmc.lpdf._law import OFF, Law, Value
from gradmc.lpdf._special import log_gamma_rest, log_ratio, times_log
from gradmc.lpdf.real_line import cauchy_density, normal_density, student_t_density


def _positive(y: Value, *_: Value) -> Any:
    return y > 0


def _nonnegative(y: Value, *_: Value) -> Any:
    return y >= 0


def _above_first(y: Value, lower: Value, *_: Value) -> Any:
    return y >= lower


def _half_student_t(d: Any, y: Value, nu: Value, sigma: Value) -> Any:
    return student_t_density(d, y, nu, 0.0, sigma) + math.log(2.0)


def _gamma(d: Any, y: Value, shape: Value, rate: Value) -> Any:
    # A power of y over the mean: without the large terms of a log gamma function.
    m = rate * y
    flat = (shape == 1) & (y == 0)
    power = (shape - 1.0) * log_ratio(jnp.where(flat, 0.0, (m - shape) / shape), m / shape)
    return power - (m - shape) - log_gamma_rest(shape) + jnp.log(rate) - jnp.log(shape)


def _inverse_gamma(d: Any, y: Value, shape: Value, scale: Value) -> Any:
    m = scale / y
    return shape * log_ratio((m - shape) / shape, m / shape) - (m - shape) - log_gamma_rest(shape) - jnp.log(y)


def _weibull(d: Any, y: Value, shape: Value, scale: Value) -> Any:
    z = y / scale
    return jnp.log(shape) - jnp.log(scale) + times_log(shape - 1.0, z) - z**shape


def _pareto(d: Any, y: Value, lower: Value, shape: Value) -> Any:
    return jnp.log(shape) - jnp.log(y) - shape * jnp.log1p((y - lower) / lower)


def _frechet(d: Any, y: Value, shape: Value, scale: Value) -> Any:
    # 1 / y is Weibull(shape, 1 / scale).
    log_z = jnp.log(y) - jnp.log(scale)
    return jnp.log(shape) - jnp.log(y) - shape * log_z - jnp.exp(-shape * log_z)


def _log_logistic(d: Any, y: Value, scale: Value, shape: Value) -> Any:
    z = y / scale
    above = z > 1.0
    powered = jnp.where(above, 1.0 / jnp.where(above, z, 1.0), z) ** shape
    log_both = jnp.where(above, shape * jnp.log(jnp.where(above, z, 1.0)), 0.0) + jnp.log1p(powered)  # log(1 + z^shape)
    return jnp.log(shape) - jnp.log(scale) + times_log(shape - 1.0, z) - 2.0 * log_both


def _rayleigh(d: Any, y: Value, sigma: Value) -> Any:
    z = y / sigma
    return jnp.log(z) - jnp.log(sigma) - 0.5 * z * z


_HALF_NORMAL = Law(lambda d, y, sigma: normal_density(d, y, 0.0, sigma) + jnp.log(2), _nonnegative, inside=None)
_HALF_CAUCHY = Law(lambda d, y, sigma: cauchy_density(d, y, 0.0, sigma) + jnp.log(2), _nonnegative, inside=None)
_HALF_STUDENT_T = Law(_half_student_t, _nonnegative, inside=None)
_EXPONENTIAL = Law(lambda d, y, rate: jnp.log(rate) - rate * y, _nonnegative, inside=None)
_GAMMA = Law(_gamma, _nonnegative)
_INVERSE_GAMMA = Law(_inverse_gamma, _positive)
_CHI_SQUARE = Law(lambda d, y, nu: _gamma(d, y, 0.5 * nu, 0.5), _nonnegative)
_LOGNORMAL = Law(lambda d, y, mu, sigma: d.LogNormal(mu, sigma, **OFF).log_prob(y), _positive)
_WEIBULL = Law(_weibull, _nonnegative)
_GOMPERTZ = Law(lambda d, y, shape, rate: d.Gompertz(shape, rate, **OFF).log_prob(y), _nonnegative, inside=None)
_PARETO = Law(_pareto, _above_first)
_PARETO_TYPE_2 = Law(
    lambda d, y, mu, scale, shape: jnp.log(shape / scale) - (shape + 1.0) * jnp.log1p((y - mu) / scale), _above_first
)
_INVERSE_CHI_SQUARE = Law(lambda d, y, nu: _inverse_gamma(d, y, 0.5 * nu, 0.5), _positive)
_SCALED_INVERSE_CHI_SQUARE = Law(
    lambda d, y, nu, sigma: _inverse_gamma(d, y, 0.5 * nu, 0.5 * nu * sigma * sigma), _positive
)
_FRECHET = Law(_frechet, _positive)
_LOG_LOGISTIC = Law(_log_logistic, _nonnegative)
_RAYLEIGH = Law(_rayleigh, _positive)


def half_normal(y: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """Normal(0, sigma) restricted to y >= 0, normalised.

    Args:
        y: value, >= 0.
        sigma: scale (the standard deviation of the whole normal), > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _HALF_NORMAL(y, sigma, pointwise=pointwise)


def half_cauchy(y: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """Cauchy(0, sigma) restricted to y >= 0, normalised.

    Args:
        y: value, >= 0.
        sigma: scale (median), > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _HALF_CAUCHY(y, sigma, pointwise=pointwise)


def half_student_t(y: Value, nu: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """Student's t with location 0 restricted to y >= 0, normalised.

    Args:
        y: value, >= 0.
        nu: degrees of freedom, > 0.
        sigma: scale, > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _HALF_STUDENT_T(y, nu, sigma, pointwise=pointwise)


def exponential(y: Value, rate: Value, *, pointwise: bool = False) -> Any:
    """Exponential with mean 1 / rate.

    Args:
        y: value, >= 0.
        rate: rate (inverse scale), > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _EXPONENTIAL(y, rate, pointwise=pointwise)


def gamma(y: Value, shape: Value, rate: Value, *, pointwise: bool = False) -> Any:
    """Gamma with mean shape / rate.

    Args:
        y: value, >= 0.
        shape: shape (alpha), > 0.
        rate: rate, the inverse of the scale (beta), > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _GAMMA(y, shape, rate, pointwise=pointwise)


def inverse_gamma(y: Value, shape: Value, scale: Value, *, pointwise: bool = False) -> Any:
    """Inverse gamma: 1 / y is Gamma(shape, rate=scale); mean scale / (shape - 1) for shape > 1.

    Args:
        y: value, > 0.
        shape: shape (alpha), > 0.
        scale: scale (beta), > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _INVERSE_GAMMA(y, shape, scale, pointwise=pointwise)


def chi_square(y: Value, nu: Value, *, pointwise: bool = False) -> Any:
    """Chi-square.

    Args:
        y: value, >= 0.
        nu: degrees of freedom, > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _CHI_SQUARE(y, nu, pointwise=pointwise)


def lognormal(y: Value, mu: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """Log-normal: log(y) is Normal(mu, sigma). The density is that of y, so 1 / y is included.

    Args:
        y: value, > 0.
        mu: mean of log(y).
        sigma: standard deviation of log(y), > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _LOGNORMAL(y, mu, sigma, pointwise=pointwise)


def weibull(y: Value, shape: Value, scale: Value, *, pointwise: bool = False) -> Any:
    """Weibull with survival function exp(-(y / scale)^shape).

    Args:
        y: value, >= 0.
        shape: shape (alpha), > 0.
        scale: scale (sigma), > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _WEIBULL(y, shape, scale, pointwise=pointwise)


def gompertz(y: Value, shape: Value, rate: Value, *, pointwise: bool = False) -> Any:
    """Gompertz with survival function exp(-shape (exp(rate y) - 1)).

    Args:
        y: value, >= 0.
        shape: shape (eta), > 0.
        rate: rate (b), > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _GOMPERTZ(y, shape, rate, pointwise=pointwise)


def pareto(y: Value, lower: Value, shape: Value, *, pointwise: bool = False) -> Any:
    """Pareto (type 1) with survival function (lower / y)^shape.

    Args:
        y: value, >= lower.
        lower: smallest possible value, > 0.
        shape: tail index (alpha), > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _PARETO(y, lower, shape, pointwise=pointwise)


def pareto_type_2(y: Value, mu: Value, scale: Value, shape: Value, *, pointwise: bool = False) -> Any:
    """Pareto (type 2, Lomax if mu is 0) with survival function (1 + (y - mu) / scale)^(-shape).

    Args:
        y: value, >= mu.
        mu: smallest possible value.
        scale: scale (lambda), > 0.
        shape: tail index (alpha), > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _PARETO_TYPE_2(y, mu, scale, shape, pointwise=pointwise)


def inverse_chi_square(y: Value, nu: Value, *, pointwise: bool = False) -> Any:
    """Inverse chi-square: 1 / y is chi-square.

    Args:
        y: value, > 0.
        nu: degrees of freedom, > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _INVERSE_CHI_SQUARE(y, nu, pointwise=pointwise)


def scaled_inverse_chi_square(y: Value, nu: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """Scaled inverse chi-square: nu sigma^2 / y is chi-square.

    Args:
        y: value, > 0, as a rule a variance.
        nu: degrees of freedom, > 0.
        sigma: scale, > 0; y is of the size of sigma^2.
        pointwise: return one term per entry instead of their sum.
    """
    return _SCALED_INVERSE_CHI_SQUARE(y, nu, sigma, pointwise=pointwise)


def frechet(y: Value, shape: Value, scale: Value, *, pointwise: bool = False) -> Any:
    """Fréchet with distribution function exp(-(y / scale)^(-shape)).

    Args:
        y: value, > 0.
        shape: tail index (alpha), > 0.
        scale: scale (sigma), > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _FRECHET(y, shape, scale, pointwise=pointwise)


def log_logistic(y: Value, scale: Value, shape: Value, *, pointwise: bool = False) -> Any:
    """Log-logistic with survival function 1 / (1 + (y / scale)^shape).

    Args:
        y: value, >= 0.
        scale: scale (median, alpha), > 0.
        shape: shape (beta), > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _LOG_LOGISTIC(y, scale, shape, pointwise=pointwise)


def rayleigh(y: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """Rayleigh: the length of a vector of two independent Normal(0, sigma).

    Args:
        y: value, > 0.
        sigma: scale, > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _RAYLEIGH(y, sigma, pointwise=pointwise)
