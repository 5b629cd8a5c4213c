"""The scripts for Slurm in docs/scale.md on a Slurm that is started for them."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from gradmc.results.reading import open_draws
from tests.docs.slurm import Slurm, absent, kill, processes, until
from tests.docs.test_slurm_scripts import SCRIPTS

pytestmark = [
    pytest.mark.campaign,
    pytest.mark.skipif(bool(absent()), reason=f"Slurm is not on this machine: no {absent()} (slurm-wlm, munge)"),
]

MODEL = """
import gradmc as gm


@gm.model
def line(mu: gm.Real, sigma: gm.Positive, *, y: gm.Data["visit"]):
    lp = gm.lpdf.normal(mu, 0.0, 10.0) + gm.lpdf.normal(sigma, 0.0, 5.0)
    for j in range(len(y)):
        lp += gm.observe("y", gm.lpdf.normal(y[j], mu, sigma))
    return lp
"""
CONFIG = """
[model]
target = "model.py:line"
[data]
file = "data.npz"
[sampler]
chains = 2
warmup = 200
draws = {draws}
seed = 5
kernel = "hmc"
metric = "diagonal"
start = "uniform"
cores = 1
[output]
dir = "out"
exclude = ["log_likelihood/*"]
checkpoint_seconds = 1.0
"""
PATIENCE = 600.0


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    """A Slurm of three nodes, so that two are left when one is lost."""
    with tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as folder:
        made = Slurm(Path(folder), 3)
        try:
            made.start()
            yield made
        finally:
            made.stop()


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """What makes a folder with a model, a configuration, and one of the scripts with some words replaced."""

    def make(number: int, rows: int, draws: int, replaced: Mapping[str, str] = MappingProxyType({})) -> Path:
        (tmp_path / "model.py").write_text(MODEL)
        (tmp_path / "run.toml").write_text(CONFIG.format(draws=draws))
        np.savez(tmp_path / "data.npz", y=np.random.default_rng(0).normal(1.0, 2.0, rows))
        script = SCRIPTS[number]
        for old, new in replaced.items():
            assert old in script
            script = script.replace(old, new)
        (tmp_path / "job.sh").write_text(script)
        return tmp_path / "job.sh"

    return make


def draws(folder: Path) -> Any:
    return open_draws(folder / "draws.zarr")["posterior"].to_dataset().load()


def here(folder: Path, *options: str, devices: int = 1) -> Any:
    """The draws of a run that nobody interrupts, in one process of this machine."""
    command = [sys.executable, "-m", "gradmc", "sample", "run.toml", "--progress", "none", "--sampler.cores", "2"]
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": str(devices)}
    subprocess.run(
        [*command, "--output.dir", "here", *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    return draws(folder / "here")


def begun(folder: Path) -> bool:
    return any(folder.glob("state/*.checkpoint"))


def output(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.glob("slurm-*.out")))


def of(job: str, **variables: Any) -> list[int]:
    """The processes that compute in a job."""
    wanted = {f"SLURM_JOB_ID={job}", *(f"{name}={value}" for name, value in variables.items())}
    called = {p: Path(f"/proc/{p}/cmdline") for p, environment in processes().items() if wanted <= environment}
    return [p for p, path in called.items() if path.exists() and "python" in path.read_text().split("\0")[0]]


def test_an_array_goes_on_after_preemption_and_after_the_signal_of_its_time(slurm: Slurm, project: Any) -> None:
    """The first of two is requeued by somebody else; the second is told that its time is up, and requeues itself."""
    script = project(2, rows=20_000, draws=10_000)
    job = slurm.submit(script, "--array=0-1", "--cpus-per-task=1")
    for seed in ("0", "1"):
        until(lambda seed=seed: begun(script.parent / "runs" / seed), PATIENCE, "checkpoint")
    slurm.ask("scontrol", "requeue", f"{job}_0")
    slurm.ask("scancel", "--signal=TERM", f"{job}_1")
    slurm.wait(job, PATIENCE)
    assert "Stopped by a signal; everything is kept." in output(script.parent)
    assert slurm.restarts(job) == [1, 1]
    for seed in ("0", "1"):
        same = here(script.parent, "--sampler.seed", seed, "--force")
        assert draws(script.parent / "runs" / seed).equals(same)
        assert same.sizes["draw"] == 10_000


def test_one_chain_on_several_nodes(slurm: Slurm, project: Any) -> None:
    """Its time is up, one of its processes is killed, one of its nodes is lost: it goes on to the same draws."""
    script = project(0, rows=1_000, draws=20_000, replaced={"14000": "40"})
    job = slurm.submit(script, "--nodes=2", "--cpus-per-task=1")
    until(lambda: max(slurm.restarts(job)) == 1, PATIENCE, "the first time")
    until(lambda: len(of(job, SLURM_PROCID=1)) > 0, PATIENCE, "the second time")
    kill(of(job, SLURM_PROCID=1)[0])
    until(lambda: max(slurm.restarts(job)) == 2, PATIENCE, "the second time")
    until(lambda: len(of(job, SLURM_PROCID=1)) > 0, PATIENCE, "the third time")
    slurm.lose("127.0.0.2")
    slurm.wait(job, PATIENCE)
    slurm.start_node("127.0.0.2")
    assert "The time budget is used up; everything is kept." in output(script.parent)
    same = here(script.parent, "--sampler.shard", "visit", devices=2)
    assert draws(script.parent / "out").equals(same)
    assert same.sizes["draw"] == 20_000


def test_workers_that_come_and_go(slurm: Slurm, project: Any) -> None:
    """One of the workers is gone, then the time of the run is up: it goes on to the same draws with other workers."""
    script = project(1, rows=20_000, draws=6_000, replaced={"0-49": "0-1"})
    job = slurm.submit(script)
    until(lambda: begun(script.parent / "out"), PATIENCE, "checkpoint")
    workers = slurm.ask("squeue", "-h", "-n", "wrap", "-o", "%A").split()
    slurm.ask("scancel", workers[0])
    slurm.ask("scancel", "--signal=TERM", job)
    slurm.wait(job, PATIENCE)
    assert slurm.restarts(job) == [1]
    assert "Stopped by a signal; everything is kept." in output(script.parent)
    until(lambda: not slurm.ask("squeue", "-h"), PATIENCE, "the workers end with the run")
    assert draws(script.parent / "out").equals(here(script.parent))
