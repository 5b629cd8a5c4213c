"""Branches on parameters: sides that disagree, and sides that agree in value only."""

import numpy as np

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.lpdf import exponential, normal
from tests.check.zoo import Y, ill


@ill("jump", y=Y)
@gm.model
def two_means(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    if mu > 0.5:  # !
        lp += normal(y, mu, 1.0)
    else:
        lp += normal(y, 2.0, 1.0)
    return lp


@ill("jump", y=Y)
@gm.model
def penalty(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0) + normal(y, mu, 1.0)
    if mu < 0.0:  # !
        lp -= 3.0
    return lp


@ill("jump", y=Y)
@gm.model
def where_of_constants(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    level = np.where(mu > 0.0, 1.0, -1.0)  # !
    return lp + normal(y, level, 1.0)


@ill("jump", y=Y)
@gm.model
def threshold_in_a_loop(mu: Real, beta: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0) + normal(beta, 0.0, 1.0)
    for i in range(len(y)):
        level = mu if y[i] > beta else -1.0  # !
        lp += normal(y[i], level, 1.0)
    return lp


@ill("jump", y=Y)
@gm.model
def steps_of_a_search(rate: Positive, *, y: Data["n"]):
    lp = exponential(rate, 1.0)
    mass = 0.0
    while mass < 3.0:  # !
        mass = mass + rate + 0.1
    return lp + normal(y, mass, 1.0)


@ill("jump", y=Y)
@gm.model
def early_return(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    if mu > 1.0:  # !
        return lp
    return lp + normal(y, mu, 1.0)


@ill("bent", y=Y)
@gm.model
def piecewise_linear(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    if mu > 0.3:  # !
        lp += normal(y, 2.0 * mu - 0.3, 1.0)
    else:
        lp += normal(y, mu, 1.0)
    return lp


@ill("bent", y=Y)
@gm.model
def leaky(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    level = np.where(mu > 0.0, mu, 0.1 * mu)  # !
    return lp + normal(y, level, 1.0)
