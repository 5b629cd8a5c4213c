"""Log probabilities of tails, for censored and truncated data.

`name_lcdf(y, ...)` is log P(Y <= y) and `name_lccdf(y, ...)` is log P(Y > y), with the parameters of the log
density `name`. A datum known only to exceed `y` contributes `name_lccdf(y, ...)`. Each is written so that the
far tail keeps its digits; `log1p(-cdf)` would lose them all once cdf rounds to 1, and log(cdf) once cdf is below
1e-308. All have derivatives in all parameters. See `gradmc.lpdf` for what all functions have in common.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from gradmc.lpdf._incomplete import beta_tail, gamma_tails
from gradmc.lpdf._law import Law, Value
from gradmc.lpdf._special import LOG_2, is_vast, log1mexp, log_beta, log_ndtr


def _bounded(exponent: Any) -> Any:
    """An exponent, cut off where the exponential of it would be infinite and derivatives NaN."""
    return jnp.minimum(exponent, 0.98 * math.log(jnp.finfo(jnp.result_type(exponent)).max))


def _zero_below(tail: Any, y: Value, lower: Value = 0.0) -> Any:
    """Put log P(Y > y) = 0 where y lies below the support."""
    return jnp.where(y <= lower, 0.0, tail)


def _minus_infinity_below(tail: Any, y: Value, lower: Value = 0.0) -> Any:
    """Put log P(Y <= y) = -inf where y lies below the support."""
    return jnp.where(y <= lower, -np.inf, tail)


def _from_survival(log_survival: Any, y: Value, lower: Value = 0.0) -> Any:
    """log P(Y <= y) from log P(Y > y), with a finite derivative below the support."""
    inside = y > lower
    return jnp.where(inside, log1mexp(jnp.where(inside, log_survival, -1.0)), -np.inf)


def _weibull_hazard(y: Value, shape: Value, scale: Value) -> Any:
    """log of the cumulative hazard."""
    return shape * (jnp.log(jnp.where(y > 0, y, 1.0)) - jnp.log(scale))


def _weibull_lower(y: Value, shape: Value, scale: Value) -> Any:
    log_hazard = _weibull_hazard(y, shape, scale)
    small = log_hazard < -20.0  # then 1 - exp(-hazard) is hazard exp(-hazard / 2) to all digits
    hazard = jnp.exp(_bounded(log_hazard))
    lower = jnp.where(small, log_hazard - 0.5 * hazard, log1mexp(-jnp.where(small, 1.0, hazard)))
    return _minus_infinity_below(lower, y)


def _gompertz_survival(y: Value, shape: Value, rate: Value) -> Any:
    return -shape * jnp.expm1(rate * y)


def _gompertz_lower(y: Value, shape: Value, rate: Value) -> Any:
    return _from_survival(-shape * jnp.expm1(_bounded(rate * y)), y)


def _pareto_survival(y: Value, lower: Value, shape: Value) -> Any:
    return -shape * jnp.log1p(jnp.where(y > lower, (y - lower) / lower, 0.0))


def _lognormal_z(y: Value, mu: Value, sigma: Value) -> Any:
    return (jnp.log(jnp.where(y > 0, y, 1.0)) - mu) / sigma


def student_t_lower(y: Value, nu: Value, mu: Value, sigma: Value) -> Any:
    """log P(Y <= y) of Student's t."""
    z = jnp.asarray((y - mu) / sigma)
    centre = jnp.abs(z) < 1e-7  # there the distribution function is 1/2 + z times the density at 0
    largest = 0.1 * math.sqrt(jnp.finfo(z.dtype).max)
    square = jnp.where(centre, 1.0, jnp.clip(z, -largest, largest)) ** 2
    beyond = beta_tail(0.5 * nu, 0.5, nu / (nu + square), square / (nu + square))  # log P(|Z| > |z|)
    beyond = beyond - nu * jnp.log(jnp.maximum(jnp.abs(z) / largest, 1.0))
    far = jnp.where(z < 0, beyond - LOG_2, jnp.log1p(-0.5 * jnp.exp(jnp.where(z < 0, -1.0, beyond))))
    density = jnp.exp(-0.5 * jnp.log(nu) - log_beta(0.5, 0.5 * nu))
    return jnp.where(centre, jnp.log1p(2.0 * density * jnp.where(centre, z, 0.0)) - LOG_2, far)


