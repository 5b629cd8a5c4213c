"""When a neuron fires: the first passage of the exponential integrate-and-fire model (Fourcaud-Trocmé et al. 2003)."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Interval, Positive
from gradmc.lpdf import half_normal, lognormal, normal

REST, PEAK = -65.0, -30.0  # mV
STEP, HORIZON = 0.05, 20.0  # time constants of the membrane
UPSTROKE = 16  # steps in voltage
USUAL, SPREAD = -50.0, 3.0  # of thresholds, mV
MARGIN = 0.3  # mV above the least current that makes it fire: within `HORIZON`


def slope(v, current, tau, threshold, sharpness):
    """dv/dt in mV/ms: a leak, an upstroke that explodes above the threshold, and the injected current (in mV)."""
    upstroke = math.exp(min((v - threshold) / sharpness, 30.0))  # beyond: far above the peak
    return (REST - v + sharpness * upstroke + current) / tau


def first_passage_time(current, tau, threshold, sharpness):
    """Milliseconds until the membrane, at rest before, reaches the peak; infinity if it does not within `HORIZON`.

    Runge-Kutta steps in time up to the threshold, then steps in voltage, along dt/dv, that land on the peak (Hénon
    1982). So the time is a smooth function of the parameters although the number of steps is not.
    """
    v, t, dt = REST, 0.0, STEP * tau
    while v < threshold and t < HORIZON * tau:
        k1 = slope(v, current, tau, threshold, sharpness)
        k2 = slope(v + dt / 2 * k1, current, tau, threshold, sharpness)
        k3 = slope(v + dt / 2 * k2, current, tau, threshold, sharpness)
        k4 = slope(v + dt * k3, current, tau, threshold, sharpness)
        v, t = v + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4), t + dt
    if v < threshold:
        return math.inf
    h = (PEAK - v) / UPSTROKE
    for _ in range(UPSTROKE):
        t1 = 1.0 / slope(v, current, tau, threshold, sharpness)
        t2 = 1.0 / slope(v + h / 2, current, tau, threshold, sharpness)
        t4 = 1.0 / slope(v + h, current, tau, threshold, sharpness)
        v, t = v + h, t + h / 6 * (t1 + 4 * t2 + t4)
    return t


def most_excess(sharpness, current):
    """The threshold, as `excess`, up to which the weakest current makes it fire: threshold - rest - sharpness does."""
    return (np.min(current) - MARGIN + REST + sharpness - USUAL) / SPREAD


@gm.model
def first_passage(
    tau: Positive,
    sharpness: Positive,
    excess: Interval(None, most_excess),
    sigma: Positive,
    *,
    current: Data["n"],
    latency: Data["n"],
):
    """Spike latencies after the onset of a constant current, with errors on the log scale.

    The threshold is -50 mV and `excess` times 3 mV. The currents were chosen so that the neuron fires: the weakest of
    them is above the least current that makes it fire.
    """
    threshold = gm.record("threshold", USUAL + SPREAD * excess)
    lp = lognormal(tau, math.log(20.0), 0.5) + normal(excess, 0.0, 1.0)
    lp += lognormal(sharpness, math.log(2.0), 0.2) + half_normal(sigma, 0.2)
    for i in range(len(latency)):
        t = first_passage_time(current[i], tau, threshold, sharpness)
        lp += gm.observe("latency", lognormal(latency[i], math.log(t), sigma))
    return lp


@first_passage.simulator
def simulate(rng, tau, sharpness, excess, sigma, *, current, latency):
    """New latencies."""
    times = np.array([first_passage_time(c, tau, USUAL + SPREAD * excess, sharpness) for c in current])
    return {"latency": times * np.exp(sigma * rng.normal(size=len(current)))}
