"""O-ring distress of the space shuttle on the temperature at launch: a logistic regression."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Real
from gradmc.lpdf import bernoulli_logit, normal


@gm.model
def logistic_regression(intercept: Real, slope: Real, *, temperature: Data["flight"], distress: Data["flight"]):
    """Log odds of distress: intercept + slope * (temperature - 70) / 10, in degrees Fahrenheit."""
    lp = normal(intercept, 0.0, 5.0) + normal(slope, 0.0, 5.0)
    for i in range(len(distress)):
        logit = intercept + slope * (temperature[i] - 70.0) / 10.0
        lp += gm.observe("distress", bernoulli_logit(distress[i], logit))
    gm.record("p_at_31", 1.0 / (1.0 + math.exp(-(intercept - 3.9 * slope))))
    return lp


@logistic_regression.simulator
def simulate(rng, intercept, slope, *, temperature, distress):
    """Distress (0 or 1) in as many new flights at the same temperatures."""
    logit = intercept + slope * (temperature - 70.0) / 10.0
    return {"distress": rng.binomial(1, 1.0 / (1.0 + np.exp(-logit)))}