def laplace_lower(z: Value) -> Any:
    """log P(Z <= z) of the standard Laplace law."""
    below = z < 0
    far = jnp.where(below, z, -z) - LOG_2
    return jnp.where(below, far, jnp.log1p(-jnp.exp(far)))


def gumbel_upper(z: Value) -> Any:
    """log P(Z > z) of the standard Gumbel law, -z far out."""
    far = z > 30.0
    near = log1mexp(-jnp.exp(-jnp.clip(z, -80.0, 30.0)))
    return jnp.where(far, -z - 0.5 * jnp.exp(-jnp.where(far, z, 30.0)), near)


def cauchy_lower(z: Value) -> Any:
    """log P(Z <= z) of the standard Cauchy law."""
    modulus = jnp.abs(z)
    vast = is_vast(z)  # the angle is 1 / |z| there, whose derivative is no number
    angle = jnp.arctan2(1.0, jnp.where(vast, 1.0, modulus))
    below = jnp.where(vast, -1.0, 1.0) * jnp.log(jnp.where(vast, modulus, angle)) - math.log(math.pi)
    return jnp.where(z < 0, below, jnp.log1p(-jnp.where(vast, 0.0, angle) / np.pi))


def _gamma_lower(y: Value, shape: Value, rate: Value) -> Any:
    return _minus_infinity_below(gamma_tails(shape, rate * jnp.where(y > 0, y, 1.0))[0], y)


def _gamma_upper(y: Value, shape: Value, rate: Value) -> Any:
    return _zero_below(gamma_tails(shape, rate * jnp.where(y > 0, y, 1.0))[1], y)


def _inverse(y: Value) -> Any:
    return 1.0 / jnp.where(y > 0, y, 1.0)


def _poisson(y: Value, rate: Value) -> tuple[Any, Any]:
    """log P(Y <= y) and log P(Y > y); all is at 0 where the rate is 0."""
    counted = jnp.where(y >= 0, jnp.floor(y), 0.0)
    never = rate == 0
    upper, lower = gamma_tails(counted + 1.0, jnp.where(never, 1.0, rate))
    lower = jnp.where(never, jnp.where(counted == 0, -rate, 0.0), lower)
    upper = jnp.where(never, -np.inf, upper)
    return jnp.where(y >= 0, lower, -np.inf), jnp.where(y >= 0, upper, 0.0)


def _uniform_lower(y: Value, lower: Value, upper: Value) -> Any:
    share = (y - lower) / (upper - lower)
    inside = share > 0
    return jnp.where(inside, jnp.log(jnp.where(inside, jnp.minimum(share, 1.0), 1.0)), -np.inf)


def _beta_lower(y: Value, alpha: Value, beta: Value) -> Any:
    inside = jnp.where((y > 0) & (y < 1), y, 0.5)
    return jnp.where(y >= 1, 0.0, _minus_infinity_below(beta_tail(alpha, beta, inside, 1.0 - inside), y))


def _beta_upper(y: Value, alpha: Value, beta: Value) -> Any:
    inside = jnp.where((y > 0) & (y < 1), y, 0.5)
    return jnp.where(y >= 1, -np.inf, _zero_below(beta_tail(beta, alpha, 1.0 - inside, inside), y))


def _with_ends(laws: dict[str, Law], *, above: float, below: float) -> dict[str, Law]:
    """The laws with their values at infinity and minus infinity, where formulas have no derivative."""

    def ended(density: Callable[..., Any]) -> Callable[..., Any]:
        def terms(d: Any, y: Value, *parameters: Value) -> Any:
            infinite = jnp.isinf(y)
            if not isinstance(infinite, Tracer) and not infinite.any():
                return density(d, y, *parameters)
            inside = density(d, jnp.where(infinite, 1.0, y), *parameters)
            return jnp.where(infinite, jnp.where(y > 0, above, below), inside)

        return terms

    return {name: replace(law, density=ended(law.density)) for name, law in laws.items()}


