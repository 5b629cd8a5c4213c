"""Jaxprs evaluated in NumPy give what JAX gives."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.scipy.special import gammaln

from gradmc._numpy_jaxpr import in_numpy

X = np.array([[0.3, -1.2, 2.5], [1.0, 0.0, -0.4]])
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "arithmetic": lambda x: -(x**3) / (1.0 + x * x) + jnp.abs(x) ** 0.7 - 2.0,
    "functions": lambda x: jnp.exp(x) + jnp.log1p(x * x) + jnp.tanh(x) + jax.nn.sigmoid(x) + gammaln(x + 3.0),
    "not finite": lambda x: jnp.log(x) + 1.0 / x,
    "branches": lambda x: jnp.where((x > 0) & ~(x > 2), x, -jnp.inf),
    "reductions": lambda x: jnp.sum(x, axis=0) * jnp.max(x) - jnp.min(x, axis=1)[:, None] + jnp.any(x > 2),
    "shapes": lambda x: jnp.concatenate([x[0, 1:], x[1, :2]])[None] * jnp.ones((3, 1)) + jnp.stack([x[0, 0]] * 4),
    "edges": lambda x: (
        jnp.pad(x, ((1, 0), (0, 2)), constant_values=0.5) + lax.rsqrt(x[0, 2]) + jnp.arctan2(x, 1.0)[0, 0]
    ),
    "products along": lambda x: jnp.cumprod(x, axis=1),
    "sums along": lambda x: jnp.cumsum(x, axis=1) + lax.cumsum(x, 1, reverse=True),
    "whole numbers": lambda x: x + jnp.arange(3) - jnp.asarray(x, int),
    "calls": lambda x: jax.jit(jnp.cos)(x) + jax.nn.relu(x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_agrees_with_jax(name: str) -> None:
    with jax.enable_x64(True):
        traced = jax.make_jaxpr(FUNCTIONS[name])(X)
        theirs = np.asarray(jax.jit(FUNCTIONS[name])(X))
    ours = in_numpy(traced)
    assert ours is not None, traced
    (made,) = ours(X)
    assert made.dtype == theirs.dtype
    np.testing.assert_allclose(made, theirs, rtol=1e-14)


def test_single_precision_stays_single() -> None:
    traced = jax.make_jaxpr(lambda x: 2.5 * jnp.exp(x) + 1.0)(np.float32(0.3))
    ours = in_numpy(traced)
    assert ours is not None
    assert np.asarray(ours(np.float32(0.3))[0]).dtype == np.float32


def test_what_numpy_has_not_is_left_to_jax() -> None:
    assert in_numpy(jax.make_jaxpr(lambda x: lax.fori_loop(0, 3, lambda _, y: y * x, x))(2.0)) is None
    assert in_numpy(jax.make_jaxpr(lambda x: jax.jit(jnp.linalg.cholesky)(x))(np.eye(2, dtype=np.float32))) is None


def test_no_more_operations_than_asked_for() -> None:
    traced = jax.make_jaxpr(lambda x: jax.jit(lambda y: y + 1.0)(x) * 2.0)(1.0)
    assert in_numpy(traced, 2) is not None
    assert in_numpy(traced, 1) is None
