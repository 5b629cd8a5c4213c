"""Log masses of counts and of binary outcomes. See `gradmc.lpdf` for what all functions have in common."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

from gradmc.lpdf._law import Law, Value
from gradmc.lpdf._special import log1mexp, log_beta, log_gamma_gain, softplus, times_log, times_log1m


def _count(y: Value, *_: Value) -> Any:
    return y >= 0


def _up_to_first(y: Value, n: Value, *_: Value) -> Any:
    return (y >= 0) & (y <= n)


def _binary(y: Value, *_: Value) -> Any:
    return (y == 0) | (y == 1)


def _between(y: Value, lower: Value, upper: Value) -> Any:
    return (y >= lower) & (y <= upper)


def _poisson(d: Any, y: Value, rate: Value) -> Any:
    return times_log(y, rate) - rate - gammaln(y + 1.0)


def _poisson_log(d: Any, y: Value, eta: Value) -> Any:
    # numpyro has no Poisson by log rate; through the rate itself a large eta would overflow.
    return _times(y, eta) - jnp.exp(eta) - gammaln(y + 1.0)


def _times(count: Value, x: Value) -> Any:
    """count x, where 0 times an infinite x is 0."""
    return count * jnp.where(count == 0, 0.0, x)


def _mixed(gate: Value, log_rest: Any) -> Any:
    """log(gate + (1 - gate) exp(log_rest)) for log_rest <= 0 and gate from 0 to 1."""
    near = (log_rest > -30.0) | (gate == 0)
    small = jnp.where(near, jnp.maximum(log_rest, -80.0), -1.0)
    in_gate = jnp.where(near, 0.5, gate)
    return jnp.where(
        near, log_rest + jnp.log1p(gate * jnp.expm1(-small)), jnp.log(in_gate + (1.0 - in_gate) * jnp.exp(log_rest))
    )


def _zero_inflated(y: Value, gate: Value, log_zero: Any, log_count: Any) -> Any:
    """The mass of a count that is 0 with probability `gate`, otherwise follows another law."""
    zero = y == 0
    return jnp.where(zero, _mixed(gate, log_zero), jnp.log1p(-jnp.where(zero, 0.0, gate)) + log_count)


def _zero_inflated_poisson(d: Any, y: Value, gate: Value, rate: Value) -> Any:
    return _zero_inflated(y, gate, -rate, _poisson(d, y, rate))


def _log_share(rate: Value) -> Any:
    """log(rate / (1 - exp(-rate))) of a rate >= 0: 0 at 0."""
    near = rate < 1e-4
    inside = jnp.where(near, 1.0, rate)
    return jnp.where(near, 0.5 * rate - rate * rate / 24.0, jnp.log(inside) - log1mexp(-inside))


def _hurdle_poisson(d: Any, y: Value, gate: Value, rate: Value) -> Any:
    zero = y == 0
    positive = jnp.where(zero, 1.0, rate)
    counted = times_log(y - 1.0, positive) + _log_share(positive) - positive - gammaln(y + 1.0)
    log_gate = jnp.log(jnp.where(zero, gate, 1.0))
    return jnp.where(zero, log_gate, jnp.log1p(-jnp.where(zero, 0.0, gate)) + counted)


def _log_choose(y: Value, n: Value) -> Any:
    return gammaln(n + 1.0) - gammaln(y + 1.0) - gammaln(n - y + 1.0)


def _binomial(d: Any, y: Value, n: Value, p: Value) -> Any:
    return _log_choose(y, n) + times_log(y, p) + times_log1m(n - y, p)


def _binomial_logit(d: Any, y: Value, n: Value, eta: Value) -> Any:
    return _log_choose(y, n) - _times(y, softplus(-eta)) - _times(n - y, softplus(eta))


def _bernoulli(d: Any, y: Value, p: Value) -> Any:
    one = y == 1
    return jnp.log(jnp.where(one, p, 1.0)) + jnp.log1p(-jnp.where(one, 0.0, p))


def _geometric(d: Any, y: Value, p: Value) -> Any:
    return jnp.log(p) + times_log1m(y, p)


def _negative_binomial(d: Any, y: Value, mu: Value, phi: Value) -> Any:
    zero = mu == 0
    positive = _negative_binomial_log(d, y, jnp.log(jnp.where(zero, 1.0, mu)), phi)
    return jnp.where(zero, jnp.where(y == 0, -mu, -np.inf), positive)


def _negative_binomial_log(d: Any, y: Value, eta: Value, phi: Value) -> Any:
    # By the log odds: numpyro's form through exp(eta) overflows, and loses its digits for large phi.
    odds = eta - jnp.log(phi)
    choose = -log_beta(phi, y + 1.0) - jnp.log(phi + y)
    return choose - phi * softplus(odds) - _times(y, softplus(-odds))


def _beta_binomial(d: Any, y: Value, n: Value, alpha: Value, beta: Value) -> Any:
    total = alpha + beta
    gained = log_gamma_gain(alpha, y) + log_gamma_gain(beta, n - y) - log_gamma_gain(total, n)
    shares = y * jnp.log((alpha + y) / (total + n)) + (n - y) * jnp.log((beta + n - y) / (total + n))
    return _log_choose(y, n) + gained + shares


def _zero_inflated_negative_binomial(d: Any, y: Value, gate: Value, mu: Value, phi: Value) -> Any:
    counted = _negative_binomial(d, y, mu, phi)
    return _zero_inflated(y, gate, counted, counted)


_POISSON = Law(_poisson, _count)
_POISSON_LOG = Law(_poisson_log, _count)
_ZERO_INFLATED_POISSON = Law(_zero_inflated_poisson, _count)
_HURDLE_POISSON = Law(_hurdle_poisson, _count)
_NEGATIVE_BINOMIAL = Law(_negative_binomial, _count)
_NEGATIVE_BINOMIAL_LOG = Law(_negative_binomial_log, _count)
_ZERO_INFLATED_NEGATIVE_BINOMIAL = Law(_zero_inflated_negative_binomial, _count)
_GEOMETRIC = Law(_geometric, _count)
_BERNOULLI = Law(_bernoulli, _binary)
_BERNOULLI_LOGIT = Law(lambda d, y, eta: -softplus((1.0 - 2.0 * y) * eta), _binary)
_BINOMIAL = Law(_binomial, _up_to_first, inside=0.0)
_BINOMIAL_LOGIT = Law(_binomial_logit, _up_to_first, inside=0.0)
_BETA_BINOMIAL = Law(_beta_binomial, _up_to_first, inside=0.0)
_DISCRETE_UNIFORM = Law(lambda d, y, lower, upper: -jnp.log(upper - lower + 1.0) + 0.0 * y, _between, inside=0.0)


def poisson(y: Value, rate: Value, *, pointwise: bool = False) -> Any:
    """Poisson with mean `rate`.

    Args:
        y: count, 0, 1, 2, ...
        rate: mean, >= 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _POISSON(y, rate, pointwise=pointwise)


