"""Thousands of chains of the machine in one compiled call, each from its own point; metric and step size are fixed."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradmc.adaptation.schedule import make_schedule
from gradmc.adaptation.warmup import Warmup
from gradmc.kernels.kernel import Kernel
from gradmc.kernels.random import chain_key
from gradmc.run.machine import Buffer, Machine, State
from tests.targets import FAMILY, FixedMetric

type Advance = Callable[..., tuple[State, Buffer]]

TRANSITIONS = 4


def family_machine(kernel: Kernel, metric: Any) -> Machine:
    """The machine on the family of targets, without adaptation."""
    return Machine(
        log_density=FAMILY.logdensity,
        kernel=kernel,
        adaptation=Warmup(FixedMetric(metric)),
        dim=FAMILY.dim,
        dtype=FAMILY.dtype,
    )


def compile_batch(machine: Machine) -> Advance:
    """`advance(states, schedule, law, limits, ticks)` for states with a leading axis."""

    def advance(state: State, schedule: Any, law: jax.Array, limit: jax.Array, ticks: jax.Array) -> Any:
        return machine.advance(state, schedule, law, limit, ticks, TRANSITIONS)

    return jax.jit(jax.vmap(advance, in_axes=(0, None, None, 0, None)))


def fixed_schedule() -> Any:
    """No warmup; the first starting point is the given one; metric and step size stay."""
    return make_schedule(0, search=False, max_attempts=1, dtype=FAMILY.dtype)


def states_at(machine: Machine, seed: int, positions: np.ndarray, step_size: float) -> State:
    """Chains that begin at the rows of `positions`, each with its own key."""
    one = machine.initial(chain_key(seed, 0), position=positions[0], step_size=step_size)
    count = len(positions)
    many: State = jax.tree.map(lambda leaf: np.repeat(np.asarray(leaf)[None], count, axis=0), one)
    trajectory = many.chain.trajectory
    if hasattr(trajectory, "ends"):
        ends = dataclasses.replace(trajectory.ends, position=np.repeat(positions[:, None], 2, axis=1))
        trajectory = dataclasses.replace(trajectory, ends=ends)
    else:
        moving = dataclasses.replace(trajectory.moving, position=positions)
        trajectory = dataclasses.replace(trajectory, moving=moving)
    keys = np.random.default_rng(seed).integers(0, 2**32, (count, 2), dtype=np.uint32)
    chain = dataclasses.replace(many.chain, trajectory=trajectory, keep_metric=np.ones(count, bool))
    return dataclasses.replace(many, key=keys, chain=chain)


def run_transitions(
    advance: Advance, machine: Machine, law: np.ndarray, seed: int, positions: np.ndarray, step_size: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draws (chains, TRANSITIONS, dim) and statistics (chains, TRANSITIONS, columns) after each transition."""
    states = states_at(machine, seed, positions, step_size)
    limits = np.full(len(positions), TRANSITIONS, np.int32)
    _, buffer = advance(states, fixed_schedule(), jnp.asarray(law), limits, np.int32(100_000))
    assert np.all(np.asarray(buffer.filled) == TRANSITIONS)
    return np.asarray(buffer.positions), np.asarray(buffer.statistics)
