"""The probability of intervals is that of ArviZ, whether ArviZ is imported or not."""

import subprocess
import sys
from pathlib import Path

import pytest
from arviz_base import rc_context

from gradmc.results.arviz_settings import interval_probability

PROGRAM = """
import sys
from gradmc.results.arviz_settings import interval_probability
found = interval_probability()
assert not {"arviz_base", "xarray", "pandas"} & set(sys.modules)
import arviz_base
assert found == interval_probability() == arviz_base.rcParams["stats.ci_prob"]
print(found)
"""


@pytest.mark.parametrize(("file", "expected"), [(None, "0.89"), ("stats.ci_prob : 0.5\n", "0.5")])
def test_it_is_known_without_the_package(tmp_path: Path, file: str | None, expected: str) -> None:
    if file is not None:
        (tmp_path / "arvizrc").write_text(file)
    told = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == expected


def test_what_a_program_sets_counts() -> None:
    with rc_context({"stats.ci_prob": 0.77}):
        assert interval_probability() == 0.77
