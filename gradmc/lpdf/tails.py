"""Log probabilities of tails, for censored and truncated data.

`name_lcdf(y, ...)` is log P(Y <= y) and `name_lccdf(y, ...)` is log P(Y > y), with the parameters of the log
density `name`. A datum known only to exceed `y` contributes `name_lccdf(y, ...)`. Each is written so that the
far tail keeps its digits; `log1p(-cdf)` would lose them all once cdf rounds to 1. Tails of the gamma, inverse gamma,
beta, Poisson and Student t laws come from incomplete gamma and beta functions of JAX: where such a function is zero in
floating point (below about 1e-300, for the beta function 1e-60) the logarithm is -inf or inexact.

The derivative of the incomplete beta function with respect to its shapes is not known to JAX, so
`student_t_*` and `beta_*` can be differentiated with respect to y, mu and sigma, but not to nu, alpha and
beta. See `gradmc.lpdf` for what all functions have in common.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import betainc, gammainc, gammaincc, log_ndtr

from gradmc.lpdf._law import Law, Value


def _zero_below(tail: Any, y: Value, lower: Value = 0.0) -> Any:
    """Put log P(Y > y) = 0 where y lies below the support."""
    return jnp.where(y <= lower, 0.0, tail)


def _minus_infinity_below(tail: Any, y: Value, lower: Value = 0.0) -> Any:
    """Put log P(Y <= y) = -inf where y lies below the support."""
    return jnp.where(y <= lower, -np.inf, tail)


def log1mexp(x: Value) -> Any:
    """log(1 - exp(x)) for x < 0, accurate at both ends (Mächler 2012)."""
    near_zero = x > -0.6931471805599453
    return jnp.where(
        near_zero,
        jnp.log(-jnp.expm1(jnp.where(near_zero, x, -1.0))),
        jnp.log1p(-jnp.exp(jnp.where(near_zero, -1.0, x))),
    )


def _from_survival(log_survival: Any, y: Value, lower: Value = 0.0) -> Any:
    """log P(Y <= y) from log P(Y > y), with a finite derivative below the support."""
    inside = y > lower
    return jnp.where(inside, log1mexp(jnp.where(inside, log_survival, -1.0)), -np.inf)


def _weibull_survival(y: Value, shape: Value, scale: Value) -> Any:
    return -((jnp.where(y > 0, y, 1.0) / scale) ** shape)


def _gompertz_survival(y: Value, shape: Value, rate: Value) -> Any:
    return -shape * jnp.expm1(rate * y)


def _pareto_survival(y: Value, lower: Value, shape: Value) -> Any:
    return -shape * jnp.log(jnp.where(y > lower, y, 1.0) / jnp.where(y > lower, lower, 1.0))


def _lognormal_z(y: Value, mu: Value, sigma: Value) -> Any:
    return (jnp.log(jnp.where(y > 0, y, 1.0)) - mu) / sigma


def student_t_lower(y: Value, nu: Value, mu: Value, sigma: Value) -> Any:
    """log P(Y <= y) of Student's t."""
    z = (y - mu) / sigma
    far = 0.5 * betainc(0.5 * nu, 0.5, nu / (nu + z * z))  # P(Y beyond |z|)
    return jnp.where(z < 0, jnp.log(far), jnp.log1p(-far))


def laplace_lower(z: Value) -> Any:
    """log P(Z <= z) of the standard Laplace law."""
    below = z < 0
    far = -jnp.abs(z) - 0.6931471805599453
    return jnp.where(below, far, jnp.log1p(-jnp.exp(far)))


def gumbel_upper(z: Value) -> Any:
    """log P(Z > z) of the standard Gumbel law, -z far out."""
    far = z > 30.0
    near = log1mexp(-jnp.exp(-jnp.clip(z, -80.0, 30.0)))
    return jnp.where(far, -z - 0.5 * jnp.exp(-jnp.where(far, z, 30.0)), near)


def cauchy_lower(z: Value) -> Any:
    """log P(Z <= z) of the standard Cauchy law."""
    far = jnp.arctan2(1.0, jnp.abs(z)) / np.pi
    return jnp.where(z < 0, jnp.log(far), jnp.log1p(-far))


def _gamma_lower(y: Value, shape: Value, rate: Value) -> Any:
    return _minus_infinity_below(jnp.log(gammainc(shape, rate * jnp.where(y > 0, y, 1.0))), y)


def _gamma_upper(y: Value, shape: Value, rate: Value) -> Any:
    return _zero_below(jnp.log(gammaincc(shape, rate * jnp.where(y > 0, y, 1.0))), y)


def _inverse(y: Value) -> Any:
    return 1.0 / jnp.where(y > 0, y, 1.0)


