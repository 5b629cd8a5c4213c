"""The compiled unit: one native function, traced once, the same for every run of a model."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from gradmc.density.memo import Memo
from gradmc.run.compiling import buffer_capacity, cache_directory
from gradmc.run.preparing import prepare
from gradmc.run.settings import Settings
from tests.run.doubles import Quiet, Sink, whole
from tests.targets import FAMILY, PRECISION, Target, correlated_normal, scaled_normal, standard_normal, target_of

CORRELATED = Target(function=correlated_normal, dim=3, arguments=PRECISION)
TARGETS = {
    "correlated": CORRELATED,
    "family": FAMILY,
    "scaled": Target(function=scaled_normal, dim=30, arguments=np.logspace(-3, 3, 30)),
    "single": target_of("normal", np.float32),
}


def entry_of(text: str) -> str:
    """The ENTRY computation of an HLO module."""
    found = re.search(r"^ENTRY .*?^}", text, flags=re.MULTILINE | re.DOTALL)
    assert found is not None
    return found.group()


@pytest.mark.parametrize(
    ("target", "kernel", "metric"),
    [
        *((target, "nuts", "low_rank") for target in TARGETS),
        ("family", "nuts", "diagonal"),
        ("family", "nuts", "dense"),
        ("family", "hmc", "low_rank"),
        ("family", "microcanonical", "low_rank"),
    ],
)
def test_the_sampling_loop_is_one_native_function(target: str, kernel: Any, metric: Any) -> None:
    """XLA compiles the loop as one function and calls it from ENTRY, where otherwise a `while` would stand."""
    sampler = prepare(TARGETS[target], Settings(seed=1, chains=1, kernel=kernel, metric=metric))
    text = sampler.plan.compiled.text()
    assert text is not None
    entry = entry_of(text)
    assert "xla_cpu_small_call" in entry
    assert not re.search(r"\bwhile\(", entry)


def test_the_density_is_traced_once_for_a_run() -> None:
    calls: list[int] = []

    def density(x: jax.Array, arguments: Any) -> jax.Array:
        calls.append(1)
        return standard_normal(x, arguments)

    sampler = prepare(Target(function=density, dim=2), Settings(seed=1, chains=2, warmup=20, draws=20))
    assert len(calls) == 1
    sampler.run(Sink(), Quiet())
    assert len(calls) == 1


def test_one_compilation_serves_all_settings_of_a_run() -> None:
    """What was compiled for one run gives the draws of another with other settings and other data."""
    first = prepare(CORRELATED, Settings(seed=1, chains=1, warmup=10, draws=5))
    settings = Settings(seed=2, chains=2, warmup=130, draws=20, target_accept=0.9, step_size=0.2, keep_warmup=True)
    other = Target(function=CORRELATED.function, dim=3, arguments=np.diag([1.0, 4.0, 9.0]))
    tables = []
    for _ in range(2):
        second = prepare(other, settings, initial=[np.ones(3), -np.ones(3)])
        if not tables:
            second.plan = dataclasses.replace(second.plan, compiled=first.plan.compiled)
        sink = Sink()
        second.run(sink, Quiet())
        tables.append([whole(sink, chain) for chain in range(2)])
    np.testing.assert_array_equal(tables[0], tables[1])


def fresh() -> Target:
    """A target for which nothing is compiled yet."""
    return dataclasses.replace(FAMILY, memory=Memo())


class TestCache:
    """The persistent cache of compiled code."""

    @pytest.fixture
    def directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        return cache_directory()

    def test_other_settings_compile_nothing_new(self, directory: Path) -> None:
        prepare(fresh(), Settings(seed=1, chains=1, warmup=10, draws=5))
        kept = set(directory.iterdir())
        assert len(kept) >= 2
        prepare(
            fresh(),
            Settings(seed=5, chains=3, warmup=300, draws=7, target_accept=0.95, step_size=0.3, cores=1),
            initial=[np.ones(3)] * 3,
        )
        new = {path.name for path in set(directory.iterdir()) - kept if "advance" in path.name or "rows" in path.name}
        assert not new

    def test_can_be_switched_off(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GRADMC_CACHE", "off")
        prepare(fresh(), Settings(seed=1, chains=1))
        assert not directory.exists()

    def test_leaves_the_configuration_as_it_was(self, directory: Path) -> None:
        names = [
            "jax_compilation_cache_dir",
            "jax_persistent_cache_min_compile_time_secs",
            "jax_persistent_cache_min_entry_size_bytes",
            "jax_enable_x64",
        ]
        before = [getattr(jax.config, name) for name in names]
        prepare(fresh(), Settings(seed=1, chains=1))
        assert [getattr(jax.config, name) for name in names] == before

    def test_one_that_the_user_configured_stays(self, directory: Path, tmp_path: Path, configured: Path) -> None:
        prepare(fresh(), Settings(seed=1, chains=1))
        assert jax.config.jax_compilation_cache_dir == str(configured)
        assert not directory.exists()

    @pytest.fixture
    def configured(self, tmp_path: Path) -> Iterator[Path]:
        jax.config.update("jax_compilation_cache_dir", str(tmp_path / "own"))
        yield tmp_path / "own"
        jax.config.update("jax_compilation_cache_dir", None)


@pytest.mark.parametrize("dim", [1, 10, 1000, 10**6])
@pytest.mark.parametrize("itemsize", [4, 8])
def test_capacity_is_a_power_of_two_within_limits(dim: int, itemsize: int) -> None:
    capacity = buffer_capacity(dim, 10, itemsize)
    assert 16 <= capacity <= 8192
    assert capacity & (capacity - 1) == 0
    assert capacity == 16 or capacity * (dim + 10) * itemsize <= 2 << 20
