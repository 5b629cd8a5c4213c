"""Chains that stand still in warmup start again somewhere else.

A chain that no transition moves, however short its steps have become, adapts to nothing: its draws would be one point.
At a few transitions of warmup the host loop looks for such chains, and gives them a new starting point: another one of
those that the start of the run has found, or a random one where it has found none. So the draws are a function of
transitions alone, however a run is cut into chunks; which chains started again the results say.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from gradmc.adaptation.step_size import FIRST_STEP
from gradmc.kernels.random import START_RADIUS, chain_key, start_on_host
from gradmc.run.machine import START, Chain, Machine, State
from gradmc.starts.start import StartingPoint

FIRST_LOOK = 50  # transitions; the next look comes after twice as many
LAST_LOOK = 0.6  # of warmup: a chain that starts again must still adapt
STILL = 30  # transitions in a row that did not move it
COLLAPSED = 1e-8  # step size, in units of the metric: 1,023 of them lead nowhere
ATTEMPTS = 1 << 16  # random starting points of restarts are numbered from here on


def next_look(transition: int, warmup: int) -> int | None:
    """The first number of transitions above `transition` after which to look for chains that stand still."""
    due = FIRST_LOOK
    while due <= transition:
        due *= 2
    return due if due <= LAST_LOOK * warmup else None


def stand_still(chain: Chain) -> np.ndarray:
    """Which chains of a lane do not move, or by so little that they might as well not, (chains,)."""
    return (np.asarray(chain.still) >= STILL) | (np.asarray(chain.adapted.step.value) < COLLAPSED)


@dataclasses.dataclass(frozen=True, slots=True)
class Restarts:
    """How chains of a run start again.

    Args:
        machine: of the run.
        seed: of the run.
        radius: random points are uniform between minus this and this, one number or one for each coordinate.
        step_size: the first one, if one was given.
        another: for a chain's number and how often it has started again before, a point that was found; or None.
    """

    machine: Machine
    seed: int
    radius: float | np.ndarray
    step_size: float | None
    another: Callable[[int, int], StartingPoint | None]

    def restarted(self, state: State, row: int, chain: int, before: int) -> tuple[State, np.ndarray]:
        """The state of a lane in which a chain is before its first tick again, and the point to try first.

        Args:
            state: of the lane.
            row: the chain's within the lane.
            chain: its number.
            before: how often it has started again before.
        """
        point, machine = self.another(chain, before), self.machine

        def put(leaf: Any, value: Any) -> np.ndarray:
            changed = np.array(leaf)
            changed[row] = value
            return changed

        own = state.chain.adapted
        step = dataclasses.replace(own.step, value=put(own.step.value, self.step_size or FIRST_STEP))
        metric = own.metric
        if point is not None:
            metric = jax.tree.map(put, metric, machine.adaptation.metric_of(point.normal.covariance, machine.dtype))
        chain_state = dataclasses.replace(
            state.chain,
            phase=put(state.chain.phase, START),
            attempt=put(state.chain.attempt, 0),
            still=put(state.chain.still, 0),
            keep_metric=put(state.chain.keep_metric, point is not None),
            adapted=dataclasses.replace(own, step=step, metric=metric),
        )
        position = self.random_point(chain, ATTEMPTS + before) if point is None else point.position
        return dataclasses.replace(state, chain=chain_state), position

    def random_point(self, chain: int, attempt: int) -> np.ndarray:
        """A chain's random starting point of an attempt."""
        dtype = self.machine.dtype
        narrowed = np.asarray(np.asarray(self.radius) / START_RADIUS, dtype)
        return start_on_host(chain_key(self.seed, chain), attempt, self.machine.dim, dtype) * narrowed
