"""Log masses of counts and of binary outcomes. See `gradmc.lpdf` for what all functions have in common."""

from typing import Any

import jax.numpy as jnp
from jax.scipy.special import gammaln

from gradmc.lpdf._law import OFF, Law, Value
from gradmc.lpdf._special import log_beta


def _count(y: Value, *_: Value) -> Any:
    return y >= 0


def _up_to_first(y: Value, n: Value, *_: Value) -> Any:
    return (y >= 0) & (y <= n)


def _binary(y: Value, *_: Value) -> Any:
    return (y == 0) | (y == 1)


def _between(y: Value, lower: Value, upper: Value) -> Any:
    return (y >= lower) & (y <= upper)


def _poisson_log(d: Any, y: Value, eta: Value) -> Any:
    # numpyro has no Poisson by log rate; through the rate itself a large eta would overflow.
    return y * eta - jnp.exp(eta) - gammaln(y + 1.0)


def _softplus(x: Value) -> Any:
    """log(1 + exp(x)); its derivative keeps its digits far out and is 1/2 at 0."""
    above = x >= 0.0
    return jnp.where(above, x, 0.0) + jnp.log1p(jnp.exp(jnp.where(above, -x, x)))


def _log_choose(y: Value, n: Value) -> Any:
    return gammaln(n + 1.0) - gammaln(y + 1.0) - gammaln(n - y + 1.0)


def _binomial_logit(d: Any, y: Value, n: Value, eta: Value) -> Any:
    return _log_choose(y, n) - y * _softplus(-eta) - (n - y) * _softplus(eta)


def _negative_binomial_log(d: Any, y: Value, eta: Value, phi: Value) -> Any:
    # By the log odds: numpyro's form through exp(eta) overflows, and loses its digits for large phi.
    odds = eta - jnp.log(phi)
    choose = -log_beta(phi, y + 1.0) - jnp.log(phi + y)
    return choose - phi * _softplus(odds) - y * _softplus(-odds)


def _beta_binomial(d: Any, y: Value, n: Value, alpha: Value, beta: Value) -> Any:
    return _log_choose(y, n) + log_beta(y + alpha, n - y + beta) - log_beta(alpha, beta)


def _zero_inflated_negative_binomial(d: Any, y: Value, gate: Value, mu: Value, phi: Value) -> Any:
    counted = jnp.log1p(-gate) + _negative_binomial_log(d, y, jnp.log(mu), phi)
    return jnp.where(y == 0, jnp.logaddexp(jnp.log(gate), counted), counted)


_POISSON = Law(lambda d, y, rate: d.Poisson(rate, **OFF).log_prob(y), _count)
_POISSON_LOG = Law(_poisson_log, _count)
_ZERO_INFLATED_POISSON = Law(lambda d, y, gate, rate: d.ZeroInflatedPoisson(gate, rate, **OFF).log_prob(y), _count)
_HURDLE_POISSON = Law(lambda d, y, gate, rate: d.HurdlePoisson(gate, rate, **OFF).log_prob(y), _count)
_NEGATIVE_BINOMIAL = Law(lambda d, y, mu, phi: _negative_binomial_log(d, y, jnp.log(mu), phi), _count)
_NEGATIVE_BINOMIAL_LOG = Law(_negative_binomial_log, _count)
_ZERO_INFLATED_NEGATIVE_BINOMIAL = Law(_zero_inflated_negative_binomial, _count)
_GEOMETRIC = Law(lambda d, y, p: d.GeometricProbs(p, **OFF).log_prob(y), _count)
_BERNOULLI = Law(lambda d, y, p: d.BernoulliProbs(p, **OFF).log_prob(y), _binary)
_BERNOULLI_LOGIT = Law(lambda d, y, eta: -_softplus((1.0 - 2.0 * y) * eta), _binary)
_BINOMIAL = Law(lambda d, y, n, p: d.BinomialProbs(p, n, **OFF).log_prob(y), _up_to_first, inside=0.0)
_BINOMIAL_LOGIT = Law(_binomial_logit, _up_to_first, inside=0.0)
_BETA_BINOMIAL = Law(_beta_binomial, _up_to_first, inside=0.0)
_DISCRETE_UNIFORM = Law(lambda d, y, lower, upper: -jnp.log(upper - lower + 1.0) + 0.0 * y, _between, inside=0.0)


def poisson(y: Value, rate: Value, *, pointwise: bool = False) -> Any:
    """Poisson with mean `rate`.

    Args:
        y: count, 0, 1, 2, ...
        rate: mean, > 0.
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
        rate: mean of the Poisson part, > 0.
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
        mu: mean, > 0.
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
        gate: probability of an extra zero, in (0, 1).
        mu: mean of the negative binomial part, > 0.
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
