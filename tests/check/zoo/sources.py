"""What the source alone shows."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Positive, Real, UnitInterval
from gradmc.lpdf import bernoulli, beta, half_cauchy, half_normal, normal, poisson
from tests.check.zoo import Y, ill

GROUP = np.array([0, 1, 1, 2])
TIMES = np.array([0.5, 1.5, 2.0, 3.0])


@ill("hand-jacobian", y=Y)
@gm.model
def log_of_the_scale(mu: Real, sigma: Positive, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0) + half_cauchy(sigma, 2.0)
    lp += normal(y, mu, sigma)
    lp += math.log(sigma)  # !
    return lp


@ill("hand-jacobian", bits=np.array([1, 0, 1, 1]))
@gm.model
def logit_of_a_probability(p: UnitInterval, *, bits: Data["n"]):
    lp = beta(p, 2.0, 2.0) + bernoulli(bits, p)
    lp += math.log(p) + math.log(1 - p)  # !
    return lp


@ill("hand-jacobian", y=Y)
@gm.model
def logs_of_scales(sigma: Positive["n"], *, y: Data["n"]):
    lp = half_normal(sigma, 1.0) + normal(y, 0.0, sigma)
    lp += np.sum(np.log(sigma))  # !
    return lp


@ill("hand-jacobian", y=Y)
@gm.model
def log_of_each_scale(sigma: Positive["n"], *, y: Data["n"]):
    lp = 0.0
    for i in range(len(y)):
        lp += half_normal(sigma[i], 1.0) + normal(y[i], 0.0, sigma[i])
        lp += math.log(sigma[i])  # !
    return lp


@ill("fractional-count", times=TIMES)
@gm.model
def counts_that_are_times(rate: Positive, *, times: Data["n"]):
    lp = half_normal(rate, 3.0)
    for i in range(len(times)):
        lp += poisson(times[i], rate)  # !
    return lp


@ill("index-as-number", y=Y, group=GROUP)
@gm.model
def label_as_covariate(effect: Real[3], slope: Real, *, y: Data["n"], group: Data["n"]):
    lp = normal(effect, 0.0, 1.0) + normal(slope, 0.0, 1.0)
    for i in range(len(y)):
        mean = effect[group[i]] + slope * group[i]  # !
        lp += normal(y[i], mean, 1.0)
    return lp


@ill("negative-label", y=Y, group=np.array([0, -1, 1, 2]))
@gm.model
def missing_group(effect: Real[3], *, y: Data["n"], group: Data["n"]):
    lp = normal(effect, 0.0, 1.0)
    for i in range(len(y)):
        lp += normal(y[i], effect[group[i]], 1.0)  # !
    return lp


@ill("label-from-1", y=Y, group=np.array([1, 2, 2, 3]))
@gm.model
def labels_of_another_language(effect: Real[4], *, y: Data["n"], group: Data["n"]):
    lp = normal(effect, 0.0, 1.0)
    for i in range(len(y)):
        k = group[i]
        lp += normal(y[i], effect[k], 1.0)  # !
    return lp


@ill("label-from-1", y=Y, group=np.array([1, 2, 2, 3]))
@gm.model
def labels_of_another_language_with_a_prior_in_a_loop(effect: Real[4], *, y: Data["n"], group: Data["n"]):
    lp = 0.0
    for k in range(4):
        lp += normal(effect[k], 0.0, 1.0)
    for i in range(len(y)):
        lp += normal(y[i], effect[group[i]], 1.0)  # !
    return lp


@ill("program", y=Y)
@gm.model
def returns_nothing(mu: Real, *, y: Data["n"]):  # !
    lp = normal(mu, 0.0, 1.0)
    lp += normal(y, mu, 1.0)


@ill("program", y=Y, group=1.0 * GROUP)
@gm.model
def real_subscript(effect: Real[3], *, y: Data["n"], group: Data["n"]):
    lp = normal(effect, 0.0, 1.0)
    for i in range(len(y)):
        lp += normal(y[i], effect[group[i]], 1.0)  # !
    return lp
