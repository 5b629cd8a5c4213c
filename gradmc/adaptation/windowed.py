"""Dense and low-rank mass matrices, computed on the host between chunks from a window of draws and gradients.

The inverse mass matrix S that minimises the Fisher divergence to a normal solves S G S = C, where C and G are the
covariances of draws and gradients: S is the geometric mean of C and the inverse of G (Seyboldt, Carlson & Carpenter
2025).  Draws and gradients are first scaled by the diagonal solution, so that S is close to the identity, and both
covariances are shrunk towards the identity.

Eigenvalue problems would keep the sampling loop from being one native function, so the compiled loop only records
(draw, gradient) pairs in a ring, and the host loop stops the chain at the transitions that `next_update` names.  Each
estimate uses the later half of warmup so far.  Until the first one finds a direction worth stretching, the diagonal
metric of `gradmc.adaptation.diagonal` is in force and adapts at every transition.
"""

import dataclasses
import functools

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int
from threadpoolctl import ThreadpoolController

from gradmc.adaptation.diagonal import DiagonalAdaptation, Windows
from gradmc.adaptation.schedule import Schedule, final_start
from gradmc.adaptation.spectrum import Spectrum
from gradmc.kernels.kernel import Draw, Info
from gradmc.kernels.metric import DenseMetric, DiagonalMetric, LowRankMetric
from gradmc.records import record

HISTORY_BYTES = 8 << 20
MAX_HISTORY = 1024
SHRINKAGE = 0.1  # draws that the identity counts for in each covariance (measured: 1e-3 to 1 do about as well)
FIRST_UPDATE = 100  # transitions in which the diagonal metric finds the way to the bulk of the mass
LEAST_UPDATE = 20  # a short warmup ends with an estimate, unless it is shorter than this
UPDATE_GROWTH = 1.5
CUTOFF = 2.0  # a low-rank metric leaves eigenvalues between 1 / CUTOFF and CUTOFF alone
SCALE_LIMITS = (1e-10, 1e10)
TRANSIT = 0.7  # mean gradient, in units of its spread, beyond which a chain is still on its way (measured: 0.5 to 1)


@record
class History:
    """The latest draws and gradients; row `count % rows` is written next."""

    count: Int[Array, ""]
    draws: Float[Array, "rows dim"]
    gradients: Float[Array, "rows dim"]


def in_transit(gradients: np.ndarray) -> bool:
    """Whether a chain that saw these gradients, (n, dim), had not yet come to where the mass is.

    Under the posterior the mean gradient is zero.  A chain on its way there sees gradients of one sign; what it could
    learn of scales and correlations would be those of its path.
    """
    return not bool(np.all(np.abs(gradients.mean(axis=0)) <= TRANSIT * gradients.std(axis=0)))


def estimate(draws: np.ndarray, gradients: np.ndarray) -> Spectrum | None:
    """The estimate from draws and gradients, each (n, dim), n >= 3; None where it would not be finite."""
    # Chains run at the same time on all cores; BLAS threads on top of them wait for each other most of the time.
    with _blas().limit(limits=1, user_api="blas"):
        return _geometric_mean(draws, gradients)


@functools.cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


def _geometric_mean(draws: np.ndarray, gradients: np.ndarray) -> Spectrum | None:
    draws, gradients = draws.astype(np.float64), gradients.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(np.std(draws, axis=0) / np.std(gradients, axis=0))
    if not np.all(np.isfinite(spread) & (spread > 0)):
        return None
    scale = np.clip(spread, *SCALE_LIMITS)
    covariance, information = _shrunk(draws / scale), _shrunk(gradients * scale)
    # With information = L L', the geometric mean is L^-T (L' covariance L)^(1/2) L^-1.
    lower = np.linalg.cholesky(information)
    middle, turn = np.linalg.eigh(lower.T @ covariance @ lower)
    if not np.all(middle > 0):
        return None
    half = np.linalg.solve(lower.T, turn * middle**0.25)
    values, vectors = np.linalg.eigh(half @ half.T)
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
    due, last = FIRST_UPDATE, final_start(warmup)
    while due <= transition:
        due = int(due * UPDATE_GROWTH)
    due = min(due, last)
    return due if due > transition and due >= LEAST_UPDATE else None


def is_due(transition: int, warmup: int) -> bool:
    """Whether the metric is computed anew after `transition` transitions."""
    return transition > 0 and next_update(transition - 1, warmup) == transition


