"""A recurrent network that predicts a series one step ahead: yearly sunspot numbers."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.lpdf import half_normal, lognormal, normal


def scaled(spots):
    """Square roots have errors of about one size; these have mean 0 and standard deviation 1, about."""
    return (math.sqrt(spots) - 6.0) / 3.0


def next_state(state, y, inward, own, forward, back, bias):
    """The state of the two units after another year: the first has the input, the second is fed by the first."""
    first = math.tanh(bias[0] + inward * y + own[0] * state[0] - back * state[1])
    second = math.tanh(bias[1] + own[1] * state[1] + forward * state[0])
    return np.array([first, second])


@gm.model
def rnn_series(
    inward: Positive,
    own: Real[2],
    forward: Positive,
    back: Real,
    bias: Real[2],
    outward: Real[2],
    carry: Real,
    drift: Real,
    sigma: Positive,
    *,
    spots: Data["year"],
):
    """The next year is a share of this one, what the units say, and a normal error.

    Where the weights that lead to a unit have a sign, its own cannot be reversed.
    """
    lp = lognormal(inward, -0.5, 0.3) + lognormal(forward, -0.5, 0.3) + normal(own, 0.7, 0.25) + normal(back, 0.5, 0.3)
    lp += normal(bias, 0.0, 0.2) + normal(outward, 0.0, 1.0) + normal(carry, 1.0, 0.5) + normal(drift, 0.0, 1.0)
    lp += half_normal(sigma, 1.0)
    state = np.zeros(2)
    for t in range(len(spots) - 1):
        y = scaled(spots[t])
        state = next_state(state, y, inward, own, forward, back, bias)
        mean = drift + carry * y + outward[0] * state[0] + outward[1] * state[1]
        lp += gm.observe("spots", normal(scaled(spots[t + 1]), mean, sigma))
    return lp


@rnn_series.simulator
def simulate(rng, inward, own, forward, back, bias, outward, carry, drift, sigma, *, spots):
    """New numbers of spots for as many years, from the same first year; a root below 0 is a year without spots."""
    new, state = np.array(spots, float), np.zeros(2)
    for t in range(len(spots) - 1):
        y = scaled(new[t])
        state = next_state(state, y, inward, own, forward, back, bias)
        mean = drift + carry * y + outward[0] * state[0] + outward[1] * state[1]
        new[t + 1] = max(6.0 + 3.0 * rng.normal(mean, sigma), 0.0) ** 2
    return {"spots": new}
