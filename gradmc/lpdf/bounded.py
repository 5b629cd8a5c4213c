"""Log densities on an interval. See `gradmc.lpdf` for what all functions have in common."""

from typing import Any

import jax.numpy as jnp

from gradmc.lpdf._law import OFF, Law, Value
from gradmc.lpdf._special import log1mexp, log_gamma_rest, log_ratio, times_log


def _unit(y: Value, *_: Value) -> Any:
    return (y >= 0) & (y <= 1)


def _between(y: Value, lower: Value, upper: Value) -> Any:
    return (y >= lower) & (y <= upper)


def _beta(d: Any, y: Value, a: Value, b: Value) -> Any:
    # Powers of y over the mean and of 1 - y over 1 - mean: without the large terms of a log beta function.
    rest, n = 1.0 - y, a + b
    excess = b * y - a * rest  # n y - a
    powers = _power(a, y, excess / a, n * y / a) + _power(b, rest, -excess / b, n * rest / b)
    scale = 2.0 * jnp.log(n) - jnp.log(a) - jnp.log(b)
    return powers + scale + log_gamma_rest(n) - log_gamma_rest(a) - log_gamma_rest(b)


def _power(shape: Value, y: Value, excess: Any, ratio: Any) -> Any:
    """(shape - 1) log(ratio), where 0 log(0) = 0."""
    flat = (shape == 1) & (y == 0)
    return (shape - 1.0) * log_ratio(jnp.where(flat, 0.0, excess), ratio)


def _kumaraswamy(d: Any, y: Value, a: Value, b: Value) -> Any:
    end = (y == 0) | ((y == 1) & (b == 1))
    log_survival = jnp.where(end, -(y**a), log1mexp(a * jnp.log(jnp.where(end, 0.5, y))))  # log(1 - y^a)
    return jnp.log(a) + jnp.log(b) + times_log(a - 1.0, y) + (b - 1.0) * log_survival


_BETA = Law(_beta, _unit, inside=0.5)
_BETA_PROPORTION = Law(lambda d, y, mu, kappa: _beta(d, y, mu * kappa, (1.0 - mu) * kappa), _unit, inside=0.5)
_KUMARASWAMY = Law(_kumaraswamy, _unit, inside=0.5)
_UNIFORM = Law(lambda d, y, lower, upper: d.Uniform(lower, upper, **OFF).log_prob(y), _between, inside=None)
_LOG_UNIFORM = Law(lambda d, y, lower, upper: d.LogUniform(lower, upper, **OFF).log_prob(y), _between)


def beta(y: Value, alpha: Value, beta: Value, *, pointwise: bool = False) -> Any:
    """Beta with mean alpha / (alpha + beta).

    Args:
        y: value, in [0, 1].
        alpha: first shape, > 0.
        beta: second shape, > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _BETA(y, alpha, beta, pointwise=pointwise)


def beta_proportion(y: Value, mu: Value, kappa: Value, *, pointwise: bool = False) -> Any:
    """Beta by mean and precision: Beta(mu kappa, (1 - mu) kappa).

    Args:
        y: value, in [0, 1].
        mu: mean, in (0, 1).
        kappa: precision (prior sample size), > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _BETA_PROPORTION(y, mu, kappa, pointwise=pointwise)


def kumaraswamy(y: Value, a: Value, b: Value, *, pointwise: bool = False) -> Any:
    """Kumaraswamy with distribution function 1 - (1 - y^a)^b.

    Args:
        y: value, in [0, 1].
        a: first shape, > 0.
        b: second shape, > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _KUMARASWAMY(y, a, b, pointwise=pointwise)


def uniform(y: Value, lower: Value, upper: Value, *, pointwise: bool = False) -> Any:
    """Uniform on [lower, upper]; -inf outside.

    The density jumps at the ends, which Hamiltonian samplers handle badly: declare the parameter
    `Interval(lower, upper)` as well, so that it never leaves the interval.

    Args:
        y: value, in [lower, upper].
        lower: lower end.
        upper: upper end, > lower.
        pointwise: return one term per entry instead of their sum.
    """
    return _UNIFORM(y, lower, upper, pointwise=pointwise)


def log_uniform(y: Value, lower: Value, upper: Value, *, pointwise: bool = False) -> Any:
    """Log-uniform (reciprocal): log(y) is uniform on [log(lower), log(upper)].

    Args:
        y: value, in [lower, upper].
        lower: lower end, > 0.
        upper: upper end, > lower.
        pointwise: return one term per entry instead of their sum.
    """
    return _LOG_UNIFORM(y, lower, upper, pointwise=pointwise)
