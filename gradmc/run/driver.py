"""The host loop: chains advance chunk by chunk until each has its draws.

A *lane* is a group of chains that advance together (`gradmc.run.executor`).  Workers (threads; XLA releases the
GIL) take lanes from a queue, run one chunk, hand the draws to the store, and put the lane back.  Everything that a user
sees of a run (progress, stopping, streaming, checkpoints) happens between chunks.

A chunk is sized in ticks by measurement so that it takes about `CHUNK_SECONDS`; the draws do not depend on its size.
"""

import dataclasses
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, Protocol

import jax
import numpy as np

from gradmc.adaptation.schedule import Schedule
from gradmc.run.blocks import over_blocks
from gradmc.run.compiling import Compiled
from gradmc.run.device_memory import explaining_memory
from gradmc.run.machine import FAILED, RUN, SEARCH, Buffer, Machine, State
from gradmc.run.progress import ChainStatus, Progress
from gradmc.run.restarting import Restarts, next_look, stand_still

CHUNK_SECONDS = 0.3
FIRST_TICKS = 16
MAX_GROWTH = 16.0
MOST_SHOWN = 16
"""Chains of a lane that are shown one by one."""


class DrawSink(Protocol):
    """Where draws go (see `gradmc.results.store`)."""

    def put(
        self,
        chains: Sequence[int],
        warmup: bool,
        groups: Mapping[str, Mapping[str, np.ndarray]],
        first: np.ndarray,
        last: np.ndarray,
    ) -> None:
        """Keep the next draws of chains that follow each other: rows `first[i]` to `last[i]` of arrays (chain, row)."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """All that the host loop needs to know."""

    compiled: Compiled
    schedule: Schedule
    arguments: Any  # of `advance`: the data
    data: Any  # of `expand`: likewise
    warmup: int
    draws: int
    keep_warmup: bool
    scope: Callable[[], AbstractContextManager[Any]]  # JAX in the density's precision
    machine: Machine
    restarts: Restarts | None = None
    metric_stays: bool = False

    @property
    def total(self) -> int:
        """Transitions per chain."""
        return self.warmup + self.draws

    def next_update(self, transition: int) -> int | None:
        """The first number of transitions above `transition` after which the adaptation needs the host."""
        needless = self.metric_stays and not self.pooled  # the step size of a chain adapts without the host
        return None if needless else self.machine.adaptation.next_update(transition, self.warmup)

    @property
    def pooled(self) -> bool:
        """Whether all chains adapt together."""
        return self.machine.adaptation.pooled

    def next_look(self, transition: int) -> int | None:
        """The first number of transitions above `transition` after which chains that stand still are looked for."""
        return None if self.restarts is None or self.metric_stays else next_look(transition, self.warmup)


@dataclasses.dataclass(slots=True)
class Lane:
    """One or more chains that advance together, and what the host counts of them; all arrays have an axis of chains."""

    chains: tuple[int, ...]
    state: State
    done: np.ndarray  # transitions finished, per chain
    divergences: np.ndarray  # after warmup, per chain
    gradients: np.ndarray  # evaluated, per chain
    restarts: np.ndarray  # in warmup, per chain
    points: jax.Array  # (chains, points, dim): the first one is the first candidate for a starting point
    ticks: float = FIRST_TICKS
    failed: bool = False  # a chain found no starting point


def resized(ticks: float, used: int, seconds: float) -> float:
    """How many ticks the next chunk may take, for it to last `CHUNK_SECONDS`.

    Args:
        ticks: how many the last one was allowed.
        used: how many it took; fewer, if its draws were complete or the buffer full before.  Such a chunk was short
            whatever it was allowed, and says nothing for allowing more.
        seconds: how long it lasted.
    """
    growth = MAX_GROWTH if used >= int(ticks) else 1.0
    return max(1.0, ticks * float(np.clip(CHUNK_SECONDS / max(seconds, 1e-9), 1 / MAX_GROWTH, growth)))


class Driver:
    """Runs lanes to the end, or until `stop` is called or a chain finds no starting point.

    `after_chunk(lane)` is called in the worker after the draws of a chunk are in the sink: the place for checkpoints.
    """

    def __init__(
        self,
        plan: Plan,
        lanes: Sequence[Lane],
        sink: DrawSink,
        progress: Progress,
        *,
        workers: int,
        after_chunk: Callable[[Lane], None] | None = None,
    ) -> None:
        self.plan = plan
        self.lanes = list(lanes)
        self._sink = sink
        self._progress = progress
        self._after_chunk = after_chunk
        self._queue: queue.SimpleQueue[Lane | None] = queue.SimpleQueue()
        self._workers = min(workers, len(self.lanes))
        self._stop = threading.Event()
        self._errors: list[BaseException] = []
        self._lock = threading.Lock()
        self._pending = 0
        self._idle = threading.Event()
        self._pool = ThreadPoolExecutor(workers)  # of blocks; starts threads when it has some

    def stop(self) -> None:
        """Let every lane finish its chunk and then stop."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    def run(self, watch: Callable[[], None] | None = None, interval: float = 0.1) -> None:
        """Block until all lanes are done or stopped; `watch` is called in this thread every `interval` seconds.

        An exception in a worker stops all lanes and is raised here.
        """
        lanes = [lane for lane in self.lanes if not self._finished(lane)]
        self._pending = len(lanes)
        for lane in lanes:
            self._queue.put(lane)
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(min(self._workers, len(lanes)))]
        for thread in threads:
            thread.start()
        try:
            while lanes and not self._idle.wait(interval):
                if watch is not None:
                    watch()
        finally:
            self._stop_workers(threads)
        if self._errors:
            raise self._errors[0]

    def _stop_workers(self, threads: Sequence[threading.Thread]) -> None:
        if self._pending:
            self.stop()
        for _ in threads:
            self._queue.put(None)
        for thread in threads:
            thread.join()
        self._pool.shutdown()

    def _work(self) -> None:
        while (lane := self._queue.get()) is not None:
            try:
                if not self.stopping:
                    with self.plan.scope():
                        self._run_chunk(lane)
            except BaseException as error:
                self._errors.append(error)
                self.stop()
            if self.stopping or self._finished(lane):
                with self._lock:
                    self._pending -= 1
                    if self._pending == 0:
                        self._idle.set()
            else:
                self._queue.put(lane)

    def _finished(self, lane: Lane) -> bool:
        return lane.failed or bool(np.all(lane.done >= self.plan.total))

    def _run_chunk(self, lane: Lane) -> None:
        limits = self._limits(lane)
        began = time.perf_counter()
        ticks = np.int32(min(lane.ticks, 2**31 - 1))
        state, buffer = self._advanced(lane, limits, ticks)
        filled = np.asarray(buffer.filled)
        elapsed = time.perf_counter() - began
        lane.ticks = resized(lane.ticks, int(np.max(np.asarray(buffer.ticks))), elapsed)
        lane.gradients += np.asarray(buffer.ticks)
        self._hand_over(lane, buffer, filled)
        lane.state = self._adapt_on_host(lane, self._restarted(lane, state, filled), filled)
        lane.failed = bool(np.any(np.asarray(state.chain.phase) == FAILED))
        if lane.failed:
            self.stop()
        if self._after_chunk is not None:
            self._after_chunk(lane)
        self._report(lane)

    def _advanced(self, lane: Lane, limits: np.ndarray, ticks: np.int32) -> tuple[State, Buffer]:
        plan = self.plan

        def call(state: State, limits: np.ndarray, points: Any) -> tuple[State, Buffer]:
            return plan.compiled.advance(state, plan.schedule, plan.arguments, limits, ticks, points)

        own, compiled = (lane.state, limits, lane.points), plan.compiled
        with explaining_memory(len(lane.chains), compiled.bytes_per_chain):
            return over_blocks(call, own, block=compiled.block, pool=self._pool, scope=plan.scope)

    def _limits(self, lane: Lane) -> np.ndarray:
        """How many transitions each chain may make in the next chunk."""
        room = np.minimum(self.plan.total - lane.done, self.plan.compiled.capacity)
        for done in np.unique(lane.done).tolist():
            own = lane.done == done
            for due in (self.plan.next_update(done), self.plan.next_look(done)):
                if due is not None:
                    room[own] = np.minimum(room[own], due - done)
        if self.plan.pooled:  # those in front wait
            due = self.plan.next_update(int(lane.done.min()))
            room = room if due is None else np.minimum(room, due - lane.done)
        return np.maximum(room, 0).astype(np.int32)

    def _come_to(self, lane: Lane, filled: np.ndarray, due: Callable[[int], int | None]) -> np.ndarray:
        """Which chains have just come to a number of transitions after which something is due, (chains,)."""
        come = np.zeros(len(filled), bool)
        for done in np.unique(lane.done).tolist():
            if due(done - 1) == done:
                come |= lane.done == done
        return come & (filled > 0)

    def _restarted(self, lane: Lane, state: State, filled: np.ndarray) -> State:
        """Let chains start again that have come to a transition where one looks, and stand still."""
        restarts = self.plan.restarts
        if restarts is None:
            return state
        for i in np.flatnonzero(self._come_to(lane, filled, self.plan.next_look) & stand_still(state.chain)).tolist():
            state, position = restarts.restarted(state, i, lane.chains[i], int(lane.restarts[i]))
            lane.points = point_table(lane.points, {i: position})
            lane.restarts[i] += 1
            done = lane.done[i]
            self._progress.note(f"chain {lane.chains[i]} stands still after {done} transitions and starts again")
        return state

    def _adapt_on_host(self, lane: Lane, state: State, filled: np.ndarray) -> State:
        """Adapt chains that have come to a transition where that is due."""
        if self.plan.pooled:
            return self._adapt_together(lane, state, filled)
        due = self._come_to(lane, filled, self.plan.next_update) & (np.asarray(state.chain.phase) == RUN)
        if not np.any(due):
            return state
        chain = state.chain
        own, history = jax.tree.map(np.asarray, (chain.adapted, state.history))
        changed: dict[int, Any] = {}
        for row in np.flatnonzero(due).tolist():
            mine, past = jax.tree.map(lambda leaf, row=row: leaf[row], (own, history))
            metric = self.plan.machine.adaptation.on_host(mine, past, int(lane.done[row]), self.plan.warmup)
            if metric is not None:
                changed[row] = metric
        if not changed:
            return state
        rows = list(changed)

        def put(leaf: Any, *values: Any) -> np.ndarray:
            copy = np.array(leaf)
            copy[rows] = np.stack([np.asarray(value) for value in values])
            return copy

        adapted = dataclasses.replace(chain.adapted, metric=jax.tree.map(put, own.metric, *changed.values()))
        phase = put(chain.phase, *[SEARCH] * len(rows))
        return dataclasses.replace(state, chain=dataclasses.replace(chain, adapted=adapted, phase=phase))

    def _adapt_together(self, lane: Lane, state: State, filled: np.ndarray) -> State:
        """Adapt all chains if the last one has come to a transition where that is due."""
        done, plan = int(lane.done.min()), self.plan
        if np.any(lane.done != done) or not np.any(filled) or plan.next_update(done - 1) != done:
            return state
        chain = state.chain
        own, history = jax.tree.map(np.asarray, (chain.adapted, state.history))
        adapted = plan.machine.adaptation.on_host(own, history, done, plan.warmup)
        if plan.metric_stays:
            adapted = dataclasses.replace(adapted, metric=own.metric)
        pairs = zip(jax.tree.leaves(own.metric), jax.tree.leaves(adapted.metric), strict=True)
        phase = np.array(chain.phase)
        if not all(np.array_equal(before, after) for before, after in pairs):
            phase[phase == RUN] = SEARCH  # trajectories that have begun have forces by the metric before
        chain = dataclasses.replace(chain, adapted=adapted, phase=phase, keep_metric=np.ones_like(phase, bool))
        return dataclasses.replace(state, chain=chain)

    def _hand_over(self, lane: Lane, buffer: Buffer, filled: np.ndarray) -> None:
        """Give the draws of the chunk to the sink, warmup and sampling apart."""
        warm, nothing = np.clip(self.plan.warmup - lane.done, 0, filled), np.zeros_like(filled)
        keep_warmup = self.plan.keep_warmup
        first = nothing if keep_warmup else warm
        for rows in self._pieces(first, filled):
            begin, ready, end = (np.clip(n - rows.start, 0, rows.stop - rows.start) for n in (first, warm, filled))
            positions, statistics = (_of_rows(part, rows) for part in (buffer.positions, buffer.statistics))
            groups = groups_of(self.plan, positions, statistics, end, self._pool)
            for warmup, low, high in ((True, begin, ready), (False, ready, end)):
                if np.any(high > low) and (keep_warmup or not warmup):
                    self._sink.put(lane.chains, warmup, groups, low, high)
            diverging = groups["sample_stats"]["diverging"]
            numbers = np.arange(diverging.shape[1])
            lane.divergences += (diverging & (numbers >= ready[:, None]) & (numbers < end[:, None])).sum(axis=1)
        lane.done += filled

    def _pieces(self, first: np.ndarray, last: np.ndarray) -> Iterator[slice]:
        """The rows of a buffer, as many at a time as `expand` takes, among which are some from first to last."""
        size = self.plan.compiled.rows
        for start in range(0, int(last.max(initial=0)), size):
            if np.any((last > first) & (last > start) & (first < start + size)):
                yield slice(start, start + size)

    def _report(self, lane: Lane) -> None:
        """Say where the lane stands: every chain, or many of them together."""
        steps = np.asarray(lane.state.chain.adapted.step.value)
        together = len(lane.chains) > MOST_SHOWN
        for rows in [slice(None)] if together else [slice(i, i + 1) for i in range(len(lane.chains))]:
            done = int(lane.done[rows].min())
            phase = "done" if done >= self.plan.total else "warmup" if done < self.plan.warmup else "sampling"
            self._progress.update(
                ChainStatus(
                    chain=lane.chains[rows][0],
                    phase=phase,
                    done=done,
                    total=self.plan.total,
                    divergences=int(lane.divergences[rows].sum()),
                    step_size=float(np.median(steps[rows])),
                    n_leapfrog=int(lane.gradients[rows].sum()),
                    chains=len(lane.chains[rows]),
                )
            )


