"""A sampler: a density and settings, compiled, with its chains.

`prepare` traces and compiles; `Sampler.run` moves the chains; `save` and `restore` turn the state of a chain into
named arrays and back, which is all that a checkpoint needs.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import jax
import numpy as np

from gradmc.adaptation.diagonal import DiagonalAdaptation
from gradmc.adaptation.schedule import make_schedule
from gradmc.adaptation.windowed import DenseAdaptation, LowRankAdaptation
from gradmc.errors import ResumeError, StartError, UsageError
from gradmc.kernels.hmc import Hmc
from gradmc.kernels.nuts import Nuts
from gradmc.kernels.random import chain_key
from gradmc.run.compiling import Compiled, Expand, buffer_capacity, compile_run
from gradmc.run.driver import DrawSink, Driver, Lane, Plan
from gradmc.run.machine import FAILED, START, STATISTICS, Machine
from gradmc.run.progress import Progress
from gradmc.run.settings import Settings

MAX_ATTEMPTS = 100
COUNTS = ("done", "divergences", "gradients")


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
    """Chains that are ready to run; made by `prepare`."""

    density: SampledDensity
    settings: Settings
    plan: Plan
    lanes: list[Lane]
    compile_seconds: float

    def run(
        self,
        sink: DrawSink,
        progress: Progress,
        *,
        after_chunk: Callable[[Lane], None] | None = None,
        watch: Callable[[Driver], None] | None = None,
    ) -> Driver:
        """Run the chains to the end of their draws, or until `watch` stops the driver.

        Raises:
            StartError: a chain found no point with finite density and gradient.
        """
        driver = Driver(
            self.plan,
            self.lanes,
            sink,
            progress,
            workers=self.settings.threads,
            after_chunk=after_chunk,
        )
        driver.run(None if watch is None else lambda: watch(driver))
        for lane in self.lanes:
            if lane.failed:
                raise self._start_error(lane)
        return driver

    def _start_error(self, lane: Lane) -> StartError:
        row = int(np.argmax(np.atleast_1d(lane.state.chain.phase) == FAILED))
        own = (lambda leaf: np.asarray(leaf)[row]) if self.plan.compiled.batch is not None else np.asarray
        chain = jax.tree.map(own, lane.state.chain)
        with self.density.scope():
            position = np.asarray(chain.trajectory.moving.position)
        attempts = int(chain.attempt)
        tried = "the given starting point" if attempts == 1 else f"{attempts} starting points"
        return StartError(
            f"no valid start for chain {lane.chains[row]}: at {tried} the log density or its gradient was not "
            f"finite. At the last one:\n{self.density.describe_failure(position)}"
        )

    def evaluate(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Log density and gradient at a flat vector, by the compiled function that moves the chains.

        It takes one tick of a chain that looks for a starting point there. The gradient is NaN where it, or the log
        density, is not finite. To be called before the run.
        """
        before, plan = self.lanes[0].state, self.plan

        def filled(value: Any, leaf: Any) -> np.ndarray:
            return np.broadcast_to(value, np.shape(leaf)).astype(leaf.dtype)

        trajectory = jax.tree_util.tree_map_with_path(
            lambda path, leaf: filled(x, leaf) if _is_called("position", path) else leaf, before.chain.trajectory
        )
        chain = dataclasses.replace(
            before.chain,
            phase=filled(START, before.chain.phase),
            attempt=filled(1, before.chain.attempt),
            trajectory=trajectory,
        )
        limits = np.ones(() if plan.compiled.batch is None else plan.compiled.batch, np.int32)
        with self.density.scope():
            start = dataclasses.replace(before, chain=chain)
            state, _ = plan.compiled.advance(start, plan.schedule, plan.arguments, limits, np.int32(1))
            leaves = jax.tree_util.tree_leaves_with_path(state.chain.trajectory)
            values, gradients = (
                next(np.asarray(leaf) for path, leaf in leaves if _is_called(name, path))
                for name in ("log_density", "gradient")
            )
            good = not np.any(np.isin(np.asarray(state.chain.phase), (START, FAILED)))
        gradient = np.reshape(gradients, (-1, self.density.dim))[0]
        return float(np.ravel(values)[0]), gradient if good else np.full_like(gradient, np.nan)

    def save(self, lane: Lane) -> dict[str, np.ndarray]:
        """The state of a lane as named arrays."""
        leaves = jax.tree_util.tree_leaves_with_path(lane.state)
        arrays = {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}
        return {**arrays, **{name: getattr(lane, name).copy() for name in COUNTS}}

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
        lane.state = jax.tree_util.tree_map_with_path(
            lambda path, leaf: load(jax.tree_util.keystr(path), leaf), lane.state
        )
        for name, count in counts.items():
            setattr(lane, name, count)


