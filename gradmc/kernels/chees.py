"""HMC whose trajectory length many chains adapt together (ChEES-HMC: Hoffman, Radul & Sountsov 2021).

A transition integrates for a time that is uniform between 0 and twice the mean length.  The mean length is
`integration_time` times the overall scale of the metric, since a metric s F makes in time t the trajectories that F
makes in time s t: so the length is adapted by scaling the metric (`gradmc.adaptation.trajectory`), and the kernel is
that of `Hmc`, which also tells where the trajectory ended.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Array, Float

from gradmc.kernels.hmc import Hmc, HmcTrajectory
from gradmc.kernels.kernel import STATISTICS, Draw, Info
from gradmc.records import record


@record
class CheesInfo(Info):
    """Where the trajectory ended, whether or not the draw is there."""

    position: Float[Array, "dim"]
    momentum: Float[Array, "dim"]


@dataclasses.dataclass(frozen=True, slots=True)
class Chees(Hmc):
    """HMC of jittered length, adapted across chains: for many chains, which share one step size, length and metric.

    Settings are those of `Hmc`; `integration_time` is the unit of the length that is adapted.
    """

    jitter: float = 1.0

    @property
    def statistics(self) -> Mapping[str, np.dtype]:
        """Those of every kernel."""
        return STATISTICS

    def conclude(self, trajectory: HmcTrajectory) -> tuple[Draw, CheesInfo]:
        """What `Hmc` concludes, and the end point."""
        draw, info = Hmc.conclude(self, trajectory)
        end = trajectory.moving
        return draw, CheesInfo(**vars(info), position=end.position, momentum=end.momentum)
