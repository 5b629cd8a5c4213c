"""GARCH(1,1): the volatility of an exchange rate (Bollerslev 1986)."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Interval, Positive, Real
from gradmc.lpdf import half_normal, normal


@gm.model
def garch11(
    mu: Real,
    alpha0: Positive,
    alpha1: Interval(0, 1),
    beta1: Interval(0, lambda alpha1: 1 - alpha1),
    *,
    y: Data["date"],
):
    """Daily returns y[t] ~ normal(mu, sigma[t]); sigma[t]^2 follows yesterday's surprise and variance.

    (alpha1, beta1) is uniform on the stationary triangle. The first variance is the stationary one.
    """
    lp = normal(mu, 0.0, 1.0) + half_normal(alpha0, 1.0)
    variance = alpha0 / (1 - alpha1 - beta1)
    for t in range(len(y)):
        if t > 0:
            variance = alpha0 + alpha1 * (y[t - 1] - mu) ** 2 + beta1 * variance
        lp += gm.observe("y", normal(y[t], mu, math.sqrt(variance)))
    gm.record("persistence", alpha1 + beta1)
    return lp


@garch11.simulator
def simulate(rng, mu, alpha0, alpha1, beta1, *, y):
    """A new series of the same length."""
    new = np.zeros(len(y))
    variance = alpha0 / (1 - alpha1 - beta1)
    for t in range(len(y)):
        if t > 0:
            variance = alpha0 + alpha1 * (new[t - 1] - mu) ** 2 + beta1 * variance
        new[t] = rng.normal(mu, np.sqrt(variance))
    return {"y": new}
