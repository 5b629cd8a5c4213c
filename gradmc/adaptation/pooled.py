"""Warmup of many chains together: one step size and one metric, from the draws and gradients of all of them.

Hundreds of chains tell after a single transition what one chain tells after hundreds, so that some tens of transitions
suffice.  The chains stop together at transitions that come ever more rarely, and the host adapts:

- the step size by a Newton-like iteration: its logarithm moves by `GAIN` times what the mean acceptance lacks.  With so
  many chains the acceptance is known well enough to do without the memory of dual averaging; the draws use the
  (geometric) mean step size of the last 15 % of warmup;
- the metric by the estimate of `gradmc.adaptation.spectrum` from the latest draws of all chains, without those that
  stand far outside, which have lost their way.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from gradmc.adaptation.adaptation import Adapted
from gradmc.adaptation.metric_adaptation import History, MetricAdaptation, metric_of
from gradmc.adaptation.schedule import Schedule, final_start, make_schedule
from gradmc.adaptation.spectrum import Spectrum, estimate
from gradmc.adaptation.step_size import SEARCH_LIMITS, StepSize, initial_step_size, search
from gradmc.adaptation.windowed import MANY, LowRank, in_transit
from gradmc.arguments import check_real
from gradmc.kernels.branching import pick
from gradmc.kernels.kernel import Draw, Info
from gradmc.kernels.metric import Metric
from gradmc.records import record

GAIN = 1.5  # the acceptance of NUTS and HMC falls by about 0.6 where the step size grows by a factor e
ROWS = 8  # latest draws of each chain
DRAWS_PER_COORDINATE = 32  # for a metric, between the limits ...
MOST_DRAWS = (256, 4096)  # ... and 256 with more than `MANY` coordinates
EVERY = 10  # updates come at each of the first so many transitions, and then grow rarer by as much
FAR = 20.0  # interquartile ranges from the median: a draw so far outside says nothing of the scales


@record
class Acceptance:
    """Of a chain since the host was last due."""

    total: Float[Array, ""]
    count: Float[Array, ""]
    settled: Bool[Array, ""]  # the chain has the common step size


def next_update(transition: int, warmup: int) -> int | None:
    """The first number of transitions above `transition` after which the chains adapt together."""
    due = 1
    while due <= transition:
        due += 1 + due // EVERY
    return min(due, warmup) if transition < warmup else None


def near(draws: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Which rows of draws and gradients, (n, dim) each, do not stand far outside; all where most do."""
    rows = np.concatenate([draws, gradients], axis=1)
    with np.errstate(all="ignore"):
        low, middle, high = np.quantile(rows, (0.25, 0.5, 0.75), axis=0)
        inside = np.all(np.abs(rows - middle) <= FAR * (high - low), axis=1)
    return inside if 2 * np.sum(inside) >= len(rows) else np.ones(len(rows), bool)


