"""Legs: whatever an engine does with them, the draws are those of this process."""

import errno
import itertools
import os
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

import gradmc as gm
from gradmc.errors import StartError, UsageError
from gradmc.results.files import StorageError
from gradmc.run import remote

SHORT: dict[str, Any] = {"seed": 5, "chains": 3, "warmup": 60, "draws": 300, "progress": "none"}
SHORT |= {"kernel": "hmc", "metric": "diagonal"}


@gm.model
def bowl(mu: gm.Real, s: gm.Positive) -> float:
    return gm.lpdf.normal(mu, 0.0, 1.0) + gm.lpdf.gamma(s, 3.0, 2.0)


class Engine(Executor):
    """Does tasks at once, as `how` does them: it gets the number of the task and what does it."""

    def __init__(self, how: Callable[[int, Callable[[], Any]], Any] = lambda number, do: do()) -> None:
        self.how = how
        self.numbers = itertools.count()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future:
        future: Future = Future()
        try:
            future.set_result(self.how(next(self.numbers), lambda: fn(*args, **kwargs)))
        except BaseException as error:
            future.set_exception(error)
        return future


@pytest.fixture(scope="module")
def here() -> Any:
    return gm.sample(bowl, **SHORT)


@pytest.fixture(autouse=True)
def short_legs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "LEG_SECONDS", 0.0)


def same(one: Any, other: Any) -> bool:
    return all(one[group].ds.load().equals(other[group].ds) for group in ("posterior", "sample_stats"))


def test_legs_make_the_draws_of_one_machine(here: Any) -> None:
    engine = Engine()
    assert same(gm.sample(bowl, executor=engine, **SHORT), here)
    assert next(engine.numbers) > 3  # several legs


def test_legs_that_are_lost_and_done_again_change_nothing(here: Any) -> None:
    def twice(number: int, do: Callable[[], Any]) -> Any:
        if number % 2:
            do()  # the worker died before it could answer
        return do()

    assert same(gm.sample(bowl, executor=Engine(twice), **SHORT), here)


@pytest.mark.parametrize("error", [ConnectionError, BrokenProcessPool, CancelledError])
def test_a_run_goes_on_after_its_engine_is_gone(here: Any, tmp_path: Path, error: type[BaseException]) -> None:
    """A scheduler that does not answer, a pool whose process was killed, and tasks that were given up."""

    def gone(number: int, do: Callable[[], Any]) -> Any:
        if number > 3:
            raise error("they are gone")
        return do()

    with pytest.raises(remote.ClusterError, match=rf"\({error.__name__}: they are gone\).*resume"):
        gm.sample(bowl, executor=Engine(gone), output=tmp_path / "run", **SHORT)
    assert remote.ClusterError.exit_code == 75
    again = gm.sample(bowl, executor=Engine(), output=tmp_path / "run", resume=True, **SHORT)
    assert same(again, here)
    longer = {**SHORT, "draws": 350}
    extended = gm.sample(bowl, output=tmp_path / "run", resume=True, **longer)  # here, and then there
    assert extended["posterior"].ds.isel(draw=slice(300)).load().equals(here["posterior"].ds)


def test_a_full_disk_ends_a_run_on_an_engine_in_good_order(
    here: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, count = os.replace, itertools.count()

    def full(source: Any, target: Any) -> None:
        if "draws.zarr" in str(target) and next(count) > 40:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(StorageError, match=r"the disk is full: cannot write .*draws\.zarr.*resume"):
            gm.sample(bowl, executor=Engine(), output=tmp_path / "run", **SHORT)
    assert same(gm.sample(bowl, executor=Engine(), output=tmp_path / "run", resume=True, **SHORT), here)


def test_a_warm_start_travels(here: Any, tmp_path: Path) -> None:
    given = {**SHORT, "initial": {"mu": 0.3, "s": 1.0}}
    assert same(gm.sample(bowl, executor=Engine(), **given), gm.sample(bowl, **given))


def test_rules_stop_a_run(here: Any) -> None:
    many = {**SHORT, "draws": 100_000}
    stopped = gm.sample(bowl, executor=Engine(), stop={"ess": 50}, **many)
    assert 0 < stopped["posterior"].sizes["draw"] < 100_000


def test_errors_of_the_task_are_told_as_they_are(here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "versions", lambda: {"numpy": "1.0"})
    with pytest.raises(UsageError, match=r"a worker has numpy .* instead of 1\.0: draws could differ"):
        gm.sample(bowl, executor=Engine(), **SHORT)


def test_a_chain_that_finds_no_start(here: Any) -> None:
    @gm.model
    def nowhere(mu: gm.Real) -> float:
        return -float("inf") * mu * mu

    with pytest.raises(StartError, match="no valid start for chain"):
        gm.sample(nowhere, executor=Engine(), check=False, **{**SHORT, "start": "uniform"})
