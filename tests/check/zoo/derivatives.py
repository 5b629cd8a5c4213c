"""Derivative rules that are wrong, and programs that are not functions of their arguments."""

import random

import jax
import jax.numpy as jnp
import numpy as np

import gradmc as gm
from gradmc import Data, Real
from gradmc.lpdf import normal
from tests.check.zoo import Y, ill


@jax.custom_jvp
def softened(x):
    return jnp.log1p(jnp.exp(x))


@softened.defjvp
def _softened_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return softened(x), t * x  # it should be the logistic function of x


@jax.custom_vjp
def cubed(x):
    return x**3


def _cubed_forward(x):
    return cubed(x), x


def _cubed_backward(x, cotangent):
    return (-3.0 * x**2 * cotangent,)  # the sign is wrong


cubed.defvjp(_cubed_forward, _cubed_backward)


@ill("wrong-gradient", y=Y)
@gm.model
def wrong_forward_rule(mu: Real, nu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0) + normal(nu, 0.0, 1.0)
    level = nu + softened(mu)  # !
    return lp + normal(y, level, 1.0)


@ill("wrong-gradient", y=Y)
@gm.model
def wrong_reverse_rule(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    for i in range(len(y)):
        lp += normal(y[i], 0.1 * cubed(mu), 1.0)  # !
    return lp


@ill("program", y=Y)
@gm.model
def noisy(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    noise = random.gauss(0.0, 1.0)  # !
    return lp + normal(y, mu + noise, 1.0)


@ill("plain-differs", y=Y)
@gm.model
def depends_on_types(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    scale = 2.0 + mu if hasattr(mu, "hex") else 1.0 + mu  # !
    return lp + normal(y, scale, 1.0)


CALLS = []


@ill("plain-differs", y=Y)
@gm.model
def counts_its_calls(mu: Real, *, y: Data["n"]):
    CALLS.append(1)
    level = mu + 0.1 * len(CALLS)  # !
    return normal(mu, 0.0, 1.0) + normal(y, level, 1.0)


@ill("plain-fails", y=Y)
@gm.model
def only_on_arrays(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    level = mu.astype(np.float64)  # !
    return lp + normal(y, level, 1.0)
