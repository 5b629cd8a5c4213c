"""Log densities on the positive half line. See `gradmc.lpdf` for what all functions have in common."""

import math
from typing import Any

from gradmc.lpdf._law import OFF, Law, Value


def _positive(y: Value, *_: Value) -> Any:
    return y > 0


def _nonnegative(y: Value, *_: Value) -> Any:
    return y >= 0


def _above_first(y: Value, lower: Value, *_: Value) -> Any:
    return y >= lower


def _half_student_t(d: Any, y: Value, nu: Value, sigma: Value) -> Any:
    return d.StudentT(nu, 0.0, sigma, **OFF).log_prob(y) + math.log(2.0)


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
