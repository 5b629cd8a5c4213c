"""One transition of a kernel from its own interface, without the machine that runs chains."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from gradmc.kernels.hamiltonian import Point, leapfrog
from gradmc.kernels.kernel import Draw, Info, Kernel
from gradmc.kernels.random import LEAF, Event
from gradmc.records import record
from tests.targets import family


@record
class Transition:
    """A finished transition."""

    trajectory: Any
    draw: Draw
    info: Info


@dataclasses.dataclass(frozen=True)
class Stepper:
    """Runs a kernel on the family of targets."""

    kernel: Kernel

    def run(
        self,
        position: jax.Array,
        momentum: jax.Array,
        law: jax.Array,
        metric: Any,
        step_size: jax.Array,
        directions: jax.Array,
        key: jax.Array,
        transition: jax.Array,
    ) -> Transition:
        """A transition from a position with a whitened momentum; leaves take their bits from (key, transition)."""

        def value_and_gradient(x: jax.Array) -> tuple[jax.Array, jax.Array]:
            return jax.value_and_grad(family)(x, law)

        def step(carry: tuple[Any, Any, jax.Array]) -> tuple[Any, Any, jax.Array]:
            trajectory, workspace, _ = carry
            before = trajectory.moving
            point = leapfrog(value_and_gradient, metric, before, trajectory.direction * step_size)
            number = LEAF + trajectory.tally.n_steps.astype(jnp.uint32)
            event = Event(key=key, transition=transition, number=number)
            return self.kernel.extend(trajectory, workspace, before, point, event)

        log_density, gradient = value_and_gradient(position)
        start = Point(
            position=position,
            momentum=momentum,
            force=metric.pull(gradient),
            log_density=log_density,
            gradient=gradient,
        )
        trajectory = self.kernel.start(start, directions, step_size)
        workspace = self.kernel.workspace(position.shape[0], position.dtype)
        # rubbish in the workspace must not matter
        workspace = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), workspace)
        trajectory, _, _ = jax.lax.while_loop(lambda carry: ~carry[2], step, (trajectory, workspace, jnp.bool_(False)))
        draw, info = self.kernel.conclude(trajectory)
        return Transition(trajectory=trajectory, draw=draw, info=info)
