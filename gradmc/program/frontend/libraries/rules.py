"""Rules of scipy.integrate for samples of a function."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.integrate

from gradmc.program.frontend.libraries.arrays import real


def _steps(y: Any, x: Any, dx: Any, axis: int) -> tuple[Any, Any]:
    """Samples with their axis last, and the steps between them."""
    y = jnp.moveaxis(real(y), axis, -1)
    if x is None:
        return y, jnp.broadcast_to(real(dx), (y.shape[-1] - 1,))
    x = real(x)
    return y, jnp.diff(x if x.ndim == 1 else jnp.moveaxis(x, axis, -1), axis=-1)


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral by the trapezoidal rule."""
    y, h = _steps(y, x, dx, axis)
    return jnp.sum(0.5 * h * (y[..., 1:] + y[..., :-1]), axis=-1)


def cumulative_trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1, initial: Any = None) -> Any:
    """Its partial sums."""
    y, h = _steps(y, x, dx, axis)
    return _with_first(jnp.cumsum(0.5 * h * (y[..., 1:] + y[..., :-1]), axis=-1), initial, axis)


def _with_first(sums: Any, initial: Any, axis: int) -> Any:
    if initial is not None:
        sums = jnp.concatenate([jnp.broadcast_to(real(initial), (*sums.shape[:-1], 1)), sums], axis=-1)
    return jnp.moveaxis(sums, -1, axis)


def simpson(y: Any, x: Any = None, *, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral by Simpson's rule; a last step without a partner by Cartwright's correction."""
    y, h = _steps(y, x, dx, axis)
    n = y.shape[-1]
    if n < 3:
        return jnp.sum(0.5 * h * (y[..., 1:] + y[..., :-1]), axis=-1)
    even = n - 1 - (n - 1) % 2
    total = jnp.sum(_parabolas(y[..., : even + 1], h[..., :even]), axis=-1)
    if n % 2:
        return total
    return total + _last(y[..., -3], y[..., -2], y[..., -1], h[..., -2], h[..., -1])


def _parabolas(y: Any, h: Any) -> Any:
    h0, h1 = h[..., 0::2], h[..., 1::2]
    both, ratio = h0 + h1, h0 / h1
    ends = y[..., :-2:2] * (2.0 - 1.0 / ratio) + y[..., 2::2] * (2.0 - ratio)
    return both / 6.0 * (ends + y[..., 1:-1:2] * both * both / (h0 * h1))


def _last(y0: Any, y1: Any, y2: Any, h0: Any, h1: Any) -> Any:
    """The integral over the second of two steps of the parabola through three samples."""
    last = (2.0 * h1**2 + 3.0 * h0 * h1) / (6.0 * (h0 + h1))
    middle = (h1**2 + 3.0 * h0 * h1) / (6.0 * h0)
    first = h1**3 / (6.0 * h0 * (h0 + h1))
    return last * y2 + middle * y1 - first * y0


def cumulative_simpson(y: Any, *, x: Any = None, dx: Any = 1.0, axis: int = -1, initial: Any = None) -> Any:
    """The integrals up to each sample, over every step of the parabola through it and a neighbour."""
    y, h = _steps(y, x, dx, axis)
    h = jnp.broadcast_to(h, (*y.shape[:-1], y.shape[-1] - 1))
    if y.shape[-1] < 3:
        return _with_first(jnp.cumsum(0.5 * h * (y[..., 1:] + y[..., :-1]), axis=-1), initial, axis)
    y0, y1, y2, h0, h1 = y[..., :-2], y[..., 1:-1], y[..., 2:], h[..., :-1], h[..., 1:]
    first, second = _last(y2, y1, y0, h1, h0), _last(y0, y1, y2, h0, h1)
    steps = jnp.where(np.arange(h.shape[-1] - 1) % 2 == 0, first, jnp.roll(second, 1, axis=-1))
    steps = jnp.concatenate([steps, second[..., -1:]], axis=-1)
    return _with_first(jnp.cumsum(steps, axis=-1), initial, axis)


def romb(y: Any, dx: Any = 1.0, axis: int = -1, show: bool = False) -> Any:
    """The integral by Romberg's rule, which is linear in the samples."""
    y = jnp.moveaxis(real(y), axis, -1)
    return jnp.sum(y * scipy.integrate.romb(np.eye(y.shape[-1]), axis=-1), axis=-1) * dx


TABLE: dict[Any, Callable[..., Any]] = {
    scipy.integrate.trapezoid: trapezoid,
    scipy.integrate.cumulative_trapezoid: cumulative_trapezoid,
    scipy.integrate.simpson: simpson,
    scipy.integrate.cumulative_simpson: cumulative_simpson,
    scipy.integrate.romb: romb,
}
