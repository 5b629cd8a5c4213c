"""Programs that make NaN, or a gradient that is not finite."""

import math

import jax
import jax.numpy as jnp
import numpy as np

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.lpdf import normal
from tests.check.zoo import Y, ill


@ill("nan", y=Y)
@gm.model
def log_of_a_difference(a: Positive, b: Positive, *, y: Data["n"]):
    lp = normal(a, 1.0, 1.0) + normal(b, 1.0, 1.0)
    excess = math.log(a - b)  # !
    return lp + normal(y, excess, 1.0)


@ill("nan", y=Y)
@gm.model
def variance_below_zero(a: Real, b: Real, *, y: Data["n"]):
    lp = normal(a, 0.0, 1.0) + normal(b, 0.0, 1.0)
    for i in range(len(y)):
        scale = math.sqrt(1.0 + a * y[i] + b)  # !
        lp += normal(y[i], 0.0, scale)
    return lp


@ill("nan", y=Y)
@gm.model
def sinc(x: Real, *, y: Data["n"]):
    lp = normal(x, 0.0, 1.0)
    return lp + normal(y, math.sin(x) / x, 1.0)  # !


@ill("nan", y=Y)
@gm.model
def power_of_a_negative(x: Real, a: Positive, *, y: Data["n"]):
    lp = normal(x, 0.0, 1.0) + normal(a, 1.0, 1.0)
    return lp + normal(y, (x + 0.5 * a) ** a, 1.0)  # !


@ill("nan", y=Y)
@gm.model
def entropy(x: Real, *, y: Data["n"]):
    lp = normal(x, 0.0, 1.0)
    size = abs(x)
    return lp + normal(y, size * math.log(size), 1.0)  # !


@ill("bad-gradient", y=np.abs(Y))
@gm.model
def untaken_side_in_a_scan(x: Real, *, y: Data["n"]):
    """gradmc makes selections in a program safe; inside of JAX's own loops they are JAX's."""
    lp = normal(x, 0.0, 1.0)
    total, _ = jax.lax.scan(lambda t, a: (t + jnp.where(x > 0.0, jnp.sqrt(x), 0.0) * a, None), 0.0, y)  # !
    return lp + normal(y, total, 1.0)


@ill("bad-gradient", y=Y)
@gm.model
def root_of_a_square(x: Real, *, y: Data["n"]):
    lp = normal(x, 0.0, 1.0)
    return lp + normal(y, math.sqrt(x**2), 1.0)  # !


@ill("bad-gradient", y=Y)
@gm.model
def distance(a: Real[2], *, y: Data["n"]):
    lp = normal(a, 0.0, 1.0)
    far = np.linalg.norm(a)  # !
    return lp + normal(y, far, 1.0)


@ill("bad-gradient", y=Y)
@gm.model
def distance_between_equals(a: Real[2], *, y: Data["n"]):
    lp = normal(a, 0.0, 1.0)
    far = math.sqrt((a[0] - a[1]) ** 2)  # !
    return lp + normal(y, far, 1.0)


@ill("bad-gradient", y=Y)
@gm.model
def root_of_a_residual(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    for i in range(len(y)):
        lp -= math.sqrt(abs(y[i] - mu))  # !
    return lp


@ill("no-start", y=Y)
@gm.model
def never_valid(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    return lp + normal(y, mu, math.log(-1.0 - mu**2))  # !


@ill("no-start", y=Y)
@gm.model
def never_a_gradient(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0) + normal(y, mu, 1.0)
    away = mu - mu
    return lp - math.sqrt(away)  # !


@ill("no-start", y=Y)
@gm.model
def impossible_data(rate: Positive, *, y: Data["n"]):
    lp = normal(rate, 1.0, 1.0)
    for i in range(len(y)):
        lp += gm.lpdf.exponential(y[i], rate)  # !
    return lp
