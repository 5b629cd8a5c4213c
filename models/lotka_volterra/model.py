"""Lynx and hare: the Lotka-Volterra equations with log-normal errors (Howard 2009, after Carpenter 2018)."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Positive
from gradmc.lpdf import lognormal

STEPS = 10  # Runge-Kutta steps a year; twice as many move the log density by less than 1e-5 near the mode


def runge_kutta_step(hare, lynx, alpha, beta, gamma, delta):
    """One step of the classical fourth-order rule for the two equations."""
    h = 1.0 / STEPS
    dh1, dl1 = (alpha - beta * lynx) * hare, (delta * hare - gamma) * lynx
    h2, l2 = hare + h / 2 * dh1, lynx + h / 2 * dl1
    dh2, dl2 = (alpha - beta * l2) * h2, (delta * h2 - gamma) * l2
    h3, l3 = hare + h / 2 * dh2, lynx + h / 2 * dl2
    dh3, dl3 = (alpha - beta * l3) * h3, (delta * h3 - gamma) * l3
    h4, l4 = hare + h * dh3, lynx + h * dl3
    dh4, dl4 = (alpha - beta * l4) * h4, (delta * h4 - gamma) * l4
    return hare + h / 6 * (dh1 + 2 * dh2 + 2 * dh3 + dh4), lynx + h / 6 * (dl1 + 2 * dl2 + 2 * dl3 + dl4)


@gm.model
def lotka_volterra(
    alpha: Positive,
    beta: Positive,
    gamma: Positive,
    delta: Positive,
    initial: Positive["species"],
    sigma: Positive["species"],
    *,
    pelts: Data["year", "species"],
):
    """Hares grow at rate alpha, less beta per lynx; lynx die at rate gamma, less delta per hare.

    Small oscillations have the period 2 pi / sqrt(alpha * gamma), and the cycle is known to last about ten years,
    hence the priors of alpha and gamma. Populations are counted in ten thousands, pelts in thousands.
    """
    lp = lognormal(alpha, math.log(0.63), 0.3) + lognormal(gamma, math.log(0.63), 0.3)
    lp += lognormal(beta, -1.0, 0.7) + lognormal(delta, -1.0, 0.7)
    for k in range(2):
        lp += lognormal(initial[k], 0.0, 1.0) + lognormal(sigma[k], -1.0, 1.0)
    hare, lynx = initial[0], initial[1]
    for t in range(len(pelts)):
        lp += gm.observe("hare", lognormal(pelts[t, 0], math.log(10.0 * hare), sigma[0]))
        lp += gm.observe("lynx", lognormal(pelts[t, 1], math.log(10.0 * lynx), sigma[1]))
        for _ in range(STEPS):
            hare, lynx = runge_kutta_step(hare, lynx, alpha, beta, gamma, delta)
    return lp


@lotka_volterra.simulator
def simulate(rng, alpha, beta, gamma, delta, initial, sigma, *, pelts):
    """Pelts of both species for as many years."""
    new = np.zeros((len(pelts), 2))
    hare, lynx = initial[0], initial[1]
    for t in range(len(pelts)):
        new[t, 0] = rng.lognormal(np.log(10.0 * hare), sigma[0])
        new[t, 1] = rng.lognormal(np.log(10.0 * lynx), sigma[1])
        for _ in range(STEPS):
            hare, lynx = runge_kutta_step(hare, lynx, alpha, beta, gamma, delta)
    return {"pelts": new}
