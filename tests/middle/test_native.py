"""Small programs compile, with their gradient, into one native function: nothing in them forbids it.

XLA's CPU backend makes one function of a loop without dots, scatters, custom calls, sorts and convolutions.
What the middle end emits for small sizes contains none, and a loop of gradient steps stands in the compiled
module as a call marked `xla_cpu_small_call`.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxpr_as_fun

from gradmc.program.compiler import evaluate
from gradmc.program.middle import lower
from tests.benchmarks.loop_programs import CASES
from tests.middle.programs import PROGRAMS

FORBIDDEN = {"dot_general", "scatter", "scatter-add", "sort", "conv_general_dilated"}
IN_HLO = (" dot(", " scatter(", " custom-call(", " sort(", " convolution(")
P = np.array([0.7, 0.4, 0.9, 1.3])
# The Cholesky decomposition in it is a call into a library.
LIBRARY = {"kernel_matrix"}


def primitives(jaxpr):
    for eqn in jaxpr.eqns:
        yield eqn.primitive.name
        for value in eqn.params.values():
            for inner in value if isinstance(value, tuple | list) else [value]:
                if hasattr(inner, "eqns"):
                    yield from primitives(inner)


@pytest.mark.parametrize("name", sorted(set(PROGRAMS) - LIBRARY))
def test_gradients_hold_nothing_forbidden(name):
    with jax.enable_x64(True):
        lowered = lower(jax.make_jaxpr(PROGRAMS[name])(jnp.asarray(P)))
        both = jax.value_and_grad(lambda p: jaxpr_as_fun(lowered)(p)[0])
        assert not FORBIDDEN & set(primitives(jax.make_jaxpr(both)(jnp.asarray(P))))


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_a_loop_of_gradients_is_one_function(case):
    with jax.enable_x64(True):
        x, data = case.make(case.sizes[0], np.random.default_rng(1))

        def step(_, x):
            return x + 1e-6 * jax.grad(lambda x: evaluate(case.plain, (x,), data)[0])(x)

        compiled = jax.jit(lambda n, x: jax.lax.fori_loop(0, n, step, x)).lower(3, jnp.asarray(x)).compile()
        text = compiled.as_text()
        assert "xla_cpu_small_call" in text
        assert not [op for op in IN_HLO if op in text]
