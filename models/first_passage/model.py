"""When a neuron fires: the first passage of the exponential integrate-and-fire model (Fourcaud-Trocmé et al. 2003)."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.lpdf import half_normal, lognormal, normal

REST, PEAK = -65.0, -30.0  # mV
STEP, HORIZON = 0.05, 20.0  # time constants of the membrane
UPSTROKE = 16  # steps in voltage


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


@gm.model
def first_passage(
    tau: Positive, excess: Real, sharpness: Positive, sigma: Positive, *, current: Data["n"], latency: Data["n"]
):
    """Spike latencies after the onset of a constant current, with errors on the log scale.

    The threshold is -50 mV and `excess` times 3 mV. A current that does not make it fire has the density 0.
    """
    threshold = gm.record("threshold", -50.0 + 3.0 * excess)
    lp = lognormal(tau, math.log(20.0), 0.5) + normal(excess, 0.0, 1.0)
    lp += lognormal(sharpness, math.log(2.0), 0.2) + half_normal(sigma, 0.2)
    for i in range(len(latency)):
        t = first_passage_time(current[i], tau, threshold, sharpness)
        lp += gm.observe("latency", lognormal(latency[i], math.log(t), sigma))
    return lp


@first_passage.simulator
def simulate(rng, tau, excess, sharpness, sigma, *, current, latency):
    """New latencies."""
    times = np.array([first_passage_time(c, tau, -50.0 + 3.0 * excess, sharpness) for c in current])
    return {"latency": times * np.exp(sigma * rng.normal(size=len(current)))}
