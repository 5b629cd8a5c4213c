"""A run is never lost: real processes are killed, stopped and starved, and end bit-identical to one left alone."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from gradmc.adaptation.windowed import DIAGONAL
from gradmc.results.checkpoint import checkpoint_path, load_checkpoint
from tests.cli.conftest import make_project

KILLS = 25
SETTINGS = [
    "--sampler.warmup=2000",
    "--sampler.draws=40000",
    "--output.keep_warmup=true",
    "--progress=none",
]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]


@dataclass
class Server:
    """Starts `gradmc` in forked processes (`fork_server.py`)."""

    process: subprocess.Popen[str]

    def __call__(self, *arguments: Any, **more: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        request = {"arguments": [str(a) for a in arguments], **more}
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.cli.fork_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        yield Server(process)
        assert process.stdin is not None
        process.stdin.close()


@dataclass
class Reference:
    project: Path
    out: Path


@pytest.fixture(scope="module")
def reference(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """An uninterrupted run."""
    project = make_project(tmp_path_factory.mktemp("faults") / "project")
    result = server("sample", project / "run.toml", *SETTINGS)
    assert result["code"] == 0, result["err"]
    return Reference(project, project / "out")


def assert_same_run(one: Path, other: Path) -> None:
    """Draws, statistics and the states of the chains agree bit by bit."""
    left, right = (xr.open_datatree(path / "draws.zarr", engine="zarr") for path in (one, other))
    assert [node.path for node in left.subtree] == [node.path for node in right.subtree]
    for node in left.subtree:
        for name, array in node.data_vars.items():
            assert array.values.tobytes() == right[node.path][name].values.tobytes(), (node.path, name)
    for chain in (0, 1):
        states = [load_checkpoint(path / "state", chain) for path in (one, other)]
        assert states[0] is not None
        assert states[1] is not None
        assert states[0].arrays.keys() == states[1].arrays.keys()
        for name, array in states[0].arrays.items():
            assert np.array_equal(array, states[1].arrays[name], equal_nan=True), name


def begin_and_stop(server: Server, reference: Reference, out: Path, *numbers: int, **more: float) -> Any:
    """Start a run and stop it by signals soon after its first checkpoint."""
    result = server(
        "sample",
        reference.project / "run.toml",
        *SETTINGS,
        f"--output.dir={out}",
        signals=[(0.02 + 0.1 * i, int(number)) for i, number in enumerate(numbers)],
        after=str(out / "state" / "chain-1.checkpoint"),
        chunk_seconds=0.02,
        **more,
    )
    assert result["code"] in (75, -9), result
    return result


def test_killed_25_times(server: Server, reference: Reference, tmp_path: Path, rng: np.random.Generator) -> None:
    """Some kills come while the process starts, most while it samples."""
    kills, runs = 0, 0
    while kills < KILLS:
        out = tmp_path / f"run-{runs}"
        command: list[Any] = ["sample", reference.project / "run.toml", *SETTINGS, f"--output.dir={out}"]
        finished = False
        while not finished:
            starting = rng.random() < 0.25
            fault: dict[str, Any] = {
                "signals": [(float(rng.uniform(0, 1.0 if starting else 0.4)), int(signal.SIGKILL))],
                "after": None if starting else str(out / "state" / "chain-0.checkpoint"),
            }
            more = fault if kills < KILLS else {}
            result = server(*command, chunk_seconds=float(rng.uniform(0.005, 0.05)), **more)
            if result["code"] == -signal.SIGKILL:
                kills += 1
            else:
                assert result["code"] == 0, result["err"]
                finished = True
            if (out / "manifest.json").exists():
                command = ["resume", out, "--progress=none"]
        assert_same_run(reference.out, out)
        runs += 1


CORRELATED = """
import gradmc as gm
from gradmc.lpdf import normal

