"""A multilayer perceptron for a mean and a scale, with its uncertainty: the motorcycle data (Silverman 1985)."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.lpdf import lognormal, normal

SPAN = 60.0  # ms
UNIT = 50.0  # g
RESOLUTION = 1.3  # g: readings are multiples of about that


def hidden_unit(time, k, centre, width, hidden):
    """A step in time (ms) at `centre[k]` spacings from the middle of the k-th of `hidden` equal parts of the span."""
    spacing = SPAN / hidden
    return math.tanh((time - spacing * (k + 0.5 + centre[k])) / (spacing * width[k]))


def network(time, centre, width, mean_weight, scale_weight, mean_bias, scale_bias, hidden):
    """Mean and scale of the acceleration (g) at a time (ms): two outputs of one hidden layer."""
    mean, log_scale = mean_bias, scale_bias
    for k in range(hidden):
        unit = hidden_unit(time, k, centre, width, hidden)
        mean += mean_weight[k] * unit
        log_scale += scale_weight[k] * unit
    return UNIT * mean, RESOLUTION + UNIT * math.exp(log_scale)


@gm.model
def mlp(
    centre: Real["hidden"],
    width: Positive["hidden"],
    mean_weight: Real["hidden"],
    scale_weight: Real["hidden"],
    mean_bias: Real,
    scale_bias: Real,
    *,
    time: Data["n"],
    acceleration: Data["n"],
    hidden: int = 10,
):
    """Accelerations are normal around the network's mean, with the network's scale.

    Hidden units have prior centres of their own, spread over the span, and widths above 0. So none can take another's
    place, nor its own with the sign of its weights reversed.
    """
    lp = normal(centre, 0.0, 0.15) + lognormal(width, math.log(0.5), 0.2)
    lp += normal(mean_weight, 0.0, 0.5) + normal(scale_weight, 0.0, 0.5)
    lp += normal(mean_bias, 0.0, 1.0) + normal(scale_bias, -1.0, 1.0)
    for i in range(len(acceleration)):
        mean, scale = network(time[i], centre, width, mean_weight, scale_weight, mean_bias, scale_bias, hidden)
        lp += gm.observe("acceleration", normal(acceleration[i], mean, scale))
    return lp


@mlp.simulator
def simulate(
    rng, centre, width, mean_weight, scale_weight, mean_bias, scale_bias, *, time, acceleration=None, hidden=10
):
    """New accelerations at the same times."""
    new = np.zeros(len(time))
    for i in range(len(time)):
        mean, scale = network(time[i], centre, width, mean_weight, scale_weight, mean_bias, scale_bias, hidden)
        new[i] = rng.normal(mean, scale)
    return {"acceleration": new}
