"""The compiled unit: a chain as a finite-state machine, one step of its kernel's integrator per tick.

A chain passes through phases:

    START    evaluate a candidate for the starting point: the first one may be given, others are uniform(-2, 2), until
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
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, UInt32

from gradmc.adaptation.adaptation import Adaptation, Adapted
from gradmc.adaptation.metric_adaptation import History
from gradmc.adaptation.schedule import Schedule
from gradmc.adaptation.step_size import FIRST_STEP
from gradmc.kernels.branching import branch, choose, event, loop, pick, write_row
from gradmc.kernels.hamiltonian import Point
from gradmc.kernels.kernel import Draw, Info, Kernel, Trajectory
from gradmc.kernels.random import LEAF, TRAJECTORY, Event, start_vector, threefry
from gradmc.records import record

START, SEARCH, RUN, EVALUATE, FAILED = (np.int32(phase) for phase in range(5))

OWN_STATISTICS: Mapping[str, np.dtype] = {"lp": np.dtype(float), "step_size": np.dtype(float)}
"""Statistics of a draw that no kernel need tell."""
LOG_DENSITY = list(OWN_STATISTICS).index("lp")  # the column

type LogDensity = Callable[[jax.Array, Any], jax.Array]
type Chosen = Callable[[Any, Event], Any]


@record
class Chain:
    """What the next tick needs, without the kernel's workspace."""

    phase: Int[Array, ""]
    transition: Int[Array, ""]  # transitions done
    attempt: Int[Array, ""]  # starting points chosen so far
    keep_metric: Bool[Array, ""]  # start with the metric that is there; false to take it from the gradient
    last: Float[Array, ""]  # sum of the last draw's coordinates, which tells whether the next one is another
    still: Int[Array, ""]  # transitions since a draw last moved
    trajectory: Trajectory
    adapted: Adapted


@record
class Count:
    """How far a chunk is."""

    ticks: Int[Array, ""]  # gradients evaluated
    filled: Int[Array, ""]  # rows


@record
class Buffer:
    """The draws of a chunk; rows from `filled` on hold nothing."""

    ticks: Int[Array, ""]
    filled: Int[Array, ""]
    positions: Float[Array, "capacity dim"]
    statistics: Float[Array, "capacity columns"]


@record
class Tables:
    """What grows row by row."""

    positions: Float[Array, "capacity dim"]
    statistics: Float[Array, "capacity columns"]
    history: History | None


@record
class Entry:
    """A row of the tables, if `write` says so; the history has one if `warm` does."""

    write: Bool[Array, ""]
    warm: Bool[Array, ""]
    row: Int[Array, ""]
    transition: Int[Array, ""]
    position: Float[Array, "dim"]
    gradient: Float[Array, "dim"]
    statistics: Float[Array, "columns"]


@record
class State:
    """A chain with its key, the kernel's workspace and its history: all that a checkpoint must hold."""

    key: UInt32[Array, "2"]
    chain: Chain
    workspace: Any
    history: History | None


