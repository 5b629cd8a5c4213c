"""Log densities on the whole real line. See `gradmc.lpdf` for what all functions have in common."""

import math
from typing import Any

import jax.numpy as jnp

from gradmc.lpdf._law import OFF, Law, Value
from gradmc.lpdf._special import HALF_LOG_2PI, LOG_2, log1p_square, log_beta, log_ndtr, log_ndtr_scaled


def student_t_density(d: Any, y: Value, nu: Value, mu: Value, sigma: Value) -> Any:
    """The density of `student_t`; numpyro's loses its digits as nu grows, in a difference of log gamma functions."""
    log_nu = jnp.log(nu)
    tail = log1p_square((y - mu) / sigma, nu, log_nu)
    return -0.5 * (nu + 1.0) * tail - 0.5 * log_nu - log_beta(0.5, 0.5 * nu) - jnp.log(sigma)


def normal_density(d: Any, y: Value, mu: Value, sigma: Value) -> Any:
    """The terms of the normal law, rounded as numpyro rounds them."""
    log_scale = jnp.log(jnp.sqrt(2 * jnp.pi) * sigma)
    return -0.5 * ((y - mu) / sigma) ** 2 - log_scale


def cauchy_density(d: Any, y: Value, mu: Value, sigma: Value) -> Any:
    """The terms of the Cauchy law, rounded as numpyro rounds them."""
    return -jnp.log(jnp.pi) - jnp.log(sigma) - log1p_square((y - mu) / sigma)


def _skew_normal(z: Any, sigma: Value, alpha: Value) -> Any:
    return LOG_2 - HALF_LOG_2PI - jnp.log(sigma) - 0.5 * z * z + log_ndtr(alpha * z)


def _exp_mod_normal(x: Any, sigma: Value, rate: Value) -> Any:
    # Where the normal's tail is small, its square cancels that of the exponential's factor.
    z, shift = x / sigma, rate * sigma
    far = z < shift
    near_z, far_z = jnp.where(far, shift, z), jnp.where(far, z, shift)
    near = rate * (0.5 * rate * sigma * sigma - x) + log_ndtr(near_z - shift)
    return jnp.log(rate) + jnp.where(far, log_ndtr_scaled(far_z - shift) - 0.5 * far_z * far_z, near)


_NORMAL = Law(normal_density)
_CAUCHY = Law(cauchy_density)
_STUDENT_T = Law(student_t_density)
_LAPLACE = Law(lambda d, y, mu, sigma: d.Laplace(mu, sigma, **OFF).log_prob(y))
_ASYMMETRIC = Law(lambda d, y, mu, sigma, tau: d.AsymmetricLaplaceQuantile(mu, sigma, tau, **OFF).log_prob(y))
_LOGISTIC = Law(lambda d, y, mu, sigma: d.Logistic(mu, sigma, **OFF).log_prob(y))
_GUMBEL = Law(lambda d, y, mu, beta: d.Gumbel(mu, beta, **OFF).log_prob(y))
_SKEW_NORMAL = Law(lambda d, y, mu, sigma, alpha: _skew_normal((y - mu) / sigma, sigma, alpha))
_EXP_MOD_NORMAL = Law(lambda d, y, mu, sigma, rate: _exp_mod_normal(y - mu, sigma, rate))
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


def skew_normal(y: Value, mu: Value, sigma: Value, alpha: Value, *, pointwise: bool = False) -> Any:
    """Skew normal (Azzalini 1985): twice the normal density times its distribution function at alpha z.

    Args:
        y: value, real.
        mu: location.
        sigma: scale, > 0.
        alpha: shape; 0 is the normal, positive values give a longer right tail.
        pointwise: return one term per entry instead of their sum.
    """
    return _SKEW_NORMAL(y, mu, sigma, alpha, pointwise=pointwise)


def exp_mod_normal(y: Value, mu: Value, sigma: Value, rate: Value, *, pointwise: bool = False) -> Any:
    """Exponentially modified normal: the sum of Normal(mu, sigma) and Exponential(rate).

    Args:
        y: value, real.
        mu: mean of the normal part.
        sigma: standard deviation of the normal part, > 0.
        rate: rate of the exponential part, > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _EXP_MOD_NORMAL(y, mu, sigma, rate, pointwise=pointwise)


def von_mises(y: Value, mu: Value, kappa: Value, *, pointwise: bool = False) -> Any:
    """Von Mises on the circle.

    Args:
        y: angle in radians, in [-pi, pi] (the support that `Circular` declares).
        mu: mean direction in radians.
        kappa: concentration, > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _VON_MISES(y, mu, kappa, pointwise=pointwise)
