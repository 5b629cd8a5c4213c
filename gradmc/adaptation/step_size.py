"""Step size by dual averaging, begun from a search by doubling.

Dual averaging: Hoffman & Gelman (2014), section 3.2, with t0 = 10, kappa = 0.75 (their values).
Search: double or halve the step size until the acceptance of one leapfrog step crosses the target (their algorithm 4).

On its way to the mass a chain adapts *boldly*, with their gamma = 0.05 and their bias towards steps ten times as long
as the search found.  Then step sizes scatter by a third and more from one transition to the next, and since acceptance
falls the faster the longer the step, the draws, whose step size is the average, would be accepted more often than was
asked for: 0.86 in the mean over many posteriors for 0.8, at the cost of a quarter of the effective draws per gradient.
So once the chain has had time to get there, it adapts *calmly*: from the average so far, without that bias, and with
gamma = 0.3.
"""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from gradmc.records import record

BOLD_GAMMA, CALM_GAMMA = 0.05, 0.3
BOLD_BIAS = math.log(10.0)
T0 = 10.0
KAPPA = 0.75
FIRST_STEP = 0.1
MAX_STEP = math.pi  # beyond 2 the leapfrog step of a unit normal is unstable
SEARCH_LIMITS = (1e-10, 1e5)
MEMORY = 10.0  # step sizes that the average so far counts for when the metric has come to rest


@record
class StepSize:
    """The step size in use and what adapts it."""

    value: Float[Array, ""]
    log_averaged: Float[Array, ""]
    anchor: Float[Array, ""]  # log step size begun with: mu of Hoffman & Gelman, without its bias
    error_mean: Float[Array, ""]  # H-bar
    count: Float[Array, ""]
    averaged: Float[Array, ""]  # step sizes in the average
    trend: Int[Array, ""]  # of the search: +1 doubling, -1 halving, 0 not begun


def initial_step_size(value: Float[Array, ""]) -> StepSize:
    """Dual averaging at its start, with step size `value` > 0."""
    value = jnp.asarray(value)
    log_value = jnp.log(value)
    return StepSize(
        value=value,
        log_averaged=log_value,
        anchor=log_value,
        error_mean=jnp.zeros_like(value),
        count=jnp.zeros_like(value),
        averaged=jnp.zeros_like(value),
        trend=jnp.int32(0),
    )


def search(step: StepSize, acceptance: Float[Array, ""], target: Float[Array, ""]) -> tuple[StepSize, Bool[Array, ""]]:
    """One step of the search, and whether it is over.

    `acceptance` is that of one leapfrog step with `step.value`.  When the search is over, dual averaging starts anew.
    """
    above = acceptance > target
    trend = lax.select(step.trend == 0, lax.select(above, np.int32(1), np.int32(-1)), step.trend)
    low, high = SEARCH_LIMITS
    over = (above != (trend > 0)) | (step.value < low) | (step.value > high)
    number = step.value.dtype.type
    factor = lax.select(over, number(1.0), lax.select(trend > 0, number(2.0), number(0.5)))
    return dataclasses.replace(initial_step_size(step.value * factor), trend=lax.select(over, np.int32(0), trend)), over


def dual_average(
    step: StepSize, acceptance: Float[Array, ""], target: Float[Array, ""], bold: Bool[Array, ""]
) -> StepSize:
    """Update after one transition with mean acceptance `acceptance`."""
    number = step.value.dtype.type
    gamma = lax.select(bold, number(BOLD_GAMMA), number(CALM_GAMMA))
    anchor = step.anchor + lax.select(bold, number(BOLD_BIAS), number(0.0))
    count = step.count + 1
    weight = 1 / (count + T0)
    error_mean = (1 - weight) * step.error_mean + weight * (target - acceptance)
    log_value = jnp.minimum(anchor - error_mean * jnp.sqrt(count) / gamma, math.log(MAX_STEP))
    averaged = step.averaged + 1
    average_weight = averaged**-KAPPA
    return dataclasses.replace(
        step,
        value=jnp.exp(log_value),
        log_averaged=average_weight * log_value + (1 - average_weight) * step.log_averaged,
        error_mean=error_mean,
        count=count,
        averaged=averaged,
    )


def begin_anew(step: StepSize, when: Bool[Array, ""]) -> StepSize:
    """Dual averaging from the average so far, as if nothing had happened before."""
    zero = step.count.dtype.type(0.0)
    return dataclasses.replace(
        step,
        anchor=lax.select(when, step.log_averaged, step.anchor),
        error_mean=lax.select(when, zero, step.error_mean),
        count=lax.select(when, zero, step.count),
    )


def shorten_memory(step: StepSize, when: Bool[Array, ""]) -> StepSize:
    """Let the average so far weigh little against the step sizes to come.

    It is over step sizes that suited earlier metrics; a chain that finds the bulk of the mass late in warmup needs
    another one.
    """
    return dataclasses.replace(step, averaged=lax.select(when, jnp.minimum(step.averaged, MEMORY), step.averaged))
