"""Operations that the gradient does not see."""

import math

import jax
import jax.numpy as jnp
import numpy as np

import gradmc as gm
from gradmc import Data, Interval, Positive, Real, UnitInterval
from gradmc.lpdf import normal, poisson
from tests.check.zoo import COUNTS, Y, ill


@ill("plateau", y=Y)
@gm.model
def floor(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    level = math.floor(mu)  # !
    for i in range(len(y)):
        lp += normal(y[i], level, 1.0)
    return lp


@ill("plateau", y=Y)
@gm.model
def rounded_in_a_loop(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    for i in range(len(y)):
        lp += normal(y[i], round(mu * y[i]), 1.0)  # !
    return lp


@ill("plateau", y=Y)
@gm.model
def whole_number(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    k = int(mu)  # !
    return lp + normal(y, 2.0 * k, 1.0)


@ill("plateau", y=Y)
@gm.model
def floor_division(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0) + normal(y, mu, 1.0)
    lp += 0.1 * (mu // 2.0)  # !
    return lp


@ill("plateau", y=Y)
@gm.model
def sign(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    return lp + normal(y, np.sign(mu), 1.0)  # !


@ill("plateau", y=Y)
@gm.model
def cast_of_an_array(theta: Real["n"], *, y: Data["n"]):
    lp = normal(theta, 0.0, 1.0)
    whole = theta.astype(int)  # !
    for i in range(len(y)):
        lp += normal(y[i], 1.0 * whole[i], 1.0)
    return lp


@ill("step", y=Y)
@gm.model
def comparison_as_a_number(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    lp += normal(y, mu + 2.0 * (mu > 0.5), 1.0)  # !
    return lp


@ill("step", y=Y)
@gm.model
def change_point(tau: Real, early: Real, late: Real, *, y: Data["n"]):
    lp = normal(tau, 2.0, 1.0) + normal(early, 0.0, 1.0) + normal(late, 0.0, 1.0)
    for t in range(len(y)):
        after = float(t > tau)  # !
        lp += normal(y[t], early * (1.0 - after) + late * after, 1.0)
    return lp


@ill("selection", y=Y)
@gm.model
def rank_as_a_mean(theta: Real["n"], *, y: Data["n"]):
    lp = normal(theta, 0.0, 1.0)
    rank = np.argsort(theta)  # !
    for i in range(len(y)):
        lp += normal(y[i], 0.1 * rank[i], 1.0)
    return lp


@ill("lookup", y=Y)
@gm.model
def sorted_by_a_parameter(theta: Real["n"], *, y: Data["n"]):
    lp = normal(theta, 0.0, 1.0)
    order = np.argsort(theta)
    for i in range(len(y)):
        lp += normal(y[order[i]], 0.1 * i, 1.0)  # !
    return lp


@ill("step", y=Y)
@gm.model
def count_of_the_positive(theta: Real["n"], *, y: Data["n"]):
    lp = normal(theta, 0.0, 1.0)
    share = np.sum(theta > 0.0) / len(y)  # !
    return lp + normal(y, share, 1.0)


@ill("plateau", y=Y)
@gm.model
def truncated(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    for i in range(len(y)):
        lp += normal(y[i], math.ceil(mu) + math.trunc(2.0 * mu), 1.0)  # !
    return lp


@ill("kink", y=Y)
@gm.model
def smallest_and_largest(theta: Real[5], *, y: Data["n"]):
    lp = normal(theta, 0.0, 1.0)
    ends = np.sort(theta)  # !
    return lp + normal(y, ends[4] - ends[0], 1.0)


@ill("lookup", y=Y)
@gm.model
def effect_of_the_largest(theta: Real[3], beta: Real[3], *, y: Data["n"]):
    lp = normal(theta, 0.0, 1.0) + normal(beta, 0.0, 1.0)
    k = np.argmax(theta)
    return lp + normal(y, beta[k], 1.0)  # !


@ill("lookup", y=Y, table=np.array([0.0, 0.5, 2.0]))
@gm.model
def table_of_a_parameter(x: Positive, *, y: Data["n"], table: Data["k"]):
    lp = normal(x, 1.0, 1.0)
    cell = int(x)
    lp += normal(y, table[cell % 3], 1.0)  # !
    return lp


@ill("lookup", y=Y, grid=np.array([0.0, 0.5, 2.0]))
@gm.model
def searched(x: Real, level: Real[4], *, y: Data["n"], grid: Data["k"]):
    lp = normal(x, 1.0, 1.0) + normal(level, 0.0, 1.0)
    k = np.searchsorted(grid, x)
    lp += normal(y, level[k], 1.0)  # !
    return lp


@ill("stop-gradient", y=Y)
@gm.model
def stopped(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    lp += normal(y, jax.lax.stop_gradient(mu), 1.0)  # !
    return lp


@ill("sawtooth", y=Y)
@gm.model
def phase(shift: Real, *, y: Data["n"]):
    lp = normal(shift, 0.0, 1.0)
    for t in range(len(y)):
        lp += normal(y[t], (t + shift) % 1.0, 1.0)  # !
    return lp


@ill("sawtooth", y=Y)
@gm.model
def wrapped(angle: Real, *, y: Data["n"]):
    lp = normal(angle, 0.0, 1.0)
    inside = math.fmod(angle, 2 * math.pi)  # !
    return lp + normal(y, inside, 1.0)


@ill("kink", y=Y)
@gm.model
def corner(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    lp += normal(y, abs(mu), 1.0)  # !
    return lp


@ill("kink", y=Y)
@gm.model
def rectified(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    return lp + normal(y, max(mu, 0.0), 1.0)  # !


@ill("kink", count=COUNTS)
@gm.model
def clipped(eta: Real, *, count: Data["n"]):
    lp = normal(eta, 0.0, 1.0)
    rate = np.exp(np.clip(eta, -3.0, 3.0))  # !
    return lp + poisson(count, rate)


@ill("plateau", y=Y)
@gm.model
def heaviside(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    return lp + normal(y, jnp.heaviside(mu, 0.5), 1.0)  # !


@ill("plateau", y=Y)
@gm.model
def rounded_by_numpy(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    return lp + normal(y, np.around(mu, 1), 1.0)  # !


@ill("lookup", y=Y)
@gm.model
def largest_but_missing(theta: Real[3], beta: Real[3], *, y: Data["n"]):
    lp = normal(theta, 0.0, 1.0) + normal(beta, 0.0, 1.0)
    k = np.nanargmax(theta)
    return lp + normal(y, beta[k], 1.0)  # !


@ill("plateau", y=Y)
@gm.model
def exponent(mu: Real, *, y: Data["n"]):
    lp = normal(mu, 0.0, 1.0)
    return lp + normal(y, 1.0 * np.frexp(mu)[1], 1.0)  # !


# Below, the discontinuous twins of programs in tests/check/healthy.py.


@ill("step", y=Y)
@gm.model
def hinge_with_an_offset(slope: Real, knot: Real, *, y: Data["n"]):
    lp = normal(slope, 0.0, 1.0) + normal(knot, 0.0, 1.0)
    return lp + normal(y, slope * (y > knot) * (y - knot + 0.1), 1.0)  # !


@ill("lookup", y=Y, grid=np.linspace(0.0, 1.0, 6))
@gm.model
def interpolated_the_wrong_way(x: UnitInterval, level: Real[6], *, y: Data["n"], grid: Data[6]):
    lp = normal(level, 0.0, 1.0)
    k = np.clip(np.searchsorted(grid, x) - 1, 0, 4)
    return lp + normal(y, level[k] + (level[k] - level[k + 1]) * (x - grid[k]) / 0.2, 1.0)  # !


@ill("sawtooth", y=Y)
@gm.model
def half_a_period(period: Interval(2.0, 8.0), *, y: Data["n"]):
    lp = 0.0
    for i in range(len(y)):
        lp += normal(y[i], math.cos(math.pi * ((3.0 * i) % period) / period), 1.0)  # !
    return lp


@ill("plateau", y=Y)
@gm.model
def phase_as_a_mean(period: Interval(2.0, 8.0), *, y: Data["n"]):
    t = 3.0 * np.arange(4)
    return normal(y, t / period - np.floor(t / period), 1.0)  # !


@ill("plateau", y=Y)
@gm.model
def signed_power_with_a_gap(theta: Real["n"], *, y: Data["n"]):
    lp = normal(theta, 0.0, 1.0)
    return lp + normal(y, np.sign(theta) * (0.1 + np.abs(theta) ** 1.5), 1.0)  # !


@ill("step", y=Y)
@gm.model
def shifted_quantile_loss(level: Real, *, y: Data["n"]):
    u = y - level
    return normal(level, 0.0, 3.0) - np.sum((u + 0.1) * (0.7 - (u < 0.0)))  # !
