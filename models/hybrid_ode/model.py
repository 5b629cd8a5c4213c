"""Lynx and hare with a functional response that is not known: a differential equation with a small network in it."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.lpdf import lognormal, normal

STEPS = 6  # Runge-Kutta steps a year
CENTRES = (1.0, 3.0, 5.0, 7.0, 9.0, 12.0)  # ten thousand hares, where the units of the network have their steps
WIDTH = 2.0
MOST = 10.0  # of a logarithm: between less than one animal and more than there could be


def attack(hare, beta, weight):
    """The share of so many hares that a lynx takes in a year.

    Lotka and Volterra have `beta`, whatever the hares; a network says what to multiply it by, 1 where it says nothing.
    """
    z = 0.0
    for k in range(len(CENTRES)):
        z += weight[k] * math.tanh((hare - CENTRES[k]) / WIDTH)
    return beta * math.exp(z)


def slopes(log_hare, log_lynx, alpha, beta, gamma, delta, weight):
    """Relative growth a year: hares multiply and are eaten; lynx die, and multiply by what they eat."""
    hare, lynx = math.exp(min(log_hare, MOST)), math.exp(min(log_lynx, MOST))
    share = attack(hare, beta, weight)
    return alpha - share * lynx, delta * share * hare - gamma


def runge_kutta_step(hare, lynx, alpha, beta, gamma, delta, weight):
    """One step of the classical fourth-order rule for the logarithms of hares and lynx."""
    h = 1.0 / STEPS
    known = alpha, beta, gamma, delta, weight
    dh1, dl1 = slopes(hare, lynx, *known)
    dh2, dl2 = slopes(hare + h / 2 * dh1, lynx + h / 2 * dl1, *known)
    dh3, dl3 = slopes(hare + h / 2 * dh2, lynx + h / 2 * dl2, *known)
    dh4, dl4 = slopes(hare + h * dh3, lynx + h * dl3, *known)
    return hare + h / 6 * (dh1 + 2 * dh2 + 2 * dh3 + dh4), lynx + h / 6 * (dl1 + 2 * dl2 + 2 * dl3 + dl4)


def a_year_later(hare, lynx, alpha, beta, gamma, delta, weight):
    """The logarithms of hares and lynx after a year."""
    for _ in range(STEPS):
        hare, lynx = runge_kutta_step(hare, lynx, alpha, beta, gamma, delta, weight)
    return min(max(hare, -MOST), MOST), min(max(lynx, -MOST), MOST)


@gm.model
def hybrid_ode(
    alpha: Positive,
    beta: Positive,
    gamma: Positive,
    delta: Positive,
    weight: Real[6],
    sigma: Positive["species"],
    *,
    pelts: Data["year", "species"],
):
    """Each year follows from the one before, with log-normal errors of the process.

    Populations in ten thousands, pelts in thousands. The cycle of ten years is in the priors of alpha and gamma, as in
    `lotka_volterra`.
    """
    lp = lognormal(alpha, math.log(0.63), 0.3) + lognormal(gamma, math.log(0.63), 0.3)
    lp += lognormal(beta, -1.0, 0.7) + lognormal(delta, 0.0, 0.7)
    lp += normal(weight, 0.0, 0.4) + lognormal(sigma, -1.0, 1.0)
    for t in range(len(pelts) - 1):
        hare, lynx = math.log(pelts[t, 0] / 10.0), math.log(pelts[t, 1] / 10.0)
        hare, lynx = a_year_later(hare, lynx, alpha, beta, gamma, delta, weight)
        lp += gm.observe("hare", lognormal(pelts[t + 1, 0], hare + math.log(10.0), sigma[0]))
        lp += gm.observe("lynx", lognormal(pelts[t + 1, 1], lynx + math.log(10.0), sigma[1]))
    return lp


@hybrid_ode.simulator
def simulate(rng, alpha, beta, gamma, delta, weight, sigma, *, pelts):
    """Pelts of both species for as many years, from the same first year."""
    new = np.zeros((len(pelts), 2))
    new[0] = pelts[0]
    for t in range(len(pelts) - 1):
        hare, lynx = math.log(new[t, 0] / 10.0), math.log(new[t, 1] / 10.0)
        hare, lynx = a_year_later(hare, lynx, alpha, beta, gamma, delta, weight)
        new[t + 1] = 10.0 * np.exp(np.array([hare, lynx]) + sigma * rng.normal(size=2))
    return {"pelts": new}
