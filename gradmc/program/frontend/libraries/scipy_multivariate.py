"""The multivariate laws of scipy.stats on traced values."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.stats as stats
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import gammaln, multigammaln, xlogy

from gradmc.lpdf._special import log_beta
from gradmc.program.frontend.libraries.arrays import real


def _whitened(x: Any, mean: Any, cov: Any) -> tuple[Any, Any, int]:
    """Squared lengths of whitened deviations, log-determinant and dimension; cov may be a number or a diagonal."""
    x, cov, mean = real(x), 1.0 if cov is None else real(cov), None if mean is None else real(mean)
    if isinstance(cov, float) or cov.ndim < 2:
        size = max(jnp.size(cov), 1 if mean is None else jnp.size(mean))
        size = x.shape[-1] if size == 1 and x.ndim and (mean is None or jnp.ndim(mean) == 0) else size
        cov = jnp.diag(jnp.broadcast_to(real(cov).ravel(), (size,)))
    size = cov.shape[-1]
    mean = jnp.zeros(size) if mean is None else jnp.broadcast_to(mean, (size,))
    x = x[..., None] if size == 1 and (x.ndim == 0 or x.shape[-1] != 1) else x
    factor = jnp.linalg.cholesky(cov)
    z = solve_triangular(factor, jnp.moveaxis(x - mean, -1, 0).reshape(size, -1), lower=True)
    lengths = jnp.sum(z * z, axis=0).reshape(x.shape[:-1])
    return lengths, 2.0 * jnp.sum(jnp.log(jnp.diagonal(factor))), size


def _normal(x: Any, mean: Any = None, cov: Any = 1, allow_singular: bool = False) -> Any:
    lengths, log_det, size = _whitened(x, mean, cov)
    return -0.5 * (lengths + log_det + size * np.log(2 * np.pi))


def _student(x: Any, loc: Any = None, shape: Any = 1, df: Any = 1, allow_singular: bool = False) -> Any:
    lengths, log_det, size = _whitened(x, loc, shape)
    df = real(df)
    norm = gammaln(0.5 * (df + size)) - gammaln(0.5 * df) - 0.5 * size * jnp.log(df * np.pi) - 0.5 * log_det
    return norm - 0.5 * (df + size) * jnp.log1p(lengths / df)


def _dirichlet(x: Any, alpha: Any) -> Any:
    x, alpha = real(x), real(alpha)
    if x.shape[0] == alpha.shape[0] - 1:
        x = jnp.concatenate([x, 1.0 - jnp.sum(x, axis=0, keepdims=True)])
    norm = gammaln(jnp.sum(alpha)) - jnp.sum(gammaln(alpha))
    return norm + jnp.sum(xlogy(alpha - 1.0, x.T).T if x.ndim == 1 else xlogy((alpha - 1.0)[:, None], x), axis=0)


def _multinomial(x: Any, n: Any, p: Any) -> Any:
    x, p = real(x), real(p)
    p = p.at[..., -1].set(1.0 - jnp.sum(p[..., :-1], axis=-1))
    value = gammaln(real(n) + 1.0) + jnp.sum(xlogy(x, p) - gammaln(x + 1.0), axis=-1)
    return jnp.where(jnp.sum(x, axis=-1) == n, value, -np.inf)


def _dirichlet_multinomial(x: Any, alpha: Any, n: Any) -> Any:
    x, alpha, n = real(x), real(alpha), real(n)
    total = jnp.sum(alpha, axis=-1)
    terms = jnp.where(x > 0, -jnp.log(jnp.where(x > 0, x, 1.0)) - log_beta(alpha, jnp.where(x > 0, x, 1.0)), 0.0)
    first = jnp.log(n) + log_beta(total, n)
    return jnp.where(jnp.sum(x, axis=-1) == n, first + jnp.sum(terms, axis=-1), -np.inf)


def _wishart(x: Any, df: Any, scale: Any) -> Any:
    x, scale, df = jnp.atleast_2d(real(x)), jnp.atleast_2d(real(scale)), real(df)
    size = scale.shape[-1]
    inside = jnp.trace(jnp.linalg.solve(scale, x))
    log_x, log_scale = jnp.linalg.slogdet(x)[1], jnp.linalg.slogdet(scale)[1]
    norm = 0.5 * df * (size * np.log(2.0) + log_scale) + multigammaln(0.5 * df, size)
    return 0.5 * (df - size - 1) * log_x - 0.5 * inside - norm


def _inverse_wishart(x: Any, df: Any, scale: Any) -> Any:
    x, scale, df = jnp.atleast_2d(real(x)), jnp.atleast_2d(real(scale)), real(df)
    size = scale.shape[-1]
    inside = jnp.trace(jnp.linalg.solve(x, scale))
    log_x, log_scale = jnp.linalg.slogdet(x)[1], jnp.linalg.slogdet(scale)[1]
    norm = 0.5 * df * (size * np.log(2.0) - log_scale) + multigammaln(0.5 * df, size)
    return -0.5 * (df + size + 1) * log_x - 0.5 * inside - norm


def _matrix_normal(X: Any, mean: Any = None, rowcov: Any = 1, colcov: Any = 1) -> Any:
    x = real(X)
    rows, columns = x.shape[-2:]
    rowcov, colcov = (_square(c, n) for c, n in ((rowcov, rows), (colcov, columns)))
    deviation = x if mean is None else x - real(mean)
    inside = jnp.sum(deviation * jnp.linalg.solve(rowcov, jnp.linalg.solve(colcov, deviation.T).T))
    log_rows, log_columns = jnp.linalg.slogdet(rowcov)[1], jnp.linalg.slogdet(colcov)[1]
    return -0.5 * (rows * columns * np.log(2 * np.pi) + columns * log_rows + rows * log_columns + inside)


def _square(cov: Any, size: int) -> Any:
    cov = real(cov)
    return cov if cov.ndim == 2 else jnp.diag(jnp.broadcast_to(cov.ravel(), (size,)))


LOG_DENSITIES: dict[Any, tuple[str, Callable[..., Any]]] = {
    stats.multivariate_normal: ("logpdf", _normal),
    stats.multivariate_t: ("logpdf", _student),
    stats.dirichlet: ("logpdf", _dirichlet),
    stats.multinomial: ("logpmf", _multinomial),
    stats.dirichlet_multinomial: ("logpmf", _dirichlet_multinomial),
    stats.wishart: ("logpdf", _wishart),
    stats.invwishart: ("logpdf", _inverse_wishart),
    stats.matrix_normal: ("logpdf", _matrix_normal),
}
"""By law, the name of its log density, and what to call for it."""


class FrozenMultivariate:
    """A multivariate law with parameters, which may be traced."""

    def __init__(self, name: str, density: Callable[..., Any], args: tuple, options: dict[str, Any]) -> None:
        self.made = {
            name: lambda x: density(x, *args, **options),
            name.removeprefix("log"): lambda x: jnp.exp(density(x, *args, **options)),
        }

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in ("logpdf", "pdf", "logpmf", "pmf"):
            raise AttributeError(f"a frozen multivariate distribution has no compiled method {name!r}")
        return self.made[name]


def _without_generator(options: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in options.items() if k != "seed"}


def _frozen(law: Any) -> Callable[..., Any]:
    name, density = LOG_DENSITIES[law]
    return lambda *args, **options: FrozenMultivariate(name, density, args, _without_generator(options))


def _method(law: Any, method: Any) -> Callable[..., Any] | None:
    name = method.__name__
    if law not in LOG_DENSITIES:
        return None
    log, density = LOG_DENSITIES[law]
    if name == log:
        return density
    return (lambda *args, **options: jnp.exp(density(*args, **options))) if f"log{name}" == log else None


def _frozen_method(frozen: Any, method: Any) -> Callable[..., Any] | None:
    """A method of a law whose parameters are data, at traced values."""
    name = method.__name__
    for law, (log, density) in LOG_DENSITIES.items():
        if type(frozen) is type(law(*EXAMPLES[law])):
            given = [getattr(frozen, p) for p in PARAMETERS[law]]
            if name == log:
                return lambda x: density(x, *given)
            if f"log{name}" == log:
                return lambda x: jnp.exp(density(x, *given))
    return None


PARAMETERS: dict[Any, tuple[str, ...]] = {
    stats.multivariate_normal: ("mean", "cov"),
    stats.multivariate_t: ("loc", "shape", "df"),
    stats.dirichlet: ("alpha",),
    stats.multinomial: ("n", "p"),
    stats.dirichlet_multinomial: ("alpha", "n"),
    stats.wishart: ("df", "scale"),
    stats.invwishart: ("df", "scale"),
    stats.matrix_normal: ("mean", "rowcov", "colcov"),
}
EXAMPLES: dict[Any, tuple] = {
    stats.multivariate_normal: (),
    stats.multivariate_t: (),
    stats.dirichlet: (np.ones(2),),
    stats.multinomial: (1, [0.5, 0.5]),
    stats.dirichlet_multinomial: (np.ones(2), 1),
    stats.wishart: (2, 1.0),
    stats.invwishart: (2, 1.0),
    stats.matrix_normal: (),
}

TABLE: dict[Any, Callable[..., Any]] = {law: _frozen(law) for law in LOG_DENSITIES}
METHODS: dict[type, Callable[[Any, Any], Callable[..., Any] | None]] = {
    type(stats.multivariate_normal).__mro__[1]: _method,
    type(stats.multivariate_normal()).__mro__[1]: _frozen_method,
}
