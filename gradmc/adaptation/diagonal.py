"""The diagonal mass matrix from draws and gradients, in overlapping windows, updated at every transition.

The inverse mass of a coordinate is sqrt(var(draw) / var(gradient)): it minimises the Fisher divergence to a normal
(Seyboldt, Carlson & Carpenter 2025).  Two windows run at once: the *foreground* gives the estimate, the *background*
fills up and takes its place, so that early draws are forgotten.  The first estimate comes from the gradient at the
start.
"""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from gradmc.adaptation.schedule import EARLY_WINDOW, MAIN_WINDOW, WINDOW_GROWTH, Schedule
from gradmc.adaptation.spectrum import Spectrum, scale_limits
from gradmc.kernels.branching import pick
from gradmc.kernels.kernel import Draw, Info
from gradmc.kernels.metric import DiagonalMetric
from gradmc.records import of_numpy, record

MIN_COUNT = 3  # draws before the first estimate
FLAT = 1e-20  # a gradient below it, as at a mode, says nothing of the scale
TRANSIT = 2.0  # mean gradient, in units of its spread, beyond which a coordinate is in transit


@record
class Moments:
    """Running moments of (draw, gradient) pairs (Welford 1962)."""

    count: Float[Array, ""]
    mean: Float[Array, "2 dim"]
    squares: Float[Array, "2 dim"]


@record
class Windows:
    """The state of the adaptation."""

    foreground: Moments
    background: Moments
    length: Float[Array, ""]  # of the current main window


def _no_moments(pair: Float[Array, "2 dim"]) -> Moments:
    zeros = jnp.zeros_like(pair)
    return Moments(count=jnp.zeros((), pair.dtype), mean=zeros, squares=zeros)


def _add(moments: Moments, pair: Float[Array, "2 dim"], weight: Float[Array, ""]) -> Moments:
    """Add a pair; `weight` is 1, or 0 to leave it out."""
    count = moments.count + weight
    difference = jnp.where(weight > 0, pair - moments.mean, 0)  # 0 times what is not finite would be NaN
    mean = moments.mean + difference * (weight / jnp.maximum(count, 1))
    return Moments(count=count, mean=mean, squares=moments.squares + weight * difference * (pair - mean))


def _inverse_mass(moments: Moments, gradient: Float[Array, "dim"]) -> Float[Array, "dim"]:
    """The estimate from draws, or 1 / |gradient| for a coordinate that is still in transit.

    Under the posterior the mean gradient is zero.  While the gradients of a coordinate keep one sign the chain is on
    its way, and the spread of its draws says how far it got, not how wide the posterior is.
    """
    spread = jnp.sqrt(moments.squares[1] / moments.count)
    in_transit = jnp.abs(moments.mean[1]) > TRANSIT * spread
    settled = jnp.sqrt(moments.squares[0] / moments.squares[1])
    return lax.select(in_transit, _by_gradient(jnp.maximum(jnp.abs(gradient), spread)), settled)


def _by_gradient(size: Float[Array, "dim"]) -> Float[Array, "dim"]:
    """The inverse mass that a gradient of this size suggests; infinite where it suggests none."""
    return 1 / jnp.where(size > FLAT, size, 0)


def _scale(inverse_mass: Float[Array, "dim"], fallback: Float[Array, "dim"]) -> Float[Array, "dim"]:
    usable = jnp.isfinite(inverse_mass) & (inverse_mass > 0)
    root = jnp.clip(jnp.sqrt(jnp.where(usable, inverse_mass, 1)), *scale_limits(inverse_mass.dtype))
    return lax.select(usable, root, fallback).astype(inverse_mass.dtype)


@dataclasses.dataclass(frozen=True, slots=True)
class Diagonal:
    """Adapts a `DiagonalMetric` inside the compiled loop."""

    def initial(self, position: Float[Array, "dim"], gradient: Float[Array, "dim"]) -> tuple[DiagonalMetric, Windows]:
        """Metric and state at the start: the inverse mass is 1 / |gradient|."""
        pair = jnp.stack([position, gradient])
        moments = _add(_no_moments(pair), pair, jnp.ones((), pair.dtype))
        windows = Windows(foreground=moments, background=moments, length=jnp.asarray(MAIN_WINDOW, pair.dtype))
        return DiagonalMetric(scale=_scale(_by_gradient(jnp.abs(gradient)), jnp.ones_like(gradient))), windows

    def metric(self, spectrum: Spectrum, dtype: np.dtype) -> DiagonalMetric | None:
        """The metric of an estimate: its variances; None where they are none."""
        with np.errstate(all="ignore"):
            variance = spectrum.scale**2 * (1 + np.sum(spectrum.vectors**2 * (spectrum.values - 1), axis=1))
        if not np.all(np.isfinite(variance) & (variance > 0)):
            return None
        return of_numpy(DiagonalMetric, scale=np.asarray(np.clip(np.sqrt(variance), *scale_limits(dtype)), dtype))

    def next_update(self, transition: int, warmup: int) -> None:
        """The host is never needed."""

    def history_rows(self, dim: int, itemsize: int) -> int:
        """None."""
        del dim, itemsize
        return 0

    def on_host(self, metric: DiagonalMetric, history: Any, transition: int, *, final: bool = False) -> None:
        """The metric stays."""

    def update(
        self,
        metric: DiagonalMetric,
        state: Windows,
        draw: Draw,
        info: Info,
        transition: Int[Array, ""],
        schedule: Schedule,
    ) -> tuple[DiagonalMetric, Windows, Bool[Array, ""]]:
        """After warmup transition `transition` (from 0); says whether this is the first estimate from draws."""
        pair = jnp.stack([draw.position, draw.gradient])
        moved = jnp.where(info.diverging, info.n_steps > 4, info.energy_error != 0)
        good = moved & jnp.all(jnp.isfinite(pair)) & (transition < schedule.final_start)
        weight = good.astype(pair.dtype)
        foreground = _add(state.foreground, pair, weight)
        background = _add(state.background, pair, weight)

        early = transition < schedule.early_end
        length = lax.select(transition == schedule.early_end, jnp.maximum(state.length, background.count), state.length)
        grown = jnp.maximum(length + 1, jnp.round(length * WINDOW_GROWTH))
        end = jnp.where(early, EARLY_WINDOW, grown) + transition.astype(pair.dtype)
        room = end <= schedule.final_start.astype(pair.dtype)
        switch = room & (background.count >= jnp.where(early, EARLY_WINDOW, length))
        windows = Windows(
            foreground=pick(switch, background, foreground),
            background=pick(switch, _no_moments(pair), background),
            length=lax.select(switch & ~early, grown, length),
        )
        moments = windows.foreground
        enough = (moments.count >= MIN_COUNT) & (transition < schedule.final_start)
        scale = _scale(_inverse_mass(moments, draw.gradient), metric.scale)
        first = enough & (moments.count == MIN_COUNT) & good & (windows.length == MAIN_WINDOW) & early
        return DiagonalMetric(scale=lax.select(enough, scale, metric.scale)), windows, first
