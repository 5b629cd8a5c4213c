"""Replications of simulation-based calibration that share one compiled sampler.

A replication draws parameters from the prior, simulates data with them, and samples the posterior of these
data. The data are arguments of the compiled functions, so all replications run the same executables; they
differ in the arguments and in the seed. A chain begins at the parameters of another replication, a draw of the prior:
random points may lie in modes that no draw of the prior is near. Of many such draws it is the one under which the data
are likeliest: from one that they contradict, a chain may fall into a place that it never leaves. Several run at the
same time, one per core, or in tasks of an executor, each worker of which compiles once; the outcome is the same.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradmc.density import Density, ProgramDensity
from gradmc.density.prior import PriorDensity
from gradmc.errors import UsageError
from gradmc.program.binding import BoundModel
from gradmc.program.model import Model
from gradmc.program.parcel import Parcel, packed
from gradmc.results.prediction import simulate
from gradmc.run.driver import Driver, point_table
from gradmc.run.preparing import prepare
from gradmc.run.progress import NoProgress
from gradmc.run.sampler import Sampler
from gradmc.run.settings import Settings
from gradmc.run.stopping import Targets, estimate
from gradmc.tasks import executor_of, outcomes, refuse_other_versions, versions

PRIOR_THINS = (10, 40, 160)
"""Draws of the prior's chains of which one is used: as many as it takes for those used to be nearly independent."""

PRIOR_R_HAT = 1.05
"""Above this the chains of the prior do not agree."""

PRIOR_CHAINS = 4
SPREAD = 8
"""Posterior draws of which one is ranked, so that those ranked are nearly independent (Talts et al. 2018, 5.1)."""

BLOCK = 10
"""Replications of one task of an executor."""

CANDIDATES = 64
"""Draws of the prior of which the best is where a chain begins."""

type Wrap = Callable[[Density], Density]


class Sink:
    """Keeps draws as they come, by chain."""

    def __init__(self) -> None:
        self.chunks: dict[int, list[Mapping[str, Mapping[str, np.ndarray]]]] = {}

    def put(
        self,
        chains: Sequence[int],
        warmup: bool,
        groups: Mapping[str, Mapping[str, np.ndarray]],
        first: np.ndarray,
        last: np.ndarray,
    ) -> None:
        """Keep a chunk."""
        for i, chain in enumerate(chains):
            rows = slice(int(first[i]), int(last[i]))
            if not warmup and rows.stop > rows.start:
                own = {group: {name: v[i, rows] for name, v in of.items()} for group, of in groups.items()}
                self.chunks.setdefault(chain, []).append(own)

    def joined(self, chain: int) -> dict[str, dict[str, np.ndarray]]:
        """All draws of a chain."""
        chunks = self.chunks[chain]
        return {
            group: {name: np.concatenate([c[group][name] for c in chunks]) for name in variables}
            for group, variables in chunks[0].items()
        }


@dataclass(frozen=True, slots=True)
class Replication:
    """One replication.

    Attributes:
        truth: value of every quantity at the parameters that made the data.
        draws: posterior draws of it, thinned, leading axis the draw.
        divergences: divergent transitions among all posterior draws.
    """

    truth: dict[str, np.ndarray]
    draws: dict[str, np.ndarray]
    divergences: int


@dataclass(frozen=True, slots=True)
class PriorDraws:
    """Draws of the prior, made by chains.

    Attributes:
        values: by parameter, leading axis the draw.
        r_hat: of the parameter whose chains agree least, over all their draws.
        ess: the smallest bulk effective sample size of all their draws.
        worst: the parameter whose R-hat it is.
    """

    values: dict[str, np.ndarray]
    r_hat: float
    ess: float
    worst: str

    @property
    def trusted(self) -> bool:
        """Whether the chains agree, and have as many independent draws as are used."""
        return self.r_hat <= PRIOR_R_HAT and self.ess >= len(next(iter(self.values.values())))


