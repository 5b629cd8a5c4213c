"""Handwritten digits, 8 x 8 pixels: a convolutional network in plain loops."""

import numpy as np

import gradmc as gm
from gradmc import Data, Real
from gradmc.lpdf import normal

SIDE, FILTER, POOL = 8, 3, 2
OUT = SIDE - FILTER + 1  # 6
POOLED = OUT // POOL  # 3


def features(image, kernel, bias):
    """Filters of 3 x 3, a rectifier, and the mean over 2 x 2: (filters, 3, 3)."""
    pooled = np.zeros((len(kernel), POOLED, POOLED))
    for f in range(len(kernel)):
        for r in range(OUT):
            for c in range(OUT):
                z = bias[f]
                for a in range(FILTER):
                    for b in range(FILTER):
                        z += kernel[f, a, b] * (image[r + a, c + b] / 16.0)
                pooled[f, r // POOL, c // POOL] += max(z, 0.0) / POOL**2
    return pooled


def logits(image, kernel, bias, weight, shift):
    """Log odds of each digit."""
    flat = np.reshape(features(image, kernel, bias), -1)
    return shift + weight @ flat


@gm.model
def cnn_digits(
    kernel: Real["filters", 3, 3],
    bias: Real["filters"],
    weight: Real[10, "9 * filters"],
    shift: Real[10],
    *,
    image: Data["n", 8, 8],
    digit: Data["n"],
    filters: int = 6,
):
    """The digit is categorical, with the network's log odds; weights have normal priors."""
    lp = normal(kernel, 0.0, 2.0) + normal(bias, 0.0, 1.0) + normal(weight, 0.0, 2.0) + normal(shift, 0.0, 1.0)
    for i in range(len(digit)):
        z = logits(image[i], kernel, bias, weight, shift)
        lp += gm.observe("digit", gm.lpdf.categorical_logit(digit[i], z))
    return lp


@cnn_digits.simulator
def simulate(rng, kernel, bias, weight, shift, *, image, digit, filters=6):
    """New digits for the same pictures."""
    new = np.zeros(len(digit), int)
    for i in range(len(digit)):
        z = logits(image[i], kernel, bias, weight, shift)
        p = np.exp(z - np.max(z))
        new[i] = rng.choice(10, p=p / p.sum())
    return {"digit": new}
