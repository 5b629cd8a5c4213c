"""Budgets: memory and time of streaming, time to the first answer of the command line."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_streaming_is_cheap_and_memory_stays_flat() -> None:
    """Memory below 600 MB; 5 % of a draw that takes 1 ms are 50 µs; the finished store opens in half a second."""
    command = [sys.executable, "-m", "tests.benchmarks.streaming"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    cost = json.loads(result.stdout)
    assert cost["draws"] == 400_000
    assert cost["peak_megabytes"] < 600
    assert cost["store_microseconds_per_draw"] < 50
    assert cost["open_seconds"] < 0.5


def test_help_answers_at_once() -> None:
    """Processor time, since the machine may be busy with other tests; a slow machine takes long to import NumPy too."""
    yardstick, used = [], []
    for _ in range(3):
        yardstick.append(processor_seconds("-c", "import numpy"))
        used.append(processor_seconds("-m", "gradmc.cli.main", "--help"))
    assert min(used) < max(0.3, 2 * min(yardstick))


def processor_seconds(*arguments: str) -> float:
    """Of a process of Python with these arguments."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
