"""A program that imports ArviZ before gradmc must work: ArviZ loads numpyro lazily."""

import subprocess
import sys


def test_densities_work_after_arviz_was_imported() -> None:
    code = "import arviz_stats; from gradmc.lpdf import normal; print(normal(0.0, 0.0, 1.0))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout.startswith("-0.918"), result.stderr
