"""Log densities of scipy.stats that jax.scipy.stats lacks or loses digits of, under scipy's names and parametrisation.

`STANDARD[name](z, *shapes)` is the log density of the standard distribution (loc 0, scale 1) within its support,
which is z > 0 for all but those of `REAL_LINE`.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln, log_ndtr, xlog1py, xlogy

from gradmc.lpdf._special import log_beta

STANDARD: dict[str, Callable[..., Any]] = {
    "halfnorm": lambda z: 0.5 * np.log(2 / np.pi) - 0.5 * z * z,
    "halfcauchy": lambda z: np.log(2 / np.pi) - jnp.log1p(z * z),
    "halflogistic": lambda z: np.log(2.0) - z - 2 * jnp.log1p(jnp.exp(-z)),
    "lognorm": lambda z, s: -0.5 * (jnp.log(z) / s) ** 2 - jnp.log(s * z) - 0.5 * np.log(2 * np.pi),
    "invgamma": lambda z, a: -(a + 1) * jnp.log(z) - gammaln(a) - 1 / z,
    "weibull_min": lambda z, c: jnp.log(c) + (c - 1) * jnp.log(z) - z**c,
    "rayleigh": lambda z: jnp.log(z) - 0.5 * z * z,
    "maxwell": lambda z: 0.5 * np.log(2 / np.pi) + 2 * jnp.log(z) - 0.5 * z * z,
    "invgauss": lambda z, mu: -0.5 * jnp.log(2 * np.pi * z**3) - 0.5 * ((z / mu - 1) ** 2) / z,
    "erlang": lambda z, a: (a - 1) * jnp.log(z) - z - gammaln(a),
    "skewnorm": lambda z, a: np.log(2.0) - 0.5 * np.log(2 * np.pi) - 0.5 * z * z + log_ndtr(a * z),
    "hypsecant": lambda z: -jnp.log(np.pi * jnp.cosh(z)),
}
CLOSED = frozenset({"halfnorm", "halfcauchy", "halflogistic"})
REAL_LINE = frozenset({"skewnorm", "hypsecant"})
SHAPES = {
    "lognorm": ("s",),
    "invgamma": ("a",),
    "weibull_min": ("c",),
    "invgauss": ("mu",),
    "erlang": ("a",),
    "skewnorm": ("a",),
}
"""Names of the shape parameters, which come before loc and scale."""


def log_density(name: str, method: str) -> Callable[..., Any] | None:
    """scipy.stats.<name>.<method> for JAX values, where it is here."""
    if method != "logpdf":
        return _beta_binomial if (name, method) == ("betabinom", "logpmf") else None
    if name == "beta":
        return _beta
    standard = STANDARD.get(name)
    if standard is None:
        return None

    def logpdf(x: Any, *parameters: Any, **named: Any) -> Any:
        order = (*SHAPES.get(name, ()), "loc", "scale")
        given = {"loc": 0.0, "scale": 1.0, **dict(zip(order, parameters, strict=False)), **named}
        *shapes, loc, scale = (given[k] for k in order)
        z = (jnp.asarray(x) - loc) / scale
        if name in REAL_LINE:
            return standard(z, *shapes) - jnp.log(scale)
        inside = z >= 0 if name in CLOSED else z > 0
        safe = jnp.where(inside, z, 1.0)
        return jnp.where(inside, standard(safe, *shapes) - jnp.log(scale), -np.inf)

    return logpdf


def _beta(x: Any, a: Any, b: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    z = (jnp.asarray(x) - loc) / scale
    inside = (z >= 0) & (z <= 1)
    safe = jnp.where(inside, z, 0.5)
    density = xlogy(a - 1.0, safe) + xlog1py(b - 1.0, -safe) - log_beta(a, b) - jnp.log(scale)
    return jnp.where(inside, density, -np.inf)


def _beta_binomial(k: Any, n: Any, a: Any, b: Any, loc: Any = 0) -> Any:
    y = jnp.asarray(k) - loc
    inside = (y >= 0) & (y <= n)
    safe = jnp.where(inside, y, 0)
    log_choose = -jnp.log1p(n) - log_beta(n - safe + 1.0, safe + 1.0)
    return jnp.where(inside, log_choose + log_beta(safe + a, n - safe + b) - log_beta(a, b), -np.inf)
