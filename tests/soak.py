"""A soak: random runs of shipped models are killed, stopped, starved, damaged, moved and run twice at once.

In the end a run has finished, bit-equal to its undisturbed twin, or a command has refused it by its code, and goes on
when the cause is gone. Everything is a function of the seed, but for the moments at which signals arrive.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

ROOT = Path(__file__).parents[1]
MODELS = ("eight_schools", "linear_regression", "logistic_regression", "normal_mixture")
LIMIT = 120.0
"""Seconds after which a process is taken to hang."""

MOST_FAULTS = 20
SIGNALS = ("SIGTERM", "SIGUSR1", "SIGINT", "SIGHUP")
UNHANDLED = {-int(getattr(signal, name)) for name in SIGNALS} | {130}
"""Codes of a process that a signal reached before the run began or after it had ended."""


@contextmanager
def forking() -> Iterator[Any]:
    """A function that runs `gradmc` in a forked process (`tests/cli/fork_server.py`)."""
    command = [sys.executable, "-m", "tests.cli.fork_server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        given, taken = process.stdin, process.stdout

        def call(*arguments: Any, **more: Any) -> dict[str, Any]:
            request = {"arguments": [str(argument) for argument in arguments], "limit": LIMIT, **more}
            print(json.dumps(request), file=given, flush=True)
            return json.loads(taken.readline())

        yield call
        given.close()


def same_draws(one: Path, other: Path) -> bool:
    """Whether the draws and statistics of two runs agree bit by bit."""
    left, right = (xr.open_datatree(path / "draws.zarr", engine="zarr") for path in (one, other))
    if [node.path for node in left.subtree] != [node.path for node in right.subtree]:
        return False
    return all(
        array.values.tobytes() == right[node.path][name].values.tobytes()
        for node in left.subtree
        for name, array in node.data_vars.items()
    )


@dataclass
class Soak:
    """Runs trials until the time is up, and counts what happened.

    Args:
        directory: where runs go.
        seed: of everything.
        seconds: for how long.
        kills: trials end when there were so many kills, and
        damages: so many damaged files.
        lanes: how many trials go on side by side, so that one works while another waits.
    """

    directory: Path
    seed: int
    seconds: float
    kills: int = sys.maxsize
    damages: int = sys.maxsize
    lanes: int = 1
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    turn: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """All trials."""
        end = time.monotonic() + self.seconds
        streams = np.random.SeedSequence(self.seed).spawn(self.lanes)
        with ThreadPoolExecutor(self.lanes) as pool:
            lanes = [pool.submit(self._lane, str(number), stream, end) for number, stream in enumerate(streams)]
        for lane in lanes:
            lane.result()

    def _lane(self, name: str, stream: np.random.SeedSequence, end: float) -> None:
        """One trial after the other."""
        rng, number = np.random.default_rng(stream), 0
        with ExitStack() as stack:
            first, second = (stack.enter_context(forking()) for _ in range(2))
            while time.monotonic() < end and not self.enough() and not self.wrong:
                Trial(self, first, second, rng, self.directory / name / str(number), end).run()
                number += 1

    def note(self, what: str) -> None:
        """Count it."""
        with self.turn:
            self.counts[what] += 1

    def enough(self) -> bool:
        """Whether there were enough faults."""
        return self.counts["killed"] >= self.kills and self.counts["damaged"] >= self.damages

    def report(self) -> str:
        """The counts, and what went wrong."""
        lines = [f"{what}: {count}" for what, count in sorted(self.counts.items())]
        return "\n".join([f"seed {self.seed}", *lines, *self.wrong])


@dataclass
class Trial:
    """One configuration, its undisturbed twin, and several runs of it that are disturbed."""

    soak: Soak
    gradmc: Any
    rival: Any
    rng: np.random.Generator
    directory: Path
    end: float

    def run(self) -> None:
        """Make the twin, and disturb some runs."""
        self.directory.mkdir(parents=True)
        model = str(self.rng.choice(MODELS))
        project = self.directory / "project"
        shutil.copytree(ROOT / "models" / model, project, ignore=shutil.ignore_patterns("runs"))
        settings = self.settings()
        twin = self.directory / "twin"
        result = self.gradmc("sample", project / "run.toml", *settings, f"--output.dir={twin}", "--force")
        if result["code"] != 0:
            self.complain("the undisturbed twin", result)
            return
        for number in range(int(self.rng.integers(2, 5))):
            if time.monotonic() < self.end and not self.soak.wrong:
                self.disturb(project, self.directory / f"run-{number}", settings, twin)
        shutil.rmtree(self.directory)

    def settings(self) -> list[str]:
        """A configuration."""
        rng = self.rng
        choices = {
            "sampler.chains": int(rng.integers(1, 4)),
            "sampler.warmup": int(rng.integers(50, 1000)),
            "sampler.draws": int(10 ** rng.uniform(3.0, 5.0)),
            "sampler.seed": int(rng.integers(1000)),
            "sampler.metric": str(rng.choice(["diagonal", "low_rank", "dense"])),
            "output.keep_warmup": str(rng.choice(["true", "false"])),
            "output.thin": int(rng.integers(1, 4)),
            "output.float32": str(rng.choice(["true", "false"])),
            "output.checkpoint_seconds": 0.0,
            "sampler.check": "off",
        }
        return [*(f"--{key}={value}" for key, value in choices.items()), "--progress=none"]

    def disturb(self, project: Path, out: Path, settings: list[str], twin: Path) -> None:
        """A run with faults, until it has ended."""
        begin = ["sample", project / "run.toml", *settings, f"--output.dir={out}"]
        for fault in range(MOST_FAULTS + 2):
            command = ["resume", out, "--progress=none"] if (out / "manifest.json").exists() else begin
            kind = str(self.rng.choice([*["kill"] * 7, "signal", "full", "damage", "move", "two"]))
            if fault >= MOST_FAULTS or (kind in ("damage", "move", "two") and command is begin):
                kind = "none"
            if kind == "move":
                out = out.rename(out.with_name(f"{out.name}-{fault}"))
                self.soak.note("moved")
                continue
            result = self.one(kind, command, out)
            if self.soak.wrong:
                return
            if result["code"] == 0:
                break
        self.judge(out, twin)

    def one(self, kind: str, command: list[Any], out: Path) -> dict[str, Any]:
        """One process with one fault; what is damaged is put back where it was refused."""
        # A process that is to come to its end would take minutes with a checkpoint every few milliseconds.
        shortest, longest = (0.002, 0.03) if kind in ("kill", "signal", "full") else (0.03, 0.3)
        more: dict[str, Any] = {"chunk_seconds": float(self.rng.uniform(shortest, longest)), "every_chunk": True}
        allowed = {0}
        if kind in ("kill", "signal"):
            more["signals"], allowed = self.signals(kind)
            if self.rng.random() < 0.75:
                more["after"] = str(out / "state" / "chain-0.checkpoint")
        if kind == "full":
            more["full_after"] = int(self.rng.integers(1, 60))
            allowed = {0, 75}
        if kind == "two":
            return self.two_at_once(command, more)
        if kind == "damage":
            return self.damaged(command, out, more)
        result = self.gradmc(*command, **more)
        self.count(kind, result["code"])
        if result["code"] not in allowed:
            self.complain(f"{kind} {more}", result)
        return self.clean(result)

    def signals(self, kind: str) -> tuple[list[tuple[float, int]], set[int]]:
        """When which signals come, and the codes with which a process may end."""
        moment = float(self.rng.uniform(0, 0.15))
        if kind == "kill":
            return [(moment, int(signal.SIGKILL))], {0, -int(signal.SIGKILL)}
        name = str(self.rng.choice(SIGNALS))
        number = int(getattr(signal, name))
        twice = [(moment + 0.02, number)] if self.rng.random() < 0.3 else []
        return [(moment, number), *twice], {0, 75} | UNHANDLED

    def two_at_once(self, command: list[Any], more: dict[str, Any]) -> dict[str, Any]:
        """Two processes in one directory: one works, the other is refused, or comes when all is done."""
        results: list[dict[str, Any]] = []
        threads = [
            threading.Thread(target=lambda call=call: results.append(call(*command, **more)))
            for call in (self.gradmc, self.rival)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        codes = sorted(result["code"] for result in results)
        self.soak.note("two at once")
        refused = [result for result in results if result["code"] == 5]
        if codes not in ([0, 0], [0, 5]) or any("is in use by" not in result["err"] for result in refused):
            self.complain("two at once", results[0], results[1])
        return self.clean(next((result for result in results if result["code"] == 0), results[0]))

    def damaged(self, command: list[Any], out: Path, more: dict[str, Any]) -> dict[str, Any]:
        """A process after a file was damaged."""
        file, content = self.damage(out)
        result = self.clean(self.gradmc(*command, **more))
        if result["code"] not in (0, 5):
            self.complain(f"{file} was damaged", result)
        if result["code"] == 5:
            self.soak.note("refused")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return result

    def damage(self, out: Path) -> tuple[Path, bytes]:
        """Damage a file of a run; gives it and what it held."""
        files = [path for path in sorted(out.rglob("*")) if path.is_file() and path.name != "lock"]
        file = files[int(self.rng.integers(len(files)))]
        content = file.read_bytes()
        place = int(self.rng.integers(max(1, len(content))))
        kind = str(self.rng.choice(["flip", "cut", "empty", "foreign", "gone"]))
        self.soak.note("damaged")
        if kind == "gone":
            file.unlink()
        else:
            flipped = content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :] if content else b"x"
            new = {"flip": flipped, "cut": content[:place], "empty": b"", "foreign": b'{"a": 1}'}[kind]
            file.write_bytes(new)
        return file, content

    def judge(self, out: Path, twin: Path) -> None:
        """The run must be its twin; then its files are damaged one by one, and it is exported."""
        if not same_draws(out, twin):
            self.complain(f"{out} differs from its twin", {})
            return
        self.soak.note("finished, bit-equal")
        tables = [self.directory / name for name in ("before.csv", "after.csv")]
        self.gradmc("export", out, tables[0], "--force")
        for _ in range(3):
            file, content = self.damage(out)
            tables[1].unlink(missing_ok=True)
            result = self.clean(self.gradmc("export", out, tables[1]))
            if result["code"] not in (0, 5) or (result["code"] == 5 and tables[1].exists()):
                self.complain(f"exported after {file} was damaged", result)
            elif result["code"] == 0 and tables[0].read_bytes() != tables[1].read_bytes():
                self.complain(f"export differs after {file} was damaged", result)
            self.soak.note("refused" if result["code"] == 5 else "survived damage")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

    def count(self, kind: str, code: int) -> None:
        """Count what a process made of its fault."""
        if code == -int(signal.SIGKILL):
            self.soak.note("killed")
        elif kind == "signal" and code != 0:
            self.soak.note("stopped by signals")
        elif kind == "full" and code == 75:
            self.soak.note("disk full")

    def clean(self, result: dict[str, Any]) -> dict[str, Any]:
        """Complain of hangs, tracebacks and what is called a bug."""
        if result.get("hung") or "Traceback" in result["err"] or "this is a bug" in result["err"]:
            self.complain(f"a hang or a traceback; {result.get('hung') or 'no hang'}", result)
        return result

    def complain(self, what: str, *results: dict[str, Any]) -> None:
        """Note what went wrong; the run is kept."""
        told = [
            (result.get("code"), result.get("err", "").partition("Extension modules")[0][-4000:]) for result in results
        ]
        said = " | ".join(f"code {code}: {text}" for code, text in told)
        self.soak.wrong.append(f"{what}: {said} (in {self.directory})")


if __name__ == "__main__":
    os.environ.setdefault("XDG_CACHE_HOME", "/tmp/soak-cache")
    soak = Soak(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), lanes=2)
    soak.run()
    print(soak.report())
