"""When a neuron fires: the first passage of the exponential integrate-and-fire model (Fourcaud-Trocmé et al. 2003)."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.lpdf import half_normal, lognormal, normal

REST, PEAK, STEP = -65.0, -30.0, 0.5  # mV, mV, ms


def slope(v, current, tau, threshold, sharpness):
    """dv/dt in mV/ms: a leak, an upstroke that explodes above the threshold, and the injected current (in mV)."""
    return (REST - v + sharpness * math.exp((v - threshold) / sharpness) + current) / tau


def first_passage_time(current, tau, threshold, sharpness):
    """Milliseconds until the membrane, at rest before, reaches the peak.

    Runge-Kutta steps in time until the next would pass the peak; then one step in voltage, along dt/dv, lands on it
    (Hénon 1982). So the time is a smooth function of the parameters although the number of steps is not.
    """
    v, t = REST, 0.0
    while True:
        k1 = slope(v, current, tau, threshold, sharpness)
        k2 = slope(min(v + STEP / 2 * k1, PEAK), current, tau, threshold, sharpness)
        k3 = slope(min(v + STEP / 2 * k2, PEAK), current, tau, threshold, sharpness)
        k4 = slope(min(v + STEP * k3, PEAK), current, tau, threshold, sharpness)
        ahead = v + STEP / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        if ahead > threshold:
            break
        v, t = ahead, t + STEP
    h = (PEAK - v) / 64
    for _ in range(64):
        t1 = 1.0 / slope(v, current, tau, threshold, sharpness)
        t2 = 1.0 / slope(v + h / 2, current, tau, threshold, sharpness)
        t4 = 1.0 / slope(v + h, current, tau, threshold, sharpness)
        v, t = v + h, t + h / 6 * (t1 + 4 * t2 + t4)
    return t


@gm.model
def first_passage(
    tau: Positive, threshold: Real, sharpness: Positive, sigma: Positive, *, current: Data["n"], latency: Data["n"]
):
    """Spike latencies after the onset of a constant current, with errors on the log scale."""
    lp = lognormal(tau, math.log(20.0), 0.5) + normal(threshold, -50.0, 3.0)
    lp += lognormal(sharpness, math.log(2.0), 0.5) + half_normal(sigma, 0.2)
    for i in range(len(latency)):
        t = first_passage_time(current[i], tau, threshold, sharpness)
        lp += gm.observe("latency", lognormal(latency[i], math.log(t), sigma))
    return lp


@first_passage.simulator
def simulate(rng, tau, threshold, sharpness, sigma, *, current, latency):
    """New latencies."""
    times = np.array([first_passage_time(c, tau, threshold, sharpness) for c in current])
    return {"latency": times * np.exp(sigma * rng.normal(size=len(current)))}
