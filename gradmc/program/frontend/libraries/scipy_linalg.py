"""scipy.linalg on traced matrices, beyond what JAX mirrors."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.linalg as sl
from jax import lax
from jax.scipy.linalg import cho_factor, cho_solve, toeplitz

from gradmc.program.frontend.libraries.arrays import at_once, real

STEPS = 24
"""Of Denman and Beavers' iteration, which converges quadratically."""


def _dense(bands: Any, lower: int, upper: int) -> Any:
    """A matrix from its diagonals, the uppermost first, as LAPACK stores them."""
    bands = real(bands)
    n = bands.shape[1]
    rows, columns = np.indices((n, n))
    k = rows - columns + upper
    inside = (k >= 0) & (k <= lower + upper)
    return jnp.where(inside, bands[np.clip(k, 0, lower + upper), columns], 0.0)


def solve_banded(l_and_u: Any, ab: Any, b: Any, *_: Any, **__: Any) -> Any:
    """The solution of banded equations."""
    lower, upper = map(int, l_and_u)
    if (lower, upper) == (1, 1):
        ab, b = real(ab), real(b)
        sides = b[:, None] if b.ndim == 1 else b
        below = jnp.concatenate([jnp.zeros(1), ab[2, :-1]])
        above = jnp.concatenate([ab[0, 1:], jnp.zeros(1)])
        found = lax.linalg.tridiagonal_solve(below, ab[1], above, sides)
        return found.reshape(b.shape)
    return jnp.linalg.solve(_dense(ab, lower, upper), real(b))


def _symmetric(ab: Any, lower: bool) -> Any:
    u = jnp.shape(real(ab))[0] - 1
    half = _dense(ab, u, 0) if lower else _dense(ab, 0, u)
    return half + half.T - jnp.diag(jnp.diagonal(half))


def solveh_banded(ab: Any, b: Any, *_: Any, lower: bool = False, **__: Any) -> Any:
    """The solution of banded equations whose matrix is positive definite."""
    return cho_solve(cho_factor(_symmetric(ab, lower)), real(b))


def cholesky_banded(ab: Any, *_: Any, lower: bool = False, **__: Any) -> Any:
    """The Cholesky factor of a banded matrix, as bands."""
    u = jnp.shape(real(ab))[0] - 1
    factor = jnp.linalg.cholesky(_symmetric(ab, lower))
    if lower:
        return jnp.stack([jnp.pad(jnp.diagonal(factor, -k), (0, k)) for k in range(u + 1)])
    return jnp.stack([jnp.pad(jnp.diagonal(factor.T, k), (k, 0)) for k in range(u, -1, -1)])


def cho_solve_banded(cb_and_lower: Any, b: Any, *_: Any, **__: Any) -> Any:
    """The solution of banded equations from their Cholesky factor."""
    cb, lower = cb_and_lower
    u = jnp.shape(real(cb))[0] - 1
    factor = _dense(cb, u, 0) if lower else _dense(cb, 0, u).T
    return cho_solve((factor, True), real(b))


def _toeplitz(c_or_cr: Any) -> Any:
    return toeplitz(*map(real, c_or_cr)) if isinstance(c_or_cr, tuple) else toeplitz(real(c_or_cr))


def hankel(c: Any, r: Any = None) -> Any:
    """A Hankel matrix, of its first column and its last row."""
    c = jnp.ravel(real(c))
    r = jnp.zeros_like(c) if r is None else jnp.ravel(real(r))
    values = jnp.concatenate([c, r[1:]])
    return values[np.add.outer(np.arange(c.size), np.arange(r.size))]


def circulant(c: Any) -> Any:
    """A circulant matrix, of its first column."""
    c = real(c)
    n = c.shape[-1]
    return c[..., np.subtract.outer(np.arange(n), np.arange(n)) % n]


def sqrtm(a: Any, *_: Any, **__: Any) -> Any:
    """The principal square root of a matrix without eigenvalues on the negative axis (Denman & Beavers 1976)."""
    y = real(a)
    z = jnp.eye(y.shape[-1])
    for _step in range(STEPS):
        y, z = 0.5 * (y + jnp.linalg.inv(z)), 0.5 * (z + jnp.linalg.inv(y))
    return y


def continuous_lyapunov(a: Any, q: Any) -> Any:
    """X where A X + X A' = Q."""
    a, q = real(a), real(q)
    eye = jnp.eye(a.shape[0])
    return jnp.linalg.solve(jnp.kron(a, eye) + jnp.kron(eye, a), q.ravel()).reshape(q.shape)


def discrete_lyapunov(a: Any, q: Any, method: Any = None) -> Any:
    """X where A X A' - X + Q = 0."""
    a, q = real(a), real(q)
    return jnp.linalg.solve(jnp.eye(a.size) - jnp.kron(a, a), q.ravel()).reshape(q.shape)


def lstsq(a: Any, b: Any, cond: Any = None, *_: Any, **__: Any) -> Any:
    """Least squares: solution, residues, rank and singular values."""
    return jnp.linalg.lstsq(real(a), real(b), rcond=cond)


def khatri_rao(a: Any, b: Any) -> Any:
    """Kronecker products, column by column."""
    a, b = real(a), real(b)
    return (a[:, None, :] * b[None, :, :]).reshape(-1, a.shape[1])


TABLE: dict[Any, Callable[..., Any]] = {
    sl.solve_banded: solve_banded,
    sl.solveh_banded: solveh_banded,
    sl.cholesky_banded: cholesky_banded,
    sl.cho_solve_banded: cho_solve_banded,
    sl.solve_toeplitz: lambda c, b, check_finite=True: jnp.linalg.solve(_toeplitz(c), real(b)),
    sl.matmul_toeplitz: lambda c, x, check_finite=False, workers=None: _toeplitz(c) @ real(x),
    sl.solve_circulant: lambda c, b, *_, **__: jnp.linalg.solve(circulant(c), real(b)),
    sl.circulant: circulant,
    sl.hankel: hankel,
    sl.sqrtm: at_once(sqrtm),
    sl.solve_continuous_lyapunov: continuous_lyapunov,
    sl.solve_lyapunov: continuous_lyapunov,
    sl.solve_discrete_lyapunov: discrete_lyapunov,
    sl.lstsq: lstsq,
    sl.khatri_rao: khatri_rao,
    sl.norm: lambda a, ord=None, axis=None, keepdims=False, check_finite=True: jnp.linalg.norm(  # noqa: A006
        real(a), ord, axis, keepdims
    ),
    sl.pinv: lambda a, *_, **__: jnp.linalg.pinv(real(a)),
    sl.pinvh: lambda a, *_, **__: jnp.linalg.pinv(real(a), hermitian=True),
    sl.svdvals: lambda a, *_, **__: jnp.linalg.svd(real(a), compute_uv=False),
    sl.eigvalsh: lambda a, *_, **__: jnp.linalg.eigvalsh(real(a)),
    sl.eigvals: lambda a, *_, **__: jnp.linalg.eigvals(real(a)),
}
