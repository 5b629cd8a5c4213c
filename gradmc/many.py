"""Many fits: one model, a list of data sets, on whatever runs tasks; their draws in one store.

Each data set is sampled as by `gm.sample`, with a seed of its own, which depends on its name and not on the others. A
worker traces and compiles the program once for data of the same shapes (`gradmc.density.known`); integer arrays that
differ are given as reals where the program takes them so (`gradmc.density.reals`), and data of several lengths are
padded where that is asked for (`gradmc.density.padding`).
"""

import functools
import hashlib
import itertools
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gradmc._process import use_jax
from gradmc.arguments import check_whole
from gradmc.density import Precision
from gradmc.density.base import dtype_of
from gradmc.density.padding import PaddedDensity, Padding, padded_along
from gradmc.density.program_density import density
from gradmc.density.reals import as_reals, counts
from gradmc.elsewhere import explaining
from gradmc.errors import GradmcError, UsageError
from gradmc.program.fingerprint import digest
from gradmc.program.model import Model
from gradmc.program.parcel import Parcel, packed
from gradmc.results.fits import FITS, STORE, Fit, Outline, in_memory, without_added_rows, write_store
from gradmc.results.keep import Keep
from gradmc.results.manifest import hash_data
from gradmc.results.place import Place, place_of
from gradmc.run.settings import Settings
from gradmc.sample import prepared
from gradmc.session import SamplingWarning, Session
from gradmc.tasks import TaskOutcome, executor_of, outcomes, refuse_other_versions, versions

type DataSets = Mapping[Any, Mapping[str, Any]] | Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class FitTask:
    """What is done with each data set.

    Args:
        model: what to sample.
        options: arguments of `gm.sample`, all but model, data, seed.
        pad: the dimension along which data sets are padded, and to multiples of how many rows; 0 stands for the length
            of the longest. None pads nothing.
        reals: integer arrays of the data that are given as reals (`gradmc.density.reals`).
        padding: what `pad` comes to, for data sets that are padded.
    """

    model: Model
    options: dict[str, Any]
    pad: tuple[str, int] | None = None
    reals: tuple[str, ...] = ()
    padding: Padding | None = None


@explaining
def sample_many(
    model: Model,
    data: DataSets,
    *,
    executor: Any = None,
    output: Path | str | None = None,
    pad: str | Mapping[str, int] | None = None,
    seed: int = 0,
    chains: int = 4,
    warmup: int = 1000,
    draws: int = 1000,
    kernel: Any = "nuts",
    metric: Any = "low_rank",
    target_accept: float = 0.8,
    max_tree_depth: int = 10,
    start: Any = "pathfinder",
    initial: Any = None,
    keep: Keep | None = None,
    cores: int | None = None,
    precision: Precision = "float64",
    check: bool = True,
) -> Any:
    """Draw from the posterior of one model for each of many data sets.

    Args:
        model: a function declared with `@gm.model`.
        data: the data sets: a list of dictionaries as for `gm.sample`, or a mapping of names to them. It may read them
            when they are asked for.
        executor: runs the fits: a `concurrent.futures.Executor` (of processes: `ProcessPoolExecutor(mp_context=
            multiprocessing.get_context("spawn"))`) or a `dask.distributed.Client`.  None does one after the other here.
        output: a directory, or an address of fsspec (`s3://...`), where each fit is kept as soon as it is done, and
            the store of all of them. Fits that are there already, of the same program, data, settings and seed, are
            not made again. None keeps draws in memory.
        pad: a declared dimension along which the data sets have different lengths. They are padded to the longest, or
            (`{"visit": 64}`) to the next multiple of 64 rows, and what is added counts nothing, so that a worker
            compiles once, or once for each multiple. The density must be a sum over the dimension, whose terms are
            marked by `gm.observe`. Value and gradient are those without padding, to rounding.
        seed: non-negative integer; the seed of each fit is a function of it and of the name of its data set.
        chains, warmup, draws, kernel, metric, target_accept, max_tree_depth, start, initial, keep, precision, check: as
            for `gm.sample`, for each fit.
        cores: threads that run the chains of one fit; None takes one with an executor, else all cores.

    Returns:
        An ArviZ `DataTree` whose groups have the leading dimension `data_set`, with the names of the data sets that
        were fitted along it (0, 1, ... for a list). Where data sets have different labels along a dimension it has all
        of them, and NaN where one is not there. The group `fits` tells of each fit (seed, seconds, divergences,
        warnings), the group `failures` of each data set that could not be fitted, with the reason.  After Ctrl-C it
        holds the fits so far.  With `output` its arrays are read when they are used, from a store that the next call
        with this output writes anew: `load()` what is needed longer.

    Warns:
        SamplingWarning: fits failed, or their draws need a second look, or it was interrupted.

    Raises:
        UsageError: an argument is wrong, a worker has other versions, or results of two data sets do not stack; with
            `pad`, the density is not a sum over the dimension.
        ProgramError: with `pad`, the program needs to know its rows while it is compiled.
    """
    if not isinstance(model, Model):
        raise UsageError(f"expected a model declared with @gm.model, got {type(model).__name__}")
    check_whole("seed", seed, 0, None)
    keep = keep or Keep()
    options = {
        "chains": chains,
        "warmup": warmup,
        "draws": draws,
        "kernel": kernel,
        "metric": metric,
        "target_accept": target_accept,
        "max_tree_depth": max_tree_depth,
        "start": start,
        "initial": initial,
        "keep": keep,
        "cores": cores if cores is not None or executor is None else 1,
        "precision": precision,
        "check": check,
    }
    Settings(**{name: options[name] for name in options if name in Settings.__dataclass_fields__})
    work = FitTask(model, options, padded_along(pad))
    many = Many(work, named(data), seed, None if output is None else place_of(output))
    return many.complete(executor)


