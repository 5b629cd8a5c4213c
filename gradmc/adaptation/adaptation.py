"""The contract of an adaptation: all that changes in warmup, which is step size, metric, and when.

Implementing an adaptation: a frozen dataclass with settings as fields.  `initial`, `search` and `update` are traced
into the compiled loop, and must keep to what XLA compiles into one function: no products, no factors of matrices.
An adaptation that needs those asks, by `history_rows`, for a record of the latest draws and gradients of warmup, and
names, by `next_update`, the transitions after which the host loop stops the chain and asks `on_host`.  So the draws are
a function of transitions alone, however a run is cut into chunks.  Numbers that a user may change without compiling
anew go into the `Schedule`.

A *pooled* adaptation adapts all chains together: the host loop lets them wait for each other at the transitions that
`next_update` names, and asks `on_host` once for all.  Its chains share a lane (`gradmc.run.executor`).

The usual one, for every kernel that has an acceptance rate, is `gradmc.adaptation.warmup.Warmup`, or, for many chains,
`gradmc.adaptation.pooled.Pooled`.
"""

from typing import Any, Protocol

import numpy as np
from jaxtyping import Array, Bool, Float, Int

from gradmc.adaptation.schedule import Schedule
from gradmc.adaptation.spectrum import Spectrum
from gradmc.adaptation.step_size import StepSize
from gradmc.kernels.kernel import Draw, Info
from gradmc.kernels.metric import Metric
from gradmc.records import record


@record
class Adapted:
    """What a chain has adapted to, and what it still needs for adapting."""

    metric: Metric
    step: StepSize  # `step.value` is the step size in use
    state: Any


class Adaptation(Protocol):
    """Adapts step size and metric."""

    @property
    def pooled(self) -> bool:
        """Whether all chains adapt together."""
        ...

    def schedule(self, warmup: int, *, metric_stays: bool = False, dtype: np.dtype) -> Schedule:
        """The data of `warmup` transitions; `metric_stays` says that only the step size may change."""
        ...

    def initial(
        self, position: Float[Array, "dim"], gradient: Float[Array, "dim"], step_size: Float[Array, ""]
    ) -> Adapted:
        """At a starting point, with a step size to begin with."""
        ...

    def search(self, adapted: Adapted, info: Info, schedule: Schedule) -> tuple[Adapted, Bool[Array, ""]]:
        """After a trajectory of a single step, in search of a first step size; whether the search is over."""
        ...

    def update(
        self, adapted: Adapted, draw: Draw, info: Info, transition: Int[Array, ""], schedule: Schedule
    ) -> tuple[Adapted, Bool[Array, ""]]:
        """After warmup transition `transition` (from 0); the flag asks for a new search of the step size."""
        ...

    def next_update(self, transition: int, warmup: int) -> int | None:
        """The first number of transitions above `transition` after which `on_host` is due; None if none is."""
        ...

    def history_rows(self, dim: int, itemsize: int) -> int:
        """Rows of the history (`gradmc.adaptation.metric_adaptation`) that `on_host` wants; 0 for none."""
        ...

    def on_host(self, adapted: Any, history: Any, transition: int, warmup: int) -> Any:
        """The `Metric` after `transition` transitions, from NumPy arrays; None where the present one should stay.

        If `pooled`: all that is `Adapted`, of all chains, from arrays with a leading axis of chains.
        """
        ...

    def metric_of(self, spectrum: Spectrum, dtype: np.dtype) -> Metric:
        """The metric of an estimate of the inverse mass matrix, such as that of a starting point."""
        ...
