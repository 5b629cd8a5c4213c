"""Dense and low-rank mass matrices, computed on the host between chunks from a window of draws and gradients.

The inverse mass matrix S that minimises the Fisher divergence to a normal solves S G S = C, where C and G are the
covariances of draws and gradients: S is the geometric mean of C and the inverse of G (Seyboldt, Carlson & Carpenter
2025).  Draws and gradients are first scaled by the diagonal solution, so that S is close to the identity, and both
covariances are shrunk towards the identity as if it had been seen in `SHRINKAGE` draws (as Stan's dense estimate is).

Eigenvalue problems would keep the sampling loop from being one native function, so the compiled loop only records
(draw, gradient) pairs in a ring, and the host loop stops the chain at the transitions that `next_update` names: after
10, 20, 40, .. transitions and at the start of the final phase.  Each estimate uses the later half of warmup so far.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from gradmc.adaptation.schedule import EARLY_WINDOW, Schedule, final_start
from gradmc.kernels.kernel import Draw, Info
from gradmc.kernels.metric import DenseMetric, LowRankMetric
from gradmc.records import record

HISTORY_BYTES = 8 << 20
MAX_HISTORY = 1024
SHRINKAGE = 5.0
CUTOFF = 2.0  # a low-rank metric leaves eigenvalues between 1 / CUTOFF and CUTOFF alone
SCALE_LIMITS = (1e-10, 1e10)


@record
class History:
    """The latest draws and gradients; row `count % rows` is written next."""

    count: Int[Array, ""]
    draws: Float[Array, "rows dim"]
    gradients: Float[Array, "rows dim"]


@dataclasses.dataclass(frozen=True, slots=True)
class Spectrum:
    """An estimate of the inverse mass matrix: diag(scale) (I + V diag(values - 1) V') diag(scale)."""

    scale: np.ndarray
    values: np.ndarray
    vectors: np.ndarray


def estimate(draws: np.ndarray, gradients: np.ndarray) -> Spectrum | None:
    """The estimate from draws and gradients, each (n, dim), n >= 3; None where it would not be finite."""
    spread = np.sqrt(np.std(draws, axis=0) / np.std(gradients, axis=0))
    if not np.all(np.isfinite(spread) & (spread > 0)):
        return None
    scale = np.clip(spread, *SCALE_LIMITS)
    covariance, information = _shrunk(draws / scale), _shrunk(gradients * scale)
    roots, basis = np.linalg.eigh(information)
    root, inverse_root = (basis * roots**0.5) @ basis.T, (basis * roots**-0.5) @ basis.T
    middle, turn = np.linalg.eigh(root @ covariance @ root)
    mean = inverse_root @ (turn * np.sqrt(np.maximum(middle, 0))) @ turn.T @ inverse_root
    values, vectors = np.linalg.eigh((mean + mean.T) / 2)
    if not np.all(np.isfinite(values)) or values[0] <= 0:
        return None
    return Spectrum(scale=scale, values=values, vectors=vectors)


def _shrunk(rows: np.ndarray) -> np.ndarray:
    """Covariance of `rows`, shrunk towards the identity."""
    count, dim = rows.shape
    centred = rows - rows.mean(axis=0)
    return (centred.T @ centred + SHRINKAGE * np.eye(dim)) / (count + SHRINKAGE)


def next_update(transition: int, warmup: int) -> int | None:
    """The first transition count above `transition` at which the metric is computed anew."""
    due, last = EARLY_WINDOW, final_start(warmup)
    while due <= transition:
        due *= 2
    due = min(due, last)
    return due if due > transition and due >= EARLY_WINDOW else None


def is_due(transition: int, warmup: int) -> bool:
    """Whether the metric is computed anew after `transition` transitions."""
    return transition > 0 and next_update(transition - 1, warmup) == transition


def recent(history: History, transition: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws and gradients of the later half of the transitions so far, as far as the ring holds them."""
    count, rows = int(history.count), history.draws.shape[0]
    wanted = min(transition - transition // 2, rows, count)
    index = np.arange(count - wanted, count) % rows
    return np.asarray(history.draws)[index], np.asarray(history.gradients)[index]


@dataclasses.dataclass(frozen=True, slots=True)
class _Windowed:
    """What both kinds share: recording inside the loop."""

    def _history(self, position: Float[Array, "dim"]) -> History:
        dim, itemsize = position.shape[0], position.dtype.itemsize
        rows = int(np.clip(HISTORY_BYTES // (2 * dim * itemsize), 32, MAX_HISTORY))
        table = jnp.zeros((rows, dim), position.dtype)
        return History(count=jnp.int32(0), draws=table, gradients=table)

    def update[M](
        self, metric: M, history: History, draw: Draw, info: Info, transition: Int[Array, ""], schedule: Schedule
    ) -> tuple[M, History, Bool[Array, ""]]:
        """Record a draw; the metric stays."""
        del info, transition, schedule
        row = history.count % history.draws.shape[0]
        recorded = History(
            count=history.count + 1,
            draws=lax.dynamic_update_index_in_dim(history.draws, draw.position, row, 0),
            gradients=lax.dynamic_update_index_in_dim(history.gradients, draw.gradient, row, 0),
        )
        return metric, recorded, jnp.bool_(False)


def _first_scale(gradient: Float[Array, "dim"]) -> Float[Array, "dim"]:
    size = jnp.abs(gradient)
    usable = jnp.isfinite(size) & (size > 0)
    return jnp.where(usable, 1 / jnp.sqrt(jnp.where(usable, size, 1)), 1).astype(gradient.dtype)


@dataclasses.dataclass(frozen=True, slots=True)
class DenseAdaptation(_Windowed):
    """Adapts a `DenseMetric`: for strongly correlated posteriors of up to some hundred dimensions."""

    def initial(
        self, position: Float[Array, "dim"], gradient: Float[Array, "dim"]
    ) -> tuple[DenseMetric, History]:
        """Metric and state at the start: the inverse mass is diagonal, 1 / |gradient|."""
        return DenseMetric(factor=jnp.diag(_first_scale(gradient))), self._history(position)

    def on_host(self, metric: DenseMetric, history: History, transition: int) -> DenseMetric:
        """The metric from the latest draws, or the old one where they give none."""
        spectrum = estimate(*recent(history, transition))
        if spectrum is None:
            return metric
        root = (spectrum.vectors * np.sqrt(spectrum.values)) @ spectrum.vectors.T
        return DenseMetric(factor=jnp.asarray(spectrum.scale[:, None] * root, metric.factor.dtype))


@dataclasses.dataclass(frozen=True, slots=True)
class LowRankAdaptation(_Windowed):
    """Adapts a `LowRankMetric` with at most `rank` directions besides the diagonal."""

    rank: int = 10

    def initial(
        self, position: Float[Array, "dim"], gradient: Float[Array, "dim"]
    ) -> tuple[LowRankMetric, History]:
        """Metric and state at the start: the inverse mass is diagonal, 1 / |gradient|."""
        dim, rank = position.shape[0], min(self.rank, position.shape[0])
        metric = LowRankMetric(
            scale=_first_scale(gradient),
            vectors=jnp.zeros((dim, rank), position.dtype),
            stretch=jnp.ones(rank, position.dtype),
        )
        return metric, self._history(position)

    def on_host(self, metric: LowRankMetric, history: History, transition: int) -> LowRankMetric:
        """The metric from the latest draws, or the old one where they give none."""
        spectrum = estimate(*recent(history, transition))
        if spectrum is None:
            return metric
        rank, dtype = metric.stretch.shape[0], metric.scale.dtype
        farthest = np.argsort(-np.abs(np.log(spectrum.values)))[:rank]
        values = spectrum.values[farthest]
        used = (values > CUTOFF) | (values < 1 / CUTOFF)
        return LowRankMetric(
            scale=jnp.asarray(spectrum.scale, dtype),
            vectors=jnp.asarray(np.where(used, spectrum.vectors[:, farthest], 0), dtype),
            stretch=jnp.asarray(np.where(used, np.sqrt(values), 1), dtype),
        )
