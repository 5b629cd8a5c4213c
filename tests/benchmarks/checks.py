"""How long `gradmc check` takes on the shipped models, each time in a fresh process.

`python -m tests.benchmarks.checks` prints a table of processor time and wall time in seconds, the best of a few runs;
on a busy machine the processor time is the one to read.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.models.shipped import FOLDER, NAMES

REPEATS = 3


def measure(name: str, *options: str) -> tuple[float, float]:
    """Processor time and wall time of one check."""
    command = [str(Path(sys.executable).with_name("gradmc")), "check", str(FOLDER / name / "run.toml"), *options]
    before, began = os.times(), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    wall, after = time.perf_counter() - began, os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system, wall


def best(name: str, *options: str) -> tuple[float, float]:
    """The smallest of several processor times and wall times."""
    made = [measure(name, *options) for _ in range(REPEATS)]
    return min(cpu for cpu, _ in made), min(wall for _, wall in made)


def main() -> None:
    """Print the table."""
    print("| model | check: processor, wall | `--fast`: processor, wall |\n|---|---|---|")
    for name in NAMES:
        full, fast = best(name), best(name, "--fast")
        print(f"| {name} | {full[0]:.1f}, {full[1]:.1f} | {fast[0]:.1f}, {fast[1]:.1f} |", flush=True)


if __name__ == "__main__":
    main()
