"""Supports that are declared too wide, and parameters that nothing depends on."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Interval, Positive, Real, UnitInterval
from gradmc.lpdf import bernoulli, beta, binomial, exponential, gamma, half_normal, normal, uniform
from tests.check.zoo import Y, ill

BITS = np.array([1, 0, 1, 1])


@ill("support", y=Y)
@gm.model
def real_scale(mu: Real, sigma: Real, *, y: Data["n"]):  # !
    lp = normal(mu, 0.0, 1.0) + exponential(abs(sigma), 1.0)
    return lp + normal(y, mu, sigma)


@ill("support", y=Y)
@gm.model
def half_normal_on_the_line(
    mu: Real,
    sigma: Real,  # !
    *,
    y: Data["n"],
):
    lp = normal(mu, 0.0, 1.0) + half_normal(sigma, 2.0)
    return lp + normal(y, mu, math.exp(sigma))


@ill("support", bits=BITS)
@gm.model
def probability_on_the_line(p: Real, *, bits: Data["n"]):  # !
    return beta(p, 2.0, 2.0) + bernoulli(bits, p)


@ill("support", bits=BITS)
@gm.model
def probability_that_is_positive(p: Positive, *, bits: Data["n"]):  # !
    return beta(p, 2.0, 2.0) + bernoulli(bits, p)


@ill("support", y=Y)
@gm.model
def uniform_prior(mu: Real, *, y: Data["n"]):  # !
    return uniform(mu, -1.0, 2.0) + normal(y, mu, 1.0)


@ill("support", y=Y)
@gm.model
def scales_of_a_group(sigma: Real["n"], *, y: Data["n"]):  # !
    lp = 0.0
    for i in range(len(y)):
        lp += gamma(sigma[i], 2.0, 1.0) + normal(y[i], 0.0, sigma[i])
    return lp


@ill("flat-parameter", y=Y)
@gm.model
def forgotten(mu: Real, slope: Real, *, y: Data["n"]):  # !
    return normal(mu, 0.0, 1.0) + normal(y, mu, 1.0)


@ill("flat-parameter", y=Y)
@gm.model
def forgotten_entries(theta: Real[6], *, y: Data["n"]):  # !
    lp = 0.0
    for i in range(len(y)):
        lp += normal(theta[i], 0.0, 1.0) + normal(y[i], theta[i], 1.0)
    return lp


@ill("flat-parameter", y=Y)
@gm.model
def computed_and_not_used(
    mu: Real,
    tau: Positive,  # !
    *,
    y: Data["n"],
):
    lp = normal(mu, 0.0, 1.0)
    prior = half_normal(tau, 1.0)
    prior = 0.0
    return lp + prior + normal(y, mu, 1.0)


@ill("unused-parameter", bits=BITS)
@gm.model
def probability_not_used(p: UnitInterval, q: UnitInterval, *, bits: Data["n"]):  # !
    return beta(p, 2.0, 2.0) + bernoulli(bits, p)


@ill("unused-parameter", bits=BITS)
@gm.model
def interval_not_used(p: UnitInterval, q: Interval(0, 3), *, bits: Data["n"]):  # !
    return beta(p, 2.0, 2.0) + binomial(3, 4, p)


@ill("hole", y=Y)
@gm.model
def stationary_by_force(a: Interval(0, 1), b: Interval(0, 1), *, y: Data["n"]):
    lp = 0.0
    for t in range(1, len(y)):
        lp += normal(y[t], a * y[t - 1] + b, 1.0)
    if a + b > 1.0:  # !
        lp = -math.inf
    return lp


@ill("hole", y=Y)
@gm.model
def ordered_by_hand(low: Real, high: Real, *, y: Data["n"]):
    lp = normal(low, 0.0, 1.0) + normal(y, high, 1.0)
    return lp + uniform(low, -10.0, high)  # !