def _of_rows(buffer: Any, rows: slice) -> Any:
    """Some rows of a buffer (chains, capacity, ...), which stays on its device if they are all."""
    return buffer if rows.stop - rows.start == buffer.shape[1] else np.asarray(buffer)[:, rows]


def point_table(table: Any, firsts: Mapping[int, np.ndarray]) -> jax.Array:
    """A lane's table of points with other first ones, by row."""
    changed = np.array(table)
    for row, position in firsts.items():
        changed[row, 0] = position
    return jax.device_put(changed)


def groups_of(
    plan: Plan, positions: Any, statistics: Any, counts: np.ndarray, pool: ThreadPoolExecutor | None = None
) -> dict[str, dict[str, np.ndarray]]:
    """All that the results hold of the first `counts` rows of a lane, (chains, capacity, ...), by group and name."""
    values = over_blocks(
        lambda positions, counts: plan.compiled.expand(positions, counts, plan.data),
        (positions, counts),
        block=plan.compiled.block,
        pool=pool,
        scope=plan.scope,
    )
    groups = {group: {name: np.asarray(v) for name, v in of.items()} for group, of in values.items()}
    columns, table = plan.machine.statistics, np.asarray(statistics)
    groups["sample_stats"] = {name: table[..., i].astype(dtype) for i, (name, dtype) in enumerate(columns.items())}
    return groups
