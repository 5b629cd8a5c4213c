"""What JAX cannot differentiate is an error that names the user's line."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp
import numpy as np
import pytest

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.errors import ProgramError


def shapes_of_betainc(a: Positive, *, x: Data["n"]):
    lp = -a
    for v in x:
        lp += jnp.log(jsp.betainc(2.0, 3.0, v))
        if v > 0.4:
            lp += jnp.log(jsp.betainc(a, 2.0, v))
    return lp


def callback(a: Positive, *, x: Data["n"]):
    b = jnp.exp(-a)
    return jax.pure_callback(lambda v: v, jax.ShapeDtypeStruct((), b.dtype), b) - a * x[0]


def loop_of_jax(a: Real, *, x: Data["n"]):
    def body(state):
        return state[0] + 1, state[1] * a

    return jax.lax.while_loop(lambda state: state[0] < 3, body, (0, x[0]))[1]


CASES = {
    shapes_of_betainc: ("betainc cannot be differentiated", "jsp.betainc(a, 2.0, v)"),
    callback: ("pure_callback cannot be differentiated", "jax.pure_callback("),
    loop_of_jax: ("while_loop cannot be differentiated", "jax.lax.while_loop("),
}
DATA = {"x": np.linspace(0.1, 0.9, 7)}


@pytest.mark.parametrize("fn", CASES, ids=lambda f: f.__name__)
def test_the_line_is_named(fn: Callable[..., Any]) -> None:
    message, text = CASES[fn]
    model = gm.model(fn)
    with pytest.raises(ProgramError, match=message) as caught:
        gm.sample(model, DATA, seed=1, chains=1, warmup=10, draws=10, progress="none")
    assert caught.value.location is not None
    assert caught.value.location.file == __file__
    assert text in caught.value.location.text
    assert "jax.custom_jvp" in caught.value.remedy


def test_wherever_it_is_differentiated() -> None:
    model = gm.model(shapes_of_betainc)
    message, _ = CASES[shapes_of_betainc]
    with pytest.raises(ProgramError, match=message):
        gm.density(model, DATA).value_and_grad([0.3])
    with pytest.raises(ProgramError, match=message):
        gm.optimize(model, DATA, seed=1)
    assert message in str(gm.check(model, DATA, fast=True))
    foreign = gm.from_logdensity(lambda p: -p - jsp.betainc(jnp.exp(p), 2.0, 0.3), 0.0)
    with pytest.raises(ProgramError, match=message):
        foreign.value_and_grad([0.3])


def test_a_rule_of_the_users_that_fails_is_named() -> None:
    @jax.custom_jvp
    def twice(x):
        return 2.0 * x

    @twice.defjvp
    def rule(primals, tangents):
        raise ValueError("no rule yet")

    def program(a: Real):
        return -(twice(a) ** 2)

    with pytest.raises(ProgramError, match="no rule yet") as caught:
        gm.density(gm.model(program), {}).value_and_grad([0.3])
    assert caught.value.location is not None
    assert "twice(a)" in caught.value.location.text
