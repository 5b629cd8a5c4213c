"""The usual adaptation: a step size by dual averaging and a metric, in the phases of `gradmc.adaptation.schedule`."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from gradmc.adaptation.adaptation import Adapted
from gradmc.adaptation.metric_adaptation import MetricAdaptation, metric_of
from gradmc.adaptation.schedule import Schedule, make_schedule
from gradmc.adaptation.spectrum import Spectrum
from gradmc.adaptation.step_size import begin_anew, dual_average, initial_step_size, search, shorten_memory
from gradmc.adaptation.windowed import LowRank
from gradmc.arguments import check_real
from gradmc.kernels.kernel import Draw, Info
from gradmc.kernels.metric import Metric


@dataclasses.dataclass(frozen=True, slots=True)
class Warmup:
    """Adapts the step size to `target_accept`, and a metric.

    Args:
        metric: `LowRank(rank)`, `Diagonal()` or `Dense()`.
        target_accept: mean acceptance that the step size aims at, between 0 and 1 (exclusive).
    """

    metric: MetricAdaptation[Any, Any] = dataclasses.field(default_factory=LowRank)
    target_accept: float = 0.8

    def __post_init__(self) -> None:
        check_real("target_accept", self.target_accept, 0, 1)

    @property
    def pooled(self) -> bool:
        """No: each chain adapts by itself."""
        return False

    def schedule(self, warmup: int, *, metric_stays: bool = False, dtype: np.dtype) -> Schedule:
        """The phases of warmup; where the metric stays, there is but the last."""
        return make_schedule(warmup, target_accept=self.target_accept, metric_stays=metric_stays, dtype=dtype)

    def initial(
        self, position: Float[Array, "dim"], gradient: Float[Array, "dim"], step_size: Float[Array, ""]
    ) -> Adapted:
        """A metric from the gradient, and dual averaging at its start."""
        metric, state = self.metric.initial(position, gradient)
        return Adapted(metric=metric, step=initial_step_size(step_size), state=state)

    def search(self, adapted: Adapted, info: Info, schedule: Schedule) -> tuple[Adapted, Bool[Array, ""]]:
        """Double or halve the step size."""
        step, over = search(adapted.step, info.acceptance_rate, schedule.target_accept)
        return dataclasses.replace(adapted, step=step), over

    def update(
        self, adapted: Adapted, draw: Draw, info: Info, transition: Int[Array, ""], schedule: Schedule
    ) -> tuple[Adapted, Bool[Array, ""]]:
        """Metric and step size.

        Far from the typical set every step gains much energy; only the plain acceptance lets the step size grow there,
        so the symmetric one takes over after the early phase.  In the last phase it is again the plain one, which is
        what the draws are asked to have.
        """
        metric, state, restart = self.metric.update(adapted.metric, adapted.state, draw, info, transition, schedule)
        early, final = transition < schedule.early_end, transition >= schedule.final_start
        acceptance = lax.select(early | final, info.acceptance_rate, info.symmetric_acceptance)
        at_final = transition == schedule.final_start
        step = begin_anew(shorten_memory(adapted.step, at_final), at_final | (transition == schedule.early_end))
        step = dual_average(step, acceptance, schedule.target_accept, bold=early)
        last = transition + 1 >= schedule.warmup
        value = lax.select(last, jnp.exp(step.log_averaged), step.value)
        return Adapted(metric=metric, step=dataclasses.replace(step, value=value), state=state), restart

    def next_update(self, transition: int, warmup: int) -> int | None:
        """When the metric needs the host."""
        return self.metric.next_update(transition, warmup)

    def history_rows(self, dim: int, itemsize: int) -> int:
        """What the metric wants."""
        return self.metric.history_rows(dim, itemsize)

    def on_host(self, adapted: Any, history: Any, transition: int, warmup: int) -> Metric | None:
        """A metric from recorded draws."""
        final = self.next_update(transition, warmup) is None
        return self.metric.on_host(adapted.metric, history, transition, final=final)

    def metric_of(self, spectrum: Spectrum, dtype: np.dtype) -> Metric:
        """See `gradmc.adaptation.metric_adaptation.metric_of`."""
        return metric_of(self.metric, spectrum, dtype)
