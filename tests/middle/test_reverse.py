"""`while` loops of unknown length have both modes of differentiation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxpr_as_fun

from gradmc.program import ir
from gradmc.program.middle import checkpoints, lower


def compiled(program, x):
    closed = lower(jax.make_jaxpr(program)(x))
    return lambda x: jaxpr_as_fun(closed)(x)[0]


def newton(x):
    """The square root of x[0], by Newton's iteration: few inputs."""
    return ir.while_loop(lambda y: jnp.abs(y * y - x[0]) > 1e-12, lambda y: 0.5 * (y + x[0] / y), x[1])


def decay(x):
    """Many inputs, a number of iterations that depends on them, integers carried along."""

    def body(c):
        k, z, s = c
        z = jnp.sin(z) * 0.9 + 0.01 * x / (k + 1)
        return k + 1, z, s + jnp.sum(z**2)

    k, z, s = ir.while_loop(lambda c: jnp.sum(c[1] ** 2) > 0.02 + 0 * c[0], body, (0, x, 0.0))
    return s + jnp.sum(z) * k


def counted(x):
    _k, z = ir.while_loop(lambda c: c[0] < 200, lambda c: (c[0] + 1, jnp.cos(c[1]) * x), (0, x))
    return jnp.sum(z)


@pytest.mark.parametrize(("program", "size"), [(newton, 2), (decay, 9), (counted, 9), (counted, 2)])
def test_both_modes_agree_with_differences(program, size):
    with jax.enable_x64(True):
        x = jnp.linspace(0.4, 0.9, size)
        fn = jax.jit(compiled(program, x))
        assert fn(x) == program(x)
        step = 1e-6
        numeric = [(fn(x + d) - fn(x - d)) / (2 * step) for d in np.eye(size) * step]
        np.testing.assert_allclose(jax.grad(fn)(x), numeric, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(jax.jacfwd(fn)(x), jax.grad(fn)(x), rtol=1e-10, atol=1e-12)


def test_several_levels_of_checkpoints(monkeypatch):
    monkeypatch.setattr(checkpoints, "SLOTS", 4)
    monkeypatch.setattr(checkpoints, "BOUND", 64)

    def loop(x, n):
        return jnp.sum(ir.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, jnp.sin(c[1]) + x), (0, x))[1])

    with jax.enable_x64(True):
        x = jnp.linspace(0.4, 0.9, 8)
        for n in (0, 1, 4, 5, 16, 17, 37, 64):
            plain = jax.grad(lambda x, n=n: jnp.sum(jax.lax.fori_loop(0, n, lambda _, z: jnp.sin(z) + x, x)))(x)
            np.testing.assert_allclose(jax.grad(compiled(lambda x, n=n: loop(x, n), x))(x), plain, rtol=1e-12)
        assert np.isnan(jax.grad(compiled(lambda x: loop(x, 65), x))(x)).all()


def test_inside_a_vectorised_loop():
    def program(x):
        def body(i, lp):
            y = ir.while_loop(
                lambda y: jnp.abs(y * y - ir.load(x, i)) > 1e-12, lambda y: 0.5 * (y + ir.load(x, i) / y), 1.0
            )
            return lp + y, ()

        return ir.for_loop(9, body, 0.0)[0]

    with jax.enable_x64(True):
        x = jnp.linspace(0.5, 4.0, 9)
        fn = jax.jit(compiled(program, x))
        np.testing.assert_allclose(fn(x), np.sqrt(x).sum(), rtol=1e-12)
        np.testing.assert_allclose(jax.grad(fn)(x), 0.5 / np.sqrt(x), rtol=1e-10)
        np.testing.assert_allclose(jax.jacfwd(fn)(x), 0.5 / np.sqrt(x), rtol=1e-10)


def test_a_batch_of_gradients():
    with jax.enable_x64(True):
        x = jnp.linspace(0.4, 0.9, 9)
        fn = compiled(decay, x)
        batch = jnp.stack([x, 0.8 * x])
        together = jax.jit(jax.vmap(jax.grad(fn)))(batch)
        np.testing.assert_allclose(together, [jax.grad(fn)(b) for b in batch], rtol=1e-10)
