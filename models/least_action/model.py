"""A pendulum by the principle of least action: its path makes the discretised action stationary."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Interval, Positive
from gradmc.lpdf import half_normal, lognormal

NEWTON = 8  # iterations: from a straight line to rounding in five or six
CONVEX = 0.98  # of the frequency up to which the action is convex: beyond, Newton's method takes longer


def stationary_path(first, last, frequency, h, n):
    """The path theta[0..n] between two angles that makes the action stationary.

    The action is the sum over steps of h * ((theta' ** 2) / 2 + frequency ** 2 * cos(theta)). That its derivative by
    each inner angle is zero is a tridiagonal system, which Newton's method solves, each time by elimination.
    """
    theta = np.zeros(n + 1)
    for k in range(n + 1):
        theta[k] = first + (last - first) * k / n
    pull = (frequency * h) ** 2
    for _ in range(NEWTON):
        upper, right = np.zeros(n + 1), np.zeros(n + 1)
        for k in range(1, n):
            rest = theta[k + 1] - 2.0 * theta[k] + theta[k - 1] + pull * math.sin(theta[k])
            pivot = pull * math.cos(theta[k]) - 2.0 - upper[k - 1]
            upper[k] = 1.0 / pivot
            right[k] = (-rest - right[k - 1]) / pivot
        step = 0.0
        for j in range(1, n):
            k = n - j
            step = right[k] - upper[k] * step
            theta[k] += step
    return theta


def most_frequency(angle, every, step):
    """Where the record is shorter than half a swing, the action is convex, so that one path alone is stationary.

    Its second derivative by the inner angles is that of their differences, whose smallest eigenvalue is the square of
    this, less `frequency ** 2 * cos(theta)`. At higher frequencies there may be several paths, or none.
    """
    return CONVEX * 2.0 / step * math.sin(math.pi / (2 * (len(angle) - 1) * every))


@gm.model
def least_action(
    frequency: Interval(0.0, most_frequency),
    first: Interval(-1.5, 1.5),
    last: Interval(-1.5, 1.5),
    sigma: Positive,
    *,
    angle: Data["n"],
    every: int,
    step: float,
):
    """The pendulum is seen at every `every`-th of its steps of `step` seconds; `frequency` is sqrt(g / length).

    It was filmed for less than half a swing.
    """
    lp = lognormal(frequency, math.log(3.0), 0.5) + half_normal(sigma, 0.1)
    n = (len(angle) - 1) * every
    path = stationary_path(first, last, frequency, step, n)
    for i in range(len(angle)):
        lp += gm.observe("angle", gm.lpdf.normal(angle[i], path[i * every], sigma))
    return lp


@least_action.simulator
def simulate(rng, frequency, first, last, sigma, *, angle, every, step):
    """New measurements of the same path."""
    path = stationary_path(first, last, frequency, step, (len(angle) - 1) * every)
    return {"angle": path[::every] + sigma * rng.normal(size=len(angle))}
