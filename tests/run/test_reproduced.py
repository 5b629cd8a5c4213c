"""Draws stay what they were: a change of the engine's structure may not change a draw.

The hashes are of draws rounded to five significant digits, over runs so short that the rounding errors of another
processor do not reach these.  Who changes the sampler on purpose writes new ones (the failing test shows them).
"""

import hashlib
from typing import Any

import jax.numpy as jnp
import pytest

from tests.run.doubles import run, whole
from tests.targets import Target

LONG_AXIS = Target(function=lambda x, _: -0.5 * jnp.sum((x / jnp.array([1.0, 2.0, 0.5])) ** 2), dim=3)

RUNS = {
    "e8e488f9d87d895a": {},
    "c5d18f818254be36": {"start": "uniform"},
    "c3a7be4c081b59ee": {"metric": "diagonal"},
    "e6a37e45612a8ffa": {"metric": "dense", "max_tree_depth": 4},
    "8a0f39d18ef72376": {"step_size": 0.4, "warmup": 0, "start": "uniform"},
    "6181cba4c9a075d2": {"kernel": "hmc", "integration_time": 1.2},
}


@pytest.mark.parametrize("stored", RUNS)
def test_the_draws_are_those_of_before(stored: str) -> None:
    assert drawn(**RUNS[stored]) == stored


def test_the_draws_of_a_batch_too() -> None:
    assert drawn(executor="batch", metric="diagonal") == "c3a7be4c081b59ee"


def drawn(**settings: Any) -> str:
    """The hash of positions and log densities, warmup included."""
    sink, _ = run(LONG_AXIS, chains=2, draws=10, **{"warmup": 30, **settings})
    rows = [" ".join(f"{value:.4e}" for value in row[:4]) for chain in range(2) for row in whole(sink, chain)]
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]
