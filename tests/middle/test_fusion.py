"""Long expressions with several readers, and vectors that are read element by element."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxpr_as_fun

from gradmc.program.jaxprs import walk
from gradmc.program.middle.fusion import MOST, with_barriers
from gradmc.program.middle.pieces import with_pieces
from tests.frontend.laws import agree

ROUNDS = 60


def mixed(a, *, x):
    s, t = x * a, x + a
    for _ in range(3):
        s, t = np.sin(s) + t, s * np.cos(t)
        s, t = s * t, s + np.sin(t)
    return np.sum(s * t)


def doubling(x):
    s, t = x, x + 1.0
    for _ in range(ROUNDS):
        s, t = 0.5 * (s + t), 0.25 * (s * t)
    return jnp.sum(s + t)


def names(body):
    return [eqn.primitive.name for eqn in walk(body)]


def test_what_would_be_written_out_over_and_over_is_kept_apart(x64):
    x = np.linspace(0.0, 1.0, 5)
    body = jax.make_jaxpr(doubling)(x)
    apart = with_barriers(body)
    barriers = names(apart).count("optimization_barrier")
    assert ROUNDS // MOST.bit_length() / 2 < barriers < ROUNDS
    assert jaxpr_as_fun(apart)(x) == jaxpr_as_fun(body)(x)


def test_short_expressions_stay_together(x64):
    body = jax.make_jaxpr(lambda x: jnp.sum(jnp.exp(x) * x + x))(np.ones(3))
    assert "optimization_barrier" not in names(with_barriers(body))


def test_a_vector_read_by_element_is_taken_apart_once(x64):
    x = np.arange(1.0, 13.0)
    body = jax.make_jaxpr(lambda x: sum(jnp.sin(x[k]) * x[k] for k in range(1, 12)))(x)
    apart = with_pieces(body)
    assert names(body).count("slice") > 10
    assert names(apart).count("split") == 1
    assert "slice" not in names(apart)
    value, gradient = jax.value_and_grad(lambda x: jaxpr_as_fun(apart)(x)[0])(x)
    np.testing.assert_allclose(value, np.sum(np.sin(x[1:]) * x[1:]), rtol=1e-13)
    np.testing.assert_allclose(gradient[1:], (np.sin(x) + x * np.cos(x))[1:], rtol=1e-13)
    assert gradient[0] == 0


def test_a_vector_read_here_and_there_stays(x64):
    body = jax.make_jaxpr(lambda x: x[3] * x[70])(np.ones(100))
    assert "split" not in names(with_pieces(body))


def test_value_and_gradient():
    agree(mixed, (0.4,), {"x": np.linspace(0.1, 0.9, 7)})