@dataclasses.dataclass(frozen=True)
class Machine:
    """Density, kernel and adaptation; static, shapes the compiled code.

    Random starts are uniform(-2, 2) times `narrowed`, one factor or one for each coordinate.  Where a step sees a part
    of the data, `chosen` makes its arguments of the log density from those of the run and the step's event.
    """

    log_density: LogDensity
    kernel: Kernel
    adaptation: Adaptation
    dim: int
    dtype: np.dtype
    narrowed: float | tuple[float, ...] = 1.0
    chosen: Chosen | None = None

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
            keep_metric=jnp.bool_(False),
            last=zero,
            still=jnp.int32(0),
            trajectory=self.kernel.start(point, jnp.uint32(0), adapted.step.value),
            adapted=adapted,
        )
        rows = self.adaptation.history_rows(self.dim, self.dtype.itemsize)
        table, column = jnp.zeros((rows, self.dim), self.dtype), jnp.zeros(rows, self.dtype)
        return State(
            key=jnp.zeros(2, jnp.uint32),
            chain=chain,
            workspace=self.kernel.workspace(self.dim, self.dtype),
            history=History(draws=table, gradients=table, log_densities=column) if rows else None,
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

        The first candidate in the phase START is the first of `points`.  In the phase EVALUATE, rows of the buffer are
        gradients and log densities at the first `draws` of `points`.
        """
        tables = Tables(
            positions=jnp.zeros((capacity, self.dim), self.dtype),
            statistics=jnp.zeros((capacity, len(self.statistics)), self.dtype),
            history=state.history,
        )
        start = (state.chain, Count(ticks=jnp.int32(0), filled=jnp.int32(0)))
        constants = (state.key, schedule, arguments, points, draws, ticks)
        # A chain of a batch waits between two transitions, where nothing is read of the workspace: no need to save it.
        written = (state.workspace, tables)
        (chain, count), (workspace, tables) = loop(self._unfinished, self._tick, start, written, constants)
        buffer = Buffer(
            ticks=count.ticks, filled=count.filled, positions=tables.positions, statistics=tables.statistics
        )
        return State(key=state.key, chain=chain, workspace=workspace, history=tables.history), buffer

    def _unfinished(self, state: tuple[Chain, Count], constants: tuple[Any, ...]) -> Bool[Array, ""]:
        chain, count = state
        *_, draws, ticks = constants
        return (count.filled < draws) & (count.ticks < ticks) & (chain.phase != FAILED)

    def _tick(
        self,
        state: tuple[Chain, Count],
        written: tuple[Any, Tables],
        constants: tuple[Any, ...],
        active: Bool[Array, ""],
    ) -> tuple[tuple[Chain, Count], tuple[Any, Tables]]:
        (chain, count), (workspace, tables) = state, written
        key, schedule, arguments, points, *_ = constants
        trajectory = chain.trajectory
        still = (chain.phase == START) | (chain.phase == EVALUATE)
        step_size = jnp.where(still, 0, trajectory.direction * chain.adapted.step.value)
        before = lax.optimization_barrier(trajectory.moving)  # read once; else XLA copies the table it lies in
        number = LEAF + trajectory.tally.n_steps.astype(jnp.uint32)
        at = Event(key=key, transition=chain.transition.astype(jnp.uint32), number=number)
        if self.chosen is not None:
            arguments = self.chosen(arguments, at)
        point = self.kernel.step(
            lambda position: jax.value_and_grad(self.log_density)(position, arguments),
            chain.adapted.metric,
            before,
            step_size.astype(self.dtype),
        )
        trajectory, workspace, done = self.kernel.extend(trajectory, workspace, before, point, at)
        chain = dataclasses.replace(chain, trajectory=trajectory)
        count = dataclasses.replace(count, ticks=count.ticks + 1)
        due = active & (done | (chain.phase != RUN))
        (chain, count), tables = event(due, self._finish, (chain, count), tables, (key, point, schedule, points))
        return (chain, count), (workspace, tables)

    def _finish(
        self,
        state: tuple[Chain, Count],
        tables: Tables,
        arguments: tuple[UInt32[Array, "2"], Point, Schedule, Float[Array, "points dim"] | None],
        when: Bool[Array, ""],
    ) -> tuple[tuple[Chain, Count], Tables]:
        """The trajectory of the current phase is done: take stock and begin the next one."""
        chain, count = state
        key, point, schedule, points = arguments
        draw, info = self.kernel.conclude(chain.trajectory)
        after: list[Callable[..., Any]] = [self._after_start, self._after_search, self._after_transition]
        if points is not None:
            after.append(self._after_evaluation)
        chain, count, draw, entry = choose(chain.phase, after, points, chain, count, draw, info, key, point, schedule)
        return (self._begin(chain, draw, key), count), self._written(tables, entry, when)

    def _written(self, tables: Tables, entry: Entry, when: Bool[Array, ""]) -> Tables:
        history, write = tables.history, when & entry.write
        if history is not None:
            row, warm = entry.transition % history.draws.shape[0], when & entry.warm
            history = History(
                draws=write_row(history.draws, row, entry.position, warm),
                gradients=write_row(history.gradients, row, entry.gradient, warm),
                log_densities=write_row(history.log_densities, row, entry.statistics[LOG_DENSITY], warm),
            )
        return Tables(
            positions=write_row(tables.positions, entry.row, entry.position, write),
            statistics=write_row(tables.statistics, entry.row, entry.statistics, write),
            history=history,
        )

    def _after_evaluation(
        self,
        points: Float[Array, "points dim"] | None,
        chain: Chain,
        count: Count,
        draw: Draw,
        info: Info,
        key: UInt32[Array, "2"],
        point: Point,
        schedule: Schedule,
    ) -> tuple[Chain, Count, Draw, Entry]:
        """Keep what is known of the point and go to the next; `attempt` counts them, and is 0 before the first."""
        assert points is not None
        del info, key, schedule
        others = jnp.zeros(len(self.statistics) - 1, self.dtype)
        entry = dataclasses.replace(
            self._no_entry(draw),
            write=jnp.bool_(True),
            row=jnp.maximum(chain.attempt - 1, 0),
            position=point.gradient,
            statistics=jnp.concatenate([point.log_density[None], others]),
        )
        following = lax.dynamic_index_in_dim(points, chain.attempt, 0, keepdims=False)
        draw = dataclasses.replace(draw, position=following, gradient=jnp.zeros_like(point.gradient))
        count = dataclasses.replace(count, filled=chain.attempt)
        return dataclasses.replace(chain, attempt=chain.attempt + 1), count, draw, entry

    def _after_start(
        self,
        points: Float[Array, "points dim"] | None,
        chain: Chain,
        count: Count,
        draw: Draw,
        info: Info,
        key: UInt32[Array, "2"],
        point: Point,
        schedule: Schedule,
    ) -> tuple[Chain, Count, Draw, Entry]:
        del info
        finite = jnp.isfinite(point.log_density) & jnp.all(jnp.isfinite(point.gradient))
        good = finite & (chain.attempt > 0)  # attempt 0 has no candidate yet
        exhausted = chain.attempt >= schedule.max_attempts
        adapted = self.adaptation.initial(point.position, point.gradient, chain.adapted.step.value)
        metric = pick(chain.keep_metric, chain.adapted.metric, adapted.metric)
        after = lax.select(schedule.search, SEARCH, RUN)
        candidate = start_vector(key, chain.attempt.astype(jnp.uint32), self.dim, self.dtype)
        if self.narrowed != 1.0:
            candidate = candidate * jnp.asarray(self.narrowed, self.dtype)
        if points is not None:
            candidate = jnp.where(chain.attempt == 0, points[0], candidate)
        draw = Draw(
            position=jnp.where(good | exhausted, point.position, candidate),
            log_density=point.log_density,
            gradient=jnp.where(good, point.gradient, 0),
            energy=point.log_density,
        )
        chain = dataclasses.replace(
            chain,
            phase=lax.select(good, after, lax.select(exhausted, FAILED, START)),
            attempt=chain.attempt + jnp.where(good | exhausted, 0, 1).astype(jnp.int32),
            last=jnp.sum(point.position),
            still=jnp.int32(0),
            adapted=pick(good, dataclasses.replace(adapted, metric=metric), chain.adapted),
        )
        return chain, count, draw, self._no_entry(draw)

    def _after_search(
        self,
        points: Float[Array, "points dim"] | None,
        chain: Chain,
        count: Count,
        draw: Draw,
        info: Info,
        key: UInt32[Array, "2"],
        point: Point,
        schedule: Schedule,
    ) -> tuple[Chain, Count, Draw, Entry]:
        del points, key, point
        adapted, over = self.adaptation.search(chain.adapted, info, schedule)
        chain = dataclasses.replace(chain, adapted=adapted, phase=lax.select(over, RUN, SEARCH))
        return chain, count, draw, self._no_entry(draw)

    def _after_transition(
        self,
        points: Float[Array, "points dim"] | None,
        chain: Chain,
        count: Count,
        draw: Draw,
        info: Info,
        key: UInt32[Array, "2"],
        point: Point,
        schedule: Schedule,
    ) -> tuple[Chain, Count, Draw, Entry]:
        del points, key, point
        warm = chain.transition < schedule.warmup
        told = {"lp": draw.log_density, "step_size": chain.adapted.step.value}
        statistics = [told[name] if name in told else getattr(info, name) for name in self.statistics]
        entry = Entry(
            write=jnp.bool_(True),
            warm=warm,
            row=count.filled,
            transition=chain.transition,
            position=draw.position,
            gradient=draw.gradient,
            statistics=jnp.stack([jnp.asarray(value, self.dtype) for value in statistics]),
        )
        here = jnp.sum(draw.position)
        chain = dataclasses.replace(chain, last=here, still=jnp.where(here == chain.last, chain.still + 1, 0))
        chain = branch(warm, self._adapt, chain, (draw, info, schedule))
        count = dataclasses.replace(count, filled=count.filled + 1)
        return dataclasses.replace(chain, transition=chain.transition + 1), count, draw, entry

    def _no_entry(self, draw: Draw) -> Entry:
        return Entry(
            write=jnp.bool_(False),
            warm=jnp.bool_(False),
            row=jnp.int32(0),
            transition=jnp.int32(0),
            position=draw.position,
            gradient=draw.gradient,
            statistics=jnp.zeros(len(self.statistics), self.dtype),
        )

    def _adapt(self, chain: Chain, arguments: tuple[Draw, Info, Schedule]) -> Chain:
        """Adapt after a warmup transition."""
        draw, info, schedule = arguments
        adapted, restart = self.adaptation.update(chain.adapted, draw, info, chain.transition, schedule)
        return dataclasses.replace(chain, phase=lax.select(restart, SEARCH, RUN), adapted=adapted)

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
