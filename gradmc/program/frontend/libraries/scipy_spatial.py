"""Distances of scipy.spatial.distance between traced points; their derivative at a distance of 0 is 0."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.spatial import distance

from gradmc.program.frontend.libraries.arrays import real
from gradmc.program.frontend.libraries.unsupported import refuse


def _root(square: Any) -> Any:
    apart = square > 0
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, square, 1.0)), 0.0)


def _minkowski(d: Any, p: Any = 2, w: Any = None) -> Any:
    terms = jnp.where(d == 0, 0.0, jnp.where(d == 0, 1.0, jnp.abs(d)) ** p)
    total = jnp.sum(terms if w is None else real(w) * terms, axis=-1)
    return jnp.where(total > 0, jnp.where(total > 0, total, 1.0) ** (1.0 / p), 0.0)


OF_DIFFERENCES: dict[str, Callable[..., Any]] = {
    "euclidean": lambda d, w=None: _root(jnp.sum(d * d if w is None else real(w) * d * d, axis=-1)),
    "sqeuclidean": lambda d, w=None: jnp.sum(d * d if w is None else real(w) * d * d, axis=-1),
    "cityblock": lambda d, w=None: jnp.sum(jnp.abs(d) if w is None else real(w) * jnp.abs(d), axis=-1),
    "chebyshev": lambda d, w=None: jnp.max(jnp.abs(d), axis=-1),
    "minkowski": _minkowski,
    "mahalanobis": lambda d, VI: _root(jnp.einsum("...i,ij,...j->...", d, real(VI), d)),
    "seuclidean": lambda d, V: _root(jnp.sum(d * d / real(V), axis=-1)),
}
"""Metrics, by the difference of two points along the last axis."""


def _between(a: Any, b: Any, metric: Any, options: dict[str, Any]) -> Any:
    name = {"euclid": "euclidean", "manhattan": "cityblock", "l2": "euclidean", "l1": "cityblock"}.get(metric, metric)
    if name in ("cosine", "correlation"):
        if name == "correlation":
            a, b = (v - jnp.mean(v, axis=-1, keepdims=True) for v in (a, b))
        sizes = _root(jnp.sum(a * a, axis=-1)) * _root(jnp.sum(b * b, axis=-1))
        return 1.0 - jnp.sum(a * b, axis=-1) / sizes
    if name not in OF_DIFFERENCES:
        raise refuse(f"the distance {metric!r} of traced points", f"Use one of {', '.join(OF_DIFFERENCES)}.")
    return OF_DIFFERENCES[name](a - b, **options)


def cdist(XA: Any, XB: Any, metric: Any = "euclidean", *, out: Any = None, **options: Any) -> Any:
    """Distances between two sets of points."""
    return _between(real(XA)[:, None, :], real(XB)[None, :, :], metric, options)


def pdist(X: Any, metric: Any = "euclidean", *, out: Any = None, **options: Any) -> Any:
    """Distances between the points of a set, each once."""
    x = real(X)
    i, j = np.triu_indices(x.shape[0], 1)
    return _between(x[i], x[j], metric, options)


def squareform(X: Any, *_: Any, **__: Any) -> Any:
    """Distances as a matrix, or those of a matrix, each once."""
    x = real(X)
    if x.ndim == 2:
        return x[np.triu_indices(x.shape[0], 1)]
    n = round(0.5 * (1 + np.sqrt(1 + 8 * x.size)))
    half = jnp.zeros((n, n)).at[np.triu_indices(n, 1)].set(x)
    return half + half.T


def _of_two(metric: str) -> Callable[..., Any]:
    def of(u: Any, v: Any, *args: Any, **options: Any) -> Any:
        names = {"minkowski": ("p", "w"), "mahalanobis": ("VI",), "seuclidean": ("V",)}.get(metric, ("w",))
        return _between(real(u), real(v), metric, {**dict(zip(names, args, strict=False)), **options})

    return of


TABLE: dict[Any, Callable[..., Any]] = {
    distance.cdist: cdist,
    distance.pdist: pdist,
    distance.squareform: squareform,
    **{getattr(distance, name): _of_two(name) for name in (*OF_DIFFERENCES, "cosine", "correlation")},
}
