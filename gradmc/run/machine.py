"""The compiled unit: a chain as a finite-state machine, one step of its kernel's integrator per tick.

A chain passes through phases:

    START    evaluate a candidate for the starting point: the first ones are given, others are uniform(-2, 2), until
             density and gradient are finite
    SEARCH   look for a first step size by doubling or halving
    RUN      transitions; the first `schedule.warmup` of them adapt
    EVALUATE the log density and gradient at given points, for a search of starting points (`gradmc.starts`)
    FAILED   no candidate was good; the chain stands still

Every phase uses the same tick, hence the same single evaluation of the density: the density is traced once and
compiled once.  `advance` runs ticks until enough transitions are in the buffer or enough ticks have passed; it may be
called with any sequence of limits and gives the same chain.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, UInt32

from gradmc.adaptation.adaptation import Adaptation, Adapted
from gradmc.adaptation.schedule import Schedule
from gradmc.adaptation.step_size import FIRST_STEP
from gradmc.kernels.branching import branch, pick
from gradmc.kernels.hamiltonian import Point
from gradmc.kernels.kernel import Draw, Info, Kernel, Trajectory
from gradmc.kernels.random import LEAF, TRAJECTORY, Event, start_vector, threefry
from gradmc.records import record

START, SEARCH, RUN, EVALUATE, FAILED = (np.int32(phase) for phase in range(5))

OWN_STATISTICS: Mapping[str, np.dtype] = {"lp": np.dtype(float), "step_size": np.dtype(float)}
"""Statistics of a draw that no kernel need tell."""

type LogDensity = Callable[[jax.Array, Any], jax.Array]


@record
class Chain:
    """What the next tick needs, without the kernel's workspace."""

    phase: Int[Array, ""]
    transition: Int[Array, ""]  # transitions done
    attempt: Int[Array, ""]  # starting points chosen so far
    trajectory: Trajectory
    adapted: Adapted


@record
class Buffer:
    """The draws of a chunk; rows from `filled` on hold nothing."""

    ticks: Int[Array, ""]  # of the chunk: gradients evaluated
    filled: Int[Array, ""]
    positions: Float[Array, "capacity dim"]
    statistics: Float[Array, "capacity columns"]


@record
class State:
    """A chain with its key and the kernel's workspace: all that a checkpoint must hold."""

    key: UInt32[Array, "2"]
    chain: Chain
    workspace: Any


