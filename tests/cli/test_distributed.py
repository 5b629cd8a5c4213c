"""`gradmc sample --distributed`: a process that dies, and the run that goes on."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from gradmc.results.reading import open_draws
from tests.cli.conftest import Gradmc
from tests.density.rows import data
from tests.run.test_shards import address, ended, started

CONFIG = """
[model]
target = "tests.density.rows:line"
[data]
file = "data.npz"
[sampler]
kernel = "hmc"
start = "uniform"
chains = 2
warmup = 200
draws = 200
seed = 5
check = "off"
shard = "n"
[output]
checkpoint_seconds = 0.0
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A configuration."""
    np.savez(tmp_path / "data.npz", **data(101))
    (tmp_path / "run.toml").write_text(CONFIG)
    return tmp_path / "run.toml"


@pytest.mark.slow
@pytest.mark.parametrize("victim", [pytest.param(0, marks=pytest.mark.campaign), 1])
def test_a_run_goes_on_after_a_process_has_died(run: Path, victim: int) -> None:
    command = ["gradmc", "sample", run, "--progress", "none", "--resume", "--output.dir", run.parent / "out"]

    def begun():
        place = address()
        others = ["--distributed", "--coordinator", place, "--processes", 2, "--process"]
        return [started(*command, *others, k) for k in range(2)]

    processes = begun()
    state = run.parent / "out" / "state"
    while not list(state.glob("*.checkpoint")) and all(p.poll() is None for p in processes):
        time.sleep(0.05)
    processes[victim].kill()
    outcomes = ended(processes)
    assert outcomes[victim][0] == -signal.SIGKILL, outcomes
    assert outcomes[1 - victim][0] == 75, outcomes
    assert "a process that computes with this one is gone" in outcomes[1 - victim][2]

    assert [code for code, *_ in ended(begun())] == [0, 0]
    elsewhere = [*command[:-1], run.parent / "local"]
    ((code, _, errors),) = ended([started(*elsewhere, devices=2)])
    assert code == 0, errors
    resumed, local = (
        open_draws(run.parent / name / "draws.zarr")["posterior"].to_dataset() for name in ("out", "local")
    )
    assert resumed.sizes["draw"] == 200
    assert resumed.equals(local), "two devices of one process make the same bits as two processes"


@pytest.mark.slow
def test_processes_find_each_other_by_what_slurm_sets(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = ["--sampler.warmup", 20, "--sampler.draws", 10, "--sampler.chains", 1]
    command = [
        "gradmc",
        "sample",
        run,
        "--progress",
        "none",
        "--distributed",
        "--output.dir",
        run.parent / "out",
        *short,
    ]
    job = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2"}
    processes = []
    for rank in ("0", "1"):
        for name, value in {**job, "SLURM_PROCID": rank, "SLURM_LOCALID": rank}.items():
            monkeypatch.setenv(name, value)
        processes.append(started(*command))
    outcomes = ended(processes)
    assert [code for code, *_ in outcomes] == [0, 0], outcomes
    assert "1 chain of 10 draws" in outcomes[0][1]
    assert outcomes[1][1] == "", "the first one keeps the run"


def test_the_command_needs_a_dimension(project: Path, gradmc: Gradmc) -> None:
    plain = gradmc("sample", project / "run.toml", "--distributed")
    assert plain.code == 2
    assert "say along which dimension, by sampler.shard" in plain.err


def test_the_command_needs_to_be_told_of_the_others(run: Path) -> None:
    command = ["gradmc", "sample", run, "--distributed", "--processes", 2]
    ((code, _, errors),) = ended([started(*command)])
    assert code == 2
    assert "cannot join the other processes" in errors
    assert "give --coordinator HOST:PORT, --processes and --process" in errors
