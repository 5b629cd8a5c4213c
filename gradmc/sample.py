"""The pipeline on one page: program -> density -> sampler -> store -> results.  Read this first.

density   a model bound to its data, as a log density on a flat vector       gradmc.density
sampler   kernel, adaptation and density in one compiled loop                gradmc.run.sampler
job       one or the other way to run it: in memory or on disk               gradmc.session
run       the host loop over chunks of that loop                             gradmc.run.driver
store     takes the draws as they come and makes the ArviZ DataTree          gradmc.results
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gradmc.adaptation.adaptation import Adaptation
from gradmc.adaptation.metric_adaptation import MetricAdaptation
from gradmc.density import Density, Precision, density
from gradmc.elsewhere import explaining
from gradmc.errors import UsageError
from gradmc.kernels.kernel import Kernel
from gradmc.program.ir import MAX_LOOP_ITERATIONS
from gradmc.program.model import Model
from gradmc.results.keep import Keep
from gradmc.results.place import is_address
from gradmc.run.displays import choose_display
from gradmc.run.executor import Executor
from gradmc.run.optimum import Optimum
from gradmc.run.settings import Settings
from gradmc.run.stopping import Targets
from gradmc.run.work import Work
from gradmc.session import Job, Session
from gradmc.starts.inits import starting_point
from gradmc.starts.start import Start

type Initial = Mapping[str, Any] | Optimum | Sequence[Mapping[str, Any] | Optimum]


@explaining
def sample(
    model: Model | Density,
    data: Mapping[str, Any] | None = None,
    *,
    seed: int | None = None,
    chains: int = 4,
    warmup: int = 1000,
    draws: int = 1000,
    kernel: Literal["nuts", "hmc", "microcanonical", "chees", "sghmc", "auto"] | Kernel[Any, Any] = "nuts",
    metric: Literal["low_rank", "diagonal", "dense"] | MetricAdaptation[Any, Any] = "low_rank",
    adaptation: Adaptation | None = None,
    target_accept: float = 0.8,
    step_size: float | None = None,
    max_tree_depth: int = 10,
    integration_time: float = math.pi / 2,
    max_loop_iterations: int = MAX_LOOP_ITERATIONS,
    start: Literal["pathfinder", "uniform"] | Start = "pathfinder",
    initial: Initial | None = None,
    keep_warmup: bool = False,
    keep_unconstrained: bool = False,
    executor: Literal["auto", "threads", "batch"] | Executor | Any = "auto",
    cores: int | None = None,
    shard: str | None = None,
    batch: Mapping[str, int] | None = None,
    precision: Precision = "float64",
    check: bool = True,
    progress: str | bool = "auto",
    output: Path | str | None = None,
    resume: bool = False,
    keep: Keep | None = None,
    stop: Targets | Mapping[str, Any] | None = None,
) -> Any:
    """Draw from the posterior of `model` given `data`.

    Args:
        model: a function decorated with `@gm.model`, or a `Density`.
        data: the model's data by name; None for a model without data, or a density.
        seed: non-negative integer; the draws are a function of it.  None chooses one (see `attrs["seed"]`).
        chains: number of chains; they run at the same time on `cores` cores.
        warmup: transitions per chain that adapt step size and mass matrix and are not draws.
        draws: draws per chain.
        kernel: "nuts" (Hoffman & Gelman 2014; Betancourt 2017), "hmc" (jittered fixed integration time),
            "microcanonical" (constant speed; Robnik et al. 2023, 2025), "chees" (HMC for at least 16 chains, which
            adapt its length together; Hoffman, Radul & Sountsov 2021), "sghmc" (approximate, by batches of the data:
            see `batch`) or "auto" ("chees" for 64 chains or more on an accelerator, else "nuts"), or an object such as
            `gm.Nuts(max_tree_depth=12)`.
        metric: the mass matrix: "low_rank" (diagonal and up to 16 directions), "diagonal" or "dense", or an object such
            as `gm.LowRank(rank=32)`.
        adaptation: an object in place of the usual adaptation: `gm.Warmup(metric, target_accept)` of each chain by
            itself; for 64 chains or more in a batch `gm.Pooled(metric, target_accept)` of all chains together.
        target_accept: mean acceptance aimed at, in (0, 1); raise it when transitions diverge.
        step_size: the first step size, positive; None searches for one.  Warmup adapts it.  For "sghmc" it is the step
            size of all steps, on the whitened scale, below 1; None takes 0.2.
        max_tree_depth: at most 2**max_tree_depth - 1 gradients per draw ("nuts"), 1 to 20.
        integration_time: length of a trajectory on the whitened scale, positive ("hmc", "microcanonical", "sghmc").
        max_loop_iterations: how many iterations, from 1 to 2**30, a loop of the model may take that parameters end
            (`while x > tol` and the like); where it takes more, the log density is NaN, so that no draw lies there.
            Of a `Density` it is told when that is made.
        start: "pathfinder" (several searches for where the mass is; Zhang, Carpenter, Gelman & Vehtari 2022) or
            "uniform" (uniform(-2, 2) on the unconstrained scale), or an object such as `gm.Pathfinder(paths=16)`.
        initial: named parameter values, or an `Optimum`, to start all chains from, or one per chain; parameters that it
            does not name start at random, uniform(-2, 2) on the unconstrained scale.
        keep_warmup: add the groups `warmup_posterior`, `warmup_sample_stats`, ...
        keep_unconstrained: add the group `unconstrained_posterior`.
        executor: "threads" (one chain per call, on several cores), "batch" (all chains together; vectorised on an
            accelerator), or "auto", which is threads for fewer than 64 chains on a CPU (docs/howto/many-chains.md); or
            what runs chains in other processes, each by itself: a `dask.distributed.Client` or a
            `concurrent.futures.Executor` of processes.
        cores: threads that run chains; None takes all cores.
        shard: a declared dimension along which the data are shared out among all devices of JAX, those of other
            processes included, for data that do not fit one of them, or to put several cores on one chain
            (docs/scale.md). The density must be a sum over the dimension, whose terms are marked by `gm.observe`.
        batch: for `kernel="sghmc"`, and only for it: a declared dimension and a number of rows, `{"n": 256}`. Each step
            sees so many rows of the data along it, drawn anew, with control variates at a point near the mode, for
            which all data are searched: by `start`, or from `initial`. The density must be such a sum as for `shard`.
            The draws are approximate: `attrs["variance_excess"]` estimates by which share their variances are too large
            (docs/howto/big-data.md). They come without pointwise log likelihood.
        precision: "float64" or "float32".
        check: compare, before sampling, the compiled value with plain Python's and the gradient with a difference
            quotient (docs/check.md).
        progress: "auto", "rich", "plain", "json", "notebook" or "none" (False).
        output: directory of a run, to which draws are streamed and checkpoints saved, as by `gradmc sample`, or an
            address of fsspec (`s3://bucket/run`), to which its files are put as it goes on; None keeps draws in memory
            alone.
        resume: go on with the run in `output` if there is one, up to `draws`, which may have grown; model, data and
            settings must be the same.  The draws are those of a run that was never interrupted.
        keep: which draws and variables are kept, such as `gm.Keep(thin=5, variables=("mu",))`; None keeps all.
        stop: when to stop before all draws are made, such as `gm.Targets(ess=400, seconds=60)`, or these as a
            dictionary (docs/stopping.md).

    Returns:
        An ArviZ `DataTree` with groups `posterior`, `sample_stats`, `log_likelihood`, `log_prior`, `observed_data`
        and `constant_data`.  After Ctrl-C it holds the draws so far.  With `output` its arrays are read from disk when
        they are used.  With `shard` and several processes the first one alone gets it, the others None.

    Warns:
        SamplingWarning: the run was interrupted, draws diverged, trees were cut off, or far fewer steps were accepted
            than aimed at.  `gm.diagnose` judges the draws in full.  Also: the gradient is not the derivative.
        UserWarning: results cannot hold some of the data, and leave them out.

    Raises:
        UsageError: an argument is of the wrong kind or outside its range; data do not fit the model.
        ProgramError: the model's function raised, or uses something that cannot be compiled.
        SelfCheckError: plain Python gives another value than the compiled program.
        StartError: no starting point with finite density and gradient was found.
    """
    return prepared(locals()).complete(Session())


def prepared(given: Mapping[str, Any]) -> Job:
    """The work that the arguments of `sample` ask for, checked.

    Raises:
        UsageError, ProgramError: as `sample`.
    """
    engine = given["executor"] if callable(getattr(given["executor"], "submit", None)) else None
    chosen = {field.name: given[field.name] for field in dataclasses.fields(Settings)}
    settings = Settings(**(chosen if engine is None else {**chosen, "executor": "auto"}))
    if settings.shard is not None and engine is not None:
        raise UsageError("shard computes each chain on the devices of this process: leave out executor")
    target = as_density(given["model"], given["data"], given["precision"], given["max_loop_iterations"])
    keep = given["keep"] or Keep()
    if not isinstance(keep, Keep):
        raise UsageError(f"keep must be an object such as gm.Keep(thin=2); got {keep!r}")
    if given["resume"] and given["output"] is None:
        raise UsageError("resume goes on with the run in a directory: pass output too")
    work = Work(
        density=target,
        settings=settings,
        initial=starting_points(target, given["initial"], settings.chains, seed=settings.seed or 0),
        check=given["check"],
        keep=dataclasses.replace(keep, warmup=keep.warmup or settings.keep_warmup),
        targets=Targets.of(given["stop"]),
    )
    return Job(
        work=work,
        display=choose_display(given["progress"]),
        output=given["output"] if given["output"] is None or is_address(given["output"]) else Path(given["output"]),
        resume=given["resume"],
        seeded=given["seed"] is not None,
        engine=engine,
    )


def as_density(
    model: Model | Density,
    data: Mapping[str, Any] | None,
    precision: Precision = "float64",
    max_loop_iterations: int = MAX_LOOP_ITERATIONS,
) -> Density:
    """The density of a model given data; a density is returned as it is.

    Raises:
        UsageError: `model` is neither, or data came with a density.
    """
    if isinstance(model, Model):
        return density(
            model, {} if data is None else data, precision=precision, max_loop_iterations=max_loop_iterations
        )
    if not isinstance(model, Density):
        hint = "; decorate the function with @gm.model" if callable(model) else ""
        raise UsageError(f"expected a model or a density, got {type(model).__name__}{hint}")
    if data is not None:
        raise UsageError("a density has its data already; pass data only together with a model")
    return model


def starting_points(target: Density, initial: Initial | None, chains: int, *, seed: int = 0) -> list[np.ndarray] | None:
    """Flat unconstrained starting points, one per chain; `seed` decides the parameters that `initial` leaves out.

    Raises:
        UsageError: the number of mappings is not the number of chains, or they are something else.
    """
    if initial is None:
        return None
    given: Any = [initial] * chains if isinstance(initial, Mapping | Optimum) else initial
    if isinstance(given, list | tuple):
        given = [values.values if isinstance(values, Optimum) else values for values in given]
    if not isinstance(given, list | tuple) or not all(isinstance(values, Mapping) for values in given):
        raise UsageError(
            f"initial must map parameter names to values, or be a list of such mappings, one per chain; got {initial!r}"
        )
    if len(given) != chains:
        raise UsageError(f"initial has {len(given)} starting points for {chains} chains; give one per chain")
    streams = np.random.SeedSequence([seed, 1 << 22]).spawn(chains)
    return [
        starting_point(target, values, np.random.default_rng(stream))
        for values, stream in zip(given, streams, strict=True)
    ]
