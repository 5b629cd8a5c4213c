"""Log densities on the positive half line. See `gradmc.lpdf` for what all functions have in common."""

import math
from typing import Any

import jax.numpy as jnp

from gradmc.lpdf._law import OFF, Law, Value
from gradmc.lpdf.real_line import student_t_density


def _positive(y: Value, *_: Value) -> Any:
    return y > 0


def _nonnegative(y: Value, *_: Value) -> Any:
    return y >= 0


def _above_first(y: Value, lower: Value, *_: Value) -> Any:
    return y >= lower


def _half_student_t(d: Any, y: Value, nu: Value, sigma: Value) -> Any:
    return student_t_density(d, y, nu, 0.0, sigma) + math.log(2.0)


def _scaled_inverse_chi_square(d: Any, y: Value, nu: Value, sigma: Value) -> Any:
    return d.InverseGamma(0.5 * nu, 0.5 * nu * sigma * sigma, **OFF).log_prob(y)


def _frechet(d: Any, y: Value, shape: Value, scale: Value) -> Any:
    # 1 / y is Weibull(shape, 1 / scale).
    log_z = jnp.log(y) - jnp.log(scale)
    return jnp.log(shape) - jnp.log(y) - shape * log_z - jnp.exp(-shape * log_z)


def _log_logistic(d: Any, y: Value, scale: Value, shape: Value) -> Any:
    # log y is Logistic(log scale, 1 / shape).
    return d.Logistic(jnp.log(scale), 1.0 / shape, **OFF).log_prob(jnp.log(y)) - jnp.log(y)


def _rayleigh(d: Any, y: Value, sigma: Value) -> Any:
    z = y / sigma
    return jnp.log(z) - jnp.log(sigma) - 0.5 * z * z


_HALF_NORMAL = Law(lambda d, y, sigma: d.HalfNormal(sigma, **OFF).log_prob(y), _nonnegative, inside=None)
_HALF_CAUCHY = Law(lambda d, y, sigma: d.HalfCauchy(sigma, **OFF).log_prob(y), _nonnegative, inside=None)
_HALF_STUDENT_T = Law(_half_student_t, _nonnegative, inside=None)
_EXPONENTIAL = Law(lambda d, y, rate: d.Exponential(rate, **OFF).log_prob(y), _nonnegative, inside=None)
_GAMMA = Law(lambda d, y, shape, rate: d.Gamma(shape, rate, **OFF).log_prob(y), _positive)
_INVERSE_GAMMA = Law(lambda d, y, shape, scale: d.InverseGamma(shape, scale, **OFF).log_prob(y), _positive)
_CHI_SQUARE = Law(lambda d, y, nu: d.Chi2(nu, **OFF).log_prob(y), _positive)
_LOGNORMAL = Law(lambda d, y, mu, sigma: d.LogNormal(mu, sigma, **OFF).log_prob(y), _positive)
_WEIBULL = Law(lambda d, y, shape, scale: d.Weibull(scale, shape, **OFF).log_prob(y), _positive)
_GOMPERTZ = Law(lambda d, y, shape, rate: d.Gompertz(shape, rate, **OFF).log_prob(y), _nonnegative, inside=None)
_PARETO = Law(lambda d, y, lower, shape: d.Pareto(lower, shape, **OFF).log_prob(y), _above_first)
_PARETO_TYPE_2 = Law(
    lambda d, y, mu, scale, shape: jnp.log(shape / scale) - (shape + 1.0) * jnp.log1p((y - mu) / scale), _above_first
)
_INVERSE_CHI_SQUARE = Law(lambda d, y, nu: d.InverseGamma(0.5 * nu, 0.5, **OFF).log_prob(y), _positive)
_SCALED_INVERSE_CHI_SQUARE = Law(_scaled_inverse_chi_square, _positive)
_FRECHET = Law(_frechet, _positive)
_LOG_LOGISTIC = Law(_log_logistic, _positive)
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
        y: value, > 0.
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
        y: value, > 0.
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
        y: value, > 0.
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
        y: value, > 0.
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
