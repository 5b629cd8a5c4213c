"""The one setting of XLA: added where it is missing, never against the user's."""

import os
import subprocess
import sys

import pytest

from gradmc._xla import EXTRA, OPTION, THRESHOLD, configure, with_threshold

SETTING = f"{OPTION}={THRESHOLD}"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("", f"{EXTRA}{SETTING}"),
        ("--xla_a=1 --xla_b", f"--xla_a=1 --xla_b {EXTRA}{SETTING}"),
        (f"{EXTRA}other=2 --xla_a=1", f"{EXTRA}other=2,{SETTING} --xla_a=1"),
    ],
)
def test_the_threshold_is_added(flags: str, expected: str) -> None:
    assert with_threshold(flags) == expected


def test_a_threshold_of_the_user_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = f"--xla_a=1 {EXTRA}{OPTION}=7"
    monkeypatch.setenv("XLA_FLAGS", mine)
    configure()
    assert os.environ["XLA_FLAGS"] == mine


def test_importing_gradmc_neither_imports_jax_nor_starts_its_backend() -> None:
    """So the setting comes in time, and the command line starts quickly."""
    code = "import gradmc, os, sys; assert 'jax' not in sys.modules; print(os.environ['XLA_FLAGS'])"
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{EXTRA}{SETTING}"
