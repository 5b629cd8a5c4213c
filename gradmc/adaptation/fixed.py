"""Adaptation of the metric alone, with a step size that stays.

For kernels whose steps are never rejected (`gradmc.kernels.sghmc`): there is no acceptance that a step size could aim
at, but on the whitened scale a step size means the same for every posterior.
"""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from gradmc.adaptation.adaptation import Adapted
from gradmc.adaptation.metric_adaptation import MetricAdaptation, metric_of
from gradmc.adaptation.schedule import Schedule
from gradmc.adaptation.spectrum import Spectrum
from gradmc.adaptation.step_size import initial_step_size
from gradmc.adaptation.warmup import Warmup
from gradmc.adaptation.windowed import LowRank
from gradmc.arguments import check_real
from gradmc.kernels.kernel import Draw, Info
from gradmc.kernels.metric import Metric


@dataclasses.dataclass(frozen=True, slots=True)
class FixedStep:
    """Adapts a metric.

    Args:
        metric: `LowRank(rank)`, `Diagonal()` or `Dense()`.
        step_size: on the whitened scale, in (0, 1): 0.2 makes the variances of a normal 1 % too large.
    """

    metric: MetricAdaptation[Any, Any] = dataclasses.field(default_factory=LowRank)
    step_size: float = 0.2

    def __post_init__(self) -> None:
        check_real("step_size", self.step_size, 0, 1)

    @property
    def pooled(self) -> bool:
        """No: each chain adapts by itself."""
        return False

    def schedule(self, warmup: int, *, metric_stays: bool = False, dtype: np.dtype) -> Schedule:
        """The usual phases."""
        return Warmup(self.metric).schedule(warmup, metric_stays=metric_stays, dtype=dtype)

    def initial(
        self, position: Float[Array, "dim"], gradient: Float[Array, "dim"], step_size: Float[Array, ""]
    ) -> Adapted:
        """A metric from the gradient, and the step size."""
        metric, state = self.metric.initial(position, gradient)
        return Adapted(metric=metric, step=initial_step_size(jnp.full_like(step_size, self.step_size)), state=state)

    def search(self, adapted: Adapted, info: Info, schedule: Schedule) -> tuple[Adapted, Bool[Array, ""]]:
        """There is nothing to search for."""
        del info, schedule
        return adapted, jnp.bool_(True)

    def update(
        self, adapted: Adapted, draw: Draw, info: Info, transition: Int[Array, ""], schedule: Schedule
    ) -> tuple[Adapted, Bool[Array, ""]]:
        """The metric."""
        metric, state, _ = self.metric.update(adapted.metric, adapted.state, draw, info, transition, schedule)
        return Adapted(metric=metric, step=adapted.step, state=state), jnp.bool_(False)

    def next_update(self, transition: int, warmup: int) -> int | None:
        """When the metric needs the host."""
        return self.metric.next_update(transition, warmup)

    def history_rows(self, dim: int, itemsize: int) -> int:
        """What the metric wants."""
        return self.metric.history_rows(dim, itemsize)

    def on_host(self, adapted: Any, history: Any, transition: int, warmup: int) -> Metric | None:
        """A metric from recorded draws."""
        return Warmup(self.metric).on_host(adapted, history, transition, warmup)

    def metric_of(self, spectrum: Spectrum, dtype: np.dtype) -> Metric:
        """See `gradmc.adaptation.metric_adaptation.metric_of`."""
        return metric_of(self.metric, spectrum, dtype)
