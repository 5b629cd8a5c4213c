"""Many fits: those of `gm.sample`, side by side, wherever they are made."""

import errno
import itertools
import json
import math
import os
import re
import warnings
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor, Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

import gradmc as gm
from gradmc.density import known
from gradmc.density.reals import counts
from gradmc.errors import ResumeError, UsageError
from gradmc.many import FitTask, Many, named
from gradmc.results import files
from gradmc.results.place import Folder
from gradmc.run import preparing
from gradmc.session import SamplingWarning

SHORT = {"chains": 2, "warmup": 60, "draws": 20}


@gm.model
def school(mu: gm.Real, theta: gm.Real["n"], *, y: gm.Data["n"]) -> float:
    lp = gm.lpdf.normal(mu, 0.0, 2.0)
    for j in range(len(y)):
        lp += gm.lpdf.normal(theta[j], mu, 1.0) + gm.observe("y", gm.lpdf.normal(y[j], theta[j], 1.0))
    return lp


@gm.model
def tally(rate: gm.Positive, *, y: gm.Data["n"], group: gm.Data["n"], shift: gm.Data) -> float:
    lp = gm.lpdf.exponential(rate, 1.0)
    for j in range(len(y)):
        lp += gm.lpdf.poisson(y[j], rate + shift[group[j]])
    return lp


def sets(count: int = 4) -> dict[str, dict[str, Any]]:
    return {f"s{k}": {"y": np.random.default_rng(k).normal(k, 1.0, 3)} for k in range(count)}


def many(data: Any, **given: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SamplingWarning)
        return gm.sample_many(school, data, **{**SHORT, **given})


