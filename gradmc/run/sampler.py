"""A sampler: a density and settings, compiled, with its chains.

`gradmc.run.preparing` makes one; `Sampler.run` moves the chains; `save` and `restore` turn the state of a chain into
named arrays and back, which is all that a checkpoint needs.
"""

import dataclasses
import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, Protocol

import jax
import numpy as np

from gradmc.density.memo import Memo
from gradmc.errors import ResumeError, StartError
from gradmc.run.blocks import filled_up
from gradmc.run.driver import DrawSink, Driver, Lane, Plan, groups_of, point_table
from gradmc.run.executor import stacked
from gradmc.run.machine import FAILED, START, State
from gradmc.run.parts import name_of
from gradmc.run.peers import follow
from gradmc.run.progress import Progress
from gradmc.run.settings import Settings
from gradmc.run.starting import Evaluator, Stopped
from gradmc.run.subsampled import Subsampled
from gradmc.starts.start import SUPERCHAINS, Found, Start, StartingPoint

FIRST_POINTS = "first_points"
COUNTS = ("done", "divergences", "gradients", "restarts")


class SampledDensity(Protocol):
    """What sampling needs of a `gradmc.density.Density`."""

    @property
    def dim(self) -> int:
        """Length of the flat vector."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """float64 or float32."""
        ...

    @property
    def memory(self) -> Memo:
        """What was made for this density before."""
        ...

    @property
    def start_radius(self) -> float | np.ndarray:
        """Random starts are uniform between minus this and this, one number or one for each coordinate."""
        ...

    @property
    def arguments(self) -> Any:
        """The data that are arguments of the compiled functions."""
        ...

    def scope(self) -> AbstractContextManager[Any]:
        """A context in which JAX works in the density's precision."""
        ...

    def logdensity(self, x: jax.Array, arguments: Any) -> jax.Array:
        """Log density at a flat vector."""
        ...

    def expand(self, x: jax.Array, arguments: Any) -> dict[str, dict[str, jax.Array]]:
        """Named values at a flat vector, by group."""
        ...

    def unconstrained_by_name(self, x: jax.Array) -> dict[str, jax.Array]:
        """The unconstrained coordinates of each transformed parameter."""
        ...

    def describe_failure(self, x: np.ndarray) -> str:
        """Why there is no finite density or gradient at a flat vector."""
        ...