@gm.model
def walk(x: gm.Real["n"], *, y: gm.Data["n"]):
    \"\"\"A random walk: neighbours are correlated, so that dense and low-rank metrics have something to find.\"\"\"
    lp = normal(x[0], 0.0, 1.0) + normal(y, x, 3.0)
    for i in range(1, len(y)):
        lp += normal(x[i], x[i - 1], 0.1)
    return lp
"""
WARMUP = 20_000


@pytest.mark.parametrize("metric", ["low_rank", "dense"])
def test_killed_in_warmup_while_the_host_computes_metrics(
    server: Server, tmp_path: Path, rng: np.random.Generator, metric: str
) -> None:
    """Chunks of another size after each kill; the metrics, computed between chunks, are the same in the end."""
    project = make_project(tmp_path / "project")
    (project / "model.py").write_text(CORRELATED)
    (project / "run.toml").write_text((project / "run.toml").read_text().replace(":line", ":walk"))
    settings = [f"--sampler.warmup={WARMUP}", "--sampler.draws=500", f"--sampler.metric={metric}", "--progress=none"]
    begin: list[Any] = ["sample", project / "run.toml", *settings, "--output.keep_warmup=true"]
    complete = tmp_path / "complete"
    assert server(*begin, f"--output.dir={complete}")["code"] == 0
    # Where the machine is busy, the kills may come too late in a run: then another one is begun.
    outs = (tmp_path / f"run-{k}" for k in range(10))
    out = next((out for out in outs if killed_twice_in_warmup(server, [*begin, f"--output.dir={out}"], out, rng)), None)
    assert out is not None, "two kills in warmup, after the first metric from the host"
    assert server("resume", out, "--progress=none")["code"] == 0
    assert_same_run(complete, out)


def killed_twice_in_warmup(server: Server, begin: list[Any], out: Path, rng: np.random.Generator) -> bool:
    """Begin a run and kill it again and again, until two kills came after the first metric and before the draws."""
    command, reached = begin, set[int]()
    while len(reached) < 2:
        fault: dict[str, Any] = {"signals": [(float(rng.uniform(0.02, 0.2)), int(signal.SIGKILL))]}
        fault["after"] = str(out / "state" / "chain-0.checkpoint")
        result = server(*command, chunk_seconds=float(rng.uniform(0.005, 0.05)), every_chunk=True, **fault)
        assert result["code"] in (0, -signal.SIGKILL), result["err"]
        command = ["resume", out, "--progress=none"]
        checkpoint = load_checkpoint(out / "state", 0)
        assert checkpoint is not None
        done = int(checkpoint.arrays["done"][0])
        if result["code"] == 0 or done >= WARMUP:
            return False
        if done > DIAGONAL:
            reached.add(done)
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP])
def test_a_signal_checkpoints_and_exits_with_75(
    server: Server, reference: Reference, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "out"
    begin_and_stop(server, reference, out, number)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["status"] == "signal"
    assert manifest["sessions"][-1]["detail"] == number.name
    assert server("resume", out, "--progress=none")["code"] == 0
    assert_same_run(reference.out, out)


def test_a_second_interrupt_stops_at_once(server: Server, reference: Reference, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = begin_and_stop(server, reference, out, signal.SIGINT, signal.SIGINT, per_file=0.2)
    assert "stopped at once" in result["err"]
    assert server("resume", out, "--progress=none")["code"] == 0
    assert_same_run(reference.out, out)


ENDLESS = """
import math
import gradmc as gm
from gradmc.lpdf import normal

@gm.model
def endless(mu: gm.Real, *, y: gm.Data["n"]):
    x = 1.0
    while x > 1e-6:
        x = x + math.exp(-mu * mu)
    return normal(mu, 0.0, 1.0) + normal(y, x, 1.0)
