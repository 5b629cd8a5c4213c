"""Healthy programs that look ill: steps that the density does not feel, likelihoods that look like Jacobians.

`@healthy(**data)` above `@gm.model` registers one.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import gradmc as gm
from gradmc import Data, Interval, Positive, Real, Simplex, UnitInterval
from gradmc.lpdf import half_normal, normal
from gradmc.program.model import Model

Y = np.array([1.2, -0.4, 0.7, 2.1, 0.3, -1.5])
T = np.array([0.0, 1.3, 3.1, 7.9, 12.2, 19.6])
CASES: list[tuple[Model, dict[str, Any]]] = []


def healthy(**data: Any) -> Callable[[Model], Model]:
    """Expect no error and no warning."""

    def register(model: Model) -> Model:
        CASES.append((model, data))
        return model

    return register


@healthy(y=Y, x=T)
@gm.model
def hinge(base: Real, slope: Real, knot: Interval(0.0, 20.0), *, y: Data["n"], x: Data["n"]):
    lp = normal(base, 0.0, 2.0) + normal(slope, 0.0, 1.0)
    return lp + normal(y, base + slope * (x - knot) * (x > knot), 1.0)


@healthy(y=Y, x=Y)
@gm.model
def hinge_in_a_loop(base: Real, slope: Real, knot: Real, s: Positive, *, y: Data["n"], x: Data["n"]):
    lp = normal(base, 0.0, 2.0) + normal(slope, 0.0, 2.0) + normal(knot, 0.0, 1.0) + half_normal(s, 1.0)
    for i in range(len(y)):
        lp += normal(y[i], base + slope * (x[i] > knot) * (x[i] - knot), s)
    return lp


@healthy(y=Y, table=np.array([0.0, 1.0, 3.0, 2.0, 5.0]))
@gm.model
def interpolated_by_int(x: Interval(0.0, 3.999), s: Positive, *, y: Data["n"], table: Data["k"]):
    k = int(x)
    w = x - k
    return half_normal(s, 1.0) + normal(y, (1.0 - w) * table[k] + w * table[k + 1], s)


@healthy(y=Y, grid=np.linspace(0.0, 1.0, 6))
@gm.model
def interpolated_by_searchsorted(x: UnitInterval, level: Real["k"], *, y: Data["n"], grid: Data["k"]):
    lp = normal(level, 0.0, 1.0)
    k = np.clip(np.searchsorted(grid, x) - 1, 0, len(grid) - 2)
    w = (x - grid[k]) / (grid[k + 1] - grid[k])
    return lp + normal(y, (1.0 - w) * level[k] + w * level[k + 1], 1.0)


@healthy(y=Y, t=T)
@gm.model
def phase_by_remainder(period: Interval(2.0, 8.0), start: Real, height: Real, *, y: Data["n"], t: Data["n"]):
    lp = normal(start, 0.0, 1.0) + normal(height, 0.0, 2.0)
    for i in range(len(t)):
        phase = ((t[i] - start) % period) / period
        lp += normal(y[i], height * math.sin(2.0 * math.pi * phase), 1.0)
    return lp


@healthy(y=Y, t=T)
@gm.model
def phase_by_floor(period: Interval(2.0, 8.0), height: Real, *, y: Data["n"], t: Data["n"]):
    lp = normal(height, 0.0, 2.0)
    phase = t / period - np.floor(t / period)
    return lp + normal(y, height * np.cos(2.0 * np.pi * phase), 1.0)


@healthy(y=Y)
@gm.model
def signed_power(theta: Real["n"], *, y: Data["n"]):
    lp = normal(theta, 0.0, 1.0)
    return lp + normal(y, np.sign(theta) * np.abs(theta) ** 1.5, 1.0)


@healthy(y=Y)
@gm.model
def quantile_loss(level: Real, s: Positive, *, y: Data["n"]):
    u = (y - level) / s
    return normal(level, 0.0, 3.0) + half_normal(s, 1.0) - np.sum(u * (0.7 - (u < 0.0))) - len(y) * math.log(s)


@healthy(y=Y)
@gm.model
def range_by_argsort(theta: Real[5], *, y: Data["n"]):
    lp = normal(theta, 0.0, 1.0)
    ascending = theta[np.argsort(theta)]
    return lp + normal(y, ascending[4] - ascending[0], 1.0)


@healthy(y=Y)
@gm.model
def largest(theta: Real[3], *, y: Data["n"]):
    lp = normal(theta, 0.0, 1.0)
    return lp + normal(y, theta[np.argmax(theta)], 1.0)


@healthy(y=Y)
@gm.model
def largest_but_missing(theta: Real[3], *, y: Data["n"]):
    lp = normal(theta, 0.0, 1.0)
    k = np.nanargmax(theta)
    return lp + normal(y, theta[k], 1.0)


@healthy(y=np.array([1, 0, 1, 1]))
@gm.model
def bernoulli_by_branches(p: UnitInterval, *, y: Data["n"]):
    lp = 0.0
    for i in range(len(y)):
        if y[i] == 1:
            lp += math.log(p)
        else:
            lp += math.log(1 - p)
    return lp


@healthy(kind=np.array([0, 2, 2, 1, 0]))
@gm.model
def categories_by_subscript(p: Simplex[3], *, kind: Data["n"]):
    lp = 0.0
    for i in range(len(kind)):
        lp += math.log(p[kind[i]])
    return lp


@healthy(y=Y)
@gm.model
def exponential_by_terms(rate: Positive, *, y: Data["n"]):
    lp = half_normal(rate, 2.0)
    for i in range(len(y)):
        lp += math.log(rate)
        lp -= rate * abs(y[i])
    return lp


@healthy(y=Y, year=np.arange(6))
@gm.model
def trend_and_effects_of_years(slope: Real, effect: Real["n"], *, y: Data["n"], year: Data["n"]):
    lp = normal(slope, 0.0, 1.0) + normal(effect, 0.0, 1.0)
    for i in range(len(y)):
        lp += normal(y[i], slope * year[i] + effect[year[i]], 1.0)
    return lp


@healthy(y=Y, t=T)
@gm.model
def growth_that_overflows_far_away(a: Real, b: Real, s: Positive, *, y: Data["n"], t: Data["n"]):
    lp = normal(a, 0.0, 5.0) + normal(b, 0.0, 5.0) + half_normal(s, 1.0)
    for i in range(len(y)):
        lp += normal(y[i], math.exp(a + b * t[i]), s)
    return lp


@healthy(y=Y, t=T)
@gm.model
def saturation_that_overflows_far_away(a: Real, b: Real, s: Positive, *, y: Data["n"], t: Data["n"]):
    lp = normal(a, 0.0, 5.0) + normal(b, 0.0, 5.0) + half_normal(s, 1.0)
    return lp + normal(y, 10.0 / (1.0 + np.exp(a - b * t)), s)