@dataclasses.dataclass(slots=True)
class Sampler:
    """Chains that are ready to run; made by `gradmc.run.preparing.prepare`."""

    density: SampledDensity
    settings: Settings
    plan: Plan
    lanes: list[Lane]
    compile_seconds: float
    start: Start | None
    found: Found | None = None
    sought: bool = False  # whether `start` has been asked
    single: Evaluator | None = None  # for one point at a time
    subsampled: Subsampled | None = None  # where steps see a batch of the data
    anew: tuple[Found | None, ...] = ()  # what a run that goes on has found for chains that stand still
    lock: Any = dataclasses.field(default_factory=threading.Lock)  # held while points for restarts are looked for

    def run(
        self,
        sink: DrawSink,
        progress: Progress,
        *,
        after_chunk: Callable[[Lane], None] | None = None,
        watch: Callable[[Driver], None] | None = None,
        driving: Callable[..., Driver] | None = None,
    ) -> Driver:
        """Run the chains to the end of their draws, or until `watch` stops the driver.

        `driving` makes the driver, where it is not that of this process (`gradmc.run.remote`).

        Raises:
            StartError: a chain found no point with finite density and gradient.
        """
        make = Driver if driving is None else functools.partial(driving, self)
        driver = make(
            self.plan,
            self.lanes,
            sink,
            progress,
            workers=self.settings.threads,
            after_chunk=after_chunk,
        )
        look = None if watch is None else lambda: watch(driver)
        if self.find_starts(driver, look):
            driver.plan = self.plan
            driver.run(look)
        for lane in self.lanes:
            if lane.failed:
                raise self._start_error(lane)
        return driver

    def no_draws(self) -> dict[str, dict[str, np.ndarray]]:
        """What the results hold of draws, of which there are none: names, shapes and types."""
        machine, chains = self.plan.machine, self.plan.compiled.block
        positions = np.zeros((chains, self.plan.compiled.rows, machine.dim), machine.dtype)
        statistics = np.zeros((chains, 0, len(machine.statistics)), machine.dtype)
        with self.density.scope():
            groups = groups_of(self.plan, positions, statistics, np.zeros(chains, np.int32))
        return {group: {name: values[0, :0] for name, values in of.items()} for group, of in groups.items()}

    @property
    def started(self) -> dict[str, Any]:
        """How the chains came by their starting points, for the results; empty where they had begun before."""
        if self.start is None:
            return {"start": "given"}
        name = "reference" if self.subsampled is not None else name_of("start", self.start)
        if not self.sought:
            return {}
        superchains = {"superchains": self.superchains} if self.superchains else {}
        if self.found is None:
            note = {} if name == "uniform" else {"start_note": "no search found a place to start from"}
            return {"start": "uniform", **note, **superchains}
        return {
            "start": name,
            "start_note": self.found.note,
            "start_gradients": self.found.gradients,
            "start_path": [point.path for point in self.found.points],
            "start_elbo": [point.elbo for point in self.found.points],
            **superchains,
        }

    @property
    def superchains(self) -> int:
        """How many groups of chains begin at one point each, for nested R-hat; 0 where chains are too few."""
        return SUPERCHAINS if self.start is not None and self.settings.chains >= 2 * SUPERCHAINS else 0

    def find_starts(self, driver: Driver, look: Callable[[], None] | None = None) -> bool:
        """Give the lanes that have not begun their starting points; False if the run was asked to stop meanwhile.

        The points are a function of density and seed alone, so a run that is resumed finds them again.
        """
        waiting = [lane for lane in self.lanes if not np.any(lane.done)]
        waiting = [lane for lane in waiting if np.all(np.asarray(lane.state.chain.phase) == START)]
        if self.start is None or not waiting:
            return True

        def between() -> None:
            if look is not None:
                look()
            if driver.stopping:
                raise Stopped

        chains = [chain for lane in waiting for chain in lane.chains]
        leaders = sorted({chain % SUPERCHAINS for chain in chains})
        assert self.settings.seed is not None
        with ThreadPoolExecutor(self.settings.threads) as pool:
            evaluate = self._evaluator(pool, between)
            try:
                self.found = self._asked(evaluate, leaders)
            except Stopped:
                return False
        self.sought = True
        if self.found is not None:
            with self.density.scope():
                points = dict(zip(leaders, self.found.points, strict=True))
                self._begin_at(waiting, {chain: points[chain % SUPERCHAINS] for chain in chains})
        return True

    def _asked(self, evaluate: Evaluator, chains: Sequence[int]) -> Found | None:
        """What the start finds for chains."""
        assert self.start is not None
        seed = self.settings.seed
        assert seed is not None
        return self.start.find(
            evaluate, self._radius, seed, chains, explore=functools.partial(evaluate.explore, seed=seed)
        )

    @property
    def _radius(self) -> np.ndarray:
        return np.broadcast_to(np.asarray(self.density.start_radius, float), self.density.dim)

    def another(self, chain: int, before: int) -> StartingPoint | None:
        """A point for a chain that stands still where it is, and has started again `before` times; None if none is.

        A run that goes on from checkpoints has to look for it anew.
        """
        assert self.settings.seed is not None
        found = self.found
        with self.lock:
            if self.start is not None and not self.sought:
                if not self.anew:
                    evaluate = self._evaluator(None, lambda: None)
                    self.anew = (self._asked(evaluate, ()),)
                (found,) = self.anew
        return None if found is None or found.another is None else found.another(chain, before)

    def _begin_at(self, lanes: Sequence[Lane], points: Mapping[int, StartingPoint]) -> None:
        """Put lanes that have not begun at starting points, with the metrics of these."""
        machine = self.plan.machine
        for lane in lanes:
            lane.points = point_table(lane.points, dict(enumerate(points[chain].position for chain in lane.chains)))
            chain = lane.state.chain
            if np.all(chain.keep_metric):  # that of an earlier run
                continue
            normals = {points[number].path: points[number].normal for number in lane.chains}  # many share one
            metrics = [machine.adaptation.metric_of(own.covariance, machine.dtype) for own in normals.values()]
            order = {path: row for row, path in enumerate(normals)}
            rows = [order[points[number].path] for number in lane.chains]
            metric = jax.tree.map(lambda leaf, rows=rows: leaf[rows], stacked(metrics))
            adapted = dataclasses.replace(chain.adapted, metric=metric)
            chain = dataclasses.replace(chain, adapted=adapted, keep_metric=np.ones(len(lane.chains), bool))
            lane.state = dataclasses.replace(lane.state, chain=chain)

    def _start_error(self, lane: Lane) -> StartError:
        row = int(np.argmax(np.asarray(lane.state.chain.phase) == FAILED))
        chain = jax.tree.map(lambda leaf: np.asarray(leaf)[row], lane.state.chain)
        with self.density.scope():
            position = np.asarray(chain.trajectory.moving.position)
        attempts = int(chain.attempt)
        tried = "the given starting point" if attempts == 1 else f"{attempts} starting points"
        return StartError(
            f"no valid start for chain {lane.chains[row]}: at {tried} the log density or its gradient was not "
            f"finite. At the last one:\n{self.density.describe_failure(position)}"
        )

    def evaluate(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Log density and gradient at a flat vector, by the compiled function that moves the chains, or by all data
        where that sees batches of them.

        The gradient is NaN where it, or the log density, is not finite.
        """
        if self.single is None:
            self.single = self._evaluator(None, lambda: None)
        ask = self.single if self.subsampled is None else self.subsampled.evaluate
        (value,), (gradient,) = ask(np.asarray(x, float)[None])
        good = np.isfinite(value) and np.all(np.isfinite(gradient))
        return float(value), gradient if good else np.full_like(gradient, np.nan)

    def _evaluator(self, pool: ThreadPoolExecutor | None, between: Callable[[], None]) -> Evaluator:
        lane = self.lanes[0]
        workers = 1 if pool is None else self.settings.threads
        return Evaluator(
            plan=self.plan,
            state=lane.state,
            points=lane.points,
            pool=pool,
            workers=workers,
            between=between,
            step_size=self.settings.step_size,
        )

    def follow(self) -> int:
        """Compute with the process that keeps the run (`gradmc.run.peers`), until it ends; gives its exit code.

        Raises:
            ClusterError: a process has died.
        """
        plan, block = self.plan, self.plan.compiled.block
        states, points = first_block(self.lanes[0], block)
        like = (states, plan.schedule, np.zeros(block, np.int32), np.int32(0), points)
        with self.density.scope():
            return follow(plan.compiled.advance, plan.arguments, like)

    def save(self, lane: Lane) -> dict[str, np.ndarray]:
        """The state of a lane as named arrays."""
        leaves = jax.tree_util.tree_leaves_with_path(lane.state)
        arrays = {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}
        counts = {name: getattr(lane, name).copy() for name in COUNTS}
        return {**arrays, **counts, FIRST_POINTS: np.asarray(lane.points)[:, 0]}

    def restore(self, lane: Lane, arrays: Mapping[str, np.ndarray]) -> None:
        """Put a lane into a saved state.

        Raises:
            ResumeError: the arrays are not those of this sampler.
        """

        def load(name: str, like: Any) -> np.ndarray:
            saved = arrays.get(name)
            if saved is None or saved.shape != like.shape or saved.dtype != like.dtype:
                raise ResumeError(
                    f"the checkpoint does not fit this model and these settings (at {name}); it may be that of another "
                    "version of gradmc: go on with that version, or start a new run"
                )
            return saved

        counts = {name: np.array(load(name, getattr(lane, name))) for name in COUNTS}
        firsts = load(FIRST_POINTS, np.asarray(lane.points)[:, 0])
        lane.state = jax.tree_util.tree_map_with_path(
            lambda path, leaf: load(jax.tree_util.keystr(path), leaf), lane.state
        )
        for name, count in counts.items():
            setattr(lane, name, count)
        with self.density.scope():
            lane.points = point_table(lane.points, dict(enumerate(firsts)))


def first_block(lane: Lane, block: int) -> tuple[State, Any]:
    """States and points of the first block of a lane."""
    return jax.tree.map(lambda leaf: filled_up(np.asarray(leaf)[:block], block), (lane.state, lane.points))
