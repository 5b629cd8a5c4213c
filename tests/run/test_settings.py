"""Settings are checked before anything is traced."""

from typing import Any

import numpy as np
import pytest

from gradmc.errors import UsageError
from gradmc.run.settings import Settings, available_cores

WHOLE = [
    ("chains", [0, -1, 1.5, "4", None, True, 100_001], "between 1 and 100000"),
    ("warmup", [-1, 0.5, None, "many", 2**30 + 1], "between 0 and"),
    ("draws", [-1, 10.0, None], "between 0 and"),
    ("max_tree_depth", [0, 21, 3.0], "between 1 and 20"),
    ("seed", [-1, 1.0, "1", True], "at least 0"),
    ("cores", [0, -2, 1.5], "at least 1"),
]
REAL = [
    ("target_accept", [0, 1, 1.0, -0.1, 2, float("nan"), "0.8", None, True], r"between 0 and 1 \(exclusive\)"),
    ("integration_time", [0, -1, float("inf"), float("nan"), "long", None], "greater than 0"),
    ("step_size", [0.0, -0.1, float("inf"), float("nan"), "small"], "greater than 0"),
]
CHOICES = [
    ("kernel", ["NUTS", "gibbs", "", None, 1], "'auto', 'nuts', 'hmc', 'microcanonical', 'chees', 'sghmc'"),
    ("start", ["everywhere", None, {}, {"name": 3}], "'pathfinder', 'uniform'"),
    ("metric", ["diag", "unit", None, object(), {"rank": 3}], "'low_rank', 'diagonal', 'dense'"),
    ("executor", ["gpu", None], "'auto', 'threads', 'batch'"),
]


@pytest.mark.parametrize(
    ("name", "value", "span"), [(name, value, span) for name, values, span in WHOLE for value in values]
)
def test_whole_numbers(name: str, value: Any, span: str) -> None:
    if name in ("seed", "cores") and value is None:
        return
    with pytest.raises(UsageError, match=f"{name} must be a whole number {span}.*; got "):
        Settings(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "span"), [(name, value, span) for name, values, span in REAL for value in values]
)
def test_real_numbers(name: str, value: Any, span: str) -> None:
    with pytest.raises(UsageError, match=f"{name} must be a number {span}; got "):
        Settings(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "listed"), [(name, value, listed) for name, values, listed in CHOICES for value in values]
)
def test_choices(name: str, value: Any, listed: str) -> None:
    with pytest.raises(UsageError, match=f"{name} must be one of {listed}; got "):
        Settings(**{name: value})


def test_numbers_of_numpy_are_numbers() -> None:
    settings = Settings(seed=np.int64(3), chains=np.uint8(2), target_accept=np.float32(0.9), step_size=np.float64(1))  # type: ignore[arg-type]
    assert (settings.seed, settings.chains) == (3, 2)


def test_no_seed_means_a_new_one_that_is_recorded() -> None:
    seeds = {Settings().seed for _ in range(20)}
    assert len(seeds) == 20
    assert all(isinstance(seed, int) and seed >= 0 for seed in seeds)


@pytest.mark.parametrize("seed", [0, 2**64, 10**40])
def test_seeds_of_any_size(seed: int) -> None:
    assert Settings(seed=seed).seed == seed


def test_threads() -> None:
    assert Settings(cores=3).threads == 3
    assert Settings().threads == available_cores() >= 1
