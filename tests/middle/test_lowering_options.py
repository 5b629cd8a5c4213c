"""Chunks and switches change how a program runs, not what it means."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxpr_as_fun

from gradmc.program import ir
from gradmc.program.middle import LoweringOptions, lower, lower_plain
from tests.middle.programs import PROGRAMS
from tests.middle.test_laws import P, answers


@pytest.mark.parametrize("name", ["linear_regression", "item_response", "survival", "stacked_marks", "extremes"])
@pytest.mark.parametrize("limit", [1, 200, 1_000])
def test_chunks(name, limit):
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(PROGRAMS[name])(jnp.asarray(P))
        chunked = lower(closed, LoweringOptions(memory_limit=limit))
        assert "remat" in str(chunked) or limit > 1
        for got, expected in zip(answers(chunked), answers(lower_plain(closed)), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["linear_regression", "garch", "hidden_markov", "survival", "counter", "many_series"])
def test_without_vectorising(name):
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(PROGRAMS[name])(jnp.asarray(P))
        for got, expected in zip(
            answers(lower(closed, LoweringOptions(vectorise=False))), answers(lower_plain(closed)), strict=True
        ):
            np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


def two_states(p):
    def body(t, c):
        lp, u, v = c
        y = jnp.sin(0.1 * t)
        u, v = 0.5 * p[0] * u - 0.2 * v + y, v * 0.3 + p[1] * u / (1 + y**2)
        return (lp + jnp.sin(u) * v, u, v), u

    (lp, u, v), us = ir.for_loop(90, body, (0.0, p[2], p[3]))
    return lp + u * v + jnp.sum(us**2)


def garch(p):
    def body(t, c):
        lp, h = c
        h = p[0] + 0.1 * jnp.cos(t * 1.0) ** 2 + 0.5 * p[1] * h
        return (lp - jnp.log(h), h), ()

    return ir.for_loop(200, body, (0.0, p[2]))[0][0]


def batch_of_series(p):
    def series(i, lp):
        def body(t, c):
            lp, h = c
            h = ir.load(p, i) * 0.5 * h + jnp.sin(t * 1.0)
            return (lp + h**2, h), ()

        return ir.for_loop(70, body, (lp, 0.1 * i))[0][0], ()

    return ir.for_loop(4, series, 0.0)[0]


@pytest.mark.parametrize("program", [two_states, garch, batch_of_series])
def test_linear_recurrences_as_prefix_products(program):
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(program)(jnp.asarray(P))
        lowered = lower(closed, LoweringOptions(associative=True))
        assert "scan[" not in str(lowered)
        for got, expected in zip(answers(lowered), answers(lower_plain(closed)), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["matrix_vector", "item_response", "autoregression_inner", "products"])
def test_large_sums_of_products_are_dots(name):
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(PROGRAMS[name])(jnp.asarray(P))
        lowered = lower(closed, LoweringOptions(dot_limit=0))
        assert "dot_general" in str(lowered) or name != "products"
        for got, expected in zip(answers(lowered), answers(lower_plain(closed)), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


def test_a_design_matrix_meets_its_coefficients_in_a_dot():
    def program(p):
        X, b = p[:400].reshape(40, 10), p[400:410]

        def row(i, lp):
            eta = ir.for_loop(10, lambda j, e: (e + ir.load(X, i, j) * ir.load(b, j), ()), 0.3)[0]
            return lp + jnp.sin(eta), ()

        return ir.for_loop(40, row, 0.0)[0]

    with jax.enable_x64(True):
        p = jnp.linspace(0.0, 1.0, 410)
        closed = jax.make_jaxpr(program)(p)
        lowered = lower(closed, LoweringOptions(dot_limit=100))
        assert "dot_general" in str(lowered)
        assert "dot_general" not in str(lower(closed))
        got, expected = (
            jax.jit(jax.value_and_grad(lambda p, c=c: jaxpr_as_fun(c)(p)[0]))(p) for c in (lowered, lower_plain(closed))
        )
        np.testing.assert_allclose(got[0], expected[0], rtol=1e-12)
        np.testing.assert_allclose(got[1], expected[1], rtol=1e-10)
