"""Disasters in British coal mines (Jarrett 1979): the year in which their rate fell, in three programs."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Interval, Positive
from gradmc.lpdf import gamma, poisson

FIRST, LAST = 1851.0, 1963.0
WIDTH = 0.5  # years, of the step once it is smoothed


def priors(early, late):
    return gamma(early, 2.0, 1.0) + gamma(late, 2.0, 1.0)


@gm.model
def changepoint(
    early: Positive, late: Positive, change: Interval(FIRST, LAST), *, year: Data["n"], disasters: Data["n"]
):
    """The rate falls from `early` to `late` within about a year around `change`: smooth in all parameters."""
    lp = priors(early, late)
    for i in range(len(year)):
        after = 1.0 / (1.0 + math.exp(-(year[i] + 0.5 - change) / WIDTH))
        lp += gm.observe("disasters", poisson(disasters[i], early + (late - early) * after))
    return lp


@gm.model
def changepoint_branch(
    early: Positive, late: Positive, change: Interval(FIRST, LAST), *, year: Data["n"], disasters: Data["n"]
):
    """The same with a real branch on a parameter: the density jumps where `change` passes the middle of a year."""
    lp = priors(early, late)
    for i in range(len(year)):
        if year[i] + 0.5 < change:
            lp += gm.observe("disasters", poisson(disasters[i], early))
        else:
            lp += gm.observe("disasters", poisson(disasters[i], late))
    return lp


@gm.model
def changepoint_summed(early: Positive, late: Positive, *, disasters: Data["n"]):
    """The same with the year summed out: `when` is the number of years at the early rate."""
    n = len(disasters)
    scores = np.zeros(n + 1)
    for k in range(n + 1):
        for i in range(n):
            scores[k] += poisson(disasters[i], early if i < k else late)
    return priors(early, late) + gm.observe("disasters", gm.marginalize("when", scores, np.full(n + 1, 1 / (n + 1))))


@changepoint.simulator
def simulate(rng, early, late, change, *, year, disasters):
    """New numbers of disasters."""
    after = 1.0 / (1.0 + np.exp(-(year + 0.5 - change) / WIDTH))
    return {"disasters": rng.poisson(early + (late - early) * after)}
