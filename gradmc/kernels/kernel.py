"""What a kernel is: a state machine that grows a trajectory by one step of its integrator at a time.

Vocabulary: a *transition* goes from one draw to the next; it owns a *trajectory* of steps; each step is one *tick* and
costs one gradient.

Implementing a kernel: a frozen dataclass with settings as fields, which shape the compiled code.  The machine that
drives it (`gradmc.run.machine`) draws a `momentum` and calls `start`.  Then, tick by tick, it takes a `step` from
`trajectory.moving` in `trajectory.direction` and hands the new point to `extend`.  When `extend` says that the
trajectory is done, `conclude` gives the next draw and what is told of the transition, of which the `statistics` are
stored.

- All is in whitened momentum (`gradmc.kernels.metric`): the force is `metric.pull(gradient)`, and a momentum w moves
  the position along `metric.push(w)`.
- `step` evaluates the density exactly once.  With step size 0 and momentum 0 it stays where it is: so the machine asks
  for the density at a point.
- The density that `step` gets belongs to that step.  With `batch` it is an estimate from rows of the data, which the
  machine draws by the step's event: a kernel has no part in the choice, and meets other rows at each step.  Only one
  that `estimates` is given such a density.  Energies before and after a step are then of different rows, so that no
  Metropolis rule is right, and its draws are approximate.
- A transition must leave the posterior invariant for any fixed metric and step size, or the kernel says in its
  docstring that it does not.
- Random numbers come from `event` and the `key` alone (`gradmc.kernels.random`).
- Adaptation needs `acceptance_rate` and `symmetric_acceptance` to fall as the step size grows.

Then register it in `gradmc.run.parts`, and add it to the tests of invariance (`tests/run/test_invariance.py`).
"""

from collections.abc import Mapping
from typing import Protocol

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, UInt32

from gradmc.kernels.hamiltonian import LogDensityAndGradient, Phase, Point
from gradmc.kernels.metric import Metric
from gradmc.kernels.random import Event
from gradmc.records import record


@record
class Draw:
    """A point that may become the next draw, with its energy (momentum included)."""

    position: Float[Array, "dim"]
    log_density: Float[Array, ""]
    gradient: Float[Array, "dim"]
    energy: Float[Array, ""]


@record
class Tally:
    """What every kernel counts along a trajectory."""

    start_energy: Float[Array, ""]
    n_steps: Int[Array, ""]
    acceptance_sum: Float[Array, ""]
    symmetric_sum: Float[Array, ""]
    max_energy_error: Float[Array, ""]
    diverging: Bool[Array, ""]


@record
class Info:
    """What is told of one transition: statistics in ArviZ's names, and `symmetric_acceptance` for the step size.

    A kernel with more to tell extends it.
    """

    energy: Float[Array, ""]
    diverging: Bool[Array, ""]
    acceptance_rate: Float[Array, ""]
    symmetric_acceptance: Float[Array, ""]
    n_steps: Int[Array, ""]
    energy_error: Float[Array, ""]
    max_energy_error: Float[Array, ""]


STATISTICS: Mapping[str, np.dtype] = {
    "energy": np.dtype(float),
    "diverging": np.dtype(bool),
    "acceptance_rate": np.dtype(float),
    "n_steps": np.dtype(np.int64),
    "energy_error": np.dtype(float),
    "max_energy_error": np.dtype(float),
}
"""Fields of `Info` that results store, with the dtype that they have there."""


class Trajectory(Protocol):
    """What the machine reads of a kernel's trajectory."""

    @property
    def moving(self) -> Phase:
        """The end that the next step starts from."""
        ...

    @property
    def direction(self) -> Float[Array, ""]:
        """+1 forward in time, -1 backward."""
        ...

    @property
    def tally(self) -> Tally:
        """What was counted so far."""
        ...


