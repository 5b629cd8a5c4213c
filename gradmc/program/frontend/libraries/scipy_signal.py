"""scipy.signal and scipy.ndimage on traced signals.

A filter whose settings are known is linear in the signal: scipy, given unit vectors, says what its matrix is.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import jax.scipy.signal
import numpy as np
import scipy.ndimage
import scipy.signal
from jax import lax

from gradmc.program.frontend.libraries.arrays import real
from gradmc.program.frontend.libraries.unsupported import refuse
from gradmc.program.frontend.values import CannotRoll, any_traced

DEFAULT: Any = 3
"""Size of a uniform filter where none is given."""
LONGEST = 3_000
"""Samples of a signal that is filtered by a matrix."""


def lfilter(b: Any, a: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """`scipy.signal.lfilter`: a rational filter, in direct form II transposed."""
    b, a, x = jnp.atleast_1d(real(b)), jnp.atleast_1d(real(a)), jnp.moveaxis(real(x), axis, 0)
    size = max(b.size, a.size)
    b, a = (jnp.pad(v / a[0], (0, size - v.size)) for v in (b, a))
    shape = (size - 1, *x.shape[1:])
    state = jnp.zeros(shape) if zi is None else jnp.broadcast_to(jnp.moveaxis(real(zi), axis, 0), shape)
    b, a = (v.reshape(-1, *[1] * (x.ndim - 1)) for v in (b, a))

    def step(state: Any, value: Any) -> tuple[Any, Any]:
        out = b[0] * value + (state[0] if size > 1 else 0.0)
        later = jnp.concatenate([state[1:], jnp.zeros((1, *state.shape[1:]))]) if size > 1 else state
        return (later + b[1:] * value - a[1:] * out if size > 1 else state), out

    last, out = lax.scan(step, state, x)
    out = jnp.moveaxis(out, 0, axis)
    return out if zi is None else (out, jnp.moveaxis(last, 0, axis))


def _along(function: Callable[..., Any], at: int = 0) -> Callable[..., Any]:
    """A filter along one axis that is linear in the argument at a place, if all others are known."""

    def filtered(*args: Any, axis: int = -1, **options: Any) -> Any:
        x = jnp.moveaxis(real(args[at]), axis, 0)
        if any_traced([a for k, a in enumerate(args) if k != at]) or any_traced(list(options.values())):
            raise CannotRoll(f"{function.__name__} with settings that depend on parameters", "Write the filter out.")
        if x.shape[0] > LONGEST:
            raise refuse(f"{function.__name__} of more than {LONGEST} samples", "Convolve with the filter's response.")
        given = [*args[:at], np.eye(x.shape[0]), *args[at + 1 :]]
        matrix = function(*given, axis=0, **options)
        return jnp.moveaxis(jnp.tensordot(np.asarray(matrix), x, 1), 0, axis)

    return filtered


def _separable(along: Callable[..., Any], settings: str) -> Callable[..., Any]:
    """A filter of images that is one of lines, along each axis in turn."""
    line = _along(along)

    def filtered(x: Any, *args: Any, **options: Any) -> Any:
        setting = options.pop(settings) if settings in options else args[0] if args else DEFAULT
        options.pop("output", None)
        for axis in range(jnp.ndim(x)):
            x = line(x, setting[axis] if np.ndim(setting) else setting, *args[1:], axis=axis, **options)
        return x

    return filtered


def _whole(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter of images, linear in the image."""

    def filtered(x: Any, *args: Any, **options: Any) -> Any:
        x = real(x)
        if any_traced(list(args)) or any_traced(list(options.values())):
            raise CannotRoll(f"{function.__name__} with settings that depend on parameters", "Write the filter out.")
        if x.size > LONGEST:
            raise refuse(f"{function.__name__} of more than {LONGEST} pixels", "Use scipy.signal.fftconvolve.")
        units = np.eye(x.size).reshape(x.size, *x.shape)
        columns = np.stack([np.ravel(function(u, *args, **options)) for u in units], axis=-1)
        shape = np.shape(function(units[0], *args, **options))
        return (jnp.asarray(columns) @ x.ravel()).reshape(shape)

    return filtered


def _convolve(a: Any, b: Any, mode: Any = "full", axes: Any = None) -> Any:
    return jax.scipy.signal.fftconvolve(real(a), real(b), mode, axes)


LINES = ("gaussian_filter1d", "uniform_filter1d", "convolve1d", "correlate1d")

TABLE: dict[Any, Callable[..., Any]] = {
    scipy.signal.lfilter: lfilter,
    scipy.signal.savgol_filter: _along(scipy.signal.savgol_filter),
    scipy.signal.filtfilt: _along(scipy.signal.filtfilt, at=2),
    scipy.signal.sosfilt: _along(scipy.signal.sosfilt, at=1),
    scipy.signal.sosfiltfilt: _along(scipy.signal.sosfiltfilt, at=1),
    scipy.signal.resample: _along(scipy.signal.resample),
    scipy.signal.resample_poly: _along(scipy.signal.resample_poly),
    scipy.signal.oaconvolve: _convolve,
    **{getattr(scipy.ndimage, name): _along(getattr(scipy.ndimage, name)) for name in LINES},
    scipy.ndimage.gaussian_filter: _separable(scipy.ndimage.gaussian_filter1d, "sigma"),
    scipy.ndimage.uniform_filter: _separable(scipy.ndimage.uniform_filter1d, "size"),
    scipy.ndimage.convolve: _whole(scipy.ndimage.convolve),
    scipy.ndimage.correlate: _whole(scipy.ndimage.correlate),
    scipy.ndimage.shift: _whole(scipy.ndimage.shift),
    scipy.ndimage.zoom: _whole(scipy.ndimage.zoom),
    scipy.ndimage.laplace: _whole(scipy.ndimage.laplace),
    scipy.ndimage.sobel: _whole(scipy.ndimage.sobel),
    scipy.ndimage.prewitt: _whole(scipy.ndimage.prewitt),
}
