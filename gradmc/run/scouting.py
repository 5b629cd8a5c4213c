"""Scouts: short chains from random points that look where the mass may be, before a run's own chains begin.

They are moved by the compiled function of the run and adapt as chains do in the early phase of warmup, but without the
host.  Many short ones find more than few long ones for as many gradients (measured on posteriors of many modes).
"""

import dataclasses
from typing import Any

import numpy as np

from gradmc.adaptation.step_size import FIRST_STEP
from gradmc.kernels.random import chain_key
from gradmc.run.blocks import filled_up
from gradmc.run.driver import Plan
from gradmc.run.machine import START, State

TRANSITIONS = 60
MOST_TICKS = 1000  # of a scout
SCHEDULED = 200  # length of a warmup whose early phase lasts as long
NUMBERED = 1 << 20  # the random numbers of scouts are those of chains numbered from here on


@dataclasses.dataclass(slots=True)
class Scouts:
    """Scouts that advance together: a block of chains, filled up with copies of the last one.

    Args:
        plan: of the run.
        state: of the scouts.
        points: table of points, (chains, points, dim), the first of which are where they begin.
        ends: where they are, (chains, dim).
        count: scouts; the other chains are copies.
        left: transitions that they may still make, (chains,).
        ticks_left: gradients that each may still take.
        gradients: that all of them took.
    """

    plan: Plan
    state: State
    points: np.ndarray
    ends: np.ndarray
    count: int
    left: np.ndarray
    ticks_left: int = MOST_TICKS
    gradients: int = 0

    @property
    def done(self) -> bool:
        """Whether all have made their transitions, or used up their gradients."""
        return self.ticks_left <= 0 or not np.any(self.left)

    def advance(self, ticks: int) -> None:
        """Let each of them take so many steps at most; how their way is cut changes nothing."""
        compiled, machine = self.plan.compiled, self.plan.machine
        ticks = min(ticks, self.ticks_left)
        schedule = machine.adaptation.schedule(SCHEDULED, dtype=machine.dtype)
        limits = np.minimum(self.left, compiled.capacity).astype(np.int32)
        with self.plan.scope():
            self.state, buffer = compiled.advance(
                self.state, schedule, self.plan.arguments, limits, np.int32(ticks), self.points
            )
            filled, positions = np.asarray(buffer.filled), np.asarray(buffer.positions)
        last = positions[np.arange(len(filled)), np.maximum(filled - 1, 0)]
        self.ends = np.where(filled[:, None] > 0, last, self.ends).astype(float)
        self.left = self.left - filled
        self.ticks_left -= ticks
        self.gradients += int(np.asarray(buffer.ticks)[: self.count].sum())


def scouts(
    plan: Plan, blank: State, points: np.ndarray, numbers: np.ndarray, table: Any, *, seed: int, step_size: float | None
) -> Scouts:
    """Scouts before their first step.

    Args:
        plan: of the run.
        blank: chains of which nothing is known.
        points: where the scouts begin, (n, dim), n at most the chains of `blank`.
        numbers: of the scouts, (n,): they and the seed decide what is random.
        table: a table of points like those of the run.
        seed: of the run.
        step_size: the first one, if one was given.
    """
    chains = len(blank.chain.phase)
    keys = filled_up(np.stack([chain_key(seed, NUMBERED + int(number)) for number in numbers]), chains)
    firsts = np.zeros((chains, *table.shape[-2:]), table.dtype)
    firsts[:, 0] = filled_up(points, chains)
    adapted = blank.chain.adapted
    step = dataclasses.replace(adapted.step, value=np.full_like(adapted.step.value, step_size or FIRST_STEP))
    chain = dataclasses.replace(
        blank.chain,
        phase=np.full_like(blank.chain.phase, START),
        adapted=dataclasses.replace(adapted, step=step),
    )
    state = dataclasses.replace(blank, key=keys, chain=chain)
    left = np.full(chains, TRANSITIONS, np.int32)
    return Scouts(plan, state, firsts, ends=firsts[:, 0].astype(float), count=len(points), left=left)
