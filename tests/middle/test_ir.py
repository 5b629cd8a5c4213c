"""The IR primitives run by themselves and under every transformation, and so does their plain lowering."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxpr_as_fun

from gradmc.program import ir
from gradmc.program.middle import lower

Y = np.array([0.3, -1.0, 2.0, 0.7, 0.1])


def garch(p):
    def body(t, carry):
        lp, h = carry
        h = p[0] + p[1] * ir.load(Y, t) ** 2 + p[2] * h
        return (lp - 0.5 * jnp.log(h) - 0.5 * ir.load(Y, t) ** 2 / h, h), ()

    return ir.for_loop(len(Y), body, (0, 1.0))[0][0]


def stores(p):
    def body(i, x):
        x = ir.cond(p[0] > i, lambda: ir.store(x, p[1] * i, i), lambda: ir.store(x, p[2] * ir.load(x, i - 1), i))
        return x, ir.load(x, i)

    x, ys = ir.for_loop(4, body, jnp.zeros(5) + p[0])
    return jnp.sum(x**2) + jnp.sum(ys * Y[:4])


def bounded_while(p):
    return ir.while_loop(lambda c: c[0] < 6, lambda c: (c[0] + 1, jnp.sin(c[1] * p[1])), (0, p[0]), 10)[1]


def in_pjit(p):
    return jax.jit(garch)(p) + jax.jit(stores)(p)


@pytest.mark.parametrize("program", [garch, stores, bounded_while, in_pjit])
def test_every_transformation_agrees(program):
    with jax.enable_x64(True):
        p = jnp.array([0.5, 0.3, 0.2])
        closed = jax.make_jaxpr(program)(p)
        lowered = lower(closed)
        names = {e.primitive for e in lowered.jaxpr.eqns}
        assert not names & ir.PRIMITIVES

        def low(x):
            return jaxpr_as_fun(lowered)(x)[0]

        value = program(p)
        np.testing.assert_allclose([jax.jit(program)(p), low(p), jax.jit(low)(p)], value, rtol=1e-13)
        forward = jax.jacfwd(program)(p)
        step = 1e-6
        numeric = [(program(p + d) - program(p - d)) / (2 * step) for d in np.eye(3) * step]
        np.testing.assert_allclose(forward, numeric, rtol=1e-6, atol=1e-8)
        for g in (jax.grad(program), jax.grad(low), jax.jacfwd(low), jax.jit(jax.grad(low))):
            np.testing.assert_allclose(g(p), forward, rtol=1e-12)
        batch = jnp.stack([p, 2 * p])
        np.testing.assert_allclose(jax.vmap(program)(batch), [program(p), program(2 * p)], rtol=1e-13)
        np.testing.assert_allclose(jax.vmap(low)(batch), [program(p), program(2 * p)], rtol=1e-13)


def test_while_without_a_bound_runs_forward():
    def program(p):
        return ir.while_loop(lambda c: c < 10.0, lambda c: c * p, p)

    with jax.enable_x64(True):
        assert program(3.0) == 27.0
        assert jax.jit(program)(3.0) == 27.0
        assert jax.jacfwd(program)(3.0) == 27.0


def test_carried_values_promote_as_in_python():
    with jax.enable_x64(True):
        count, total = ir.for_loop(3, lambda i, c: ((c[0] + i, c[1] + 0.5), ()), (0, 1))[0]
        assert (count.dtype, total.dtype) == (np.int64, np.float64)
        assert (count, total) == (3, 2.5)
        flag = ir.for_loop(3, lambda i, c: (ir.cond(i > 1, lambda: c + 1, lambda: c), ()), True)[0]
        assert flag == 2


def test_an_empty_loop_returns_what_it_was_given():
    with jax.enable_x64(True):
        carry, ys = ir.for_loop(0, lambda i, c: (c + 1.0, c), 2.0)
        assert carry == 2.0
        assert ys.shape == (0,)


def test_indices_are_pythons():
    with jax.enable_x64(True):
        assert ir.load(Y, -1) == Y[-1]
        assert np.isnan(ir.load(Y, 5))
        assert np.isnan(ir.load(Y, -6))
        np.testing.assert_array_equal(ir.load(np.arange(6).reshape(2, 3), -1), [3, 4, 5])
        np.testing.assert_array_equal(ir.store(Y, 9, -1), [*Y[:-1], 9])
        np.testing.assert_array_equal(ir.store(Y, 9, 5), Y)


def test_changing_shapes_are_an_error():
    with pytest.raises(ir.CarryError, match=r"value 0: .* becomes"):
        ir.for_loop(3, lambda i, c: (c + jnp.ones(3), ()), 0.0)