def _poisson_lower(y: Value, rate: Value) -> Any:
    counted = jnp.where(y >= 0, jnp.floor(y), 0.0)
    return jnp.where(y >= 0, jnp.log(gammaincc(counted + 1.0, rate)), -np.inf)


def _poisson_upper(y: Value, rate: Value) -> Any:
    counted = jnp.where(y >= 0, jnp.floor(y), 0.0)
    return jnp.where(y >= 0, jnp.log(gammainc(counted + 1.0, rate)), 0.0)


def _uniform_lower(y: Value, lower: Value, upper: Value) -> Any:
    share = (y - lower) / (upper - lower)
    inside = share > 0
    return jnp.where(inside, jnp.log(jnp.where(inside, jnp.minimum(share, 1.0), 1.0)), -np.inf)


def _beta_lower(y: Value, alpha: Value, beta: Value) -> Any:
    return jnp.log(betainc(alpha, beta, jnp.clip(y, 0.0, 1.0)))


LOWER: dict[str, Law] = {
    "normal": Law(lambda d, y, mu, sigma: log_ndtr((y - mu) / sigma)),
    "lognormal": Law(lambda d, y, mu, sigma: _minus_infinity_below(log_ndtr(_lognormal_z(y, mu, sigma)), y)),
    "student_t": Law(lambda d, y, nu, mu, sigma: student_t_lower(y, nu, mu, sigma)),
    "cauchy": Law(lambda d, y, mu, sigma: cauchy_lower((y - mu) / sigma)),
    "laplace": Law(lambda d, y, mu, sigma: laplace_lower((y - mu) / sigma)),
    "logistic": Law(lambda d, y, mu, sigma: jax.nn.log_sigmoid((y - mu) / sigma)),
    "gumbel": Law(lambda d, y, mu, beta: -jnp.exp(-(y - mu) / beta)),
    "exponential": Law(lambda d, y, rate: _from_survival(-rate * y, y)),
    "weibull": Law(lambda d, y, shape, scale: _from_survival(_weibull_survival(y, shape, scale), y)),
    "gompertz": Law(lambda d, y, shape, rate: _from_survival(_gompertz_survival(y, shape, rate), y)),
    "pareto": Law(lambda d, y, lower, shape: _from_survival(_pareto_survival(y, lower, shape), y, lower)),
    "gamma": Law(lambda d, y, shape, rate: _gamma_lower(y, shape, rate)),
    "inverse_gamma": Law(lambda d, y, shape, scale: _minus_infinity_below(_gamma_upper(_inverse(y), shape, scale), y)),
    "uniform": Law(lambda d, y, lower, upper: _uniform_lower(y, lower, upper)),
    "beta": Law(lambda d, y, alpha, beta: _beta_lower(y, alpha, beta)),
    "poisson": Law(lambda d, y, rate: _poisson_lower(y, rate)),
}

UPPER: dict[str, Law] = {
    "normal": Law(lambda d, y, mu, sigma: log_ndtr((mu - y) / sigma)),
    "lognormal": Law(lambda d, y, mu, sigma: _zero_below(log_ndtr(-_lognormal_z(y, mu, sigma)), y)),
    "student_t": Law(lambda d, y, nu, mu, sigma: student_t_lower(-y, nu, -mu, sigma)),
    "cauchy": Law(lambda d, y, mu, sigma: cauchy_lower((mu - y) / sigma)),
    "laplace": Law(lambda d, y, mu, sigma: laplace_lower((mu - y) / sigma)),
    "logistic": Law(lambda d, y, mu, sigma: jax.nn.log_sigmoid((mu - y) / sigma)),
    "gumbel": Law(lambda d, y, mu, beta: gumbel_upper((y - mu) / beta)),
    "exponential": Law(lambda d, y, rate: _zero_below(-rate * y, y)),
    "weibull": Law(lambda d, y, shape, scale: _zero_below(_weibull_survival(y, shape, scale), y)),
    "gompertz": Law(lambda d, y, shape, rate: _zero_below(_gompertz_survival(y, shape, rate), y)),
    "pareto": Law(lambda d, y, lower, shape: _zero_below(_pareto_survival(y, lower, shape), y, lower)),
    "gamma": Law(lambda d, y, shape, rate: _gamma_upper(y, shape, rate)),
    "inverse_gamma": Law(lambda d, y, shape, scale: _zero_below(_gamma_lower(_inverse(y), shape, scale), y)),
    "uniform": Law(lambda d, y, lower, upper: _uniform_lower(lower + upper - y, lower, upper)),
    "beta": Law(lambda d, y, alpha, beta: _beta_lower(1.0 - y, beta, alpha)),
    "poisson": Law(lambda d, y, rate: _poisson_upper(y, rate)),
}
