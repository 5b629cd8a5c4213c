"""An oven and its controller: plant identified in closed loop, and gains chosen for it, saturation included."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Interval, Positive
from gradmc.lpdf import half_normal, lognormal, normal

DT = 1.0  # minutes
AMBIENT = 20.0  # degrees Celsius
DISTURBANCES = ((30, 60, -12.0), (80, 95, 8.0))  # from and to minute, degrees of heat lost or gained
SETPOINT, HORIZON = 80.0, 120
INDIFFERENT = 10.0  # of cost: gains that differ by less are about as plausible


def controller(error, integral, proportional, reset):
    """Power in [0, 1] of a PI controller whose integral stands still while the power is at its limit."""
    wanted = proportional * (error + integral / reset)
    power = min(max(wanted, 0.0), 1.0)
    if wanted == power:
        integral += error * DT
    return power, integral


def oven_step(temperature, heater, power, gain, lag, delay, disturbance):
    """A minute of the oven: the heater follows the power, the air follows the heater."""
    heater += DT / delay * (power - heater)
    temperature += DT / lag * (AMBIENT + gain * heater + disturbance - temperature)
    return temperature, heater


def closed_loop_cost(gain, lag, delay, proportional, reset, disturbances):
    """Squared error of the temperature and effort of the heater, over a trial with disturbances."""
    temperature, heater, integral, cost, before = AMBIENT, 0.0, 0.0, 0.0, 0.0
    for t in range(HORIZON):
        disturbance = 0.0
        for start, end, size in disturbances:
            if start <= t < end:
                disturbance += size
        power, integral = controller(SETPOINT - temperature, integral, proportional, reset)
        temperature, heater = oven_step(temperature, heater, power, gain, lag, delay, disturbance)
        cost += (SETPOINT - temperature) ** 2 / 100.0 + 50.0 * (power - before) ** 2
        before = power
    return cost


@gm.model
def adaptive_control(
    gain: Positive,
    lag: Positive,
    delay: Interval(0, "lag"),
    sigma: Positive,
    proportional: Positive,
    reset: Positive,
    *,
    power: Data["n"],
    temperature: Data["n"],
):
    """What the record says of the plant, and what the plant says of the gains.

    The record gives the power and the temperature at each minute, while some hand-tuned controller was at work. Gains
    are as plausible as their cost is low: exp(-cost / INDIFFERENT), control as inference (Todorov 2008). The record
    does not tell which of two lags in series is which; the heater is taken to be the faster one.
    """
    lp = lognormal(gain, math.log(100.0), 0.5) + lognormal(lag, math.log(10.0), 0.7)
    lp += lognormal(delay, math.log(3.0), 0.5) + half_normal(sigma, 2.0)
    air, heater = AMBIENT, 0.0
    for t in range(len(power)):
        air, heater = oven_step(air, heater, power[t], gain, lag, delay, 0.0)
        lp += gm.observe("temperature", normal(temperature[t], air, sigma))
    lp += lognormal(proportional, math.log(0.03), 1.0) + lognormal(reset, math.log(15.0), 0.7)
    cost = gm.record("cost", closed_loop_cost(gain, lag, delay, proportional, reset, DISTURBANCES))
    return lp - cost / INDIFFERENT


@adaptive_control.simulator
def simulate(rng, gain, lag, delay, sigma, proportional, reset, *, power, temperature):
    """A new record of the temperature under the same power."""
    new, air, heater = np.zeros(len(power)), AMBIENT, 0.0
    for t in range(len(power)):
        air, heater = oven_step(air, heater, power[t], gain, lag, delay, 0.0)
        new[t] = air + sigma * rng.normal()
    return {"temperature": new}