def recent(history: History, transition: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws and gradients of the later half of the transitions so far, as far as the ring holds them."""
    count, rows = int(history.count), history.draws.shape[0]
    wanted = min(transition - transition // 2, rows, count)
    index = np.arange(count - wanted, count) % rows
    return np.asarray(history.draws)[index], np.asarray(history.gradients)[index]


def empty_history(position: Float[Array, "dim"]) -> History:
    """A ring with room for up to 1,024 draws and 8 MiB."""
    dim, itemsize = position.shape[0], position.dtype.itemsize
    rows = int(np.clip(HISTORY_BYTES // (2 * dim * itemsize), 32, MAX_HISTORY))
    table = jnp.zeros((rows, dim), position.dtype)
    return History(count=jnp.int32(0), draws=table, gradients=table)


def remember(history: History, draw: Draw) -> History:
    """Record a draw and its gradient."""
    row = history.count % history.draws.shape[0]
    return History(
        count=history.count + 1,
        draws=lax.dynamic_update_index_in_dim(history.draws, draw.position, row, 0),
        gradients=lax.dynamic_update_index_in_dim(history.gradients, draw.gradient, row, 0),
    )


@record
class WindowedState:
    """The state of both adaptations: the diagonal one goes on until the first estimate from the ring."""

    diagonal: Windows
    history: History


@dataclasses.dataclass(frozen=True, slots=True)
class LowRankAdaptation:
    """Adapts a `LowRankMetric` with at most `rank` directions besides the diagonal."""

    rank: int = 16

    def initial(
        self, position: Float[Array, "dim"], gradient: Float[Array, "dim"]
    ) -> tuple[LowRankMetric, WindowedState]:
        """Metric and state at the start: the inverse mass is diagonal, 1 / |gradient|."""
        dim, rank = position.shape[0], min(self.rank, position.shape[0])
        diagonal, windows = DiagonalAdaptation().initial(position, gradient)
        metric = LowRankMetric(
            scale=diagonal.scale,
            vectors=jnp.zeros((rank, dim), position.dtype),
            stretch=jnp.ones(rank, position.dtype),
            used=jnp.int32(0),
        )
        return metric, WindowedState(diagonal=windows, history=empty_history(position))

    def update(
        self,
        metric: LowRankMetric,
        state: WindowedState,
        draw: Draw,
        info: Info,
        transition: Int[Array, ""],
        schedule: Schedule,
    ) -> tuple[LowRankMetric, WindowedState, Bool[Array, ""]]:
        """Record a draw; adapt the diagonal while no direction is in use."""
        diagonal, windows, first = DiagonalAdaptation().update(
            DiagonalMetric(scale=metric.scale), state.diagonal, draw, info, transition, schedule
        )
        metric = dataclasses.replace(metric, scale=jnp.where(metric.used == 0, diagonal.scale, metric.scale))
        return metric, WindowedState(diagonal=windows, history=remember(state.history, draw)), first

    def on_host(self, metric: LowRankMetric, state: WindowedState, transition: int) -> LowRankMetric | None:
        """The metric from the latest draws; None where the present one should stay."""
        draws, gradients = recent(state.history, transition)
        spectrum = None if in_transit(gradients) else estimate(draws, gradients)
        if spectrum is None:
            return None
        found = self.metric(spectrum, metric.scale.dtype)
        return None if int(found.used) == int(metric.used) == 0 else found

    def metric(self, spectrum: Spectrum, dtype: np.dtype) -> LowRankMetric:
        """The metric of an estimate: its diagonal, and the directions that are farthest from it."""
        dim = spectrum.scale.size
        rank = min(self.rank, dim)
        farthest = np.argsort(-np.abs(np.log(spectrum.values)), kind="stable")[:rank]
        values, vectors = np.ones(rank), np.zeros((rank, dim))
        values[: farthest.size], vectors[: farthest.size] = spectrum.values[farthest], spectrum.vectors[:, farthest].T
        return LowRankMetric(
            scale=np.asarray(spectrum.scale, dtype),
            vectors=vectors.astype(dtype),
            stretch=np.sqrt(values).astype(dtype),
            used=np.int32(np.sum((values > CUTOFF) | (values < 1 / CUTOFF))),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class DenseAdaptation:
    """Adapts a `DenseMetric`: for strongly correlated posteriors of up to some hundred dimensions."""

    def initial(self, position: Float[Array, "dim"], gradient: Float[Array, "dim"]) -> tuple[DenseMetric, History]:
        """Metric and state at the start: the inverse mass is diagonal, 1 / |gradient|."""
        diagonal, _ = DiagonalAdaptation().initial(position, gradient)
        return DenseMetric(factor=jnp.diag(diagonal.scale)), empty_history(position)

    def update(
        self,
        metric: DenseMetric,
        history: History,
        draw: Draw,
        info: Info,
        transition: Int[Array, ""],
        schedule: Schedule,
    ) -> tuple[DenseMetric, History, Bool[Array, ""]]:
        """Record a draw; the metric stays."""
        del info, transition, schedule
        return metric, remember(history, draw), jnp.bool_(False)

    def on_host(self, metric: DenseMetric, history: History, transition: int) -> DenseMetric | None:
        """The metric from the latest draws; None where they give none."""
        spectrum = estimate(*recent(history, transition))
        if spectrum is None:
            return None
        return self.metric(spectrum, metric.factor.dtype)

    def metric(self, spectrum: Spectrum, dtype: np.dtype) -> DenseMetric:
        """The metric of an estimate."""
        vectors = spectrum.vectors
        root = np.eye(len(vectors)) + (vectors * (np.sqrt(spectrum.values) - 1)) @ vectors.T
        return DenseMetric(factor=(spectrum.scale[:, None] * root).astype(dtype))