def _warn(text: str) -> None:
    warnings.warn(text, SamplingWarning, skip_file_prefixes=(str(Path(__file__).parent),))


def named(data: DataSets) -> dict[str, Callable[[], Mapping[str, Any]]]:
    """The data sets by name, to be read when they are asked for.

    Raises:
        UsageError: there are none, they are something else, or two have one name.
    """
    if isinstance(data, Mapping):
        keys = list(data)
    elif isinstance(data, Sequence) and not isinstance(data, str):
        keys = list(range(len(data)))
    else:
        raise UsageError(f"data must be a list of data sets, or a mapping of names to them; got {type(data).__name__}")
    names = [str(key) for key in keys]
    if not names:
        raise UsageError("there are no data sets")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"two data sets have the name {twice!r}")
    return {name: lambda key=key: data[key] for name, key in zip(names, keys, strict=True)}


@dataclass(slots=True)
class SoFar:
    """What came of the data sets so far.

    Attributes:
        outline: of the fits.
        failures: reasons, by data set.
        kept: the fits, where they are kept in memory.
    """

    outline: Outline = field(default_factory=Outline)
    failures: dict[str, str] = field(default_factory=dict)
    kept: dict[str, Fit] = field(default_factory=dict)


@dataclass(slots=True)
class Many:
    """All fits of one call.

    Args:
        work: what is done with each data set.
        data: reads the data sets, by name.
        seed: of all.
        place: where fits are kept; None keeps them in memory.
        told: hears of each fit that was there, is done, or failed: its name, and what came of it.
        warn: is told what needs a second look.
        interrupted: whether it was ended by Ctrl-C.
    """

    work: FitTask
    data: dict[str, Callable[[], Mapping[str, Any]]]
    seed: int
    place: Place | None
    told: Callable[[str, str], None] = lambda name, what: None
    warn: Callable[[str], None] = _warn
    interrupted: bool = False

    def complete(self, given: Any) -> Any:
        """Make the fits that are still to be made, and give the stack of all.

        Raises:
            UsageError: JAX cannot be used in this process; other arguments are wrong (`executor_of`).
            ResumeError: another process works in the place where fits are kept.
        """
        use_jax()
        with nullcontext() if self.place is None else self.place.alone(FITS):
            return self._complete(given)

    def _complete(self, given: Any) -> Any:
        executor = executor_of(given)
        padding = self._padding()
        self.work = replace(self.work, reals=self._reals(padding), padding=padding)
        so_far = SoFar()
        files = self._files(so_far)
        todo = self._not_there(files, so_far)
        try:
            self._make(executor, todo, files, so_far)
        except KeyboardInterrupt:
            self.interrupted = True
        outline = self._sorted(so_far.outline)
        failures = {name: so_far.failures[name] for name in self.data if name in so_far.failures}
        self._judge(outline, failures)
        return self._stacked(outline, failures, so_far.kept, files)

    def _files(self, so_far: SoFar) -> dict[str, str]:
        """The files of the fits of all data sets that can be read."""
        common, files = self._common(), dict[str, str]()
        for name in self.data:
            try:
                files[name] = f"{FITS}/{self._key(name, common)}.fit"
            except (GradmcError, OSError) as error:
                so_far.failures[name] = str(error)
                self.told(name, str(error))
        return files

    def _not_there(self, files: Mapping[str, str], so_far: SoFar) -> list[str]:
        """The data sets whose fits are still to be made."""
        there = set(self.place.names(FITS)) if self.place is not None else set()
        todo = []
        for name, file in files.items():
            fit = self._read(file) if file.partition("/")[2] in there else None
            if fit is None:
                todo.append(name)
            else:
                so_far.outline.add(name, fit)
                self.told(name, "there")
        return todo

    def _make(self, executor: Executor, todo: Sequence[str], files: Mapping[str, str], so_far: SoFar) -> None:
        """Make fits, and keep each as it comes."""
        parcel, wanted = packed(self.work), versions()
        tasks = ((parcel, packed(dict(self.data[name]())), self._seed(name), wanted) for name in todo)
        for number, outcome in outcomes(executor, fit_one, tasks):
            name = todo[number]
            fit, reason = _judged(outcome)
            if fit is None:
                so_far.failures[name] = reason
                self.told(name, reason)
                continue
            so_far.outline.add(name, fit)
            if self.place is None:
                so_far.kept[name] = fit
            else:
                self.place.write(files[name], fit.encoded(files[name]))
            self.told(name, "done")

    def _padding(self) -> Padding | None:
        """How data sets are padded: a function of the longest one that can be read, and of the program."""
        if self.work.pad is None:
            return None
        (dimension, multiple), longest, most = self.work.pad, None, -1
        for read in self.data.values():
            with suppress(GradmcError, OSError):
                bound = self.work.model.bind(dict(read()))
                if bound.sizes.get(dimension, 0) > most:
                    longest, most = read, bound.sizes.get(dimension, 0)
        if longest is None:
            return None  # they fail one by one
        target = density(self.work.model, dict(longest()), precision=self.work.options["precision"])
        return Padding.of(target, dimension, multiple or max(most, 1))

    def _reals(self, padding: Padding | None) -> tuple[str, ...]:
        """The integer arrays that are given as reals: a function of the first two data sets."""
        if len(self.data) < 2:
            return ()
        try:
            first, second = (read() for read in itertools.islice(self.data.values(), 2))
        except (GradmcError, OSError):
            return ()
        found = counts(self.work.model, first, second, self.work.options["precision"])
        return tuple(name for name in found if padding is None or name not in padding.arguments)

    def _stacked(
        self, outline: Outline, failures: Mapping[str, str], kept: Mapping[str, Fit], files: Mapping[str, str]
    ) -> Any:
        name = self.work.model.name
        if self.place is None:
            return in_memory(outline, (kept[key] for key in outline.names), failures, name)

        def fit_of(number: int) -> Fit:
            fit = self._read(files[outline.names[number]])
            if fit is None:
                raise UsageError(
                    f"the fit of {outline.names[number]!r} is gone or damaged; the same call makes it again"
                )
            return fit

        write_store(self.place, outline, fit_of, failures, name)
        return open_stack(self.place)

    def _read(self, file: str) -> Fit | None:
        assert self.place is not None
        return Fit.decoded(self.place.read(file), file)

    def _sorted(self, outline: Outline) -> Outline:
        """In the order of the data sets."""
        order = {name: number for number, name in enumerate(self.data)}
        ranks = sorted(range(len(outline.names)), key=lambda i: order[outline.names[i]])
        outline.names = [outline.names[i] for i in ranks]
        outline.facts = [outline.facts[i] for i in ranks]
        return outline

    def _seed(self, name: str) -> int:
        """The seed of a data set: 53 bits, so that any number type holds it."""
        return int.from_bytes(hashlib.blake2b(f"{self.seed}/{name}".encode(), digest_size=8).digest()) >> 11

    def _common(self) -> str:
        """What all fits depend on."""
        free = ("cores", "check")
        options = {name: repr(value) for name, value in self.work.options.items() if name not in free}
        model = self.work.model
        how = (self.work.reals, *([] if self.work.padding is None else [self.work.padding]))
        return f"{model.name} {model.digest or model.source_hash} {model.source_hash} {how} {options}"

    def _key(self, name: str, common: str) -> str:
        """What tells the fit of a data set from all others."""
        data = dict(self.data[name]())
        told = f"{common} {self._seed(name)} {digest(data) or hash_data(data)}"
        return hashlib.sha256(told.encode()).hexdigest()[:32]

    def _judge(self, outline: Outline, failures: Mapping[str, str]) -> None:
        if self.interrupted:
            left = len(self.data) - len(outline.names) - len(failures)
            self.warn(f"interrupted: {left} of {len(self.data)} data sets were not fitted")
        if failures:
            name, reason = next(iter(failures.items()))
            self.warn(
                f"{len(failures)} of {len(self.data)} data sets could not be fitted, {name!r} among them: {reason}"
            )
        doubtful = [(name, fact) for name, fact in zip(outline.names, outline.facts, strict=True) if fact["warnings"]]
        if doubtful:
            name, fact = doubtful[0]
            self.warn(
                f"{len(doubtful)} of {len(outline.names)} fits need a second look, {name!r} among them: "
                f"{fact['warnings'][0]}"
            )


