"""Waiting times between eruptions of Old Faithful: a mixture of normals."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Ordered, Positive, Simplex
from gradmc.lpdf import dirichlet, half_normal, normal


@gm.model
def normal_mixture(weight: Simplex[2], mean: Ordered[2], sigma: Positive[2], *, waiting: Data["eruption"]):
    """waiting[i] comes from component k with probability weight[k]; the component is summed out.

    The means are ordered, so that the two components keep their names.
    """
    lp = dirichlet(weight, np.array([2.0, 2.0]))
    for k in range(2):
        lp += normal(mean[k], 70.0, 20.0) + half_normal(sigma[k], 20.0)
    for i in range(len(waiting)):
        short = math.log(weight[0]) + normal(waiting[i], mean[0], sigma[0])
        long = math.log(weight[1]) + normal(waiting[i], mean[1], sigma[1])
        lp += gm.observe("waiting", np.logaddexp(short, long))
    return lp


@normal_mixture.simulator
def simulate(rng, weight, mean, sigma, *, waiting):
    """As many new waiting times."""
    component = rng.binomial(1, weight[1], size=len(waiting))
    return {"waiting": rng.normal(mean[component], sigma[component])}
