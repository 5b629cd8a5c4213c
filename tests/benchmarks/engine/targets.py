"""Sampling a plain JAX log density with the engine, and timing it."""

import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np

import gradmc as gm
from gradmc.results.memory import MemoryStore
from gradmc.run.preparing import prepare
from gradmc.run.progress import NoProgress
from gradmc.run.sampler import Sampler
from gradmc.run.settings import Settings

SHARED = Path(__file__).resolve().parents[4] / "shared"


def density(log_density: Callable[[jax.Array], Any], dim: int) -> Any:
    """`log_density` of a flat vector as a `Density`."""
    return gm.from_logdensity(log_density, np.zeros(dim))


def run(sampler: Sampler) -> tuple[float, int, MemoryStore]:
    """Sample; seconds, gradients (those of the search for starting points too) and draws."""
    store = MemoryStore(chains=sampler.settings.chains, expected=sampler.settings.draws)
    began = time.perf_counter()
    sampler.run(store, NoProgress())
    elapsed = time.perf_counter() - began
    begun = 0 if sampler.found is None else sampler.found.gradients
    return elapsed, begun + sum(int(lane.gradients.sum()) for lane in sampler.lanes), store


def prepared(target: Any, **settings: Any) -> Sampler:
    """A compiled sampler."""
    return prepare(target, Settings(**settings))


def yardstick() -> ModuleType | None:
    """The single-kernel reference, where it is present; importing it switches float64 on."""
    path = SHARED / "reference" / "nuts_single_kernel.py"
    if not path.exists():
        return None
    import importlib.util

    spec = importlib.util.spec_from_file_location("nuts_single_kernel", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
