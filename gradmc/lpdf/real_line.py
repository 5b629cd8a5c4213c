"""Log densities on the whole real line. See `gradmc.lpdf` for what all functions have in common."""

import math
from typing import Any

from gradmc.lpdf._law import OFF, Law, Value

_NORMAL = Law(lambda d, y, mu, sigma: d.Normal(mu, sigma, **OFF).log_prob(y))
_CAUCHY = Law(lambda d, y, mu, sigma: d.Cauchy(mu, sigma, **OFF).log_prob(y))
_STUDENT_T = Law(lambda d, y, nu, mu, sigma: d.StudentT(nu, mu, sigma, **OFF).log_prob(y))
_LAPLACE = Law(lambda d, y, mu, sigma: d.Laplace(mu, sigma, **OFF).log_prob(y))
_ASYMMETRIC = Law(lambda d, y, mu, sigma, tau: d.AsymmetricLaplaceQuantile(mu, sigma, tau, **OFF).log_prob(y))
_LOGISTIC = Law(lambda d, y, mu, sigma: d.Logistic(mu, sigma, **OFF).log_prob(y))
_GUMBEL = Law(lambda d, y, mu, beta: d.Gumbel(mu, beta, **OFF).log_prob(y))
_VON_MISES = Law(
    lambda d, y, mu, kappa: d.VonMises(mu, kappa, **OFF).log_prob(y),
    lambda y, mu, kappa: (y >= -math.pi) & (y <= math.pi),
    inside=0.0,
)


def normal(y: Value, mu: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """Normal(mu, sigma).

    Args:
        y: value, real.
        mu: mean.
        sigma: standard deviation, > 0 (not the variance).
        pointwise: return one term per entry instead of their sum.
    """
    return _NORMAL(y, mu, sigma, pointwise=pointwise)


def cauchy(y: Value, mu: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """Cauchy(mu, sigma).

    Args:
        y: value, real.
        mu: location (median).
        sigma: scale (half the interquartile range), > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _CAUCHY(y, mu, sigma, pointwise=pointwise)


def student_t(y: Value, nu: Value, mu: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """Student's t with location and scale.

    Args:
        y: value, real.
        nu: degrees of freedom, > 0.
        mu: location.
        sigma: scale, > 0 (the standard deviation is sigma * sqrt(nu / (nu - 2)) for nu > 2).
        pointwise: return one term per entry instead of their sum.
    """
    return _STUDENT_T(y, nu, mu, sigma, pointwise=pointwise)


def laplace(y: Value, mu: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """Laplace (double exponential): density exp(-|y - mu| / sigma) / (2 sigma).

    Args:
        y: value, real.
        mu: location (median).
        sigma: scale, > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _LAPLACE(y, mu, sigma, pointwise=pointwise)


def asymmetric_laplace(y: Value, mu: Value, sigma: Value, tau: Value, *, pointwise: bool = False) -> Any:
    """Asymmetric Laplace for quantile regression: mu is the tau-quantile (Stan's skew_double_exponential).

    Args:
        y: value, real.
        mu: location, the tau-quantile of the distribution.
        sigma: scale, > 0.
        tau: probability below mu, in (0, 1).
        pointwise: return one term per entry instead of their sum.
    """
    return _ASYMMETRIC(y, mu, sigma, tau, pointwise=pointwise)


def logistic(y: Value, mu: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """Logistic(mu, sigma).

    Args:
        y: value, real.
        mu: location (mean).
        sigma: scale, > 0 (the standard deviation is sigma * pi / sqrt(3)).
        pointwise: return one term per entry instead of their sum.
    """
    return _LOGISTIC(y, mu, sigma, pointwise=pointwise)


def gumbel(y: Value, mu: Value, beta: Value, *, pointwise: bool = False) -> Any:
    """Gumbel of maxima.

    Args:
        y: value, real.
        mu: location (mode).
        beta: scale, > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _GUMBEL(y, mu, beta, pointwise=pointwise)


def von_mises(y: Value, mu: Value, kappa: Value, *, pointwise: bool = False) -> Any:
    """Von Mises on the circle.

    Args:
        y: angle in radians, in [-pi, pi] (the support that `Circular` declares).
        mu: mean direction in radians.
        kappa: concentration, > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _VON_MISES(y, mu, kappa, pointwise=pointwise)
