"""Lynx and hare, but how they meet is learnt: an ODE with known terms and a small network for the unknown one."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.lpdf import half_normal, lognormal, normal

STEPS = 8  # Runge-Kutta steps a year


def kill_rate(hare, lynx, slope, cross, shift, weight, level):
    """Hares taken per hare and lynx and year, 0.28 in the model of Lotka and Volterra: exp of a small network."""
    out = level
    for k in range(len(slope)):
        out += weight[k] * math.tanh(slope[k] * (math.log(hare) - 1.0) + cross[k] * (math.log(lynx) - 1.0) + shift[k])
    return math.exp(out)


def rates(hare, lynx, alpha, gamma, share, net):
    """d/dt of both: hares grow and are taken, a share of what is taken becomes lynx, lynx die."""
    taken = kill_rate(hare, lynx, *net) * hare * lynx
    return alpha * hare - taken, share * taken - gamma * lynx


def step(hare, lynx, alpha, gamma, share, net):
    """A Runge-Kutta step."""
    h = 1.0 / STEPS
    a1, b1 = rates(hare, lynx, alpha, gamma, share, net)
    a2, b2 = rates(hare + h / 2 * a1, lynx + h / 2 * b1, alpha, gamma, share, net)
    a3, b3 = rates(hare + h / 2 * a2, lynx + h / 2 * b2, alpha, gamma, share, net)
    a4, b4 = rates(hare + h * a3, lynx + h * b3, alpha, gamma, share, net)
    return hare + h / 6 * (a1 + 2 * a2 + 2 * a3 + a4), lynx + h / 6 * (b1 + 2 * b2 + 2 * b3 + b4)


@gm.model
def hybrid_ode(
    alpha: Positive,
    gamma: Positive,
    share: Positive,
    initial: Positive[2],
    sigma: Positive[2],
    level: Real,
    slope: Real["hidden"],
    cross: Real["hidden"],
    shift: Real["hidden"],
    weight: Real["hidden"],
    *,
    pelts: Data["year", "species"],
    hidden: int = 3,
):
    """Growth of hares and death of lynx are known terms; the rate of predation is learnt from both numbers."""
    lp = lognormal(alpha, math.log(0.6), 0.3) + lognormal(gamma, math.log(0.8), 0.3)
    lp += lognormal(share, math.log(0.8), 0.5) + normal(level, math.log(0.28), 0.5)
    for k in range(2):
        lp += lognormal(initial[k], 0.0, 1.0) + half_normal(sigma[k], 0.5)
    for k in range(hidden):
        lp += normal(slope[k], 0.0, 1.0) + normal(cross[k], 0.0, 1.0) + normal(shift[k], 0.0, 1.0)
        lp += normal(weight[k], 0.0, 0.5 / math.sqrt(hidden))
    net = (slope, cross, shift, weight, level)
    hare, lynx = initial[0], initial[1]
    for t in range(len(pelts)):
        lp += gm.observe("hare", lognormal(pelts[t, 0], math.log(10.0 * hare), sigma[0]))
        lp += gm.observe("lynx", lognormal(pelts[t, 1], math.log(10.0 * lynx), sigma[1]))
        for _ in range(STEPS):
            hare, lynx = step(hare, lynx, alpha, gamma, share, net)
    return lp


@hybrid_ode.simulator
def simulate(rng, alpha, gamma, share, initial, sigma, level, slope, cross, shift, weight, *, pelts, hidden=3):
    """New pelts of both species."""
    net = (slope, cross, shift, weight, level)
    new, hare, lynx = np.zeros((len(pelts), 2)), initial[0], initial[1]
    for t in range(len(pelts)):
        new[t, 0] = 10.0 * hare * np.exp(sigma[0] * rng.normal())
        new[t, 1] = 10.0 * lynx * np.exp(sigma[1] * rng.normal())
        for _ in range(STEPS):
            hare, lynx = step(hare, lynx, alpha, gamma, share, net)
    return {"pelts": new}
