"""From a density and settings to a sampler: what moves the chains, where they begin, and the compiled loop."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from gradmc.adaptation.adaptation import Adaptation
from gradmc.adaptation.fixed import FixedStep
from gradmc.adaptation.pooled import Pooled
from gradmc.adaptation.trajectory import TrajectoryLength
from gradmc.adaptation.warmup import Warmup
from gradmc.density.base import Density
from gradmc.density.reach import ATTEMPTS
from gradmc.density.shards import Shards, devices
from gradmc.errors import UsageError
from gradmc.kernels.chees import Chees
from gradmc.kernels.random import START_RADIUS, chain_key
from gradmc.program.digest import digest_of
from gradmc.run.compiling import Compiled, buffer_capacity, compile_run
from gradmc.run.driver import Lane, Plan, point_table
from gradmc.run.executor import MANY, Executor, Expand, repeated, suited
from gradmc.run.machine import Machine, State
from gradmc.run.parts import name_of
from gradmc.run.peers import led
from gradmc.run.restarting import Restarts
from gradmc.run.sampler import SampledDensity, Sampler, first_block
from gradmc.run.settings import Settings
from gradmc.run.sharded import gathered, sharded
from gradmc.run.subsampled import subsample
from gradmc.starts.start import SUPERCHAINS

FEWEST_POOLED = 16  # chains that may adapt together: with fewer there is too little to pool
MAX_POINTS = 64  # evaluated per call while starting points are looked for


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
        meanwhile: called once, while XLA compiles, if it must.

    Raises:
        UsageError: the density has no coordinates.
    """
    if density.dim == 0:
        raise UsageError("the density has 0 unconstrained coordinates, so there is nothing to sample")
    began = time.perf_counter()
    with density.scope():
        executor, machine = _engine(density, settings)
        arguments = density.arguments
        if settings.shard is not None:
            executor, machine, arguments = _sharded(density, settings.shard, executor, machine)
        subsampled = None if settings.batch is None else subsample(density, settings, initial)
        if subsampled is not None:
            initial, arguments = None, subsampled.arguments
            log_density = subsampled.variates.logdensity
            machine = dataclasses.replace(machine, log_density=log_density, chosen=subsampled.chosen)
        groups = executor.lanes(settings.chains)
        schedule = dataclasses.replace(
            machine.adaptation.schedule(settings.warmup, dtype=density.dtype),
            search=np.bool_(settings.step_size is None),
            max_attempts=np.int32(ATTEMPTS if initial is None else 1),
        )
        columns, together = len(machine.statistics), len(groups[0])
        capacity = buffer_capacity(density.dim, columns, density.dtype.itemsize, together)
        rows = min(capacity, MAX_POINTS)
        made_of = (machine.kernel, machine.adaptation, machine.narrowed, *(settings.batch or {}).items())
        first = density.memory.remember(
            ("first", *made_of, settings.step_size),
            lambda: machine.initial(chain_key(0, 0), step_size=settings.step_size),
        )
        start = None if initial is not None else settings.part("start") if subsampled is None else subsampled.start
        assert settings.seed is not None
        restarts = Restarts(
            machine=machine,
            seed=settings.seed,
            radius=density.start_radius,
            step_size=settings.step_size,
            another=lambda chain, before: sampler.another(chain, before),
        )
        leaders = [restarts.random_point(chain, 0) for chain in range(min(settings.chains, SUPERCHAINS))]
        firsts = [leaders[k % SUPERCHAINS] for k in range(settings.chains)] if initial is None else initial
        lanes = [_lane(first, settings, chains, rows, firsts) for chains in groups]
        block = executor.block(together)
        states, points = first_block(lanes[0], block)
        key = ("run", *made_of, settings.keep_unconstrained, executor, capacity, points.shape)
        if meanwhile is not None and density.memory.holds(key):
            meanwhile()

        whole = settings.shard is None and subsampled is None
        shelf = density.memory.shelf if whole else None
        expand = density.expand if subsampled is None else without_terms(density.expand)

        def compiling() -> Compiled:
            return compile_run(
                machine,
                _with_unconstrained(density, expand) if settings.keep_unconstrained else expand,
                arguments,
                states,
                schedule,
                points,
                data=density.arguments,
                executor=executor,
                scope=density.scope,
                capacity=capacity,
                meanwhile=meanwhile,
                kept=None if shelf is None or (word := digest_of(*key)) is None else (shelf, word),
            )

        compiled = density.memory.remember(key, compiling)
        if settings.shard is not None:
            compiled = dataclasses.replace(compiled, advance=gathered(led(compiled.advance)))
    plan = Plan(
        compiled=compiled,
        schedule=schedule,
        arguments=arguments,
        data=density.arguments,
        warmup=settings.warmup,
        draws=settings.draws,
        keep_warmup=settings.keep_warmup,
        scope=density.scope,
        machine=machine,
        restarts=restarts if initial is None else None,
    )
    sampler = Sampler(
        density=density,
        settings=settings,
        plan=plan,
        lanes=lanes,
        compile_seconds=time.perf_counter() - began,
        start=start,
        subsampled=subsampled,
    )
    return sampler


