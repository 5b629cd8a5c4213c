"""Chains find their starting points by the compiled function that moves them.

A start (`gradmc.starts`) asks for log densities and gradients; the machine answers in its phase EVALUATE, so that the
density is neither traced nor compiled a second time.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np

from gradmc.run.driver import Plan
from gradmc.run.machine import EVALUATE, START, State
from gradmc.run.scouting import scouts
from gradmc.starts.asking import Answer

TICKS = np.int32(2**31 - 1)  # as many as it takes
PATIENCE = 0.2  # seconds between two looks at whether the run was asked to stop
WORTH_SHARING = 1e-2  # seconds of work below which one thread does all (a call takes up to a millisecond)


class Stopped(Exception):
    """The run was asked to stop while it looked for starting points."""


@dataclasses.dataclass(slots=True)
class Evaluator:
    """Log densities and gradients at points (n, dim), by the compiled function of a run.

    Args:
        plan: of the run.
        state: of any lane, for its shapes.
        points: of any lane, likewise.
        pool: evaluates on several cores, if there are several workers; how they share the points changes no bit of the
            answers.
        workers: of the pool.
        between: called before each round of questions; may raise `Stopped`.
        step_size: the first one of scouts, if one was given.
    """

    plan: Plan
    state: State
    points: jax.Array
    pool: ThreadPoolExecutor | None
    workers: int
    between: Callable[[], None]
    step_size: float | None = None
    seconds: float = 0.0  # that a point took in the last round

    def __post_init__(self) -> None:
        with self.plan.scope():
            self.state = jax.device_put(self._blank(EVALUATE))

    def _blank(self, phase: np.int32) -> State:
        """Chains of which nothing is known but their phase."""
        chains = self._chains
        blank = jax.tree.map(lambda leaf: np.zeros((chains, *np.shape(leaf)[1:]), leaf.dtype), self.state)
        phases = np.full_like(blank.chain.phase, phase)
        return dataclasses.replace(blank, chain=dataclasses.replace(blank.chain, phase=phases))

    def __call__(self, points: np.ndarray) -> Answer:
        """Values (n,) and gradients (n, dim)."""
        self.between()
        began = time.perf_counter()
        workers = self.workers if self.seconds * len(points) > WORTH_SHARING else 1
        size = min(self._chains * self.points.shape[-2], -(-len(points) // workers))
        pieces = [points[first : first + size] for first in range(0, len(points), size)]
        answers = list((map if self.pool is None else self.pool.map)(self._answer, pieces))
        self.seconds = (time.perf_counter() - began) / len(points)
        return np.concatenate([a[0] for a in answers]), np.concatenate([a[1] for a in answers])

    def explore(self, points: np.ndarray, numbers: Sequence[int], *, seed: int) -> tuple[np.ndarray, int]:
        """Where scouts come to, (n, dim), that begin at points (n, dim), and the gradients they took.

        `seed` and their numbers decide what is random.
        """
        size, ids = self._chains, np.asarray(numbers)
        rows = [slice(first, first + size) for first in range(0, len(points), size)]
        teams = [
            scouts(self.plan, self._blank(START), points[r], ids[r], self.points, seed=seed, step_size=self.step_size)
            for r in rows
        ]
        ticks = max(1, int(PATIENCE / max(self.seconds, 1e-9)))
        while waiting := [team for team in teams if not team.done]:
            self.between()
            list((map if self.pool is None else self.pool.map)(lambda team: team.advance(ticks), waiting))
        ends = np.concatenate([team.ends for team in teams])
        return ends[: len(points)], sum(team.gradients for team in teams)

    @property
    def _chains(self) -> int:
        return self.plan.compiled.block

    def _answer(self, points: np.ndarray) -> Answer:
        """One call; the points are shared out among the chains of a block."""
        compiled = self.plan.compiled
        shares = np.array_split(points, self._chains)
        tables = np.zeros((self._chains, *self.points.shape[-2:]), self.points.dtype)
        for table, share in zip(tables, shares, strict=True):
            table[: len(share)] = share
        counts = np.asarray([len(share) for share in shares], np.int32)
        with self.plan.scope():
            _, buffer = compiled.advance(self.state, self.plan.schedule, self.plan.arguments, counts, TICKS, tables)
            values, gradients = np.asarray(buffer.statistics)[..., 0], np.asarray(buffer.positions)
        rows = [slice(count) for count in counts]
        return (
            np.concatenate([v[r] for v, r in zip(values, rows, strict=True)]).astype(float),
            np.concatenate([g[r] for g, r in zip(gradients, rows, strict=True)]).astype(float),
        )