@dataclasses.dataclass(frozen=True)
class Machine:
    """Density, kernel and adaptation; static, shapes the compiled code.

    Random starts are uniform(-2, 2) times `narrowed`, one factor or one for each coordinate.
    """

    log_density: LogDensity
    kernel: Kernel
    adaptation: Adaptation
    dim: int
    dtype: np.dtype
    narrowed: float | tuple[float, ...] = 1.0

    @property
    def statistics(self) -> Mapping[str, np.dtype]:
        """Statistics of a draw, in the order of the buffer's columns, with the dtype that results store."""
        return {**OWN_STATISTICS, **self.kernel.statistics}

    def initial(self, key: np.ndarray, *, position: np.ndarray | None = None, step_size: float | None = None) -> State:
        """A chain before its first tick, in NumPy arrays.

        With a `position` (dim,) that one is tried first, otherwise uniform(-2, 2) on the unconstrained scale.
        """
        if position is None:
            template = jax.eval_shape(self._template, jax.ShapeDtypeStruct((self.dim,), self.dtype))
            state: State = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), template)
        else:
            state = jax.tree.map(np.asarray, jax.jit(self._template)(np.asarray(position, self.dtype)))
        first = FIRST_STEP if step_size is None else step_size
        step = dataclasses.replace(state.chain.adapted.step, value=np.asarray(first, self.dtype))
        chain = dataclasses.replace(
            state.chain,
            phase=START,
            attempt=np.int32(position is not None),
            adapted=dataclasses.replace(state.chain.adapted, step=step),
        )
        return dataclasses.replace(state, key=key, chain=chain)

    def _template(self, position: Float[Array, "dim"]) -> State:
        """A state at `position` before anything is known of the density there."""
        zero = jnp.zeros((), self.dtype)
        point = Point(position=position, momentum=position, force=position, log_density=zero, gradient=position)
        adapted = self.adaptation.initial(position, position, zero)
        chain = Chain(
            phase=jnp.int32(0),
            transition=jnp.int32(0),
            attempt=jnp.int32(0),
            trajectory=self.kernel.start(point, jnp.uint32(0), adapted.step.value),
            adapted=adapted,
        )
        return State(key=jnp.zeros(2, jnp.uint32), chain=chain, workspace=self.kernel.workspace(self.dim, self.dtype))

    def buffer(self, capacity: int) -> Buffer:
        """Room for `capacity` draws."""
        return Buffer(
            ticks=jnp.int32(0),
            filled=jnp.int32(0),
            positions=jnp.zeros((capacity, self.dim), self.dtype),
            statistics=jnp.zeros((capacity, len(self.statistics)), self.dtype),
        )

    def advance(
        self,
        state: State,
        schedule: Schedule,
        arguments: Any,
        draws: Int[Array, ""],
        ticks: Int[Array, ""],
        capacity: int,
        points: Float[Array, "points dim"] | None = None,
    ) -> tuple[State, Buffer]:
        """Run until `draws` (at most `capacity`) transitions are in the buffer, or `ticks` ticks have passed.

        The first candidates in the phase START are the first `schedule.given` of `points`.  In the phase EVALUATE, rows
        of the buffer are gradients and log densities at the first `draws` of `points`.
        """

        def unfinished(carry: tuple[Any, Chain, Buffer]) -> Bool[Array, ""]:
            _, chain, buffer = carry
            return (buffer.filled < draws) & (buffer.ticks < ticks) & (chain.phase != FAILED)

        def step(carry: tuple[Any, Chain, Buffer]) -> tuple[Any, Chain, Buffer]:
            return self._tick(state.key, *carry, schedule, arguments, points)

        start = (state.workspace, state.chain, self.buffer(capacity))
        workspace, chain, buffer = lax.while_loop(unfinished, step, start)
        return State(key=state.key, chain=chain, workspace=workspace), buffer

    def _tick(
        self,
        key: UInt32[Array, "2"],
        workspace: Any,
        chain: Chain,
        buffer: Buffer,
        schedule: Schedule,
        arguments: Any,
        points: Float[Array, "points dim"] | None,
    ) -> tuple[Any, Chain, Buffer]:
        trajectory = chain.trajectory
        still = (chain.phase == START) | (chain.phase == EVALUATE)
        step_size = jnp.where(still, 0, trajectory.direction * chain.adapted.step.value)
        before = lax.optimization_barrier(trajectory.moving)  # read once; else XLA copies the table it lies in
        point = self.kernel.step(
            lambda position: jax.value_and_grad(self.log_density)(position, arguments),
            chain.adapted.metric,
            before,
            step_size.astype(self.dtype),
        )
        event = Event(
            key=key,
            transition=chain.transition.astype(jnp.uint32),
            number=LEAF + trajectory.tally.n_steps.astype(jnp.uint32),
        )
        trajectory, workspace, done = self.kernel.extend(trajectory, workspace, before, point, event)
        chain = dataclasses.replace(chain, trajectory=trajectory)
        buffer = dataclasses.replace(buffer, ticks=buffer.ticks + 1)
        due = done | (chain.phase != RUN)
        chain, buffer = branch(due, self._finish, (chain, buffer), (key, point, schedule, points))
        return workspace, chain, buffer

    def _finish(
        self,
        state: tuple[Chain, Buffer],
        arguments: tuple[UInt32[Array, "2"], Point, Schedule, Float[Array, "points dim"] | None],
    ) -> tuple[Chain, Buffer]:
        """The trajectory of the current phase is done: take stock and begin the next one."""
        chain, buffer = state
        key, point, schedule, points = arguments
        draw, info = self.kernel.conclude(chain.trajectory)
        after = [functools.partial(self._after_start, points), self._after_search, self._after_transition]
        if points is not None:
            after.append(functools.partial(self._after_evaluation, points))
        chain, buffer, draw = lax.switch(chain.phase, after, chain, buffer, draw, info, key, point, schedule)
        return self._begin(chain, draw, key), buffer

    def _after_evaluation(
        self,
        points: Float[Array, "points dim"],
        chain: Chain,
        buffer: Buffer,
        draw: Draw,
        info: Info,
        key: UInt32[Array, "2"],
        point: Point,
        schedule: Schedule,
    ) -> tuple[Chain, Buffer, Draw]:
        """Keep what is known of the point and go to the next; `attempt` counts them, and is 0 before the first."""
        del info, key, schedule
        row = jnp.maximum(chain.attempt - 1, 0)
        buffer = dataclasses.replace(
            buffer,
            filled=chain.attempt,
            positions=lax.dynamic_update_index_in_dim(buffer.positions, point.gradient, row, 0),
            statistics=lax.dynamic_update_slice(buffer.statistics, point.log_density[None, None], (row, np.int32(0))),
        )
        following = lax.dynamic_index_in_dim(points, chain.attempt, 0, keepdims=False)
        draw = dataclasses.replace(draw, position=following, gradient=jnp.zeros_like(point.gradient))
        return dataclasses.replace(chain, attempt=chain.attempt + 1), buffer, draw

    def _after_start(
        self,
        points: Float[Array, "points dim"] | None,
        chain: Chain,
        buffer: Buffer,
        draw: Draw,
        info: Info,
        key: UInt32[Array, "2"],
        point: Point,
        schedule: Schedule,
    ) -> tuple[Chain, Buffer, Draw]:
        del info
        finite = jnp.isfinite(point.log_density) & jnp.all(jnp.isfinite(point.gradient))
        good = finite & (chain.attempt > 0)  # attempt 0 has no candidate yet
        exhausted = chain.attempt >= schedule.max_attempts
        adapted = self.adaptation.initial(point.position, point.gradient, chain.adapted.step.value)
        metric = pick(schedule.keep_metric, chain.adapted.metric, adapted.metric)
        after = jnp.where(schedule.search, SEARCH, RUN)
        candidate = start_vector(key, chain.attempt.astype(jnp.uint32), self.dim, self.dtype)
        if self.narrowed != 1.0:
            candidate = candidate * jnp.asarray(self.narrowed, self.dtype)
        if points is not None:
            given = lax.dynamic_index_in_dim(points, chain.attempt, 0, keepdims=False)
            candidate = jnp.where(chain.attempt < schedule.given, given, candidate)
        draw = Draw(
            position=jnp.where(good | exhausted, point.position, candidate),
            log_density=point.log_density,
            gradient=jnp.where(good, point.gradient, 0),
            energy=point.log_density,
        )
        chain = dataclasses.replace(
            chain,
            phase=jnp.where(good, after, jnp.where(exhausted, FAILED, START)),
            attempt=chain.attempt + jnp.where(good | exhausted, 0, 1).astype(jnp.int32),
            adapted=pick(good, dataclasses.replace(adapted, metric=metric), chain.adapted),
        )
        return chain, buffer, draw

    def _after_search(
        self,
        chain: Chain,
        buffer: Buffer,
        draw: Draw,
        info: Info,
        key: UInt32[Array, "2"],
        point: Point,
        schedule: Schedule,
    ) -> tuple[Chain, Buffer, Draw]:
        del key, point
        adapted, over = self.adaptation.search(chain.adapted, info, schedule)
        return dataclasses.replace(chain, adapted=adapted, phase=jnp.where(over, RUN, SEARCH)), buffer, draw

    def _after_transition(
        self,
        chain: Chain,
        buffer: Buffer,
        draw: Draw,
        info: Info,
        key: UInt32[Array, "2"],
        point: Point,
        schedule: Schedule,
    ) -> tuple[Chain, Buffer, Draw]:
        del key, point
        buffer = self._store(buffer, draw, info, chain.adapted.step.value)
        chain = branch(chain.transition < schedule.warmup, self._adapt, chain, (draw, info, schedule))
        return dataclasses.replace(chain, transition=chain.transition + 1), buffer, draw

    def _adapt(self, chain: Chain, arguments: tuple[Draw, Info, Schedule]) -> Chain:
        """Adapt after a warmup transition."""
        draw, info, schedule = arguments
        adapted, restart = self.adaptation.update(chain.adapted, draw, info, chain.transition, schedule)
        return dataclasses.replace(chain, phase=jnp.where(restart, SEARCH, RUN), adapted=adapted)

    def _begin(self, chain: Chain, draw: Draw, key: UInt32[Array, "2"]) -> Chain:
        transition = chain.transition.astype(jnp.uint32)
        momentum = self.kernel.momentum(key, transition, self.dim, self.dtype)
        word, _ = threefry(key, transition, jnp.uint32(TRAJECTORY))
        point = Point(
            position=draw.position,
            momentum=jnp.where((chain.phase == START) | (chain.phase == EVALUATE), 0, momentum).astype(self.dtype),
            force=chain.adapted.metric.pull(draw.gradient),
            log_density=draw.log_density,
            gradient=draw.gradient,
        )
        return dataclasses.replace(chain, trajectory=self.kernel.start(point, word, chain.adapted.step.value))

    def _store(self, buffer: Buffer, draw: Draw, info: Info, step_size: Float[Array, ""]) -> Buffer:
        columns = {"lp": draw.log_density, "step_size": step_size}
        values = [columns[name] if name in columns else getattr(info, name) for name in self.statistics]
        row = jnp.stack([jnp.asarray(value, draw.position.dtype) for value in values])
        return Buffer(
            ticks=buffer.ticks,
            filled=buffer.filled + 1,
            positions=lax.dynamic_update_index_in_dim(buffer.positions, draw.position, buffer.filled, 0),
            statistics=lax.dynamic_update_index_in_dim(buffer.statistics, row, buffer.filled, 0),
        )