def pooled_estimate(history: History, transition: int) -> Spectrum | None:
    """An inverse mass matrix from the latest draws of all chains; None where they give none.

    Args:
        history: arrays (chain, row, dim).
        transition: how many transitions there were.
    """
    rows, dim = history.draws.shape[1:]
    latest = np.arange(transition - min(max(transition - transition // 2, 1), rows), transition) % rows
    # Draw by draw of all chains, the last ones first.
    tables = [
        np.swapaxes(table[:, latest[::-1]], 0, 1).reshape(-1, dim) for table in (history.draws, history.gradients)
    ]
    most = MOST_DRAWS[0] if dim > MANY else int(np.clip(DRAWS_PER_COORDINATE * dim, *MOST_DRAWS))
    finite = np.all(np.isfinite(tables[0]) & np.isfinite(tables[1]), axis=1)
    draws, gradients = (table[finite][:most].astype(float) for table in tables)
    if len(draws) < 2:
        return None
    kept = near(draws, gradients)
    draws, gradients = draws[kept], gradients[kept]
    found = estimate(draws, gradients)
    if found is not None and in_transit(gradients):  # what is learnt on the way there is not how it is there
        return Spectrum(found.scale, np.ones(0), np.zeros((dim, 0)))
    return found


@dataclasses.dataclass(frozen=True, slots=True)
class Pooled:
    """Adapts one step size to `target_accept`, and one metric, for all chains.

    Args:
        metric: `LowRank(rank)`, `Diagonal()` or `Dense()`: its form.
        target_accept: mean acceptance that the step size aims at, between 0 and 1 (exclusive).
    """

    metric: MetricAdaptation[Any, Any] = dataclasses.field(default_factory=LowRank)
    target_accept: float = 0.8

    def __post_init__(self) -> None:
        check_real("target_accept", self.target_accept, 0, 1)

    @property
    def pooled(self) -> bool:
        """Yes."""
        return True

    def schedule(self, warmup: int, *, metric_stays: bool = False, dtype: np.dtype) -> Schedule:
        """The phases of warmup; where the metric stays, there is but the last."""
        return make_schedule(warmup, target_accept=self.target_accept, metric_stays=metric_stays, dtype=dtype)

    def initial(
        self, position: Float[Array, "dim"], gradient: Float[Array, "dim"], step_size: Float[Array, ""]
    ) -> Adapted:
        """A metric of the chain's own, from the gradient, until the chains adapt together."""
        metric, _ = self.metric.initial(position, gradient)
        nothing = jnp.zeros_like(step_size)
        noted = Acceptance(total=nothing, count=nothing, settled=jnp.bool_(False))
        return Adapted(metric=metric, step=initial_step_size(step_size), state=noted)

    def search(self, adapted: Adapted, info: Info, schedule: Schedule) -> tuple[Adapted, Bool[Array, ""]]:
        """Double or halve the step size of a chain that begins; the common one stays."""
        settled = adapted.state.settled
        step, over = search(adapted.step, info.acceptance_rate, schedule.target_accept)
        return dataclasses.replace(adapted, step=pick(settled, adapted.step, step)), over | settled

    def update(
        self, adapted: Adapted, draw: Draw, info: Info, transition: Int[Array, ""], schedule: Schedule
    ) -> tuple[Adapted, Bool[Array, ""]]:
        """Note the acceptance: the plain one as long as chains may gain much energy, then the symmetric one."""
        del draw
        accepted = jnp.where(transition < schedule.early_end, info.acceptance_rate, info.symmetric_acceptance)
        state = adapted.state
        noted = dataclasses.replace(state, total=state.total + accepted, count=state.count + 1)
        return dataclasses.replace(adapted, state=noted), jnp.bool_(False)

    def next_update(self, transition: int, warmup: int) -> int | None:
        """See `next_update` of this module."""
        return next_update(transition, warmup)

    def history_rows(self, dim: int, itemsize: int) -> int:
        """A few of each chain."""
        del dim, itemsize
        return ROWS

    def on_host(self, adapted: Any, history: Any, transition: int, warmup: int) -> Adapted:
        """Step size and metric of all chains, from arrays with an axis of chains."""
        noted: Acceptance = adapted.state
        chains, dtype = len(noted.total), np.dtype(noted.total.dtype)
        lack = float(np.sum(noted.total) / max(np.sum(noted.count), 1)) - self.target_accept
        final = transition > final_start(warmup)
        step = next_step(adapted.step, GAIN * lack, final=final, last=transition >= warmup)
        metric = adapted.metric
        spectrum = None if final else pooled_estimate(history, transition)
        if spectrum is not None:
            found = self.metric_of(spectrum, dtype)
            metric = jax.tree.map(lambda leaf: np.repeat(np.asarray(leaf)[None], chains, axis=0), found)
        nothing = np.zeros(chains, dtype)
        state = Acceptance(total=nothing, count=nothing, settled=np.ones(chains, bool))  # pyright: ignore
        return Adapted(metric=metric, step=step, state=state)

    def metric_of(self, spectrum: Spectrum, dtype: np.dtype) -> Metric:
        """See `gradmc.adaptation.metric_adaptation.metric_of`."""
        return metric_of(self.metric, spectrum, dtype)


def next_step(step: StepSize, change: float, *, final: bool, last: bool) -> StepSize:
    """The common step size of all chains, arrays (chain,), after its logarithm has changed.

    The chains' own ones, from which all begin, give their median.  In the `final` phase the logarithms are averaged;
    the `last` step size is their mean.
    """
    value = np.asarray(step.value)
    log_value = float(np.log(np.median(value))) + change
    count = float(np.asarray(step.averaged)[0]) + 1 if final else 0.0
    mean = float(np.asarray(step.log_averaged)[0])
    mean = mean + (log_value - mean) / count if count > 1 else log_value
    used = float(np.clip(np.exp(mean if last else log_value), *SEARCH_LIMITS))

    def common(number: float) -> np.ndarray:
        return np.full(value.shape, number, value.dtype)

    return dataclasses.replace(step, value=common(used), log_averaged=common(mean), averaged=common(count))
