"""Major earthquakes a year as a hidden Markov model: quiet and busy years (Zucchini and MacDonald 2009)."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, PositiveOrdered, Simplex
from gradmc.lpdf import dirichlet, gamma, poisson


@gm.model
def hmm(rate: PositiveOrdered[2], transition: Simplex[2, 2], *, count: Data["year"]):
    """count[t] ~ Poisson(rate[s[t]]); the hidden states s are a Markov chain, summed out year by year.

    forward[k] is the log density of the counts up to this year together with state k in this year. The
    first state is uniform. `rate` is ordered, so state 0 is the quietest.
    """
    K = len(rate)
    lp = 0.0
    for k in range(K):
        lp += gamma(rate[k], 2.0, 0.1) + dirichlet(transition[k], np.ones(K))
    forward = [0.0] * K
    for k in range(K):
        forward[k] = poisson(count[0], rate[k]) - math.log(K)
    for t in range(1, len(count)):
        ahead = [0.0] * K
        for k in range(K):
            arrive = -math.inf
            for j in range(K):
                arrive = np.logaddexp(arrive, forward[j] + math.log(transition[j, k]))
            ahead[k] = arrive + poisson(count[t], rate[k])
        forward = ahead
    total = -math.inf
    for k in range(K):
        total = np.logaddexp(total, forward[k])
    return lp + total


@hmm.simulator
def simulate(rng, rate, transition, *, count):
    """A new path of hidden states and the counts of as many years."""
    new = np.zeros(len(count))
    state = rng.integers(len(rate))
    for t in range(len(count)):
        new[t] = rng.poisson(rate[state])
        state = rng.choice(len(rate), p=transition[state])
    return {"count": new}
