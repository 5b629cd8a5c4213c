"""Resident memory while 4 x 100,000 draws of a 100-dimensional normal stream to Zarr."""

import json
import subprocess
import sys


def main() -> None:
    """Print the figure."""
    command = [sys.executable, "-m", "tests.benchmarks.streaming"]
    cost = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    print(f"peak resident memory {cost['peak_megabytes']:.0f} MB, {cost['sampling_seconds']:.1f} s")