class Counting(Executor):
    """Does tasks at once, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future:
        self.count += 1
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Any, int]]:
    """Four data sets, of which one cannot be fitted, on disk; and how often was compiled."""
    known.forget()
    place, compiled = tmp_path_factory.mktemp("many"), []
    with pytest.MonkeyPatch.context() as patch:
        once = preparing.compile_run
        patch.setattr(preparing, "compile_run", lambda *a, **k: (compiled.append(1), once(*a, **k))[1])
        tree = many({**sets(), "ill": {"y": [1.0, np.inf, 2.0]}}, output=place).load()
    yield place, tree, len(compiled)
    known.forget()


def test_each_fit_is_that_of_sample(fitted: tuple[Path, Any, int]) -> None:
    tree = fitted[1]
    assert tree["posterior"]["theta"].dims == ("data_set", "chain", "draw", "n")
    for name, data in sets().items():
        seed = int(tree["fits"]["seed"].sel(data_set=name))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SamplingWarning)
            alone = gm.sample(school, data, seed=seed, progress="none", **SHORT)
        for group in ("posterior", "sample_stats", "log_likelihood", "observed_data"):
            for variable, array in alone[group].data_vars.items():
                np.testing.assert_array_equal(tree[group][variable].sel(data_set=name).values, array.values)


def test_the_program_is_compiled_once(fitted: tuple[Path, Any, int]) -> None:
    assert fitted[2] == 1


def test_a_data_set_that_fails_alone_is_recorded(fitted: tuple[Path, Any, int]) -> None:
    failures = fitted[1]["failures"]
    assert failures["failed"].values.tolist() == ["ill"]
    assert "y[1] is inf" in str(failures["reason"].values[0])
    assert fitted[1]["posterior"]["data_set"].values.tolist() == list(sets())


def test_what_is_done_is_not_done_again(fitted: tuple[Path, Any, int]) -> None:
    place, tree, _ = fitted
    engine = Counting()
    more = many({"new": {"y": np.ones(3)}, **sets()}, output=place, executor=engine).load()
    assert engine.count == 1
    assert more["posterior"]["data_set"].values.tolist() == ["new", *sets()]
    shared = more["posterior"].ds.sel(data_set=list(sets()))
    assert shared.equals(tree["posterior"].ds)
    assert many(sets(), output=place, executor=engine, seed=1)["fits"].sizes["data_set"] == 4
    assert engine.count == 5  # another seed, other fits


def test_a_damaged_fit_is_made_again(fitted: tuple[Path, Any, int], tmp_path: Path) -> None:
    engine, data = Counting(), dict(list(sets().items())[:2])
    first = many(data, output=tmp_path, executor=engine)["posterior"].ds.load()
    file = sorted((tmp_path / "fits").glob("*.fit"))[0]
    file.write_bytes(file.read_bytes()[:-7])
    assert many(data, output=tmp_path, executor=engine)["posterior"].ds.load().equals(first)
    assert engine.count == 3
    one, other = sorted((tmp_path / "fits").glob("*.fit"))
    other.write_bytes(one.read_bytes())  # whole, and that of another data set
    assert many(data, output=tmp_path, executor=engine)["posterior"].ds.load().equals(first)
    assert engine.count == 4


def test_a_place_where_another_process_works_is_refused(tmp_path: Path) -> None:
    with Folder(tmp_path).alone("fits"), pytest.raises(ResumeError, match=f"{tmp_path} is in use by process"):
        many(sets(), output=tmp_path)


def test_the_same_in_memory_and_at_an_address(fitted: tuple[Path, Any, int]) -> None:
    want = fitted[1]["posterior"].ds
    assert many(sets())["posterior"].ds.equals(want)
    assert many(sets(), output="memory://many/here")["posterior"].ds.load().equals(want)
    engine = Counting()
    assert many(sets(), output="memory://many/here", executor=engine)["posterior"].ds.load().equals(want)
    assert engine.count == 0


def test_data_sets_of_several_sizes_stack(fitted: tuple[Path, Any, int]) -> None:
    short, labelled = {"y": np.ones(2)}, {"y": np.ones(3), "n": ["a", "b", "c"]}
    tree = many([short, {"y": np.full(3, 2.0)}])
    theta = tree["posterior"]["theta"]
    assert theta.shape == (2, 2, 20, 3)
    assert np.isnan(theta.values[0, ..., 2]).all()
    assert np.isfinite(theta.values[1]).all()
    named_axis = many([{"y": np.ones(2), "n": ["b", "d"]}, labelled])["posterior"]["theta"]
    assert named_axis["n"].values.tolist() == ["b", "d", "a", "c"]
    assert np.isfinite(named_axis.sel(n="b").values).all()
    assert np.isnan(named_axis.sel(n="d").values[1]).all()


@gm.model
def site(mu: gm.Real, *, y: gm.Data["visit"], kind: gm.Data["visit"], shift: gm.Data) -> float:
    lp = gm.lpdf.normal(mu, 0.0, 2.0)
    for j in range(len(y)):
        lp += gm.observe("y", gm.lpdf.normal(y[j], mu + shift[kind[j]], 1.0))
    return lp


def visits(rows: int) -> dict[str, Any]:
    rng = np.random.default_rng(rows)
    return {"y": rng.normal(size=rows), "kind": rng.integers(0, 2, rows), "shift": [0.0, 1.0]}


@pytest.mark.parametrize(("pad", "programs"), [("visit", 1), ({"visit": 40}, 2)])
def test_data_sets_of_fifty_lengths_are_compiled_once(pad: Any, programs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled, once = [], preparing.compile_run
    monkeypatch.setattr(preparing, "compile_run", lambda *a, **k: (compiled.append(1), once(*a, **k))[1])
    labelled = {"y": [0.5, 1.0], "kind": [0, 1], "shift": [0.0, 1.0], "visit": ["a", "b"]}
    tiny = {"chains": 1, "warmup": 5, "draws": 2, "kernel": "hmc", "start": "uniform"}
    data = {**{str(rows): visits(rows) for rows in range(3, 52)}, "labelled": labelled, "empty": visits(0)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SamplingWarning)
        tree = gm.sample_many(site, data, pad=pad, **tiny)
    known.forget()
    assert len(compiled) == programs
    assert tree["fits"].sizes["data_set"] == 50
    assert (
        str(tree["failures"]["reason"].values[0]) == "pad: there are no rows along 'visit', of which one could be added"
    )
    for told in tree["fits"]["attributes"].values:
        assert json.loads(told)["self_check_value"] == "agrees", "with plain Python on the data as they are"
    for group, name in (("log_likelihood", "y"), ("observed_data", "y"), ("constant_data", "kind")):
        here = (
            tree[group][name].sel(data_set="7").isel({d: 0 for d in ("chain", "draw") if d in tree[group][name].dims})
        )
        assert np.flatnonzero(here.notnull()).tolist() == list(range(7))
        assert tree[group]["visit"].values.tolist() == [*map(str, range(51)), "a", "b"]
    mu = tree["posterior"]["mu"].sel(data_set="7").values
    terms = tree["log_likelihood"]["y"].sel(data_set="7").values[..., :7]
    given = visits(7)
    centred = given["y"] - mu[..., None] - np.asarray(given["shift"])[given["kind"]]
    np.testing.assert_allclose(terms, -0.5 * centred**2 - 0.5 * np.log(2 * np.pi), rtol=1e-12)


def test_padding_is_refused_where_the_density_is_no_sum() -> None:
    with pytest.raises(UsageError, match="pad: the parameter 'theta' has entries along 'n'"):
        many(sets(), pad="n")


def test_counts_are_given_as_reals_where_that_changes_nothing() -> None:
    first = {"y": [1, 2, 0], "group": [0, 1, 1], "shift": [0.1, 0.2]}
    second = {"y": [3, 0, 1], "group": [1, 0, 1], "shift": [0.1, 0.2]}
    assert counts(tally, first, second) == ("y",)  # groups are subscripts
    assert counts(tally, first, {**first, "shift": [0.3, 0.4]}) == ()
    assert counts(tally, first, {"y": [np.inf], "group": [0], "shift": [1.0]}) == ()


class Breaking(Executor):
    """Takes a task, and no more."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.count = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future:
        self.count += 1
        future: Future = Future()
        if self.count == 1:
            future.set_result(fn(*args, **kwargs))
        elif isinstance(self.error, CancelledError):
            future.cancel()
            future.set_running_or_notify_cancel()
        else:
            future.set_exception(self.error)
        return future


