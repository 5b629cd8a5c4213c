"""Stopping distance of cars on their speed: a straight line with normal errors."""

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.lpdf import half_normal, normal


@gm.model
def linear_regression(intercept: Real, slope: Real, sigma: Positive, *, speed: Data["car"], distance: Data["car"]):
    """distance = intercept + slope * (speed - 15) + error; the intercept belongs to 15 miles an hour."""
    lp = normal(intercept, 40.0, 40.0) + normal(slope, 0.0, 10.0) + half_normal(sigma, 50.0)
    for i in range(len(distance)):
        mean = intercept + slope * (speed[i] - 15.0)
        lp += gm.observe("distance", normal(distance[i], mean, sigma))
    return lp


@linear_regression.simulator
def simulate(rng, intercept, slope, sigma, *, speed, distance):
    """Stopping distances of new cars at the same speeds."""
    return {"distance": rng.normal(intercept + slope * (speed - 15.0), sigma)}
