"""Feeds an adaptation with draws from outside, as warmup would."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradmc.adaptation.schedule import Schedule
from gradmc.kernels.kernel import Draw, Info


def info_of(*, diverging: Any = False, n_steps: Any = 7, energy_error: Any = 0.1) -> Info:
    """The statistics of a good transition, or of a bad one."""
    zero = jnp.asarray(0.0)
    return Info(
        energy=zero,
        diverging=jnp.asarray(diverging),
        acceptance_rate=zero,
        symmetric_acceptance=zero,
        n_steps=jnp.asarray(n_steps, jnp.int32),
        energy_error=jnp.asarray(energy_error),
        max_energy_error=zero,
    )


def draw_of(position: jax.Array, gradient: jax.Array) -> Draw:
    """A draw."""
    return Draw(position=position, log_density=jnp.asarray(0.0), gradient=gradient, energy=jnp.asarray(0.0))


def feeder(adaptation: Any) -> Callable[..., Any]:
    """A compiled function that gives metric and state after all draws, and the metrics and flags on the way."""

    def feed(
        metric: Any,
        state: Any,
        draws: jax.Array,
        gradients: jax.Array,
        schedule: Schedule,
        first: jax.Array,
        infos: Info,
    ) -> Any:
        def update(carry: Any, given: Any) -> Any:
            metric, state, t = carry
            draw, gradient, info = given
            metric, state, restart = adaptation.update(metric, state, draw_of(draw, gradient), info, t, schedule)
            return (metric, state, t + 1), (metric, restart)

        (metric, state, _), history = jax.lax.scan(update, (metric, state, first), (draws, gradients, infos))
        return metric, state, history

    return jax.jit(feed)


def good_infos(count: int) -> Info:
    """As many good transitions."""
    return jax.tree.map(lambda leaf: jnp.repeat(leaf[None], count, axis=0), info_of())


def normal_pairs(
    rng: np.random.Generator, count: int, covariance: np.ndarray, mean: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Draws of a normal and the gradients of its log density there."""
    x = rng.standard_normal((count, len(covariance))) @ np.linalg.cholesky(covariance).T
    return x + mean, -np.linalg.solve(covariance, x.T).T
