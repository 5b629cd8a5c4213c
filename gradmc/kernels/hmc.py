"""Hamiltonian Monte Carlo with a jittered integration time (Neal 2011, section 3.2).

A transition integrates for `integration_time` times a uniform factor in (1 - jitter, 1 + jitter), rounded up to whole
leapfrog steps, and accepts the end point by Metropolis' rule.  The jitter keeps the length away from the periods of
the dynamics.
"""

import dataclasses
import math
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32

from gradmc.arguments import check_real, check_whole
from gradmc.kernels.branching import pick
from gradmc.kernels.hamiltonian import Hamiltonian, Phase, Point, energy
from gradmc.kernels.kernel import STATISTICS, Draw, Info, Tally, count, draw_at, new_tally, summarise
from gradmc.kernels.random import Event, uniform
from gradmc.records import record


@record
class HmcTrajectory:
    """The state of one HMC transition."""

    moving: Phase
    direction: Float[Array, ""]
    tally: Tally
    length: Int[Array, ""]
    proposal: Draw
    acceptance: Float[Array, ""]
    symmetric_acceptance: Float[Array, ""]


def check_trajectory(integration_time: float, jitter: float, max_steps: int, max_energy_error: float) -> None:
    """Refuse settings of a trajectory outside their range."""
    check_real("integration_time", integration_time, 0, None)
    check_real("max_energy_error", max_energy_error, 0, None)
    check_whole("max_steps", max_steps, 1, 2**30)
    if jitter not in (0, 1):
        check_real("jitter", jitter, 0, 1)


def jittered_steps(
    integration_time: float, jitter: float, most: int, word: UInt32[Array, ""], step_size: Float[Array, ""]
) -> Int[Array, ""]:
    """How many steps a trajectory takes: for a time that is uniform around `integration_time`, rounded up."""
    factor = 1 + jitter * (2 * uniform(word, step_size.dtype) - 1)
    return jnp.clip(jnp.ceil(integration_time * factor / step_size), 1, most).astype(jnp.int32)


@dataclasses.dataclass(frozen=True, slots=True)
class Hmc(Hamiltonian):
    """HMC over `integration_time` (in units of the whitened scale; a quarter period of a unit normal is pi / 2).

    `jitter` lies in [0, 1]; a trajectory takes at most `max_steps` leapfrog steps.
    """

    integration_time: float = math.pi / 2
    jitter: float = 0.5
    max_steps: int = 1024
    max_energy_error: float = 1000.0

    def __post_init__(self) -> None:
        check_trajectory(self.integration_time, self.jitter, self.max_steps, self.max_energy_error)

    @property
    def statistics(self) -> Mapping[str, np.dtype]:
        """Those of every kernel."""
        return STATISTICS

    def workspace(self, dim: int, dtype: jnp.dtype) -> tuple[()]:
        """Nothing."""
        del dim, dtype
        return ()

    def start(self, point: Point, word: UInt32[Array, ""], step_size: Float[Array, ""]) -> HmcTrajectory:
        """Draw the number of steps."""
        start_energy = energy(point)
        return HmcTrajectory(
            moving=point.phase,
            direction=jnp.ones_like(start_energy),
            tally=new_tally(start_energy),
            length=jittered_steps(self.integration_time, self.jitter, self.max_steps, word, step_size),
            proposal=draw_at(point, start_energy),
            acceptance=jnp.zeros_like(start_energy),
            symmetric_acceptance=jnp.zeros_like(start_energy),
        )

    def extend(
        self,
        trajectory: HmcTrajectory,
        workspace: tuple[()],
        before: Phase,
        point: Point,
        event: Event,
    ) -> tuple[HmcTrajectory, tuple[()], Bool[Array, ""]]:
        """One step; accept or reject at the last one, and stop early on a divergence."""
        del before
        end_energy = energy(point)
        counted = trajectory.tally
        tally, error = count(counted, end_energy, self.max_energy_error)
        last = tally.n_steps >= trajectory.length
        accept = last & ~tally.diverging & self.accepts(error, event)
        grown = HmcTrajectory(
            moving=point.phase,
            direction=trajectory.direction,
            tally=tally,
            length=trajectory.length,
            proposal=pick(accept, draw_at(point, end_energy), trajectory.proposal),
            acceptance=tally.acceptance_sum - counted.acceptance_sum,
            symmetric_acceptance=tally.symmetric_sum - counted.symmetric_sum,
        )
        return grown, workspace, last | tally.diverging

    def accepts(self, error: Float[Array, ""], event: Event) -> Bool[Array, ""]:
        """Whether a trajectory whose energy has changed by `error` gives its end as the draw: Metropolis' rule."""
        return jnp.log(uniform(event.word(0), error.dtype)) < -error

    def conclude(self, trajectory: HmcTrajectory) -> tuple[Draw, Info]:
        """The accepted end or the start; the acceptance statistics are those of the end point."""
        info = dataclasses.replace(
            summarise(trajectory.tally, trajectory.proposal),
            acceptance_rate=trajectory.acceptance,
            symmetric_acceptance=trajectory.symmetric_acceptance,
        )
        return trajectory.proposal, info
