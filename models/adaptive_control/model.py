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


def controller(error, held, proportional, reset):
    """Power in [0, 1] of a PI controller, and the power that it holds, which follows what the heater gets.

    So the integral does not wind up while the power is at its limit ("automatic reset": K. J. Åström and T. Hägglund,
    PID Controllers, 2nd ed. 1995, section 3.5). An integral that stood still there would make the loop jump.
    """
    power = min(max(proportional * error + held, 0.0), 1.0)
    held += (1.0 - math.exp(-DT / reset)) * (power - held)
    return power, held


def oven_step(temperature, heater, power, gain, lag, delay, disturbance):
    """A minute of the oven: the heater follows the power, the air follows the heater, each as a lag follows a step."""
    heater += (1.0 - math.exp(-DT / delay)) * (power - heater)
    temperature += (1.0 - math.exp(-DT / lag)) * (AMBIENT + gain * heater + disturbance - temperature)
    return temperature, heater


def gains(gain, lag, delay, tightness, integration):
    """Proportional gain (power per degree) and reset time (minutes) of a controller that is made for an oven.

    Skogestad's rule has the tightness 0.5 and the reset time `lag` where the oven is slow against its delay, here that
    of the heater and of one reading (S. Skogestad, Simple analytic rules for model reduction and PID controller
    tuning, Journal of Process Control 13, 2003).
    """
    return tightness * lag / (gain * (delay + DT)), integration * lag


def closed_loop_cost(gain, lag, delay, proportional, reset, disturbances):
    """Squared error of the temperature and effort of the heater, over a trial with disturbances."""
    temperature, heater, held, cost, before = AMBIENT, 0.0, 0.0, 0.0, 0.0
    for t in range(HORIZON):
        disturbance = 0.0
        for start, end, size in disturbances:
            if start <= t < end:
                disturbance += size
        power, held = controller(SETPOINT - temperature, held, proportional, reset)
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
    tightness: Positive,
    integration: Positive,
    *,
    power: Data["n"],
    temperature: Data["n"],
):
    """What the record says of the plant, and what the plant says of the gains.

    The record gives the power and the temperature at each minute, while some hand-tuned controller was at work. Gains
    are as plausible as their cost is low: exp(-cost / INDIFFERENT), control as inference (Todorov 2008). They are
    declared in the units of the plant, so that what is a tight controller for one is no oscillator for another. The
    record does not tell which of two lags in series is which; the heater is taken to be the faster one.
    """
    lp = lognormal(gain, math.log(100.0), 0.5) + lognormal(lag, math.log(10.0), 0.7)
    lp += lognormal(delay, math.log(3.0), 0.5) + half_normal(sigma, 2.0)
    air, heater = AMBIENT, 0.0
    for t in range(len(power)):
        air, heater = oven_step(air, heater, power[t], gain, lag, delay, 0.0)
        lp += gm.observe("temperature", normal(temperature[t], air, sigma))
    lp += lognormal(tightness, math.log(0.5), 0.7) + lognormal(integration, 0.0, 0.7)
    proportional, reset = gains(gain, lag, delay, tightness, integration)
    gm.record("proportional", proportional)
    gm.record("reset", reset)
    cost = gm.record("cost", closed_loop_cost(gain, lag, delay, proportional, reset, DISTURBANCES))
    return lp - cost / INDIFFERENT


@adaptive_control.simulator
def simulate(rng, gain, lag, delay, sigma, tightness, integration, *, power, temperature):
    """A new record of the temperature under the same power."""
    new, air, heater = np.zeros(len(power)), AMBIENT, 0.0
    for t in range(len(power)):
        air, heater = oven_step(air, heater, power[t], gain, lag, delay, 0.0)
        new[t] = air + sigma * rng.normal()
    return {"temperature": new}
