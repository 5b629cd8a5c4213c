"""Chains whose steps see a batch of the data each (`gradmc.density.control_variates`, `gradmc.kernels.sghmc`).

All data are seen only before the chains begin, by the search for the reference point of the control variates and for
the starting points.
"""

import dataclasses
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradmc.density.base import Density
from gradmc.density.control_variates import Arguments, ControlVariates
from gradmc.errors import StartError, UsageError
from gradmc.kernels.random import Event, batch_rows, chain_key
from gradmc.run.settings import Settings
from gradmc.starts.asking import Answer, Evaluate
from gradmc.starts.pathfinder import Pathfinder
from gradmc.starts.start import SUPERCHAINS, Found, StartingPoint

DRAWS, BATCHES = 64, 16
"""Draws at which the noise of the gradients is measured, and batches at each: to about 15 %."""

NO_CHAIN = 2**32 - 1
"""Stands for a chain in the key of these batches."""


@dataclasses.dataclass(frozen=True, slots=True)
class AtReference:
    """The start of chains around the reference point: the search for it was made before."""

    found: Found
    points: dict[int, StartingPoint]

    def find(
        self, evaluate: Any, radius: np.ndarray, seed: int, chains: Sequence[int], explore: Any = None
    ) -> Found | None:
        """The points of these chains."""
        del evaluate, radius, seed, explore
        return dataclasses.replace(self.found, points=tuple(self.points[chain] for chain in chains))


@dataclasses.dataclass(frozen=True, slots=True)
class OneBatch:
    """The density that a step sees, of the first rows.

    Attributes:
        dim: number of unconstrained coordinates.
        dtype: of the computation.
        scope: as a density's.
        logdensity: as a density's.
        arguments: of it.
    """

    dim: int
    dtype: np.dtype
    scope: Any
    logdensity: Any
    arguments: Arguments


@dataclasses.dataclass(frozen=True, slots=True)
class Subsampled:
    """What a run by batches needs.

    Attributes:
        variates: the density by batches.
        arguments: of it.
        start: where chains start.
        evaluate: log densities and gradients by all data.
    """

    variates: ControlVariates
    arguments: Arguments
    start: AtReference
    evaluate: Evaluate

    def chosen(self, arguments: Arguments, event: Event) -> Arguments:
        """The arguments of the density at a step."""
        batches = self.variates.batches
        return self.variates.chosen(arguments, batch_rows(event, batches.size, batches.rows))

    @property
    def one_batch(self) -> OneBatch:
        """What a step sees, to be timed."""
        batches, density = self.variates.batches, self.variates.density
        with density.scope():
            arguments = self.variates.chosen(self.arguments, jnp.arange(batches.size, dtype=jnp.uint32))
        return OneBatch(density.dim, batches.dtype, density.scope, self.variates.logdensity, arguments)

    def noise(self, positions: np.ndarray, metric: Any, seed: int) -> float:
        """The variance of a whitened coordinate of the estimated gradient: that of the coordinate where it is largest.

        Args:
            positions: of draws, (n, dim).
            metric: that whitens.
            seed: of the batches.
        """

        def squares(x: Any, draw: Any, metric: Any, arguments: Arguments) -> Any:
            def force(number: Any) -> Any:
                event = Event(key=jnp.asarray(chain_key(seed, NO_CHAIN)), transition=draw, number=number)
                return metric.pull(jax.grad(self.variates.logdensity)(x, self.chosen(arguments, event)))

            return jnp.var(jax.lax.map(force, jnp.arange(BATCHES, dtype=jnp.uint32)), axis=0, ddof=1)

        def mean(positions: Any, *given: Any) -> Any:
            numbers = jnp.arange(len(positions), dtype=jnp.uint32)
            return jnp.mean(jax.lax.map(lambda own: squares(*own, *given), (positions, numbers)), axis=0)

        return float(np.max(np.asarray(jax.jit(mean)(positions, metric, self.arguments))))


def subsample(density: Any, settings: Settings, initial: Sequence[np.ndarray] | None) -> Subsampled:
    """The density by batches, with its reference point.

    Args:
        density: of all data.
        settings: with `batch`.
        initial: the first of these points is where the reference point is looked for; None looks everywhere.

    Raises:
        UsageError: the density has no such batches.
        StartError: no point was found around which the density is about normal.
    """
    assert settings.batch is not None
    assert settings.seed is not None
    if not isinstance(density, Density):
        raise UsageError("batch needs a model declared with @gm.model: only there dimensions have names")
    ((dimension, size),) = settings.batch.items()
    variates = ControlVariates.of(density, dimension, int(size))
    radius = np.broadcast_to(np.asarray(density.start_radius, float), density.dim)
    leaders = range(min(settings.chains, SUPERCHAINS))
    with ThreadPoolExecutor(settings.threads) as pool:
        evaluate = _evaluating(density, pool)
        if initial is None:
            found = settings.part("start").find(evaluate, radius, settings.seed, leaders)
        else:
            found = Pathfinder().around(evaluate, radius, settings.seed, leaders, np.asarray(initial[0], float))
        if found is None:
            where = "from random points" if initial is None else "from the initial values"
            raise StartError(
                f"batch: no search {where} found a place around which the density is about normal, which control "
                "variates need; pass initial=gm.optimize(...), or sample with all data"
            )
        best = max(found.points, key=lambda point: point.elbo).normal.mean
        values, gradients = evaluate(best[None])
    arguments = variates.arguments(best, float(values[0]), gradients[0])
    return Subsampled(
        variates,
        arguments,
        AtReference(found, dict(zip(leaders, found.points, strict=True))),
        _evaluating(density, None),
    )


def _evaluating(density: Density, pool: ThreadPoolExecutor | None) -> Evaluate:
    """Log densities and gradients by all data at points (n, dim), point by point."""
    with density.scope():
        call = jax.jit(jax.value_and_grad(density.logdensity))
        arguments = jax.device_put(density.arguments)

    def one(x: np.ndarray) -> tuple[float, np.ndarray]:
        with density.scope():
            value, gradient = call(jnp.asarray(x, density.dtype), arguments)
            return float(value), np.asarray(gradient, float)

    def evaluate(points: np.ndarray) -> Answer:
        answers = list((map if pool is None else pool.map)(one, points))
        return np.asarray([value for value, _ in answers]), np.stack([gradient for _, gradient in answers])

    return evaluate