def poisson_log(y: Value, eta: Value, *, pointwise: bool = False) -> Any:
    """Poisson by the logarithm of its mean; stable for large |eta|.

    Args:
        y: count, 0, 1, 2, ...
        eta: logarithm of the mean.
        pointwise: return one term per entry instead of their sum.
    """
    return _POISSON_LOG(y, eta, pointwise=pointwise)


def zero_inflated_poisson(y: Value, gate: Value, rate: Value, *, pointwise: bool = False) -> Any:
    """Zero with probability `gate`, otherwise Poisson(rate).

    Args:
        y: count, 0, 1, 2, ...
        gate: probability of an extra zero, in [0, 1].
        rate: mean of the Poisson part, >= 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _ZERO_INFLATED_POISSON(y, gate, rate, pointwise=pointwise)


def hurdle_poisson(y: Value, gate: Value, rate: Value, *, pointwise: bool = False) -> Any:
    """Zero with probability `gate`, otherwise Poisson(rate) given that it is positive.

    Args:
        y: count, 0, 1, 2, ...
        gate: probability of a zero, in (0, 1).
        rate: mean of the Poisson before truncation, > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _HURDLE_POISSON(y, gate, rate, pointwise=pointwise)


def negative_binomial(y: Value, mu: Value, phi: Value, *, pointwise: bool = False) -> Any:
    """Negative binomial by mean and overdispersion (Stan's neg_binomial_2): variance mu + mu^2 / phi.

    Args:
        y: count, 0, 1, 2, ...
        mu: mean, >= 0.
        phi: inverse overdispersion, > 0; Poisson in the limit of large phi.
        pointwise: return one term per entry instead of their sum.
    """
    return _NEGATIVE_BINOMIAL(y, mu, phi, pointwise=pointwise)


