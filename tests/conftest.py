"""Fixtures of the whole suite: random seeds that are printed and can be replayed, a compilation cache of its own.

Random tests draw from `rng`, seeded anew in every session, so that a failure budget means what it says.  When a test
fails the session's seed is printed; `pytest --seed N` replays it.

Campaigns, which take an hour, run by `pytest -m campaign` alone; who changes the loop compiler runs them.  What has
passed is written to `campaigns.json`, with date and commit.
"""

import compileall
import datetime
import gc
import json
import os
import secrets
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

import gradmc  # before anything starts JAX's backend: it sets how XLA compiles loops

CAMPAIGNS = Path(__file__).with_name("campaigns.json")
SEED_VARIABLE = "GRADMC_TEST_SEED"  # inherited by the workers of pytest-xdist
WRITES_NO_BYTECODE = sys.dont_write_bytecode
gc.set_threshold(50_000, 20, 20)  # tests make many objects: with the usual 700 and 10 the search is a tenth of the time


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--seed`."""
    parser.addoption("--seed", type=int, default=None, help="seed of the random tests (default: a new one)")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the session's seed, and where all of its processes keep compiled code: what one made others may load.

    So for bytecode: hundreds of processes import gradmc, and each worker rewrites the assertions of all tests, which
    would be done again each time where PYTHONDONTWRITEBYTECODE is set.
    """
    given = config.getoption("--seed")
    if given is not None:
        os.environ[SEED_VARIABLE] = str(given)
    os.environ.setdefault(SEED_VARIABLE, str(secrets.randbits(32)))
    if not hasattr(config, "workerinput"):
        cache = tempfile.TemporaryDirectory(prefix="gradmc-tests-", ignore_cleanup_errors=True)
        config.add_cleanup(cache.cleanup)
        os.environ["XDG_CACHE_HOME"] = cache.name
        compileall.compile_dir(Path(gradmc.__file__).parent, quiet=2)
    sys.dont_write_bytecode = False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out campaigns, unless they were asked for."""
    if "campaign" not in config.option.markexpr:
        campaigns = [item for item in items if item.get_closest_marker("campaign")]
        config.hook.pytest_deselected(items=campaigns)
        items[:] = [item for item in items if item not in campaigns]


def pytest_collection_finish() -> None:
    """Look for garbage no longer among what was imported and collected, which stays."""
    sys.dont_write_bytecode = WRITES_NO_BYTECODE
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how to replay failures; write down which campaigns passed."""
    passed = terminalreporter.stats.get("passed", []) if terminalreporter.config.option.markexpr == "campaign" else []
    if passed:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
        entry = {"date": datetime.date.today().isoformat(), "commit": commit}
        before = json.loads(CAMPAIGNS.read_text()) if CAMPAIGNS.exists() else {}
        after = before | {report.nodeid: entry for report in passed}
        CAMPAIGNS.write_text(json.dumps(after, indent=2, sort_keys=True) + "\n")
    if terminalreporter.stats.get("failed") or terminalreporter.stats.get("error"):
        terminalreporter.write_line(f"replay the random tests with: pytest --seed {os.environ[SEED_VARIABLE]}")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """A seed of this test's own, a function of the session's seed and the test's name."""
    return zlib.crc32(request.node.nodeid.encode(), int(os.environ[SEED_VARIABLE]) & 0xFFFF_FFFF)


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    """Random numbers of this test's own."""
    return np.random.default_rng(seed)


@pytest.fixture
def x64() -> Iterator[None]:
    """Double precision for the time of a test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def strict() -> Iterator[None]:
    """No implicit promotion of dtypes or ranks for the time of a test, and double precision."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield
