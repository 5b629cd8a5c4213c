"""What a run's own check costs of a cold run: the shipped models by the command line, with the check and without.

`python -m tests.benchmarks.selfchecks [repeats]` prints the median ratio of wall times, each run in a fresh process
with an empty cache of compiled programs; which of a pair goes first changes from pair to pair.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.models.shipped import FOLDER, NAMES

REPEATS = 7


def seconds(name: str, check: str) -> float:
    """Wall time of one cold run of a model."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("gradmc")), "sample", str(FOLDER / name / "run.toml")]
        command += ["--sampler.check", check, "--output.dir", f"{folder}/run"]
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=os.environ | {"GRADMC_CACHE": "off"})
        return time.perf_counter() - began


def main() -> None:
    """Print one row for each model and the median over all of them."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else REPEATS
    print("| model | seconds without | with / without, median of pairs |\n|---|---|---|")
    medians = []
    for name in NAMES:
        pairs = []
        for i in range(repeats):
            order = ("on", "off") if i % 2 else ("off", "on")
            pairs.append({check: seconds(name, check) for check in order})
        medians.append(statistics.median(pair["on"] / pair["off"] for pair in pairs))
        print(f"| {name} | {statistics.median(p['off'] for p in pairs):.2f} | {medians[-1]:.3f} |", flush=True)
    print(f"median over the models: {statistics.median(medians):.3f}")


if __name__ == "__main__":
    main()