class Kernel[T: Trajectory, W](Protocol):
    """Grows trajectories."""

    @property
    def statistics(self) -> Mapping[str, np.dtype]:
        """The fields of its `Info` that are stored with the draws."""
        ...

    @property
    def estimates(self) -> bool:
        """Whether it is made for densities that are estimated from a batch of the data, anew at each step."""
        ...

    def momentum(
        self, key: UInt32[Array, "2"], transition: UInt32[Array, ""], dim: int, dtype: jnp.dtype
    ) -> Float[Array, "dim"]:
        """The momentum at the start of a transition."""
        ...

    def step(self, density: LogDensityAndGradient, metric: Metric, before: Phase, step_size: Float[Array, ""]) -> Point:
        """One step of the integrator; a negative step size goes backwards in time."""
        ...

    def workspace(self, dim: int, dtype: jnp.dtype) -> W:
        """Scratch memory that outlives a transition but carries nothing from one to the next."""
        ...

    def start(self, point: Point, word: UInt32[Array, ""], step_size: Float[Array, ""]) -> T:
        """A trajectory of the one point; `word` holds the transition's random bits."""
        ...

    def extend(
        self, trajectory: T, workspace: W, before: Phase, point: Point, event: Event
    ) -> tuple[T, W, Bool[Array, ""]]:
        """The trajectory with the step from `before` to `point`, and whether it is done.

        `event` gives the random words of this step.
        """
        ...

    def conclude(self, trajectory: T) -> tuple[Draw, Info]:
        """The next draw and the statistics of a finished trajectory."""
        ...


def draw_at(point: Point, energy: Float[Array, ""]) -> Draw:
    """`point` as a candidate for the next draw."""
    return Draw(position=point.position, log_density=point.log_density, gradient=point.gradient, energy=energy)


def new_tally(start_energy: Float[Array, ""]) -> Tally:
    """Nothing counted yet."""
    zero = jnp.zeros_like(start_energy)
    return Tally(
        start_energy=start_energy,
        n_steps=jnp.int32(0),
        acceptance_sum=zero,
        symmetric_sum=zero,
        max_energy_error=zero,
        diverging=jnp.bool_(False),
    )


def count(tally: Tally, energy: Float[Array, ""], max_energy_error: float) -> tuple[Tally, Float[Array, ""]]:
    """Count one leapfrog step that ended at `energy`; returns the energy error too (+inf when not finite).

    A step diverges when its energy error exceeds `max_energy_error` (Stan: 1000) or when the density, its gradient or
    the position overflowed.  The symmetric acceptance 2 s / (1 + s), s = exp(-|error|), treats gains and losses of
    energy alike (Seyboldt, Carlson & Carpenter 2025); its mean feeds the step size.
    """
    error = energy - tally.start_energy
    error = jnp.where(jnp.isfinite(error), error, jnp.inf)
    ratio = jnp.exp(-jnp.abs(error))
    larger = jnp.abs(error) > jnp.abs(tally.max_energy_error)
    counted = Tally(
        start_energy=tally.start_energy,
        n_steps=tally.n_steps + 1,
        acceptance_sum=tally.acceptance_sum + jnp.where(error > 0, ratio, 1.0),
        symmetric_sum=tally.symmetric_sum + 2 * ratio / (1 + ratio),
        max_energy_error=lax.select(larger, error, tally.max_energy_error),
        diverging=tally.diverging | (error > max_energy_error),
    )
    return counted, error


def summarise(tally: Tally, draw: Draw) -> Info:
    """The statistics of a finished trajectory that ended with `draw`."""
    n_steps = lax.convert_element_type(jnp.maximum(tally.n_steps, 1), tally.acceptance_sum.dtype)
    return Info(
        energy=draw.energy,
        diverging=tally.diverging,
        acceptance_rate=tally.acceptance_sum / n_steps,
        symmetric_acceptance=tally.symmetric_sum / n_steps,
        n_steps=tally.n_steps,
        energy_error=draw.energy - tally.start_energy,
        max_energy_error=tally.max_energy_error,
    )
