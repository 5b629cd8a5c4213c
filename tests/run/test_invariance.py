"""The kernels leave their target exactly invariant.

Thousands of short chains start at exact draws.  If the kernel is right, their states after any number of transitions
are exact draws again, whatever step size and metric, and so are uniform after Rosenblatt's transformation (Gandy &
Scott 2020, 'Unit testing for MCMC': tests of exactness with a stated probability of false alarm).  Kernels that are
wrong on purpose must fail the same test, so it has power.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradmc.kernels import nuts
from gradmc.kernels.chees import Chees
from gradmc.kernels.hmc import Hmc
from gradmc.kernels.metric import DenseMetric
from gradmc.kernels.microcanonical import Microcanonical
from gradmc.kernels.nuts import Nuts
from gradmc.run.machine import Machine
from tests.goodness import BUDGET, assert_uniform, smallest_p_value_of_uniforms
from tests.run.batches import Advance, compile_batch, family_machine, run_transitions
from tests.targets import exact_draws, member, to_uniforms

CHAINS = 8192
FACTOR = np.array([[0.9, 0.0, 0.1], [0.5, 0.7, 0.0], [-0.3, 0.2, 0.8]])

KERNELS = {
    "nuts": Nuts(max_tree_depth=6),
    "saturated": Nuts(max_tree_depth=2),
    "hmc": Hmc(integration_time=1.2, jitter=0.5, max_steps=64),
    "microcanonical": Microcanonical(integration_time=1.2, jitter=0.5, max_steps=64),
    "chees": Chees(integration_time=1.2, max_steps=64),
}
# Large steps, so that rejection, divergence and the weights within trees all matter.
STEP_SIZES = {"normal": 0.9, "funnel": 0.8, "wall": 0.7, "misled": 0.5}


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A machine and its compiled batch."""

    machine: Machine
    advance: Advance

    def uniforms(self, law: str, rng: np.random.Generator, seed: int, step_size: float) -> tuple[Any, Any]:
        """Transformed states after the last transition, from exact draws; and all statistics."""
        start = exact_draws(law, rng, CHAINS)
        draws, statistics = run_transitions(self.advance, self.machine, member(law), seed, start, step_size)
        return to_uniforms(law, draws[:, -1]), {
            name: statistics[..., i] for i, name in enumerate(self.machine.statistics)
        }


def prepare(kernel: Any) -> Prepared:
    machine = family_machine(kernel, DenseMetric(factor=FACTOR))
    return Prepared(machine=machine, advance=compile_batch(machine))


@pytest.fixture(scope="session")
def prepared() -> Callable[[str], Prepared]:
    """Prepared once each."""
    return functools.cache(lambda name: prepare(KERNELS[name]))


@pytest.mark.parametrize("law", STEP_SIZES)
@pytest.mark.parametrize(
    "kernel", ["nuts", "hmc", "microcanonical", "chees", pytest.param("saturated", marks=pytest.mark.slow)]
)
def test_exact_draws_stay_exact(
    kernel: str, law: str, prepared: Callable[[str], Prepared], rng: np.random.Generator, seed: int, x64: None
) -> None:
    """Also with a wrong gradient (`misled`): it makes proposals poor, not the law wrong."""
    u, statistics = prepared(kernel).uniforms(law, rng, seed, STEP_SIZES[law])
    assert_uniform(u)
    if law == "wall":
        assert 0.02 < statistics["diverging"].mean() < 0.9
    else:
        assert statistics["acceptance_rate"].mean() < 0.97


def test_the_transformation_of_exact_draws_is_uniform(rng: np.random.Generator) -> None:
    for law in STEP_SIZES:
        assert_uniform(to_uniforms(law, exact_draws(law, rng, CHAINS)))


@functools.partial(jax.tree_util.register_dataclass, data_fields=["event"], meta_fields=["which"])
@dataclasses.dataclass(frozen=True)
class RiggedEvent:
    """Random words of which one always accepts."""

    event: Any
    which: int

    def word(self, which: int) -> jax.Array:
        """Zero, or what the event says."""
        word = self.event.word(which)
        return jnp.zeros_like(word) if which == self.which else word


@dataclasses.dataclass(frozen=True, slots=True)
class TakesEveryLeaf(Nuts):
    """Wrong on purpose: the last leaf of a subtree is its proposal, whatever its weight."""

    def extend(self, trajectory: Any, workspace: Any, before: Any, point: Any, event: Any) -> Any:
        """Rigged."""
        return Nuts.extend(self, trajectory, workspace, before, point, RiggedEvent(event, 0))


@dataclasses.dataclass(frozen=True, slots=True)
class TakesEverySubtree(Nuts):
    """Wrong on purpose: a new subtree gives the draw, whatever its weight."""

    def extend(self, trajectory: Any, workspace: Any, before: Any, point: Any, event: Any) -> Any:
        """Rigged."""
        return Nuts.extend(self, trajectory, workspace, before, point, RiggedEvent(event, 1))


@dataclasses.dataclass(frozen=True, slots=True)
class AcceptsAlways(Hmc):
    """Wrong on purpose: no Metropolis rule."""

    def extend(self, trajectory: Any, workspace: Any, before: Any, point: Any, event: Any) -> Any:
        """Rigged."""
        return Hmc.extend(self, trajectory, workspace, before, point, RiggedEvent(event, 0))


@dataclasses.dataclass(frozen=True, slots=True)
class LengthDependsOnPosition(Hmc):
    """Wrong on purpose: the trajectory back has another length."""

    def start(self, point: Any, word: Any, step_size: Any) -> Any:
        """The step size only serves to choose the length."""
        return Hmc.start(self, point, word, step_size / (1 + jnp.sum(point.position**2)))


BROKEN = {
    "leaf": TakesEveryLeaf(max_tree_depth=6),
    "subtree": TakesEverySubtree(max_tree_depth=6),
    "turns": Nuts(max_tree_depth=6),  # see the test
    "accepts": AcceptsAlways(integration_time=1.2, max_steps=64),
    "length": LengthDependsOnPosition(integration_time=1.2, max_steps=64),
}


@pytest.mark.slow
@pytest.mark.parametrize("broken", BROKEN)
def test_wrong_kernels_are_caught(
    broken: str, rng: np.random.Generator, seed: int, x64: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if broken == "turns":  # without checks of subtrees a tree may not have grown from each of its points
        monkeypatch.setattr(nuts, "_subtree_is_turning", lambda *_: jnp.bool_(False))
    chains = prepare(BROKEN[broken])
    p_values = [
        smallest_p_value_of_uniforms(chains.uniforms(law, rng, seed, STEP_SIZES[law])[0])
        for law in ("normal", "funnel")
    ]
    assert min(p_values) < BUDGET
