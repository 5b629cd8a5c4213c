"""Chains shared out among devices make the draws that they make on one, and nothing is sent from one to another."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_eight_devices_make_the_draws_of_one() -> None:
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    command = [sys.executable, "-m", "tests.run.sharded", "16"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["devices"] == 8
    assert told["collectives"] == []
    assert told["placed_on"] == 8, "states and draws stay on their devices"
    assert told["difference"] < 1e-6, "to rounding, over 16 transitions"
