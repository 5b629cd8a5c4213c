"""A neural network as a regression: how the concentration of GAG in urine falls with age (Prosser, in MASS)."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.lpdf import half_normal, normal


def network(x, slope, shift, weight, bias):
    """One hidden layer of tanh: a real number for a real number."""
    out = bias
    for k in range(len(slope)):
        out += weight[k] * math.tanh(slope[k] * x + shift[k])
    return out


@gm.model
def mlp(
    slope: Real["hidden"],
    shift: Real["hidden"],
    weight: Real["hidden"],
    bias: Real,
    sigma: Positive,
    *,
    age: Data["child"],
    gag: Data["child"],
    hidden: int = 5,
):
    """log GAG is a network of the square root of age, with normal errors."""
    lp = normal(bias, 2.5, 1.0) + half_normal(sigma, 1.0)
    for k in range(hidden):
        lp += normal(slope[k], 0.0, 1.5) + normal(shift[k], 0.0, 2.0) + normal(weight[k], 0.0, 1.0 / math.sqrt(hidden))
    for i in range(len(age)):
        mean = network(math.sqrt(age[i]) - 2.0, slope, shift, weight, bias)
        lp += gm.observe("gag", normal(math.log(gag[i]), mean, sigma) - math.log(gag[i]))
    return lp


@mlp.simulator
def simulate(rng, slope, shift, weight, bias, sigma, *, age, gag, hidden=5):
    """New concentrations."""
    mean = np.array([network(np.sqrt(a) - 2.0, slope, shift, weight, bias) for a in age])
    return {"gag": np.exp(mean + sigma * rng.normal(size=len(age)))}
