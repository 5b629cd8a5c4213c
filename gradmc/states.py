"""Draws of the discrete states that a program sums out: `gm.draw_states`."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from gradmc.arguments import check_whole
from gradmc.density import Density, ProgramDensity
from gradmc.elsewhere import explaining
from gradmc.errors import UsageError
from gradmc.program.marginalization import FILTERED, PROBABILITY, TRANSITION, for_drawing
from gradmc.program.model import Model
from gradmc.program.tracing import trace
from gradmc.sample import as_density

BATCH = 100
"""Draws whose probabilities are computed at a time."""


@explaining
def draw_states(model: Model | Density, data: Mapping[str, Any] | None, draws: Any, *, seed: int = 0) -> Any:
    """Draw the states that a model sums out by `gm.marginalize`, one for every draw of the posterior.

    The states of a chain are drawn together, by the backward recursion, so that paths are paths of the posterior.

    Args:
        model: the model.
        data: its data, as for `gm.sample`.
        draws: a DataTree with the group `posterior`, with all parameters, as `gm.sample` returns.
        seed: non-negative integer; the states are a function of it.

    Returns:
        `draws` with the states, whole numbers from 0, in the group `posterior`, under the names given to
        `gm.marginalize`, each of shape (chain, draw, ...).

    Raises:
        UsageError: the model sums out no states, or `draws` have no posterior of it.
        DataError: the data do not fit the model.
    """
    check_whole("seed", seed, 0, None)
    density = as_density(model, data)
    if not isinstance(density, ProgramDensity):
        raise UsageError("states are drawn for models declared with @gm.model")
    if "posterior" not in draws.children:
        raise UsageError("draws have no group posterior")
    posterior = draws["posterior"].to_dataset()
    if lacking := [name for name in density.shapes if name not in posterior]:
        raise UsageError(f"the draws have no {', '.join(lacking)}: they are of another model, or left it out")
    shape = posterior.sizes["chain"], posterior.sizes["draw"]
    values = {name: posterior[name].values.reshape(-1, *own) for name, own in density.shapes.items()}
    states = _drawn(density, values, np.random.default_rng([seed, 1 << 21]))
    found = {name: (_dims(posterior, name, array), array.reshape(*shape, *array.shape[1:])) for name, array in states}
    result = draws.copy()
    result["posterior"] = posterior.assign(found)
    return result


def _dims(posterior: Any, name: str, states: np.ndarray) -> tuple[str, ...]:
    """The axes of the states: those of their probabilities, but for the last."""
    known = posterior[name + PROBABILITY].dims[:-1] if name + PROBABILITY in posterior else ()
    if len(known) == states.ndim + 1:
        return known
    return ("chain", "draw", *(f"{name}_dim_{axis}" for axis in range(states.ndim - 1)))


def _drawn(
    density: ProgramDensity, values: Mapping[str, np.ndarray], rng: np.random.Generator
) -> list[tuple[str, np.ndarray]]:
    """The states by name, of shape (draws, ...)."""
    with density.scope(), for_drawing():
        program = trace(density.bound, density.dtype, collect=True)

    def recorded(given: dict[str, Any]) -> dict[str, Any]:
        return {name: v for name, v in program.marks(given, program.arguments)[2].items() if name.endswith(ENDINGS)}

    with density.scope():
        names = list(jax.eval_shape(recorded, {name: v[0].astype(density.dtype) for name, v in values.items()}))
        compiled = jax.jit(lambda given: jax.lax.map(recorded, given))
    chains = {name.removesuffix(FILTERED) for name in names if name.endswith(FILTERED)}
    alone = {name.removesuffix(PROBABILITY) for name in names if name.endswith(PROBABILITY)} - chains
    if not chains | alone:
        raise UsageError("the model sums out no states by gm.marginalize")
    count = len(next(iter(values.values())))
    parts: dict[str, list[np.ndarray]] = {name: [] for name in (*sorted(chains), *sorted(alone))}
    for first in range(0, count, BATCH):
        with density.scope():
            piece = {name: v[first : first + BATCH].astype(density.dtype) for name, v in values.items()}
            found = {name: np.asarray(v) for name, v in compiled(piece).items()}
        for name, part in parts.items():
            if name in chains:
                part.append(_paths(found[name + FILTERED], found[name + TRANSITION], rng))
            else:
                part.append(_chosen(found[name + PROBABILITY], rng))
    return [(name, np.concatenate(part)) for name, part in parts.items()]


ENDINGS = (PROBABILITY, FILTERED, TRANSITION)


def _chosen(probabilities: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A state for each row of probabilities (..., K)."""
    ladder = np.cumsum(probabilities, axis=-1)
    at = rng.uniform(size=(*ladder.shape[:-1], 1)) * ladder[..., -1:]
    return np.minimum(np.sum(ladder <= at, axis=-1), ladder.shape[-1] - 1)


def _paths(filtered: np.ndarray, transition: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Paths (..., T) of states, drawn backwards from log probabilities (..., T, K) given the data until then."""
    steps = filtered.shape[-2]
    varying = transition.ndim == filtered.ndim + 1
    paths = np.zeros(filtered.shape[:-1], np.int64)
    paths[..., -1] = _chosen(np.exp(filtered[..., -1, :]), rng)
    for t in range(steps - 2, -1, -1):
        ways = transition[..., t, :, :] if varying else transition
        into = np.take_along_axis(ways, paths[..., None, None, t + 1], axis=-1)[..., 0]
        paths[..., t] = _chosen(np.exp(filtered[..., t, :]) * into, rng)
    return paths
