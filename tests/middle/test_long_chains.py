"""Chains of functions with selections in them: the lowered program grows in proportion to their length."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from gradmc.program.compiler import trace
from gradmc.program.middle import lower
from tests.frontend.laws import agree


def chain(w, *, n):
    prev = 0.0
    for d in range(n):
        prev = scipy.special.ndtri(0.5 * scipy.special.ndtr(w[d] + prev))
    return prev


def equations(n: int) -> int:
    with jax.enable_x64(True):
        traced = trace(chain, (np.full(n, 0.1),), {"n": n})
        return len(lower(traced.jaxpr).eqns)


def test_a_chain_written_out_grows_linearly() -> None:
    two, three, four = (equations(n) for n in (2, 3, 4))
    assert four - three == three - two


def test_its_value_and_gradient() -> None:
    agree(chain, (np.array([0.1, 0.2, 0.3]),), {"n": 3})


def shared(x):
    """Both sides read what has an infinite derivative, of a value that is not selected."""
    s = jnp.sqrt(x)
    return jnp.where(x > 0.5, jnp.log(s), jnp.where(s > 0.2, s * s, jnp.where(x > 0.0, jnp.exp(s), 3.0 * x)))


@pytest.mark.parametrize("x", [0.7, 0.3, 0.01])
def test_what_both_sides_read_is_computed_once(x: float) -> None:
    agree(shared, (x,), {}, differences=True)