def without_terms(expand: Expand) -> Expand:
    """The parameters and derived quantities alone: terms of all rows would take a pass over the data for each draw."""
    return lambda x, arguments: {"posterior": expand(x, arguments)["posterior"]}


def _with_unconstrained(density: SampledDensity, expand: Expand) -> Expand:
    """`expand` with the group `unconstrained_posterior`, where a parameter is transformed at all."""

    def with_them(x: jax.Array, arguments: Any) -> dict[str, dict[str, jax.Array]]:
        named = density.unconstrained_by_name(x)
        return {**expand(x, arguments), **({"unconstrained_posterior": named} if named else {})}

    return with_them


def suited_kernel(chains: int) -> str:
    """The kernel that suits so many chains and JAX's backend.

    ChEES has as many effective draws per gradient as NUTS or more (docs/performance.md), and steps without branches,
    which is what an accelerator is quick at.
    """
    return "nuts" if chains < MANY or jax.default_backend() == "cpu" else "chees"


def _engine(density: SampledDensity, settings: Settings) -> tuple[Executor, Machine]:
    """What moves the chains, and how they adapt: each by itself, or many together."""
    adaptation, chains = settings.adaptation, settings.chains
    if settings.kernel == "auto":
        settings = dataclasses.replace(settings, kernel=suited_kernel(chains))
    kernel = settings.part("kernel")
    _check_batch(settings, kernel)
    many = chains >= MANY or isinstance(kernel, Chees) or (adaptation is not None and adaptation.pooled)
    executor = suited(MANY if many else chains) if settings.executor == "auto" else settings.part("executor")
    together = many and len(executor.lanes(chains)) == 1
    if adaptation is None:
        adaptation = _usual_adaptation(settings, kernel, together=together)
    if adaptation.pooled and (not together or chains < FEWEST_POOLED):
        raise UsageError(
            f"{name_of('kernel', kernel)} with {type(adaptation).__name__} adapts all chains together: it needs "
            f'executor="batch" and at least {FEWEST_POOLED} chains; there are {chains}'
        )
    machine = Machine(
        log_density=density.logdensity,
        kernel=kernel,
        adaptation=adaptation,
        dim=density.dim,
        dtype=np.dtype(density.dtype),
        narrowed=_narrowed(density),
    )
    return executor, machine


def _usual_adaptation(settings: Settings, kernel: Any, *, together: bool) -> Adaptation:
    metric = settings.part("metric")
    if kernel.estimates:
        return FixedStep(metric) if settings.step_size is None else FixedStep(metric, settings.step_size)
    usual = TrajectoryLength if isinstance(kernel, Chees) else Pooled if together else Warmup
    return usual(metric, settings.target_accept)


def _check_batch(settings: Settings, kernel: Any) -> None:
    """Refuse batches for a kernel that needs the density of all data, and the reverse.

    Raises:
        UsageError: with the remedy.
    """
    name = name_of("kernel", kernel)
    if kernel.estimates and settings.batch is None:
        raise UsageError(
            f'kernel={name!r} needs batch={{"n": 256}}: a dimension of the data, and rows along it that a step sees; '
            'for a density without such a dimension use kernel="nuts"'
        )
    if settings.batch is None:
        return
    if not kernel.estimates:
        raise UsageError(
            f'batch is for kernel="sghmc", whose draws are approximate; {name!r} needs the density of all data at each '
            "step"
        )
    if settings.shard is not None:
        raise UsageError("batch and shard are two ways with large data: leave one of them out")
    if settings.adaptation is not None:
        raise UsageError(f"kernel={name!r} rejects nothing that {settings.adaptation!r} could adapt to: leave it out")


def _sharded(
    density: SampledDensity, dimension: str, executor: Executor, machine: Machine
) -> tuple[Executor, Machine, Any]:
    """Executor, machine and arguments for chains that run on all devices, each with its share of the data."""
    assert isinstance(density, Density)
    shards = Shards.of(density, dimension, jax.device_count())
    machine = dataclasses.replace(machine, log_density=shards.logdensity)
    return sharded(executor, dimension), machine, shards.arguments(devices())


def _narrowed(density: SampledDensity) -> float | tuple[float, ...]:
    factors = np.asarray(density.start_radius) / START_RADIUS
    return 1.0 if np.all(factors == 1.0) else tuple(np.broadcast_to(factors, density.dim).tolist())


def _lane(first: State, settings: Settings, chains: tuple[int, ...], rows: int, firsts: Sequence[np.ndarray]) -> Lane:
    """A lane before its first tick, with room for `rows` points of each chain; `first` is the state of any chain."""
    assert settings.seed is not None
    keys = np.stack([chain_key(settings.seed, chain) for chain in chains])
    nowhere = np.zeros((len(chains), rows, len(firsts[0])), first.chain.last.dtype)
    points = point_table(nowhere, dict(enumerate(firsts[chain] for chain in chains)))
    done, divergences, gradients, restarts = np.zeros((4, len(chains)), np.int64)
    return Lane(
        chains=chains,
        state=dataclasses.replace(repeated(first, len(chains)), key=keys),
        done=done,
        divergences=divergences,
        gradients=gradients,
        restarts=restarts,
        points=points,
    )
