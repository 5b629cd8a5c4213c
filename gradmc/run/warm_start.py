"""Warm start: the step size and mass matrix of an earlier run of the same shape.

The mass matrix stays as it is, so warmup only moves the chains to the posterior and adapts the step size; some tens
of transitions are enough. What is taken over is copied into the new run, which can therefore be resumed when the
earlier one is gone.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradmc.errors import ConfigError, ResumeError
from gradmc.results.checkpoint import Checkpoint, decode, encode, load_finished
from gradmc.results.files import atomic_write
from gradmc.run.sampler import Sampler

METRIC = ".chain.adapted.metric"
STEP = ".chain.adapted.step.value"
FILE = "warm_start"

type Adapted = dict[str, np.ndarray]
"""Metric arrays and step size of one chain, by their names in a checkpoint."""


def read_adapted(run: Path, chains: int, identifier: str = "", *, name: str = "") -> list[Adapted]:
    """What the chains of an earlier run have adapted to.

    Args:
        run: directory of the run.
        chains: its number of chains.
        identifier: identifies it, where it is known.
        name: what the user calls the directory, if it is a copy.

    Raises:
        ConfigError: there is nothing to take over.
        ResumeError: a checkpoint is that of another run, or damaged.
    """
    found: list[Adapted] = []
    for chain in range(chains):
        checkpoint = load_finished(run / "state", chain)
        if checkpoint is not None:
            if identifier:
                checkpoint.refuse_other(run=identifier, chains=checkpoint.meta.get("chains", ()))
            found += _split(checkpoint)
    if not found:
        raise ConfigError(
            f"sampler.warm_start: no checkpoint in {name or run}; name the directory of a run that has finished its "
            "warmup"
        )
    return found


def store_adapted(state: Path, adapted: Sequence[Adapted]) -> None:
    """Copy what was taken over into a run's own directory."""
    arrays = {f"{chain}{name}": array for chain, own in enumerate(adapted) for name, array in own.items()}
    atomic_write(state / FILE, encode(arrays, {"chains": len(adapted)}))


def stored_adapted(state: Path) -> list[Adapted] | None:
    """What was copied, or None if the run began without a warm start."""
    if not (state / FILE).exists():
        return None
    content = decode((state / FILE).read_bytes())
    if content is None:
        raise ResumeError(f"{state / FILE} is damaged; restore it, or start the run again with --force")
    adapted: list[Adapted] = [{} for _ in range(content.meta["chains"])]
    for name, array in content.arrays.items():
        chain, dot, rest = name.partition(".")
        adapted[int(chain)][dot + rest] = array
    return adapted


def warm_start(sampler: Sampler, adapted: Sequence[Adapted]) -> None:
    """Give the chains of a sampler, just prepared, what other chains have adapted to.

    Raises:
        ConfigError: metric or dimension differ.
    """
    plan = sampler.plan
    with plan.scope():
        fixed = plan.machine.adaptation.schedule(plan.warmup, metric_stays=True, dtype=plan.machine.dtype)
    schedule = dataclasses.replace(
        fixed,
        search=np.bool_(False),
        max_attempts=plan.schedule.max_attempts,
    )
    sampler.plan = dataclasses.replace(plan, schedule=schedule, metric_stays=True)
    for lane in sampler.lanes:
        own = [adapted[chain % len(adapted)] for chain in lane.chains]

        def load(path: Any, leaf: Any, own: list[Adapted] = own) -> Any:
            name = jax.tree_util.keystr(path)
            if not name.startswith(METRIC) and name != STEP:
                return leaf
            return _fitted(name, leaf, own)

        with plan.scope():
            lane.state = jax.tree_util.tree_map_with_path(load, lane.state)
            kept = np.ones(len(own), bool)
            lane.state = dataclasses.replace(lane.state, chain=dataclasses.replace(lane.state.chain, keep_metric=kept))


def _fitted(name: str, leaf: Any, own: list[Adapted]) -> Any:
    arrays = [chain.get(name) for chain in own]
    shape = leaf.shape[1:]
    for array in arrays:
        if array is None:
            raise ConfigError(
                "sampler.warm_start: the earlier run has another kind of mass matrix; use the same sampler.metric"
            )
        if array.shape != shape:
            raise ConfigError(
                f"sampler.warm_start: the mass matrix of the earlier run has shape {array.shape}, this model needs "
                f"{shape}; the models must have the same unconstrained parameters"
            )
    return jnp.asarray(np.stack([np.asarray(array) for array in arrays]), leaf.dtype)


def _split(checkpoint: Checkpoint) -> list[Adapted]:
    """One entry per chain of a lane."""
    chains = len(checkpoint.meta["lengths"])
    wanted = {name: array for name, array in checkpoint.arrays.items() if name.startswith(METRIC) or name == STEP}
    return [{name: array[chain] for name, array in wanted.items()} for chain in range(chains)]
