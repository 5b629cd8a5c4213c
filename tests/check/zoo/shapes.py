"""Posteriors that do not determine their parameters, or in a shape that is hard to sample."""

import numpy as np

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.lpdf import half_cauchy, half_normal, normal
from tests.check.zoo import Y, ill

X = np.array([100.0, 101.0, 102.0, 103.0])


@ill("not-identified", fast=False, y=Y)
@gm.model
def only_the_sum(
    a: Real,  # !
    b: Real,
    *,
    y: Data["n"],
):
    return normal(y, a + b, 1.0)


@ill("not-identified", fast=False, y=Y)
@gm.model
def only_the_product(scale: Positive, size: Positive, *, y: Data["n"]):  # !
    lp = 0.0
    for i in range(len(y)):
        lp += normal(y[i], 0.0, scale * size)
    return lp + half_normal(scale * size, 1.0)


@ill("not-identified", fast=False, y=Y, x=np.ones(4))
@gm.model
def intercept_twice(intercept: Real, slope: Real, *, y: Data["n"], x: Data["n"]):  # !
    return normal(y, intercept + slope * x, 1.0)


@ill("correlated", fast=False, y=Y, x=X)
@gm.model
def not_centred(intercept: Real, slope: Real, *, y: Data["n"], x: Data["n"]):  # !
    lp = normal(intercept, 0.0, 1000.0) + normal(slope, 0.0, 10.0)
    return lp + normal(y, intercept + slope * x, 1.0)


@ill("scales", fast=False, y=Y, x=10.0 * Y)
@gm.model
def metres_and_microns(
    length: Real,  # !
    width: Real,
    *,
    y: Data["n"],
    x: Data["n"],
):
    lp = normal(length, 0.0, 1000.0) + normal(width, 0.0, 1.0)
    return lp + normal(y, 1e5 * width, 1.0) + normal(x, 0.001 * length, 1.0)


@ill("funnel", fast=False, y=Y)
@gm.model
def centred(
    mu: Real,
    tau: Positive,
    theta: Real["n"],  # !
    *,
    y: Data["n"],
):
    lp = normal(mu, 0.0, 5.0) + half_cauchy(tau, 5.0)
    for i in range(len(y)):
        lp += normal(theta[i], mu, tau) + normal(y[i], theta[i], 3.0)
    return lp