def test_dead_workers_and_other_versions(fitted: tuple[Path, Any, int]) -> None:
    with pytest.warns(SamplingWarning, match="3 of 4 data sets could not be fitted, 's1' among them: OSError: killed"):
        tree = gm.sample_many(school, sets(), executor=Breaking(OSError("killed")), **SHORT)
    assert tree["posterior"]["data_set"].values.tolist() == ["s0"]
    with pytest.raises(UsageError, match="a worker has"):
        many(sets(), executor=Breaking(UsageError("a worker has jax 1 instead of 2")))


@gm.model
def choosy(mu: gm.Real, *, y: gm.Data["n"]) -> float:
    if len(y) == 2:
        raise ValueError("two are none")
    lp = gm.lpdf.normal(mu, 0.0, 2.0)
    for j in range(len(y)):
        lp += gm.lpdf.normal(y[j], mu, 1.0) + math.log(y[j])
    return lp


def test_a_program_that_raises_on_one_data_set_costs_no_other() -> None:
    data = {"good": {"y": [1.0, 2.0, 3.0]}, "raises": {"y": [1.0, 2.0]}, "nan": {"y": [1.0, -2.0, 3.0]}}
    with pytest.warns(SamplingWarning, match="2 of 3 data sets could not be fitted, 'raises' among them"):
        tree = gm.sample_many(choosy, data, check=False, **SHORT)
    assert tree["posterior"]["data_set"].values.tolist() == ["good"]
    reasons = dict(zip(tree["failures"]["failed"].values, tree["failures"]["reason"].values, strict=True))
    assert "two are none" in reasons["raises"]
    assert "math domain error" in reasons["nan"]


@pytest.mark.parametrize("end", [BrokenProcessPool("a process died"), CancelledError()])
def test_a_cluster_that_dies_costs_what_is_not_done(
    end: BaseException, fitted: tuple[Path, Any, int], tmp_path: Path
) -> None:
    """Workers that die, and a scheduler, at which all tasks are cancelled."""
    with pytest.warns(SamplingWarning, match="3 of 4 data sets could not be fitted"):
        tree = gm.sample_many(school, sets(), executor=Breaking(end), output=tmp_path, **SHORT)
    assert tree["fits"]["data_set"].values.tolist() == ["s0"]
    assert re.search("process died|are gone", str(tree["failures"]["reason"].values[0]))
    engine = Counting()
    again = many(sets(), executor=engine, output=tmp_path)
    assert engine.count == 3
    assert again["posterior"].ds.load().equals(fitted[1]["posterior"].ds)


@pytest.mark.parametrize("place", ["folder", "memory://many/full"])
def test_a_place_that_takes_no_more_keeps_what_is_done(
    place: str, fitted: tuple[Path, Any, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, and a store that refuses: the run ends with exit code 75, and the next call makes the rest."""
    output, count = place if "://" in place else str(tmp_path / place), itertools.count()

    def limited(write: Any) -> Any:
        def refuse(*given: Any, **options: Any) -> None:
            if next(count) >= 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write(*given, **options)

        return refuse

    with pytest.MonkeyPatch.context() as patch:
        memory = type(fsspec.filesystem("memory"))
        patch.setattr(memory, "pipe_file", limited(memory.pipe_file))
        patch.setattr(files.os, "replace", limited(os.replace))
        with pytest.raises(files.StorageError, match=r"No space left|disk is full"):
            many(sets(), output=output)
    engine = Counting()
    assert many(sets(), executor=engine, output=output)["posterior"].ds.load().equals(fitted[1]["posterior"].ds)
    assert engine.count == 2


def test_ctrl_c_keeps_what_is_done(fitted: tuple[Path, Any, int]) -> None:
    def told(name: str, what: str) -> None:
        raise KeyboardInterrupt

    options = {**SHORT, "keep": gm.Keep(), "precision": "float64", "check": False, "initial": None}
    with pytest.warns(SamplingWarning, match="interrupted: 3 of 4 data sets were not fitted"):
        tree = Many(FitTask(school, options), named(sets()), 0, None, told).complete(None)
    assert tree["posterior"]["data_set"].values.tolist() == ["s0"]


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"data": []}, "there are no data sets"),
        ({"data": "y"}, "data must be a list of data sets"),
        ({"data": {1: {}, "1": {}}}, "two data sets have the name '1'"),
        ({"data": [{}], "executor": 3}, r"executor must be a concurrent.futures.Executor"),
        ({"data": [{}], "draws": -1}, "draws must be a whole number"),
        ({"data": [{}], "output": "nowhere://x"}, "cannot use nowhere://x"),
    ],
)
def test_what_is_refused(given: dict[str, Any], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        gm.sample_many(school, given.pop("data"), **given)