"""
STUCK = ["--sampler.max_loop_iterations=1000000000", "--sampler.check=off", "--progress=none"]


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration whose first evaluation of the density takes minutes."""
    project = make_project(tmp_path_factory.mktemp("endless") / "project")
    (project / "model.py").write_text(ENDLESS)
    (project / "run.toml").write_text((project / "run.toml").read_text().replace(":line", ":endless"))
    return project / "run.toml"


@pytest.mark.parametrize(
    ("numbers", "options", "ending"),
    [
        ([signal.SIGINT, signal.SIGINT], [], "signal"),
        ([signal.SIGTERM], [], "signal"),
        ([], ["--stop.seconds=2.5"], "time"),
    ],
)
def test_what_never_ends_can_be_stopped(
    server: Server, endless: Path, tmp_path: Path, numbers: list[int], options: list[str], ending: str
) -> None:
    out = tmp_path / "out"
    signals = [(2.5 + 0.2 * k, int(number)) for k, number in enumerate(numbers)]
    fault = {"signals": signals, "after": str(out / "manifest.json")} if signals else {}
    result = server("sample", endless, *STUCK, *options, f"--output.dir={out}", grace=0.5, **fault)
    assert result["code"] == 75, result
    assert "stopped at once" in result["err"]
    assert result["seconds"] < 12.0
    assert json.loads((out / "manifest.json").read_text())["status"] == ending


def test_a_second_interrupt_ends_any_command(server: Server, endless: Path) -> None:
    signals = [(4.0, int(signal.SIGINT)), (4.2, int(signal.SIGINT))]
    result = server("optimize", endless, STUCK[0], signals=signals)
    assert result["code"] == 130, result
    assert result["seconds"] < 12.0


