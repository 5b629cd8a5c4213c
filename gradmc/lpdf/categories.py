"""Log masses of categories and of counts per category.

Categories are numbered from 0, as Python indexes (Stan numbers them from 1). Picking one entry of a
probability vector is written as a masked sum rather than as an index, because its derivative is then
elementwise and needs no scatter. See `gradmc.lpdf` for what all functions have in common.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

from gradmc.lpdf._law import Law, Value
from gradmc.lpdf._special import log1mexp, log_beta, softplus, times_log


def _pick(table: Value, y: Value) -> Any:
    """Return `table[..., y]` where y is in range, 0 elsewhere."""
    table, y = jnp.asarray(table), jnp.asarray(y)
    categories = np.arange(table.shape[-1])
    return jnp.sum(jnp.where(y[..., None] == categories, table, 0.0), axis=-1)


def _categorical(d: Any, y: Value, probs: Value) -> Any:
    return jnp.log(_pick(probs, y))


def _categorical_logit(d: Any, y: Value, logits: Value) -> Any:
    logits = jnp.asarray(logits)
    in_range = (y >= 0) & (y < logits.shape[-1])
    terms = _pick(logits, y) - jax.nn.logsumexp(logits, axis=-1)
    return jnp.where(in_range, terms, -np.inf)


def _ordered_logistic(d: Any, y: Value, eta: Value, cutpoints: Value) -> Any:
    # F(upper) - F(lower) = F(upper) (1 - F(lower)) (1 - exp(lower - upper)), F the logistic function.
    cutpoints, y = jnp.asarray(cutpoints), jnp.asarray(y)
    last = cutpoints.shape[-1]
    below = jnp.where(y < last, softplus(eta - _pick(cutpoints, y)), 0.0)
    above = jnp.where(y > 0, softplus(_pick(cutpoints, y - 1) - eta), 0.0)
    gaps = log1mexp(cutpoints[..., :-1] - cutpoints[..., 1:])
    return jnp.where((y >= 0) & (y <= last), _pick(gaps, y - 1) - below - above, -np.inf)


def _counts(y: Value, *_: Value) -> Any:
    return (y >= 0).all(-1)


def _multinomial(d: Any, y: Value, probs: Value) -> Any:
    return _log_arrangements(y) + jnp.sum(times_log(y, probs), axis=-1)


def _multinomial_logit(d: Any, y: Value, logits: Value) -> Any:
    log_probs = jax.nn.log_softmax(logits, axis=-1)
    return _log_arrangements(y) + jnp.sum(y * jnp.where(y == 0, 0.0, log_probs), axis=-1)


def _log_arrangements(y: Value) -> Any:
    return gammaln(jnp.sum(y, axis=-1) + 1.0) - jnp.sum(gammaln(y + 1.0), axis=-1)


def _dirichlet_multinomial(d: Any, y: Value, alpha: Value) -> Any:
    alpha = jnp.asarray(alpha)
    return jnp.sum(_log_rising(y, alpha), axis=-1) - _log_rising(jnp.sum(y, axis=-1), jnp.sum(alpha, axis=-1))


def _log_rising(y: Value, alpha: Any) -> Any:
    """log of G(alpha + y) / G(alpha) / y!, without a difference of log gamma functions."""
    return -log_beta(alpha, y + 1.0) - jnp.log(alpha + y)


_CATEGORICAL = Law(_categorical, integers=(0,))
_CATEGORICAL_LOGIT = Law(_categorical_logit, integers=(0,))
_ORDERED_LOGISTIC = Law(_ordered_logistic, integers=(0,))
_MULTINOMIAL = Law(_multinomial, _counts, event=1)
_MULTINOMIAL_LOGIT = Law(_multinomial_logit, _counts, event=1)
_DIRICHLET_MULTINOMIAL = Law(_dirichlet_multinomial, _counts, event=1)


def categorical(y: Value, probs: Value, *, pointwise: bool = False) -> Any:
    """Categorical.

    Args:
        y: category, an integer 0 .. K - 1 (from 0, unlike Stan).
        probs: probabilities, shape (..., K), summing to 1.
        pointwise: return one term per entry of y instead of their sum.
    """
    return _CATEGORICAL(y, probs, pointwise=pointwise)


def categorical_logit(y: Value, logits: Value, *, pointwise: bool = False) -> Any:
    """Categorical by log odds: the probabilities are softmax(logits).

    Args:
        y: category, an integer 0 .. K - 1 (from 0, unlike Stan).
        logits: log probabilities up to a constant, shape (..., K).
        pointwise: return one term per entry of y instead of their sum.
    """
    return _CATEGORICAL_LOGIT(y, logits, pointwise=pointwise)


def ordered_logistic(y: Value, eta: Value, cutpoints: Value, *, pointwise: bool = False) -> Any:
    """Ordinal regression with the logistic link: P(y <= k) = inv_logit(cutpoints[k] - eta).

    Args:
        y: category, an integer 0 .. K - 1 (from 0, unlike Stan).
        eta: linear predictor.
        cutpoints: increasing, shape (K - 1,) (support `Ordered["K - 1"]`).
        pointwise: return one term per entry of y instead of their sum.
    """
    return _ORDERED_LOGISTIC(y, eta, cutpoints, pointwise=pointwise)


def multinomial(y: Value, probs: Value, *, pointwise: bool = False) -> Any:
    """Multinomial; the number of trials is the sum of the counts.

    Args:
        y: counts per category, shape (..., K).
        probs: probabilities, shape (..., K), summing to 1.
        pointwise: return one term per count vector instead of their sum.
    """
    return _MULTINOMIAL(y, probs, pointwise=pointwise)


def multinomial_logit(y: Value, logits: Value, *, pointwise: bool = False) -> Any:
    """Multinomial by log odds: the probabilities are softmax(logits).

    Args:
        y: counts per category, shape (..., K).
        logits: log probabilities up to a constant, shape (..., K).
        pointwise: return one term per count vector instead of their sum.
    """
    return _MULTINOMIAL_LOGIT(y, logits, pointwise=pointwise)


def dirichlet_multinomial(y: Value, alpha: Value, *, pointwise: bool = False) -> Any:
    """Multinomial whose probabilities are Dirichlet(alpha).

    Args:
        y: counts per category, shape (..., K).
        alpha: concentrations, shape (..., K), > 0.
        pointwise: return one term per count vector instead of their sum.
    """
    return _DIRICHLET_MULTINOMIAL(y, alpha, pointwise=pointwise)
