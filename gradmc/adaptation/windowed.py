"""Dense and low-rank mass matrices, computed on the host between chunks from a window of draws and gradients.

Eigenvalue problems would keep the sampling loop from being one native function, so the compiled loop only records
draws, gradients and log densities in a ring (`gradmc.run.machine`), and the host loop stops the chain at the
transitions that `next_update` names.  Each estimate (`gradmc.adaptation.spectrum`) uses the later half of warmup so
far, since the chain came to where the mass is.  Until the first one finds a direction worth stretching, the diagonal
metric of `gradmc.adaptation.diagonal` is in force and adapts at every transition.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from gradmc.adaptation.diagonal import Diagonal, Windows
from gradmc.adaptation.linear_algebra import one_thread
from gradmc.adaptation.metric_adaptation import History
from gradmc.adaptation.schedule import Schedule, final_start
from gradmc.adaptation.spectrum import Spectrum, estimate, farthest, scale_limits
from gradmc.arguments import check_whole
from gradmc.kernels.kernel import Draw, Info
from gradmc.kernels.metric import DenseMetric, DiagonalMetric, LowRankMetric
from gradmc.records import of_numpy

HISTORY_BYTES = 8 << 20
MIN_HISTORY = 32
MAX_HISTORY = 1024
# An estimate solves eigenvalue problems of size min(dim, 2 rows): with more parameters than MANY, of at most that size.
MANY = 256
FIRST_UPDATE = 20  # transitions after which directions that a start has found are looked at
DIAGONAL = 100  # transitions in which the diagonal metric finds the way to the bulk of the mass, where it is in force
LEAST_UPDATE = 20  # a short warmup ends with an estimate, unless it is shorter than this
UPDATE_GROWTH = 1.5
LOOK_GROWTH = 1.2  # so much later one looks whether the chain has come to the mass since
CUTOFF = 1.5  # a low-rank metric leaves eigenvalues between 1 / CUTOFF and CUTOFF alone (2: 4 % fewer ESS per gradient)
RESOLUTION = 1e3  # in units of rounding: the shortest stretch beside 1 and the longest that F can still hold
LATEST = 10  # draws that tell where a chain is now, at least
TRANSIT = 0.7  # mean gradient, in units of its spread, beyond which a chain is still on its way (measured: 0.5 to 1)


def in_transit(gradients: np.ndarray) -> bool:
    """Whether a chain that saw these gradients, (n, dim), had not yet come to where the mass is.

    Under the posterior the mean gradient is zero, give or take 1 / sqrt(n).  A chain on its way there sees gradients of
    one sign; what it could learn of scales and correlations would be those of its path.
    """
    allowed = TRANSIT + 2 / np.sqrt(len(gradients))
    with np.errstate(all="ignore"):  # what is not finite counts as in transit
        return not bool(np.all(np.abs(np.mean(gradients, axis=0)) <= allowed * np.std(gradients, axis=0)))


def stretch_of(values: np.ndarray, dtype: np.dtype) -> np.ndarray | None:
    """How F stretches directions of inverse masses `values` > 0, in a dtype; None where that cannot hold it.

    None is so short that rounding beside the longest one could make F singular.
    """
    with np.errstate(over="ignore"):
        stretch = np.sqrt(values).astype(dtype)
    longest = max(1.0, float(np.max(stretch, initial=0)))
    shortest = RESOLUTION * float(np.finfo(dtype).eps) * longest
    return np.maximum(stretch, dtype.type(shortest)) if np.isfinite(longest) and shortest < 1 else None


def next_update(transition: int, warmup: int) -> int | None:
    """The first transition count above `transition` at which the metric may be computed anew.

    Between two updates is a look, where it is if the chain has come to the mass since (`latest`).
    """
    due, last = FIRST_UPDATE, final_start(warmup)
    while due <= transition:
        look = int(due * LOOK_GROWTH)
        due = look if look > transition else int(due * UPDATE_GROWTH)
    due = min(due, last)
    return due if due > transition and due >= LEAST_UPDATE else None


def is_look(transition: int) -> bool:
    """Whether this is a look between two updates, unless warmup ends with it."""
    due = FIRST_UPDATE
    while due < transition and int(due * LOOK_GROWTH) != transition:
        due = int(due * UPDATE_GROWTH)
    return due < transition


def latest(history: History, transition: int, *, final: bool) -> tuple[np.ndarray, np.ndarray] | None:
    """Draws and gradients for an estimate: of the later half of the transitions, as far as the ring holds them.

    Those before the chain came to where the mass is are left out (`arrival`).  None where this is a look only, and none
    of them was: a chain that comes there moves by a metric of elsewhere, in long trees, until it has one of here.
    """
    rows = history.draws.shape[0]
    index = np.arange(transition - min(transition - transition // 2, rows), transition) % rows
    before = arrival(np.asarray(history.log_densities)[index])
    if before == 0 and is_look(transition) and not final:
        return None
    return np.asarray(history.draws)[index[before:]], np.asarray(history.gradients)[index[before:]]


def arrival(log_densities: np.ndarray) -> int:
    """How many of the draws with these log densities, (n,), came before those where the last quarter is.

    They go up to the last one that lies 10 and six standard deviations below the median of the last quarter, or of the
    last ten draws.
    """
    latest = log_densities[-max(len(log_densities) // 4, LATEST) :]
    far = log_densities < np.median(latest) - 10 - 6 * np.std(latest)
    return int(np.max(np.flatnonzero(far), initial=-1)) + 1


def history_rows(dim: int, itemsize: int) -> int:
    """Rows of a ring: 32 to 1,024, up to 8 MiB unless 32 take more."""
    most = MAX_HISTORY if dim <= MANY else MANY // 2
    return int(np.clip(HISTORY_BYTES // (2 * dim * itemsize), MIN_HISTORY, most))


@dataclasses.dataclass(frozen=True, slots=True)
class LowRank:
    """Adapts a `LowRankMetric` with at most `rank` directions besides the diagonal."""

    rank: int = 16

    def __post_init__(self) -> None:
        check_whole("rank", self.rank, 1, 2**15)

    def initial(self, position: Float[Array, "dim"], gradient: Float[Array, "dim"]) -> tuple[LowRankMetric, Windows]:
        """Metric and state at the start: the inverse mass is diagonal, 1 / |gradient|."""
        dim, rank = position.shape[0], min(self.rank, position.shape[0])
        diagonal, windows = Diagonal().initial(position, gradient)
        metric = LowRankMetric(
            scale=diagonal.scale,
            vectors=jnp.zeros((rank, dim), position.dtype),
            stretch=jnp.ones(rank, position.dtype),
            used=jnp.int32(0),
        )
        return metric, windows

    def update(
        self,
        metric: LowRankMetric,
        state: Windows,
        draw: Draw,
        info: Info,
        transition: Int[Array, ""],
        schedule: Schedule,
    ) -> tuple[LowRankMetric, Windows, Bool[Array, ""]]:
        """Adapt the diagonal while no direction is in use."""
        diagonal, windows, first = Diagonal().update(
            DiagonalMetric(scale=metric.scale), state, draw, info, transition, schedule
        )
        metric = dataclasses.replace(metric, scale=lax.select(metric.used == 0, diagonal.scale, metric.scale))
        return metric, windows, first

    def history_rows(self, dim: int, itemsize: int) -> int:
        """See `history_rows` of this module."""
        return history_rows(dim, itemsize)

    def next_update(self, transition: int, warmup: int) -> int | None:
        """See `next_update` of this module."""
        return next_update(transition, warmup)

    def on_host(
        self, metric: LowRankMetric, history: History, transition: int, *, final: bool = False
    ) -> LowRankMetric | None:
        """The metric from the latest draws; None where the present one should stay."""
        if transition < DIAGONAL and int(metric.used) == 0 and not final:
            return None
        rows = latest(history, transition, final=final)
        if rows is None:
            return None
        draws, gradients = rows
        if in_transit(gradients):  # directions learnt elsewhere may be wrong here: back to the scales, which adapt
            return dataclasses.replace(metric, used=np.int32(0)) if int(metric.used) else None
        spectrum = estimate(draws, gradients, self.rank)
        found = None if spectrum is None else self.metric(spectrum, np.dtype(metric.scale.dtype))
        return None if found is None or int(found.used) == int(metric.used) == 0 else found

    def metric(self, spectrum: Spectrum, dtype: np.dtype) -> LowRankMetric | None:
        """The metric of an estimate: its scales and the directions farthest from them; None where it is none."""
        chosen = farthest(spectrum.values, self.rank)
        values, stretch = spectrum.values[chosen], stretch_of(spectrum.values[chosen], dtype)
        if stretch is None:
            return None
        dim = len(spectrum.scale)
        rank = min(self.rank, dim)
        vectors = np.zeros((rank, dim), dtype)
        vectors[: len(stretch)] = spectrum.vectors[:, chosen].T
        return of_numpy(
            LowRankMetric,
            scale=np.asarray(np.clip(spectrum.scale, *scale_limits(dtype)), dtype),
            vectors=vectors,
            stretch=np.pad(stretch, (0, rank - len(stretch)), constant_values=1),
            used=np.int32(np.sum((values > CUTOFF) | (values < 1 / CUTOFF))),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Dense:
    """Adapts a `DenseMetric`: for strongly correlated posteriors of up to some hundred dimensions."""

    def initial(self, position: Float[Array, "dim"], gradient: Float[Array, "dim"]) -> tuple[DenseMetric, tuple[()]]:
        """Metric and state at the start: the inverse mass is diagonal, 1 / |gradient|."""
        diagonal, _ = Diagonal().initial(position, gradient)
        return DenseMetric(factor=jnp.diag(diagonal.scale)), ()

    def update(
        self,
        metric: DenseMetric,
        state: tuple[()],
        draw: Draw,
        info: Info,
        transition: Int[Array, ""],
        schedule: Schedule,
    ) -> tuple[DenseMetric, tuple[()], Bool[Array, ""]]:
        """The metric stays."""
        del draw, info, transition, schedule
        return metric, state, jnp.bool_(False)

    def history_rows(self, dim: int, itemsize: int) -> int:
        """See `history_rows` of this module."""
        return history_rows(dim, itemsize)

    def next_update(self, transition: int, warmup: int) -> int | None:
        """See `next_update` of this module."""
        return next_update(transition, warmup)

    def on_host(
        self, metric: DenseMetric, history: History, transition: int, *, final: bool = False
    ) -> DenseMetric | None:
        """The metric from the latest draws; None where they give none."""
        if transition < DIAGONAL and not final:
            return None
        rows = latest(history, transition, final=final)
        spectrum = None if rows is None else estimate(*rows)
        return None if spectrum is None else self.metric(spectrum, np.dtype(metric.factor.dtype))

    @one_thread()
    def metric(self, spectrum: Spectrum, dtype: np.dtype) -> DenseMetric | None:
        """The metric of an estimate; None where it is none."""
        stretch = stretch_of(spectrum.values, dtype)
        if stretch is None:
            return None
        root = (spectrum.vectors * (stretch - 1)) @ spectrum.vectors.T
        root[np.diag_indices_from(root)] += 1
        scale = np.clip(spectrum.scale, *scale_limits(dtype))
        return of_numpy(DenseMetric, factor=np.asarray(scale[:, None] * root, dtype))
