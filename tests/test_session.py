"""Runs of `gm.sample` that are kept, resumed, thinned and stopped, and runs in the background."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradmc as gm
from gradmc.errors import ResumeError, UsageError
from gradmc.results.reading import open_draws
from gradmc.results.run_directory import RunDirectory


@gm.model
def line(mu: gm.Real, sigma: gm.Positive, *, y: gm.Data["n"]):
    """Normal on the unconstrained scale, where nothing diverges."""
    gm.record("double", 2 * mu)
    prior = gm.lpdf.normal(mu, 0.0, 10.0) + gm.lpdf.lognormal(sigma, 0.0, 1.0)
    return prior + gm.observe("y", gm.lpdf.normal(y, mu, 1.0, pointwise=True)).sum()


DATA = {"y": [1.0, 2.5, 0.5, 1.5, 2.0]}
QUICK: dict[str, Any] = {"seed": 3, "chains": 2, "warmup": 100, "progress": "none", "check": False}


def run(draws: int, **more: Any) -> Any:
    return gm.sample(line, DATA, draws=draws, **QUICK, **more)


@pytest.fixture(scope="module")
def whole() -> Any:
    """A run in memory that nothing interrupts."""
    return run(300)


def same(one: Any, other: Any) -> None:
    """All draws are the same, bit for bit."""
    for group in ("posterior", "sample_stats", "log_likelihood", "log_prior"):
        for name, array in one[group].data_vars.items():
            np.testing.assert_array_equal(array.values, other[group][name].values, err_msg=f"{group}/{name}")


def test_a_run_on_disk_is_extended_to_the_same_draws(whole: Any, tmp_path: Path) -> None:
    output = tmp_path / "run"
    first = run(120, output=output)
    assert first["posterior"].sizes["draw"] == 120
    assert RunDirectory(output).read_manifest()["status"] == "finished"
    same(whole, run(300, output=output, resume=True))
    again = run(300, output=output, resume=True)
    assert len(RunDirectory(output).read_manifest()["sessions"]) == 2  # complete: nothing was run
    same(whole, again)
    assert again.attrs["model_hash"] == line.source_hash
    same(whole, open_draws(output / "draws.zarr"))


def test_what_is_in_the_way_or_differs_is_refused(tmp_path: Path) -> None:
    output = tmp_path / "run"
    run(20, output=output)
    with pytest.raises(UsageError, match="holds a run already; use resume=True to go on with it"):
        run(20, output=output)
    with pytest.raises(
        ResumeError, match=r"undo the change, or choose another output:\n  data changed\n  data.y changed"
    ):
        gm.sample(line, {"y": [1.0]}, draws=20, output=output, resume=True, **QUICK)
    with pytest.raises(ResumeError, match=r"sampler.seed: 3 in the run, 4 now"):
        gm.sample(line, DATA, draws=20, output=output, resume=True, **{**QUICK, "seed": 4})
    with pytest.raises(UsageError, match="resume goes on with the run in a directory: pass output too"):
        run(20, resume=True)


def test_what_is_kept(whole: Any) -> None:
    kept = run(300, keep=gm.Keep(thin=3, variables=("mu",)))
    assert list(kept["posterior"].data_vars) == ["mu"]
    np.testing.assert_array_equal(kept["posterior"]["mu"], whole["posterior"]["mu"][:, ::3])
    with pytest.raises(UsageError, match=r"keep must be an object such as gm.Keep"):
        run(10, keep={"thin": 3})


def test_a_target_or_a_time_stops_a_run() -> None:
    made = run(2**30, stop={"ess": 50})
    assert 100 <= made["posterior"].sizes["draw"] < 2**30
    with pytest.raises(UsageError, match=r"stop must be gm.Targets.*with some of ess, r_hat, mcse, seconds"):
        run(10, stop={"time": 3})
    with pytest.raises(UsageError, match="r_hat must be a number greater than 1"):
        run(10, stop=gm.Targets(r_hat=0.9))


def test_a_time_budget_leaves_a_run_on_disk_to_go_on_with(whole: Any, tmp_path: Path) -> None:
    output = tmp_path / "run"
    with pytest.warns(gm.SamplingWarning, match=r"the time budget is used up.*resume=True goes on"):
        run(300, output=output, stop={"seconds": 1e-3}, keep=None)
    assert RunDirectory(output).read_manifest()["status"] == "time"
    same(whole, run(300, output=output, resume=True))


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_run_in_the_background_is_extended_to_the_same_draws(whole: Any, tmp_path: Path, on_disk: bool) -> None:
    handle = gm.start(line, DATA, draws=120, output=tmp_path / "run" if on_disk else None, **QUICK)
    assert handle.result(120)["posterior"].sizes["draw"] == 120
    assert "2 chains: finished" in repr(handle)
    handle.extend(180)
    same(whole, handle.result(120))
    assert [status.done for status in handle.chains] == [400, 400]
    assert not handle.running


def wait(handle: gm.Handle, condition: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < 120
        assert handle.running, handle
        time.sleep(0.01)


def test_a_run_in_the_background_is_looked_at_and_stopped_and_goes_on() -> None:
    handle = gm.start(line, DATA, draws=2**30, **QUICK)
    with pytest.raises(UsageError, match="no draws after warmup yet"):
        handle.draws()
    wait(handle, lambda: any(status.phase == "sampling" for status in handle.chains))
    wait(handle, lambda: handle.draws()["posterior"].sizes["draw"] > 0)
    with pytest.raises(TimeoutError, match="it goes on"):
        handle.result(0.01)
    handle.stop()
    stopped = handle.result(120)["posterior"].sizes["draw"]
    assert 0 < stopped < 2**30
    assert "stopped; extend() goes on" in repr(handle)
    assert "<table" in handle._repr_html_()
    handle.extend()
    wait(handle, lambda: handle.draws()["posterior"].sizes["draw"] > stopped)
    handle.stop()
    handle.result(120)


def test_errors_come_at_once_or_with_the_result() -> None:
    with pytest.raises(UsageError, match=r"gm.start has no argument 'tune'; did you mean warmup"):
        gm.start(line, DATA, tune=3)
    with pytest.raises(UsageError, match="draws must be a whole number"):
        gm.start(line, DATA, draws=-1)
    nowhere = gm.from_logdensity(lambda x: x["a"] * float("nan"), {"a": 0.0})
    handle = gm.start(nowhere, draws=10, **QUICK)
    with pytest.raises(gm.errors.StartError, match="no valid start"):
        handle.result(120)
    assert "failed: StartError" in repr(handle)
