"""A recurrent network for a series: lynx trapped in the Mackenzie district, 1821 to 1934 (Elton & Nicholson 1942)."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.lpdf import half_normal, normal


@gm.model
def rnn_series(
    input_weight: Real["hidden"],
    recurrent: Real["hidden", "hidden"],
    shift: Real["hidden"],
    output: Real["hidden"],
    level: Real,
    carry: Real,
    sigma: Positive,
    *,
    lynx: Data["year"],
    hidden: int = 3,
):
    """log10 of the next year's number is normal around a linear function of this year's and of the network's state."""
    lp = normal(level, 0.0, 1.0) + normal(carry, 0.5, 0.5) + half_normal(sigma, 0.5)
    for k in range(hidden):
        lp += normal(input_weight[k], 0.0, 1.0) + normal(shift[k], 0.0, 1.0) + normal(output[k], 0.0, 0.7)
        for j in range(hidden):
            lp += normal(recurrent[k, j], 0.0, 0.7)
    state = np.zeros(hidden)
    for t in range(len(lynx) - 1):
        now = math.log10(lynx[t]) - 2.9
        ahead = np.zeros(hidden)
        for k in range(hidden):
            z = shift[k] + input_weight[k] * now
            for j in range(hidden):
                z += recurrent[k, j] * state[j]
            ahead[k] = math.tanh(z)
        state = ahead
        mean = level + carry * now
        for k in range(hidden):
            mean += output[k] * state[k]
        lp += gm.observe("next", normal(math.log10(lynx[t + 1]) - 2.9, mean, sigma))
    return lp


@rnn_series.simulator
def simulate(rng, input_weight, recurrent, shift, output, level, carry, sigma, *, lynx, hidden=3):
    """A new series from the same first year."""
    new, state = np.array(lynx, float), np.zeros(hidden)
    for t in range(len(lynx) - 1):
        now = np.log10(new[t]) - 2.9
        state = np.tanh(shift + input_weight * now + recurrent @ state)
        new[t + 1] = 10.0 ** (2.9 + level + carry * now + output @ state + sigma * rng.normal())
    return {"lynx": new}
