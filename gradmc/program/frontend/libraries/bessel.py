"""Bessel functions of real order.

The modified function of the second kind is an integral whose integrand falls off doubly exponentially,

    K[v](x) exp(x) = integral over t > 0 of exp(-x (cosh t - 1)) cosh(v t)

so the trapezoidal rule has all digits with a hundred and sixty nodes (Trefethen & Weideman 2014, SIAM Review 56), and
derivatives in x and v. The others are scipy's own, called while the program runs, with the field's recurrences for
derivatives in x (DLMF 10.6, 10.29) and difference quotients in v.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.special as sp
from jax import lax
from jax.scipy.special import logsumexp

from gradmc.program.frontend.libraries.arrays import at_once, real
from gradmc.program.frontend.libraries.host import BY_DIFFERENCES, on_host

NODES = 160
"""The step is then below 0.27 for x > 1e-17: the error is that of exp(-pi^2 / step)."""
DEPTH = 45.0


def log_kve(v: Any, x: Any) -> Any:
    """log(K[v](x) exp(x)) of x > 1e-17 and |v| < 200."""
    v, x = jnp.broadcast_arrays(jnp.abs(real(v)), real(x))
    inside = x > 0
    v, x = v[..., None], jnp.where(inside, x, 1.0)[..., None]
    end = lax.stop_gradient(_end(v, x))
    step = end / NODES
    t = step * np.arange(NODES + 1)
    falls = -2.0 * x * jnp.sinh(0.5 * t) ** 2
    terms = falls + v * t + jnp.log1p(jnp.exp(-2.0 * v * t)) - np.log(2.0)
    weights = np.where(np.arange(NODES + 1) % NODES == 0, 0.5, 1.0)
    found = logsumexp(terms, axis=-1, b=weights) + jnp.log(step[..., 0])
    return jnp.where(inside, found, jnp.where(x[..., 0] == 0, np.inf, jnp.nan))


def _end(v: Any, x: Any) -> Any:
    """Where x (cosh t - 1) - v t = DEPTH, from below."""
    end = jnp.zeros_like(x)
    for _ in range(8):
        end = jnp.arccosh(1.0 + (DEPTH + v * end) / x)
    return end


def kve(v: Any, x: Any) -> Any:
    """K[v](x) exp(x)."""
    return jnp.exp(_log_kve(v, x))


def kv(v: Any, x: Any) -> Any:
    """K[v](x)."""
    return jnp.exp(_log_kve(v, x) - real(x))


_log_kve = at_once(log_kve)


def _cylinder(function: Any, below: float, above: float) -> Callable[..., Any]:
    """J, Y or I, whose derivative is (below f[v - 1] + above f[v + 1]) / 2."""
    made: list[Callable[..., Any]] = []

    def slope(v: Any, x: Any) -> Any:
        return 0.5 * (below * made[0](v - 1.0, x) + above * made[0](v + 1.0, x))

    made.append(on_host(function, BY_DIFFERENCES, slope))
    return made[0]


jv, yv = _cylinder(sp.jv, 1.0, -1.0), _cylinder(sp.yv, 1.0, -1.0)
_ive: Callable[..., Any] = on_host(sp.ive, BY_DIFFERENCES, lambda v, x: _ive_slope(v, x))


def _ive_slope(v: Any, x: Any) -> Any:
    return 0.5 * (_ive(v - 1.0, x) + _ive(v + 1.0, x)) - jnp.sign(x) * _ive(v, x)


def iv(v: Any, x: Any) -> Any:
    """I[v](x)."""
    return _ive(v, x) * jnp.exp(jnp.abs(real(x)))


def _higher(function: Callable[..., Any]) -> Callable[..., Any]:
    """The n-th derivative in x, n a whole number that is known."""

    def derivative(v: Any, x: Any, n: int = 1) -> Any:
        signs = {jv: (1.0, -1.0), yv: (1.0, -1.0), iv: (1.0, 1.0), kv: (-1.0, -1.0)}[function]
        if not n:
            return function(v, x)
        return 0.5 * (signs[0] * derivative(v - 1, x, n - 1) + signs[1] * derivative(v + 1, x, n - 1))

    return derivative


def spherical(function: Callable[..., Any]) -> Callable[..., Any]:
    """A spherical Bessel function of whole order n: sqrt(pi / (2 z)) f[n + 1/2](z), or its derivative."""

    def of(n: Any, z: Any, derivative: bool = False) -> Any:
        z = real(z)
        if derivative:
            step = -1.0 if function is not iv else 1.0
            if function is kv:
                return -of(n + 1, z) + n / z * of(n, z)
            return step * of(n + 1, z) + n / z * of(n, z)
        return jnp.sqrt((np.pi / 2.0) / z) * function(n + 0.5, z)

    return of


def _airy(outputs: Callable[..., Any]) -> Callable[..., Any]:
    def slopes(x: Any) -> tuple[Any, ...]:
        ai, aip, bi, bip = made(x)
        return aip, x * ai, bip, x * bi

    made = on_host(outputs, slopes, outputs=4)
    return made


def _struve(v: Any, x: Any) -> Any:
    gamma = jnp.exp(-sp_gammaln(v + 1.5))
    ratio = (0.5 * x) ** v * gamma / np.sqrt(np.pi)
    return struve(v - 1.0, x) * 0.5 - struve(v + 1.0, x) * 0.5 + 0.5 * ratio


def sp_gammaln(x: Any) -> Any:
    """log Gamma."""
    from jax.scipy.special import gammaln

    return gammaln(x)


struve = on_host(sp.struve, BY_DIFFERENCES, _struve)

TABLE: dict[Any, Callable[..., Any]] = {
    sp.kv: kv,
    sp.kve: kve,
    sp.kn: kv,
    sp.k0: functools.partial(kv, 0.0),
    sp.k1: functools.partial(kv, 1.0),
    sp.k0e: functools.partial(kve, 0.0),
    sp.k1e: functools.partial(kve, 1.0),
    sp.iv: iv,
    sp.ive: _ive,
    sp.jv: jv,
    sp.jn: jv,
    sp.jve: lambda v, x: jv(v, x),
    sp.j0: functools.partial(jv, 0.0),
    sp.j1: functools.partial(jv, 1.0),
    sp.yv: yv,
    sp.yn: yv,
    sp.yve: lambda v, x: yv(v, x),
    sp.y0: functools.partial(yv, 0.0),
    sp.y1: functools.partial(yv, 1.0),
    sp.jvp: _higher(jv),
    sp.yvp: _higher(yv),
    sp.ivp: _higher(iv),
    sp.kvp: _higher(kv),
    sp.spherical_jn: spherical(jv),
    sp.spherical_yn: spherical(yv),
    sp.spherical_in: spherical(iv),
    sp.spherical_kn: spherical(kv),
    sp.airy: _airy(sp.airy),
    sp.struve: struve,
}
