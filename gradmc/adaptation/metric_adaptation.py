"""The contract of an adaptation of the metric.

Implementing one: a frozen dataclass with settings as fields.  `initial` and `update` are traced into the compiled loop,
and must keep to what XLA compiles into one function: no products of matrices, no decompositions.  What needs those
asks, by `history_rows`, for a record of the latest draws and gradients of warmup, and names, by `next_update`, the
transitions after which the host loop stops the chain and asks `on_host` for a metric.  So the draws are a function of
transitions alone, however a run is cut into chunks.  `metric` turns an estimate from elsewhere, such as that of a
starting point, into a metric.

What is not finite, or not positive definite, must leave the metric as it is.
"""

from typing import Any, Protocol

import numpy as np
from jaxtyping import Array, Bool, Float, Int

from gradmc.adaptation.schedule import Schedule
from gradmc.adaptation.spectrum import Spectrum, scale_limits
from gradmc.kernels.kernel import Draw, Info
from gradmc.kernels.metric import Metric
from gradmc.records import record


@record
class History:
    """The latest draws of warmup, gradients and log densities there: a ring; transition t wrote row `t % rows`."""

    draws: Float[Array, "rows dim"]
    gradients: Float[Array, "rows dim"]
    log_densities: Float[Array, "rows"]


class MetricAdaptation[M: Metric, S](Protocol):
    """Adapts a metric of kind M with a state S (a pytree of arrays)."""

    def initial(self, position: Float[Array, "dim"], gradient: Float[Array, "dim"]) -> tuple[M, S]:
        """Metric and state at the start."""
        ...

    def update(
        self, metric: M, state: S, draw: Draw, info: Info, transition: Int[Array, ""], schedule: Schedule
    ) -> tuple[M, S, Bool[Array, ""]]:
        """After warmup transition `transition` (from 0); the flag asks for a new search of the step size."""
        ...

    def metric(self, spectrum: Spectrum, dtype: np.dtype) -> M | None:
        """The metric of an estimate of the inverse mass matrix; None where a dtype cannot hold it."""
        ...

    def next_update(self, transition: int, warmup: int) -> int | None:
        """The first number of transitions above `transition` after which `on_host` is due; None if none is."""
        ...

    def history_rows(self, dim: int, itemsize: int) -> int:
        """Rows of the history that `on_host` wants, for `dim` coordinates of `itemsize` bytes; 0 for none."""
        ...

    def on_host(self, metric: Any, history: Any, transition: int, *, final: bool = False) -> M | None:
        """The metric after `transition` transitions, from NumPy arrays; None where the present one should stay.

        `final` says that the host will not be due again.
        """
        ...


def metric_of(adaptation: MetricAdaptation[Any, Any], spectrum: Spectrum, dtype: np.dtype) -> Any:
    """The metric of an estimate; without its directions where the precision cannot hold them."""
    metric = adaptation.metric(spectrum, dtype)
    if metric is None:
        scale = np.clip(spectrum.scale, *scale_limits(dtype))
        metric = adaptation.metric(Spectrum(scale, np.ones(0), np.zeros((len(scale), 0))), dtype)
    assert metric is not None
    return metric
