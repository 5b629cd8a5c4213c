"""Stiff differential equations: the linearly implicit Euler method, extrapolated (Deuflhard 1985; Hairer & Wanner 1996,
section IV.9, SEULEX).

No explicit method can follow them at an affordable step. The step h is taken with n[j] = 2, 3, ..., 9 steps of

    (I - h / n[j] J) (y[i + 1] - y[i]) = h / n[j] f(y[i]),  J = df/dy

and what they give is extrapolated to infinitely many: order 8, with the column before as the estimate of the error.
Time is one component of y, so that J knows how f depends on it. scipy's implicit methods (LSODA, BDF, Radau) are not
followed step for step: the solution is computed to a tighter tolerance than theirs.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

RTOL, ATOL = 1e-10, 1e-13
MOST = 20_000
SEQUENCE = np.arange(2, 10)
SAFETY, SMALLEST, LARGEST = 0.9, 0.1, 5.0


def solve(rhs: Callable[[Any, Any], Any], t0: Any, t1: Any, y0: Any, times: Any) -> tuple[Any, Any, Any]:
    """Solve y' = rhs(t, y) from t0 to t1; arguments and results as for `runge_kutta.solve`."""
    direction = jnp.where(t1 >= t0, 1.0, -1.0)

    def rate(z: Any) -> Any:
        """In the time s = |t - t0|, which is the first component."""
        return jnp.concatenate([jnp.ones(1), direction * rhs(t0 + direction * z[0], z[1:])])

    order = jnp.argsort(direction * times)
    length = jnp.abs(t1 - t0)
    stops = jnp.minimum(
        jnp.concatenate([direction * (times - t0), length[None]])[jnp.append(order, len(times))], length
    )
    start = jnp.concatenate([jnp.zeros(1), y0])
    weight = ATOL * jnp.maximum(jnp.max(jnp.abs(y0)), 1e-3)

    def until(state: tuple[Any, Any, Any], stop: Any) -> tuple[tuple[Any, Any, Any], Any]:
        def again(s: tuple[Any, Any, Any]) -> Any:
            z, h, attempts = s
            return (z[0] < stop) & (attempts < MOST) & (h > 1e-15 * length)

        def attempt(s: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
            z, h, attempts = s
            last = z[0] + 1.01 * h >= stop
            step = jnp.where(last, stop - z[0], h)
            new, before = _extrapolated(rate, z, step)
            new = new.at[0].set(jnp.where(last, stop, z[0] + step))
            scale = weight + RTOL * jnp.maximum(jnp.abs(z), jnp.abs(new))
            error = lax.stop_gradient(jnp.sqrt(jnp.mean(((new - before) / scale)[1:] ** 2)))
            good = error < 1.0
            power = jnp.where(error > 0, error, 1.0) ** (-1.0 / len(SEQUENCE))
            factor = jnp.where(error > 0, jnp.clip(SAFETY * power, SMALLEST, LARGEST), LARGEST)
            longer = jnp.where(last & good, jnp.maximum(h, step * factor), step * factor)
            shorter = step * jnp.where(jnp.isfinite(error), jnp.minimum(factor, 0.5), SMALLEST)
            return jnp.where(good, new, z), lax.stop_gradient(jnp.where(good, longer, shorter)), attempts + 1

        z, h, attempts = lax.while_loop(again, attempt, state)
        return (z, h, attempts), z[1:]

    first = lax.stop_gradient(1e-3 * length)
    (z, _, _), found = lax.scan(until, (start, first, jnp.asarray(0)), stops)
    good = jnp.where(z[0] >= length, 1.0, 0.0)
    return jnp.zeros_like(found[:-1]).at[order].set(found[:-1]), found[-1], good


def _extrapolated(rate: Callable[[Any], Any], z: Any, h: Any) -> tuple[Any, Any]:
    """The state after a step, and the next best approximation of it."""
    steps = h / SEQUENCE
    jacobian = jax.jacfwd(rate)(z)
    inverse = jnp.linalg.inv(jnp.eye(z.size) - steps[:, None, None] * jacobian)
    rates = jax.vmap(rate)

    def substep(i: Any, at: Any) -> Any:
        move = jnp.sum(inverse * (steps[:, None] * rates(at))[:, None, :], axis=-1)
        return jnp.where((i < SEQUENCE)[:, None], at + move, at)

    table = list(lax.fori_loop(0, int(SEQUENCE[-1]), substep, jnp.broadcast_to(z, (len(SEQUENCE), z.size))))
    for column in range(1, len(SEQUENCE)):
        for j in range(len(SEQUENCE) - 1, column - 1, -1):
            ratio = SEQUENCE[j] / SEQUENCE[j - column]
            if j == len(SEQUENCE) - 1 and column == len(SEQUENCE) - 1:
                return table[j] + (table[j] - table[j - 1]) / (ratio - 1.0), table[j]
            table[j] = table[j] + (table[j] - table[j - 1]) / (ratio - 1.0)
    raise AssertionError