def prior_draws(bound: BoundModel, dtype: np.dtype, count: int, seed: int) -> PriorDraws:
    """Draws of the parameters from the program without its observed terms.

    Of the draws of its chains one in ten is used; where they are not nearly independent, of longer chains one in more.
    """
    density = PriorDensity(bound, dtype)
    names = [p.name for p in bound.parameters]
    for thin in PRIOR_THINS:
        per_chain = -(-count // PRIOR_CHAINS) * thin
        settings = Settings(seed=seed, chains=PRIOR_CHAINS, warmup=1000, draws=per_chain, metric="diagonal")
        sink = Sink()
        prepare(density, settings).run(sink, NoProgress())
        chains = [sink.joined(chain)["posterior"] for chain in range(PRIOR_CHAINS)]
        every = {name: np.stack([c[name] for c in chains]) for name in names}
        used = {name: np.concatenate([c[name][thin - 1 :: thin] for c in chains])[:count] for name in names}
        found = _judged(every, used)
        if found.trusted:
            break
    return found


def _judged(every: Mapping[str, np.ndarray], used: dict[str, np.ndarray]) -> PriorDraws:
    """The draws used, with diagnostics of all, each of shape (chain, draw, ...); what is constant has none."""
    wanted = Targets(ess=len(next(iter(used.values()))), r_hat=PRIOR_R_HAT)
    looked = {name: estimate({name: values}, wanted) for name, values in every.items()}
    worst = max(looked, key=lambda name: looked[name].r_hat)
    return PriorDraws(used, looked[worst].r_hat, min(look.ess for look in looked.values()), worst)


def replicate(
    model: Model,
    data: Mapping[str, Any],
    *,
    replications: int,
    ranked: int,
    warmup: int,
    seed: int,
    wrap: Wrap | None = None,
    executor: Any = None,
) -> tuple[PriorDraws, list[Replication]]:
    """Run all replications, and what they are made of.

    Arguments are as for `calibrate`; `wrap` changes the density that is sampled (for tests).
    """
    dtype = np.dtype(float)
    first = model.bind(data)
    model.required_simulator()
    prior = prior_draws(first, dtype, replications, seed)
    truths = prior.values
    simulated = [_simulated(first, {k: v[r] for k, v in truths.items()}, [seed, r]) for r in range(replications)]
    bounds = [model.bind({**data, **values}) for values in simulated]
    _check(first, simulated[0])
    target = ProgramDensity(bounds[0], dtype)
    _check_shared(target, simulated[0])
    settings = Settings(
        seed=seed + 1,
        chains=replications,
        warmup=warmup,
        draws=ranked * SPREAD,
        metric="diagonal",
        executor="threads",  # each chain has data of its own
        start="uniform",  # where the density is not finite at a draw of the prior
        target_accept=0.9,
        cores=None if executor is None else 1,
    )

    def cases(numbers: Sequence[int]) -> list[Case]:
        return [
            Case(
                number=r,
                parameters={name: draws[r] for name, draws in truths.items()},
                starts=_others(truths, r),
                data={name: bounds[r].data[name] for name in simulated[0]},
            )
            for r in numbers
        ]

    if executor is None:
        return prior, replicate_some(target, settings, cases(range(replications)), wrap=wrap)
    engine, parcel = executor_of(executor), packed((target, settings))
    blocks = [range(start, min(start + BLOCK, replications)) for start in range(0, replications, BLOCK)]
    tasks = [(parcel, cases(block), versions()) for block in blocks]
    made: dict[int, list[Replication]] = {}
    for number, outcome in outcomes(engine, replicate_task, tasks):
        if outcome.error is not None:
            raise outcome.error
        made[number] = outcome.result
    return prior, [replication for number in sorted(made) for replication in made[number]]


@dataclass(frozen=True, slots=True)
class Case:
    """What a replication fits.

    Args:
        number: of the replication.
        parameters: those that the data were simulated with.
        starts: those of other replications, with a leading axis: its chain begins at the best of them.
        data: the simulated data in standard form.
    """

    number: int
    parameters: dict[str, np.ndarray]
    starts: dict[str, np.ndarray]
    data: dict[str, np.ndarray]


def replicate_task(parcel: Parcel, cases: Sequence[Case], wanted: Mapping[str, str]) -> list[Replication]:
    """Some replications: the task that an executor runs.

    Args:
        parcel: the density with the data of a replication, and the settings of all.
        cases: the replications.
        wanted: versions of the process that asks.
    """
    refuse_other_versions(wanted)
    target, settings = parcel.opened()
    return replicate_some(target, settings, cases)


def replicate_some(
    target: ProgramDensity, settings: Settings, cases: Sequence[Case], *, wrap: Wrap | None = None
) -> list[Replication]:
    """Some replications, in threads."""
    with target.differentiating():
        sampler = prepare(target if wrap is None else wrap(target), settings)

    def one(case: Case) -> Replication:
        data = {**target.bound.data, **case.data}
        arguments = tuple(data[name].astype(target.dtype) for name in target.traced)
        return _one(sampler, target, case, arguments)

    with ThreadPoolExecutor(settings.threads) as pool:
        return list(pool.map(one, cases))


def _others(truths: Mapping[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
    """The parameters of other replications, those before it first, with a leading axis."""
    count = len(next(iter(truths.values())))
    rows = [(number - k) % count for k in range(1, min(count, CANDIDATES + 1))]
    return {name: draws[rows] for name, draws in truths.items()}


def _simulated(bound: BoundModel, parameters: Mapping[str, Any], seed: list[int]) -> dict[str, np.ndarray]:
    """Simulated data as real numbers, so that they can be arguments of a compiled function."""
    values = {name: v.item() if np.ndim(v) == 0 else np.asarray(v) for name, v in parameters.items()}
    made = simulate(bound.model.required_simulator(), bound, values, seed)
    known = {field.name for field in bound.model.data}
    return {name: value.astype(float) for name, value in made.items() if name in known}


def _check(bound: BoundModel, simulated: Mapping[str, Any]) -> None:
    if not simulated:
        raise UsageError(
            f"the simulator of {bound.model.name} returns none of the data "
            f"({', '.join(field.name for field in bound.model.data)}); its keys must be names of data"
        )


def _check_shared(density: ProgramDensity, simulated: Mapping[str, Any]) -> None:
    """The likelihood must be marked, and simulated data must be arguments of the compiled function."""
    if "log_likelihood" not in density.group_dims:
        raise UsageError(
            f"model {density.bound.model.name} marks no likelihood, so its prior is not known; write "
            'gm.observe("y", term) around the terms of the data'
        )
    built_in = [name for name in simulated if name not in density.traced]
    if built_in:
        raise UsageError(
            f"the program needs {', '.join(built_in)} while it is compiled (as a subscript, a size or a condition), "
            "so replications cannot share a compiled function; calibrate a variant that does not"
        )


def _one(sampler: Sampler, target: ProgramDensity, case: Case, arguments: tuple[Any, ...]) -> Replication:
    def unconstrained(parameters: Mapping[str, Any]) -> np.ndarray:
        return np.asarray(target.layout.unconstrain(dict(parameters), target._data(arguments)))

    def expanded(positions: list[np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
        """What the results hold of at most `rows` points, whose number is the leading axis."""
        table = np.zeros((1, plan.compiled.rows, target.dim), target.dtype)
        table[0, : len(positions)] = positions
        groups = plan.compiled.expand(table, np.full(1, len(positions), np.int32), arguments)
        return {group: {n: np.asarray(v)[0, : len(positions)] for n, v in of.items()} for group, of in groups.items()}

    sink = Sink()
    plan = dataclasses.replace(sampler.plan, arguments=arguments, data=arguments)
    lane = sampler.lanes[case.number]
    with target.scope():
        count = min(plan.compiled.rows, len(next(iter(case.starts.values()))))
        candidates = [unconstrained({n: v[k] for n, v in case.starts.items()}) for k in range(count)]
        known = quantities(expanded(candidates))
        score = known["log_likelihood"] + known["log_prior"]
        best = int(np.argmax(np.where(np.isfinite(score), score, -np.inf)))
        lane.points = point_table(lane.points, {0: candidates[best]})
    Driver(plan, [lane], sink, NoProgress(), workers=1).run(interval=0.01)
    if lane.failed:
        raise sampler._start_error(lane)
    groups = sink.joined(case.number)
    with target.scope():
        truth = expanded([unconstrained(case.parameters)])
    divergences = int(groups["sample_stats"]["diverging"].sum())
    return Replication(
        truth={name: value[0] for name, value in quantities(truth).items()},
        draws={name: value[SPREAD - 1 :: SPREAD] for name, value in quantities(groups).items()},
        divergences=divergences,
    )


def quantities(groups: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The test quantities: parameters and derived quantities, log likelihood, log prior (Modrák et al. 2023).

    The joint log likelihood finds errors that ranks of the parameters alone cannot: a posterior that ignores
    the data equals the prior, whose ranks are uniform.
    """
    found = {str(name): np.asarray(value) for name, value in groups["posterior"].items()}
    terms = groups["log_likelihood"].values()
    found["log_likelihood"] = np.sum([np.sum(t.reshape(len(t), -1), axis=1) for t in terms], axis=0)
    found["log_prior"] = np.asarray(groups["log_prior"]["log_prior"])
    return found
