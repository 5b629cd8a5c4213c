"""Descriptive statistics of `scipy.stats`, of values that depend on parameters."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import rel_entr, xlogy
from scipy import stats

from gradmc.program.frontend.libraries.arrays import real


def _central(a: Any, axis: int | None, power: int) -> Any:
    """The central moment of an order along an axis."""
    return jnp.mean((a - jnp.mean(a, axis=axis, keepdims=True)) ** power, axis=axis)


def _zscore(a: Any, axis: int | None = 0, ddof: int = 0) -> Any:
    a = real(a)
    return (a - jnp.mean(a, axis=axis, keepdims=True)) / jnp.std(a, axis=axis, ddof=ddof, keepdims=True)


def _skew(a: Any, axis: int | None = 0, bias: bool = True) -> Any:
    a = real(a)
    n = a.size if axis is None else a.shape[axis]
    found = _central(a, axis, 3) / _central(a, axis, 2) ** 1.5
    return found if bias else found * np.sqrt(n * (n - 1)) / (n - 2)


def _kurtosis(a: Any, axis: int | None = 0, fisher: bool = True, bias: bool = True) -> Any:
    a = real(a)
    n = a.size if axis is None else a.shape[axis]
    found = _central(a, axis, 4) / _central(a, axis, 2) ** 2
    if not bias:
        found = ((n * n - 1.0) * found - 3.0 * (n - 1) ** 2) / ((n - 2) * (n - 3)) + 3.0
    return found - 3.0 if fisher else found


def _gmean(a: Any, axis: int | None = 0, *, weights: Any = None) -> Any:
    return jnp.exp(jnp.average(jnp.log(real(a)), axis=axis, weights=None if weights is None else real(weights)))


def _hmean(a: Any, axis: int | None = 0, *, weights: Any = None) -> Any:
    return 1.0 / jnp.average(1.0 / real(a), axis=axis, weights=None if weights is None else real(weights))


def _entropy(pk: Any, qk: Any = None, base: float | None = None, axis: int = 0) -> Any:
    pk = real(pk)
    pk = pk / jnp.sum(pk, axis=axis, keepdims=True)
    if qk is None:
        found = -jnp.sum(xlogy(pk, pk), axis=axis)
    else:
        qk = real(qk)
        found = jnp.sum(rel_entr(pk, qk / jnp.sum(qk, axis=axis, keepdims=True)), axis=axis)
    return found if base is None else found / np.log(base)


def _iqr(x: Any, axis: int | None = None, rng: tuple[float, float] = (25, 75)) -> Any:
    low, high = jnp.percentile(real(x), jnp.asarray(rng, float), axis=axis)
    return high - low


TABLE: dict[Any, Callable[..., Any]] = {
    stats.zscore: _zscore,
    stats.skew: _skew,
    stats.kurtosis: _kurtosis,
    stats.gmean: _gmean,
    stats.hmean: _hmean,
    stats.entropy: _entropy,
    stats.iqr: _iqr,
}