def negative_binomial_log(y: Value, eta: Value, phi: Value, *, pointwise: bool = False) -> Any:
    """Negative binomial by the logarithm of its mean (Stan's neg_binomial_2_log).

    Args:
        y: count, 0, 1, 2, ...
        eta: logarithm of the mean.
        phi: inverse overdispersion, > 0: the variance is mu + mu^2 / phi with mu = exp(eta).
        pointwise: return one term per entry instead of their sum.
    """
    return _NEGATIVE_BINOMIAL_LOG(y, eta, phi, pointwise=pointwise)


def zero_inflated_negative_binomial(y: Value, gate: Value, mu: Value, phi: Value, *, pointwise: bool = False) -> Any:
    """Zero with probability `gate`, otherwise negative binomial by mean and overdispersion.

    Args:
        y: count, 0, 1, 2, ...
        gate: probability of an extra zero, in [0, 1].
        mu: mean of the negative binomial part, >= 0.
        phi: inverse overdispersion of the negative binomial part, > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _ZERO_INFLATED_NEGATIVE_BINOMIAL(y, gate, mu, phi, pointwise=pointwise)


def geometric(y: Value, p: Value, *, pointwise: bool = False) -> Any:
    """Geometric: the number of failures before the first success.

    Args:
        y: count, 0, 1, 2, ...
        p: probability of success, in (0, 1].
        pointwise: return one term per entry instead of their sum.
    """
    return _GEOMETRIC(y, p, pointwise=pointwise)


def bernoulli(y: Value, p: Value, *, pointwise: bool = False) -> Any:
    """Bernoulli.

    Args:
        y: outcome, 0 or 1 (or False, True).
        p: probability of 1, in [0, 1].
        pointwise: return one term per entry instead of their sum.
    """
    return _BERNOULLI(y, p, pointwise=pointwise)


def bernoulli_logit(y: Value, eta: Value, *, pointwise: bool = False) -> Any:
    """Bernoulli by log odds; stable for large |eta|.

    Args:
        y: outcome, 0 or 1 (or False, True).
        eta: log odds of 1.
        pointwise: return one term per entry instead of their sum.
    """
    return _BERNOULLI_LOGIT(y, eta, pointwise=pointwise)


def binomial(y: Value, n: Value, p: Value, *, pointwise: bool = False) -> Any:
    """Binomial.

    Args:
        y: number of successes, 0 .. n.
        n: number of trials.
        p: probability of success, in [0, 1].
        pointwise: return one term per entry instead of their sum.
    """
    return _BINOMIAL(y, n, p, pointwise=pointwise)


def binomial_logit(y: Value, n: Value, eta: Value, *, pointwise: bool = False) -> Any:
    """Binomial by log odds; stable for large |eta|.

    Args:
        y: number of successes, 0 .. n.
        n: number of trials.
        eta: log odds of success.
        pointwise: return one term per entry instead of their sum.
    """
    return _BINOMIAL_LOGIT(y, n, eta, pointwise=pointwise)


def beta_binomial(y: Value, n: Value, alpha: Value, beta: Value, *, pointwise: bool = False) -> Any:
    """Binomial whose probability is Beta(alpha, beta).

    Args:
        y: number of successes, 0 .. n.
        n: number of trials.
        alpha: first shape, > 0.
        beta: second shape, > 0.
        pointwise: return one term per entry instead of their sum.
    """
    return _BETA_BINOMIAL(y, n, alpha, beta, pointwise=pointwise)


def discrete_uniform(y: Value, lower: Value, upper: Value, *, pointwise: bool = False) -> Any:
    """Uniform on the integers lower, lower + 1, ..., upper.

    Args:
        y: integer, in lower .. upper.
        lower: smallest value.
        upper: largest value, >= lower.
        pointwise: return one term per entry instead of their sum.
    """
    return _DISCRETE_UNIFORM(y, lower, upper, pointwise=pointwise)
