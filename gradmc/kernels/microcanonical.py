"""Microcanonical Hamiltonian Monte Carlo, with Metropolis' correction.

The speed is constant and the force only turns it (isokinetic dynamics): Robnik, De Luca, Silverstein & Seljak (2023,
'Microcanonical Hamiltonian Monte Carlo'), with the integrator of Steeg & Galstyan (2021); Metropolis' rule at the end
of trajectories of random length after Robnik, Cohn-Gordon & Seljak (2025, 'Metropolis adjusted microcanonical
Hamiltonian Monte Carlo').  So the draws have the posterior's law for any step size.

In whitened coordinates of n dimensions the velocity is sqrt(n) u, with u on the unit sphere, so that step sizes and
integration times mean what they mean in HMC.  With the force g, e = g / |g| and d = step |g| sqrt(n) / (n - 1), half a
kick turns u into

    (u + e (sinh d/2 + (e'u) (cosh d/2 - 1))) / c,     c = cosh d/2 + (e'u) sinh d/2,

and adds (n - 1) log c to the kinetic energy.  All is written in z = exp(-d/2), which cannot overflow.
"""

import dataclasses
import math
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt32

from gradmc.kernels.branching import pick
from gradmc.kernels.hamiltonian import LogDensityAndGradient, Phase, Point
from gradmc.kernels.hmc import Hmc, HmcTrajectory, jittered_steps
from gradmc.kernels.kernel import STATISTICS, count, draw_at, new_tally
from gradmc.kernels.metric import Metric
from gradmc.kernels.random import Event, normal_vector, uniform
from gradmc.records import record


@record
class IsokineticPoint(Point):
    """A point, and the kinetic energy gained by the step to it."""

    gain: Float[Array, ""]


@record
class MicrocanonicalTrajectory(HmcTrajectory):
    """The state of one transition."""

    kinetic: Float[Array, ""]  # gained since the start


def kick(
    direction: Float[Array, "dim"], force: Float[Array, "dim"], time: Float[Array, ""]
) -> tuple[Float[Array, "dim"], Float[Array, ""]]:
    """The direction after `time` under a constant force, and the kinetic energy gained."""
    dim = direction.shape[0]
    size = jnp.sqrt(jnp.sum(force * force))
    e = force / jnp.where(size > 0, size, 1)
    angle = time * size * (math.sqrt(dim) / max(dim - 1, 1))
    z, cosine = jnp.exp(-jnp.abs(angle)), jnp.sum(e * direction)
    e, cosine = jnp.where(angle < 0, -e, e), jnp.where(angle < 0, -cosine, cosine)
    total = 1 + z * z + cosine * (1 - z * z)
    turned = (2 * z * direction + e * ((1 - z * z) + cosine * (1 - z) ** 2)) / total
    return turned, (dim - 1) * (jnp.abs(angle) + jnp.log(total / 2))


@dataclasses.dataclass(frozen=True, slots=True)
class Microcanonical(Hmc):
    """Microcanonical HMC over `integration_time`, in units of the whitened scale.

    It is made for many dimensions: in a single one the velocity has nowhere to turn, and chains move slowly.

    Settings, length of trajectories and Metropolis' rule are those of `Hmc`; momentum, integrator and energy are not.
    """

    @property
    def statistics(self) -> Mapping[str, np.dtype]:
        """Those of every kernel but the energy, which is not a draw from any law here."""
        return {name: dtype for name, dtype in STATISTICS.items() if name != "energy"}

    def momentum(
        self, key: UInt32[Array, "2"], transition: UInt32[Array, ""], dim: int, dtype: jnp.dtype
    ) -> Float[Array, "dim"]:
        """A uniform direction, of length 1."""
        normal = normal_vector(key, transition, dim, dtype)
        return normal / jnp.sqrt(jnp.sum(normal * normal))

    def step(
        self, density: LogDensityAndGradient, metric: Metric, before: Phase, step_size: Float[Array, ""]
    ) -> IsokineticPoint:
        """Half a kick, a drift, half a kick."""
        speed = math.sqrt(before.position.shape[0])
        direction, first = kick(before.momentum, before.force, 0.5 * step_size)
        position = before.position + step_size * speed * metric.push(direction)
        log_density, gradient = density(position)
        force = metric.pull(gradient)
        direction, second = kick(direction, force, 0.5 * step_size)
        return IsokineticPoint(
            position=position,
            momentum=direction,
            force=force,
            log_density=log_density,
            gradient=gradient,
            gain=first + second,
        )

    def start(self, point: Point, word: UInt32[Array, ""], step_size: Float[Array, ""]) -> MicrocanonicalTrajectory:
        """Draw the number of steps; the kinetic energy counts from here."""
        energy = -point.log_density
        zero = jnp.zeros_like(energy)
        return MicrocanonicalTrajectory(
            moving=point.phase,
            direction=jnp.ones_like(energy),
            tally=new_tally(energy),
            length=jittered_steps(self.integration_time, self.jitter, self.max_steps, word, step_size),
            proposal=draw_at(point, energy),
            acceptance=zero,
            symmetric_acceptance=zero,
            kinetic=zero,
        )

    def extend(
        self,
        trajectory: MicrocanonicalTrajectory,
        workspace: tuple[()],
        before: Phase,
        point: IsokineticPoint,
        event: Event,
    ) -> tuple[MicrocanonicalTrajectory, tuple[()], Bool[Array, ""]]:
        """One step; accept or reject at the last one, and stop early on a divergence."""
        del before
        kinetic = trajectory.kinetic + point.gain
        energy = kinetic - point.log_density
        tally, error = count(trajectory.tally, energy, self.max_energy_error)
        last = tally.n_steps >= trajectory.length
        accept = last & ~tally.diverging & (jnp.log(uniform(event.word(0), energy.dtype)) < -error)
        grown = MicrocanonicalTrajectory(
            moving=point.phase,
            direction=trajectory.direction,
            tally=tally,
            length=trajectory.length,
            proposal=pick(accept, draw_at(point, energy), trajectory.proposal),
            acceptance=tally.acceptance_sum - trajectory.tally.acceptance_sum,
            symmetric_acceptance=tally.symmetric_sum - trajectory.tally.symmetric_sum,
            kinetic=kinetic,
        )
        return grown, workspace, last | tally.diverging
