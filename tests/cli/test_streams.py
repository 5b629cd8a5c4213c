"""Standard output holds results alone; streams that are closed, full or gone end nothing and show no traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Gradmc

GRADMC = f"{sys.executable} -m gradmc.cli.main"
CLOSED = [">&-", "2>&-", "<&- >&- 2>&-", "| head -c 1 > /dev/null", "> /dev/full"]


@pytest.mark.parametrize("command", ["sample", "check"])
def test_what_a_model_prints_does_not_spoil_the_result(gradmc: Gradmc, project: Path, command: str) -> None:
    model = project / "model.py"
    noise = 'import os, sys; print("spoilt"); sys.stdout.write("spoilt"); os.system("echo from below")'
    text = model.read_text().replace("@gm.model", f"{noise}\n@gm.model")
    model.write_text(text.replace("    gm.record", '    print("spoilt", 1)\n    gm.record'))
    more = ["--sampler.draws=20", "--sampler.warmup=20", "--progress=none"] if command == "sample" else ["--fast"]
    result = gradmc(command, project / "run.toml", "--json", *more)
    assert result.code == 0, result.err
    assert json.loads(result.out)
    assert "spoilt" in result.err
    assert "from below" in result.err


def test_output_is_a_results_only_while_a_command_runs(
    gradmc: Gradmc, finished: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = os.fstat(1).st_ino
    assert gradmc("status", finished).out
    assert gradmc("status", finished / "nowhere").code == 2
    assert gradmc("--version").out
    print("afterwards")
    assert os.fstat(1).st_ino == before
    assert "afterwards" in capfd.readouterr().out


def shell(script: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", "-c", f"set -o pipefail; {script}"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_what_a_model_prints_at_exit_does_not_spoil_the_result(project: Path) -> None:
    model, noise = project / "model.py", "import atexit, os; atexit.register(print, 'at exit')"
    model.write_text(model.read_text().replace("@gm.model", f"{noise}\n@gm.model", 1))
    result = shell(f"{GRADMC} config show {project / 'run.toml'} --json")
    assert json.loads(result.stdout)
    result = shell(f"{GRADMC} check {project / 'run.toml'} --fast --json")
    assert json.loads(result.stdout), result.stderr
    assert "at exit" in result.stderr


@pytest.mark.parametrize("command", ["status", "--help"])
def test_streams_that_are_closed_or_full(finished: Path, command: str) -> None:
    arguments = f"status {finished}" if command == "status" else "sample --help"
    for closed in CLOSED:
        result = shell(f"{GRADMC} {arguments} {closed}")
        assert result.returncode == (2 if "full" in closed else 0), (closed, result.stderr)
        assert "Traceback" not in result.stderr
        assert "bug" not in result.stderr
    assert "cannot write the result to standard output: No space left" in result.stderr


@pytest.mark.slow
def test_no_file_takes_the_place_of_a_closed_stream(project: Path) -> None:
    """What a model prints would go into the first file that the run opens."""
    model = project / "model.py"
    model.write_text(model.read_text().replace("@gm.model", 'import os; os.system("echo spoilt")\n@gm.model'))
    sizes = "--sampler.draws=50 --sampler.warmup=50"
    result = shell(f"{GRADMC} sample {project}/run.toml {sizes} <&- >&- 2>&-")
    assert result.returncode == 0
    assert not any(b"spoilt" in file.read_bytes() for file in (project / "out").rglob("*") if file.is_file())
    assert shell(f"{GRADMC} summary {project}/out").returncode == 0


TERMINAL = """
import os, pathlib, pty, signal, sys, time
ignore, awaited, *command = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    signal.signal(signal.SIGHUP, signal.SIG_IGN if ignore == "nohup" else signal.SIG_DFL)
    os.execv(command[0], command)
end = time.monotonic() + 60
while not pathlib.Path(awaited).exists() and time.monotonic() < end:
    time.sleep(0.02)
os.close(terminal)
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status) % 256)
"""
"""Runs a command in a terminal that goes away when a file is there; gives its exit code."""


@pytest.mark.slow
@pytest.mark.parametrize("display", ["rich", "plain"])
@pytest.mark.parametrize("ignore", ["heeded", "nohup"])
def test_a_terminal_that_goes_away(project: Path, display: str, ignore: str) -> None:
    """With the signal of a closed terminal the run stops with a checkpoint, without it the run goes on to its end."""
    sizes = ["--sampler.warmup=500", f"--sampler.draws={30_000 if ignore == 'nohup' else 4_000_000}"]
    command = [*GRADMC.split(), "sample", str(project / "run.toml"), *sizes, "--progress", display]
    awaited = str(project / "out" / "state" / "chain-0.checkpoint")
    ended = subprocess.run([sys.executable, "-c", TERMINAL, ignore, awaited, *command], check=False, timeout=120)
    assert ended.returncode == (0 if ignore == "nohup" else 75)
    manifest = json.loads((project / "out" / "manifest.json").read_text())
    assert manifest["status"] == ("finished" if ignore == "nohup" else "signal")