def test_a_process_that_is_halted_goes_on(server: Server, reference: Reference, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["sample", reference.project / "run.toml", *SETTINGS, f"--output.dir={out}"]
    halt = [(0.02, int(signal.SIGSTOP)), (1.5, int(signal.SIGCONT))]
    result = server(*command, signals=halt, after=str(out / "state" / "chain-0.checkpoint"), chunk_seconds=0.02)
    assert result["code"] == 0, result["err"]
    assert result["seconds"] > 1.5
    assert_same_run(reference.out, out)


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty"])
def test_a_damaged_checkpoint_falls_back(server: Server, reference: Reference, tmp_path: Path, damage: str) -> None:
    out = tmp_path / "out"
    begin_and_stop(server, reference, out, signal.SIGKILL)
    path = checkpoint_path(out / "state", 1)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes({"flipped": bytes(content), "truncated": path.read_bytes()[:100], "empty": b""}[damage])
    result = server("resume", out, "--progress=none")
    assert result["code"] == 0
    assert "warning: checkpoint chain-1.checkpoint is damaged; " in result["err"]
    assert_same_run(reference.out, out)


def test_draws_that_are_gone_are_named(server: Server, reference: Reference, tmp_path: Path) -> None:
    out = tmp_path / "out"
    begin_and_stop(server, reference, out, signal.SIGKILL)
    published = out / "draws.zarr" / "zarr.json"
    content = published.read_bytes()
    published.unlink()
    for command in ("resume", "summary", "diagnose", "report"):
        result = server(command, out)
        assert result["code"] == 5, (command, result["err"])
        assert f"{published} is gone" in result["err"], command
    published.write_bytes(content)
    assert server("resume", out, "--progress=none")["code"] == 0
    assert_same_run(reference.out, out)


def test_only_one_of_two_processes_resumes(server: Server, reference: Reference, tmp_path: Path) -> None:
    out = tmp_path / "out"
    begin_and_stop(server, reference, out, signal.SIGTERM)
    command = [sys.executable, "-m", "gradmc.cli.main", "resume", str(out), "--progress=none"]
    processes = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    errors = [process.communicate()[1] for process in processes]
    codes = [process.returncode for process in processes]
    assert sorted(codes) == [0, 5], errors
    loser = codes.index(5)
    assert f"is in use by process {processes[1 - loser].pid} on " in errors[loser]
    assert_same_run(reference.out, out)


def test_extending_equals_asking_for_more_at_first(server: Server, reference: Reference, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shorter = [*SETTINGS, "--sampler.draws=35001", f"--output.dir={out}"]
    assert server("sample", reference.project / "run.toml", *shorter)["code"] == 0
    assert server("extend", out, "--draws", 4999, "--progress=none")["code"] == 0
    assert_same_run(reference.out, out)


def test_a_time_budget_exits_with_75(server: Server, reference: Reference, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = server(
        "sample", reference.project / "run.toml", *SETTINGS, f"--output.dir={out}", "--stop.seconds=0.05",
        chunk_seconds=0.02,
    )  # fmt: skip
    assert result["code"] == 75
    assert json.loads((out / "manifest.json").read_text())["status"] == "time"


@pytest.mark.parametrize("change", ["model", "data", "config"])
def test_a_changed_problem_is_refused(server: Server, reference: Reference, tmp_path: Path, change: str) -> None:
    project = make_project(tmp_path / "project")
    run = ["sample", project / "run.toml", "--sampler.draws=20000", "--progress=none", "--stop.seconds=0.01"]
    assert server(*run, chunk_seconds=0.02)["code"] == 75
    file, old, new, message = {
        "model": ("model.py", "10.0", "11.0", "the source of the model changed"),
        "data": ("data.json", "2.5", "2.6", "the data (y) changed"),
        "config": ("out/config.toml", "seed = 5", "seed = 6", "sampler.seed: 5 in the run, 6 now"),
    }[change]
    path = project / file
    path.write_text(path.read_text().replace(old, new))
    result = server("resume", project / "out")
    assert result["code"] == 5
    assert message in result["err"]


def test_a_vanished_directory_is_a_clear_error(server: Server, reference: Reference, tmp_path: Path) -> None:
    out = tmp_path / "out"
    program = [sys.executable, "-m", "gradmc.cli.main", "sample", str(reference.project / "run.toml"), *SETTINGS]
    with subprocess.Popen(
        [*program, "--sampler.draws=3000000", f"--output.dir={out}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        end = time.monotonic() + 60
        while not (out / "state" / "chain-0.checkpoint").exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        shutil.move(out, tmp_path / "moved")
        error = process.communicate()[1]
    assert process.returncode == 75
    assert "vanished during the run" in error
    assert "Traceback" not in error
    assert load_checkpoint(tmp_path / "moved" / "state", 0) is not None


def test_a_directory_without_permission(server: Server, reference: Reference, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = server("sample", reference.project / "run.toml", f"--output.dir={tmp_path}/file/out")
    assert result["code"] == 2
    assert "cannot write to the run directory" in result["err"]


def test_a_full_disk_is_survived(reference: Reference, tmp_path: Path) -> None:
    """In a small tmpfs of a namespace of its own: fills up, is enlarged, and the run goes on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    gradmc = f"{sys.executable} -m gradmc.cli.main"
    script = f"""
        mount -t tmpfs -o size=4m tmpfs {disk} || exit 99
        {gradmc} sample {reference.project}/run.toml {" ".join(SETTINGS)} --output.dir={disk}/out 2> {tmp_path}/err
        [ $? -eq 75 ] || exit 98
        mount -o remount,size=100m {disk}
        {gradmc} resume {disk}/out --progress=none || exit 96
        cp -r {disk}/out {tmp_path}/copy
    """
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("needs unshare")
    result = subprocess.run(
        [unshare, "--user", "--map-root-user", "--mount", "sh", "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode in (1, 99):
        pytest.skip(f"cannot mount a small disk: {result.stderr}")
    assert result.returncode == 0, result.stderr + (tmp_path / "err").read_text()
    assert "the disk is full" in (tmp_path / "err").read_text()
    assert_same_run(reference.out, tmp_path / "copy")