def open_stack(place: Place | Path | str) -> Any:
    """The stack of fits that is kept in a place, as a DataTree; arrays are read when they are used."""
    import xarray as xr

    found = place_of(place) if isinstance(place, Path | str) else place
    return xr.open_datatree(found.open(STORE), engine="zarr", chunks=None, consolidated=True)


def fit_one(work: Parcel, data: Parcel, seed: int, wanted: Mapping[str, str]) -> Fit | str:
    """One fit: the task that an executor runs.

    Args:
        work: a `FitTask`.
        data: the data set.
        seed: of the fit.
        wanted: versions of the process that asks.

    Returns:
        The fit, or why this data set cannot be fitted.

    Raises:
        UsageError: this process has other versions.
    """
    refuse_other_versions(wanted)
    opened = work_of(work)
    began, found = time.perf_counter(), list[str]()
    try:
        given = as_reals(data.opened(), opened.reals)
        padded = None if opened.padding is None else _padded(opened, given)
        own = {"model": padded or opened.model, "data": given if padded is None else None, "seed": seed}
        job = prepared(SAMPLE_DEFAULTS | opened.options | own)
        tree = job.complete(Session(warn=found.append))
    except GradmcError as error:
        return str(error)
    except Exception as error:  # of the user's program, or a bug: this data set's alone
        return "".join(traceback.format_exception(error)).strip()
    divergences = int(tree["sample_stats"]["diverging"].sum()) if "sample_stats" in tree.children else 0
    facts = {
        "seed": seed,
        "seconds": time.perf_counter() - began,
        "divergences": divergences,
        "warnings": found,
        "attributes": {**tree.attrs, "data_as_reals": list(opened.reals)},
    }
    fit = Fit.of(tree, facts)
    return fit if padded is None else without_added_rows(fit, padded)


def _padded(work: FitTask, data: Mapping[str, Any]) -> PaddedDensity:
    assert work.padding is not None
    return PaddedDensity(work.model.bind(data), dtype_of(work.options["precision"]), work.padding)


@functools.lru_cache(maxsize=8)
def work_of(parcel: Parcel) -> FitTask:
    """The work in a parcel, which a worker opens once."""
    return parcel.opened()


SAMPLE_DEFAULTS: dict[str, Any] = {
    **{name: field.default for name, field in Settings.__dataclass_fields__.items()},
    "progress": "none",
    "output": None,
    "resume": False,
    "stop": None,
}
"""Arguments of `gm.sample` that are the same for all fits."""


def _judged(outcome: TaskOutcome) -> tuple[Fit | None, str]:
    """The fit of an outcome, or why there is none.

    Raises:
        UsageError: of the worker, not of the data set.
    """
    if isinstance(outcome.error, UsageError):
        raise outcome.error
    if outcome.error is not None:
        return None, f"{type(outcome.error).__name__}: {outcome.error}"
    if isinstance(outcome.result, str):
        return None, outcome.result
    return outcome.result, ""