def prepare(
    density: SampledDensity,
    settings: Settings,
    *,
    initial: Sequence[np.ndarray] | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> Sampler:
    """Trace and compile everything that a run needs, and set up its chains.

    Args:
        density: what to sample.
        settings: how.
        initial: one flat unconstrained starting point per chain; None draws uniform(-2, 2).
        meanwhile: called once, while XLA compiles.

    Raises:
        UsageError: the density has no coordinates.
    """
    if density.dim == 0:
        raise UsageError("the density has 0 unconstrained coordinates, so there is nothing to sample")
    began = time.perf_counter()
    with density.scope():
        machine = _machine(density, settings)
        schedule = make_schedule(
            settings.warmup,
            target_accept=settings.target_accept,
            search=settings.step_size is None,
            max_attempts=1 if initial is not None else MAX_ATTEMPTS,
            dtype=density.dtype,
        )
        batch = settings.chains if _executor(settings) == "batch" else None
        lanes = _lanes(machine, settings, initial, batch)
        compiled: Compiled = compile_run(
            machine,
            _with_unconstrained(density) if settings.keep_unconstrained else density.expand,
            density.arguments,
            lanes[0].state,
            schedule,
            scope=density.scope,
            capacity=buffer_capacity(density.dim, len(STATISTICS), density.dtype.itemsize),
            batch=batch,
            meanwhile=meanwhile,
        )
    plan = Plan(
        compiled=compiled,
        schedule=schedule,
        arguments=density.arguments,
        warmup=settings.warmup,
        draws=settings.draws,
        keep_warmup=settings.keep_warmup,
        scope=density.scope,
        on_host=machine.adaptation.on_host
        if isinstance(machine.adaptation, DenseAdaptation | LowRankAdaptation)
        else None,
    )
    return Sampler(
        density=density,
        settings=settings,
        plan=plan,
        lanes=lanes,
        compile_seconds=time.perf_counter() - began,
    )


def _is_called(name: str, path: tuple[Any, ...]) -> bool:
    return getattr(path[-1], "name", "") == name


def _with_unconstrained(density: SampledDensity) -> Expand:
    """`density.expand` with the group `unconstrained_posterior`, where a parameter is transformed at all."""

    def expand(x: jax.Array, arguments: Any) -> dict[str, dict[str, jax.Array]]:
        named = density.unconstrained_by_name(x)
        return {**density.expand(x, arguments), **({"unconstrained_posterior": named} if named else {})}

    return expand


def _machine(density: SampledDensity, settings: Settings) -> Machine:
    kernel = (
        Nuts(max_tree_depth=settings.max_tree_depth)
        if settings.kernel == "nuts"
        else Hmc(integration_time=settings.integration_time)
    )
    adaptation = {
        "diagonal": DiagonalAdaptation,
        "dense": DenseAdaptation,
        "low_rank": LowRankAdaptation,
    }[settings.metric]()
    return Machine(
        log_density=density.logdensity,
        kernel=kernel,
        adaptation=adaptation,
        dim=density.dim,
        dtype=np.dtype(density.dtype),
    )


def _executor(settings: Settings) -> str:
    if settings.executor != "auto":
        return settings.executor
    return "threads" if jax.default_backend() == "cpu" else "batch"


def _lanes(machine: Machine, settings: Settings, initial: Sequence[np.ndarray] | None, batch: int | None) -> list[Lane]:
    assert settings.seed is not None
    states = [
        machine.initial(
            chain_key(settings.seed, chain),
            position=None if initial is None else initial[chain],
            step_size=settings.step_size,
        )
        for chain in range(settings.chains)
    ]
    if batch is None:
        return [_lane((chain,), state) for chain, state in enumerate(states)]
    together = jax.tree.map(lambda *leaves: np.stack(leaves), *states)
    return [_lane(tuple(range(batch)), together)]


def _lane(chains: tuple[int, ...], state: Any) -> Lane:
    done, divergences, gradients = np.zeros((3, len(chains)), np.int64)
    return Lane(chains=chains, state=state, done=done, divergences=divergences, gradients=gradients)