_LOWER: dict[str, Law] = {
    "normal": Law(lambda d, y, mu, sigma: log_ndtr((y - mu) / sigma)),
    "lognormal": Law(lambda d, y, mu, sigma: _minus_infinity_below(log_ndtr(_lognormal_z(y, mu, sigma)), y)),
    "student_t": Law(lambda d, y, nu, mu, sigma: student_t_lower(y, nu, mu, sigma)),
    "cauchy": Law(lambda d, y, mu, sigma: cauchy_lower((y - mu) / sigma)),
    "laplace": Law(lambda d, y, mu, sigma: laplace_lower((y - mu) / sigma)),
    "logistic": Law(lambda d, y, mu, sigma: jax.nn.log_sigmoid((y - mu) / sigma)),
    "gumbel": Law(lambda d, y, mu, beta: -jnp.exp(-(y - mu) / beta)),
    "exponential": Law(lambda d, y, rate: _from_survival(-rate * y, y)),
    "weibull": Law(lambda d, y, shape, scale: _weibull_lower(y, shape, scale)),
    "gompertz": Law(lambda d, y, shape, rate: _gompertz_lower(y, shape, rate)),
    "pareto": Law(lambda d, y, lower, shape: _from_survival(_pareto_survival(y, lower, shape), y, lower)),
    "gamma": Law(lambda d, y, shape, rate: _gamma_lower(y, shape, rate)),
    "inverse_gamma": Law(lambda d, y, shape, scale: _minus_infinity_below(_gamma_upper(_inverse(y), shape, scale), y)),
    "uniform": Law(lambda d, y, lower, upper: _uniform_lower(y, lower, upper)),
    "beta": Law(lambda d, y, alpha, beta: _beta_lower(y, alpha, beta)),
    "poisson": Law(lambda d, y, rate: _poisson(y, rate)[0]),
}

_UPPER: dict[str, Law] = {
    "normal": Law(lambda d, y, mu, sigma: log_ndtr((mu - y) / sigma)),
    "lognormal": Law(lambda d, y, mu, sigma: _zero_below(log_ndtr(-_lognormal_z(y, mu, sigma)), y)),
    "student_t": Law(lambda d, y, nu, mu, sigma: student_t_lower(-y, nu, -mu, sigma)),
    "cauchy": Law(lambda d, y, mu, sigma: cauchy_lower((mu - y) / sigma)),
    "laplace": Law(lambda d, y, mu, sigma: laplace_lower((mu - y) / sigma)),
    "logistic": Law(lambda d, y, mu, sigma: jax.nn.log_sigmoid((mu - y) / sigma)),
    "gumbel": Law(lambda d, y, mu, beta: gumbel_upper((y - mu) / beta)),
    "exponential": Law(lambda d, y, rate: _zero_below(-rate * y, y)),
    "weibull": Law(lambda d, y, shape, scale: _zero_below(-jnp.exp(_weibull_hazard(y, shape, scale)), y)),
    "gompertz": Law(lambda d, y, shape, rate: _zero_below(_gompertz_survival(y, shape, rate), y)),
    "pareto": Law(lambda d, y, lower, shape: _zero_below(_pareto_survival(y, lower, shape), y, lower)),
    "gamma": Law(lambda d, y, shape, rate: _gamma_upper(y, shape, rate)),
    "inverse_gamma": Law(lambda d, y, shape, scale: _zero_below(_gamma_lower(_inverse(y), shape, scale), y)),
    "uniform": Law(lambda d, y, lower, upper: _uniform_lower(lower + upper - y, lower, upper)),
    "beta": Law(lambda d, y, alpha, beta: _beta_upper(y, alpha, beta)),
    "poisson": Law(lambda d, y, rate: _poisson(y, rate)[1]),
}

LOWER = _with_ends(_LOWER, above=0.0, below=-np.inf)
UPPER = _with_ends(_UPPER, above=-np.inf, below=0.0)
