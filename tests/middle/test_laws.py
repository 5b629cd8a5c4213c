"""What the middle end makes of a program equals its plain meaning: value, reverse and forward gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import check_jaxpr, jaxpr_as_fun

from gradmc.program.middle import LoweringOptions, lower_plain, stages
from gradmc.program.middle.lowering import holds_ir
from tests.middle.programs import PROGRAMS

P = np.array([0.7, 0.4, 0.9, 1.3])
QUICK = {"xla_backend_optimization_level": 0}
DIRECTION = np.array([0.3, -1.0, 0.5, 0.2])


def answers(closed):
    """Value, reverse gradient, and derivative along a direction, from one compilation."""

    def fn(p):
        return jaxpr_as_fun(closed)(p)[0]

    def both(p):
        value, gradient = jax.value_and_grad(fn)(p)
        return value, gradient, jax.jvp(fn, (p,), (jnp.asarray(DIRECTION),))[1]

    compiled = jax.jit(both).lower(jnp.asarray(P)).compile(compiler_options=QUICK)
    return [np.asarray(a) for a in compiled(jnp.asarray(P))]


@pytest.mark.parametrize("name", PROGRAMS)
def test_lowering_keeps_the_meaning(name):
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(PROGRAMS[name])(jnp.asarray(P))
        lowered = closed
        for _, lowered in stages(closed, LoweringOptions(), []):
            check_jaxpr(lowered)
        assert not holds_ir(lowered)
        value, gradient, derivative = answers(lowered)
        plain_value, plain_gradient, plain_derivative = answers(lower_plain(closed))
        assert np.isfinite(plain_value)
        assert np.isfinite(plain_gradient).all()
        np.testing.assert_allclose(value, plain_value, rtol=1e-12)
        np.testing.assert_allclose(gradient, plain_gradient, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(derivative, plain_derivative, rtol=1e-10, atol=1e-12)
