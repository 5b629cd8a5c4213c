"""What happens on file systems without locks, with clocks that jump, with full disks, and with rivals."""

import errno
import fcntl
import itertools
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from gradmc import stored
from gradmc.cli import sampling
from gradmc.errors import ResumeError
from gradmc.results import files
from gradmc.results.lock import holder, locked
from tests.cli.conftest import Gradmc

SIZES = ["--sampler.draws=50", "--sampler.warmup=50", "--progress=none"]


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_lock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_lock)
    path = tmp_path / "lock"
    with pytest.warns(RuntimeWarning, match="has no locks"), locked(path):  # noqa: PT031
        owner = holder(path)
        assert owner is not None
        assert owner["pid"] == os.getpid()
        with pytest.raises(ResumeError, match=f"in use by process {os.getpid()}"), locked(path):
            pass
    assert holder(path) is None
    path.write_text(json.dumps({**owner, "pid": 2**22 + 1}))
    assert holder(path) is None
    with pytest.warns(RuntimeWarning, match="has no locks"), locked(path) as left:
        assert left is not None


def test_a_clock_that_jumps_back(gradmc: Gradmc, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(10**9, -3600)
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    result = gradmc("sample", project / "run.toml", *SIZES, "--stop.seconds=3000")
    assert result.code == 0, result.err
    assert gradmc("status", project / "out").code == 0


def test_a_disk_that_is_full_when_the_summary_is_kept(
    gradmc: Gradmc, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def full(source: str, target: Path) -> None:
        if Path(target).name == "summary.json":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", full)
    result = gradmc("sample", project / "run.toml", *SIZES)
    assert result.code == 0, result.err
    assert "2 chains of 50 draws" in result.out
    assert gradmc("summary", project / "out").out.splitlines()[0] == "2 chains of 50 draws"
    assert not list((project / "out").glob("*.partial"))


@pytest.mark.parametrize("full_at", ["draws.zarr/zarr.json", "manifest.json"])
def test_a_disk_that_is_full_at_the_end(
    gradmc: Gradmc, project: Path, monkeypatch: pytest.MonkeyPatch, full_at: str
) -> None:
    replace, drawn = os.replace, threading.Event()

    def full(source: str, target: Path) -> None:
        if drawn.is_set() and str(target).endswith(full_at):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if str(target).endswith("chain-1.checkpoint"):
            drawn.set()
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", full)
    result = gradmc("sample", project / "run.toml", *SIZES)
    assert result.code == 75, result.err
    assert "the disk is full" in result.err
    monkeypatch.setattr(files.os, "replace", replace)
    result = gradmc("resume", project / "out", "--progress=none")
    assert result.code == 0, result.err


def test_sigterm_while_compiling(gradmc: Gradmc, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = stored._prepared

    def interrupted(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return prepared(*arguments)

    monkeypatch.setattr(stored, "_prepared", interrupted)
    result = gradmc("sample", project / "run.toml", *SIZES)
    assert result.code == 75, result.err
    assert "as soon as the model is compiled" in result.err
    monkeypatch.undo()
    assert gradmc("resume", project / "out", "--progress=none").code == 0


def test_a_run_that_began_and_ended_meanwhile_is_not_deleted(
    gradmc: Gradmc, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs into one directory: while this one loads its model, the other runs to its end."""
    build, outcomes = sampling.build_problem, []

    def slow(*arguments: Any, **more: Any) -> Any:
        monkeypatch.setattr(sampling, "build_problem", build)
        outcomes.append(gradmc("sample", project / "run.toml", *SIZES))
        return build(*arguments, **more)

    monkeypatch.setattr(sampling, "build_problem", slow)
    result = gradmc("sample", project / "run.toml", *SIZES, "--sampler.seed=9")
    assert outcomes[0].code == 0
    assert result.code == 2
    assert "holds a run already" in result.err
    assert json.loads((project / "out" / "manifest.json").read_text())["seed"] == 5


def test_a_run_that_ended_before_its_manifest_is_begun_again(gradmc: Gradmc, project: Path) -> None:
    (project / "out" / "state").mkdir(parents=True)
    (project / "out" / "state" / "lock").touch()
    (project / "out" / ".config.toml.123.partial").touch()
    result = gradmc("sample", project / "run.toml", *SIZES)
    assert result.code == 0, result.err
