"""Elliptic integrals. The complete ones by the arithmetic-geometric mean (DLMF 19.8), with derivatives through it."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.special as sp

from gradmc.program.frontend.libraries.arrays import at_once, real
from gradmc.program.frontend.libraries.host import on_host

STEPS = 12
"""Of the mean, which doubles its digits: enough from 1 - m = 1e-300 on."""


def _complete(m: Any, complement: Any) -> tuple[Any, Any]:
    """K and E of the parameter m = 1 - complement."""
    inside = complement > 0
    root = jnp.sqrt(jnp.where(inside, complement, 0.5))
    a, g, total, weight = jnp.ones_like(root), root, 0.5 * m, 1.0
    for _ in range(STEPS):
        half = 0.5 * (a - g)
        a, g = 0.5 * (a + g), jnp.sqrt(a * g)
        total = total + weight * half * half
        weight *= 2.0
    k = np.pi / (2.0 * a)
    beyond = jnp.where(complement == 0, 1.0, jnp.nan)
    return jnp.where(inside, k, np.inf * beyond), jnp.where(inside, k * (1.0 - total), beyond)


def ellipk(m: Any) -> Any:
    """K(m)."""
    return _complete(real(m), 1.0 - real(m))[0]


def ellipkm1(p: Any) -> Any:
    """K(1 - p)."""
    return _complete(1.0 - real(p), real(p))[0]


def ellipe(m: Any) -> Any:
    """E(m)."""
    return _complete(real(m), 1.0 - real(m))[1]


def agm(a: Any, b: Any) -> Any:
    """The arithmetic-geometric mean of positive numbers."""
    a, b = jnp.broadcast_arrays(real(a), real(b))
    for _ in range(STEPS):
        a, b = 0.5 * (a + b), jnp.sqrt(a * b)
    return a


def _delta(phi: Any, m: Any) -> Any:
    return jnp.sqrt(1.0 - m * jnp.sin(phi) ** 2)


def _first_in_m(phi: Any, m: Any) -> Any:
    rest = jnp.sin(2.0 * phi) / (4.0 * (1.0 - m) * _delta(phi, m))
    return ellipeinc(phi, m) / (2.0 * m * (1.0 - m)) - ellipkinc(phi, m) / (2.0 * m) - rest


ellipkinc = on_host(sp.ellipkinc, lambda phi, m: 1.0 / _delta(phi, m), _first_in_m)
ellipeinc = on_host(sp.ellipeinc, _delta, lambda phi, m: (ellipeinc(phi, m) - ellipkinc(phi, m)) / (2.0 * m))

TABLE: dict[Any, Callable[..., Any]] = {
    sp.ellipk: at_once(ellipk),
    sp.ellipkm1: at_once(ellipkm1),
    sp.ellipe: at_once(ellipe),
    sp.ellipkinc: ellipkinc,
    sp.ellipeinc: ellipeinc,
    sp.agm: at_once(agm),
}
