"""Major earthquakes a year as a hidden Markov model: quiet and busy years (Zucchini and MacDonald 2009)."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, PositiveOrdered, Simplex
from gradmc.lpdf import dirichlet, gamma, poisson


@gm.model
def hmm(rate: PositiveOrdered[2], transition: Simplex[2, 2], *, count: Data["year"]):
    """count[t] ~ Poisson(rate[s[t]]); the hidden states s are a Markov chain, summed out year by year.

    state[k] is the probability of state k in a year given the counts before it. The observed terms are the log
    probabilities of each count given the counts before it. `rate` is ordered, so state 0 is the quiet one.
    """
    K = len(rate)
    lp = 0.0
    for k in range(K):
        lp += gamma(rate[k], 2.0, 0.1) + dirichlet(transition[k], np.ones(K))
    state = [1.0 / K] * K
    for t in range(len(count)):
        joint = [0.0] * K
        total = -math.inf
        for k in range(K):
            joint[k] = math.log(state[k]) + poisson(count[t], rate[k])
            total = np.logaddexp(total, joint[k])
        lp += gm.observe("count", total)
        ahead = [0.0] * K
        for k in range(K):
            for j in range(K):
                ahead[k] += math.exp(joint[j] - total) * transition[j, k]
        state = ahead
    gm.record("busy_next", state[1])
    return lp


@hmm.simulator
def simulate(rng, rate, transition, *, count):
    """A new path of hidden states and the counts of as many years."""
    new = np.zeros(len(count))
    state = rng.integers(len(rate))
    for t in range(len(count)):
        new[t] = rng.poisson(rate[state])
        state = rng.choice(len(rate), p=transition[state])
    return {"count": new}
