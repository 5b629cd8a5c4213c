"""Where trajectories were lost: points with a density or gradient that is not finite, found again after the run.

A step to such a point diverges as a step with a large energy error does, but a smaller step does not help. Its energy
error is infinite, which tells the two apart. A trajectory is a function of the draw before it, of the metric, of the
step size and of the transition's momentum, which is a hash (`gradmc.kernels.random`); so the trajectory of a lost draw
can be followed again, in both directions, up to the point.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradmc.density import Density
from gradmc.errors import GradmcError
from gradmc.kernels.hamiltonian import Point, energy
from gradmc.kernels.kernel import Kernel
from gradmc.kernels.metric import Metric
from gradmc.kernels.random import chain_key
from gradmc.results.statistics import lost_draws
from gradmc.run.sampler import Sampler

MOST_FOLLOWED = 20
"""Lost draws that are followed; where the integrator is chaotic, rounding may lead one past the point."""


def explain_losses(sampler: Sampler, density: Density, tree: Any, *, thin: int = 1) -> dict[str, str]:
    """Attributes of the results that say where the density or its gradient is not finite.

    Args:
        sampler: the sampler after its run.
        density: its density.
        tree: its draws.
        thin: of how many draws one was kept.

    Returns:
        `not_finite`, why a point with a density or gradient that is not finite is one, with the user's line, and
        `not_finite_in`, "gradient" or "density"; nothing where no draw was lost, or no such point was found again.
    """
    found, values = [], []
    for x in _lost_points(sampler, density, tree) if thin == 1 else ():
        value, gradient = (np.asarray(part) for part in density.value_and_grad(x))
        if not (np.isfinite(value) and np.all(np.isfinite(gradient))):  # or else the momentum overflowed
            found.append(x)
            values.append(float(value))
    if not found:
        return {}
    order = sorted(range(len(found)), key=lambda k: (not np.isfinite(values[k]), values[k] == -np.inf))
    x, value = found[order[0]], values[order[0]]
    where = "gradient" if np.isfinite(value) else "density"
    return {"not_finite": " ".join(density.describe_failure(x).split()), "not_finite_in": where}


def _lost_points(sampler: Sampler, density: Density, tree: Any) -> Iterator[np.ndarray]:
    """The points at which the first lost draws were lost, as far as they are found again."""
    if "sample_stats" not in tree.children:
        return
    lost = lost_draws(tree["sample_stats"].to_dataset())
    if not lost.any():
        return
    with density.scope():
        kernel = sampler.plan.machine.kernel
        follow = jax.jit(lambda *given: _follow(density, kernel, *given))
        for signed, position, momentum, steps, metric in trajectories(sampler, density, tree, lost):
            ended, finite = follow(position, momentum, signed, steps, metric)
            if not finite and np.all(np.isfinite(ended)):
                yield np.asarray(ended)


def trajectories(
    sampler: Sampler, density: Density, tree: Any, chosen: np.ndarray
) -> Iterator[tuple[jax.Array, np.ndarray, jax.Array, jax.Array, Metric]]:
    """How the trajectories of some draws began, in both directions; to be called within the density's scope.

    Args:
        sampler: the sampler after its run.
        density: its density.
        tree: its draws, none of them left out.
        chosen: shape (chain, draw); the first of these draws are followed.

    Yields:
        The step size with its sign, position, momentum, the number of steps at most, and the metric.
    """
    if not {"posterior", "sample_stats"} <= set(tree.children):
        return
    statistics = tree["sample_stats"].to_dataset()
    posterior = tree["posterior"].to_dataset()
    if any(part.name not in posterior for part in density.parts):
        return
    places = np.argwhere(chosen)
    places = places[places[:, 1] > 0][:MOST_FOLLOWED]  # what came before the first draw is not in the results
    chains = posterior["chain"].values
    kernel = sampler.plan.machine.kernel
    for row, draw in places:
        chain = int(chains[row])
        before = {part.name: posterior[part.name].values[row, draw - 1] for part in density.parts}
        try:
            position = np.asarray(density.unconstrain(before), density.dtype)
        except GradmcError:
            continue  # a value that was rounded onto the edge of its support
        if "lp" in statistics:
            position = _lengthened(density, position, float(statistics["lp"].values[row, draw - 1]))
        transition = jnp.uint32(sampler.settings.warmup + int(draw))
        key = jnp.asarray(chain_key(int(sampler.settings.seed or 0), chain))
        momentum = kernel.momentum(key, transition, density.dim, density.dtype)
        step, steps = float(statistics["step_size"].values[row, draw]), int(statistics["n_steps"].values[row, draw])
        for direction in (1.0, -1.0):
            signed = jnp.asarray(direction * step, density.dtype)
            yield signed, position, momentum, jnp.int32(steps), _metric(sampler, chain)


def _lengthened(density: Density, position: np.ndarray, lp: float) -> np.ndarray:
    """A position with the length of the vector whose direction an angle is, where there is one angle.

    The results do not hold it, but the log density, of which minus half of its square is a part.
    """
    angles = [part for part in density.parts if part.support == "Circular"]
    if [part.size for part in angles] != [2]:
        return position
    square = 1.0 + 2.0 * (float(density(position)) - lp)
    if not square > 0.0:
        return position
    longer = position.copy()
    longer[angles[0].start : angles[0].start + 2] *= np.sqrt(square)
    return longer


def _metric(sampler: Sampler, chain: int) -> Metric:
    """The metric of a chain, which stands still after warmup."""
    lane = next(lane for lane in sampler.lanes if chain in lane.chains)
    return jax.tree.map(lambda leaf: leaf[lane.chains.index(chain)], lane.state.chain.adapted.metric)


def _follow(
    density: Density,
    kernel: Kernel[Any, Any],
    position: jax.Array,
    momentum: jax.Array,
    step: jax.Array,
    steps: jax.Array,
    metric: Metric,
) -> tuple[jax.Array, jax.Array]:
    """The last point of a trajectory of at most `steps` steps that ends where the energy is not finite."""

    def unfinished(carry: tuple[jax.Array, Point]) -> jax.Array:
        return (carry[0] < steps) & jnp.isfinite(energy(carry[1]))

    start, step_from = stepping(density, kernel, position, momentum, step, metric)
    _, end = jax.lax.while_loop(unfinished, lambda carry: (carry[0] + 1, step_from(carry[1])), (jnp.int32(0), start))
    return end.position, jnp.isfinite(energy(end))


def stepping(
    density: Density,
    kernel: Kernel[Any, Any],
    position: jax.Array,
    momentum: jax.Array,
    step: jax.Array,
    metric: Metric,
) -> tuple[Point, Callable[[Point], Point]]:
    """The first point of a trajectory, and what leads from each to the next; to be traced."""

    def at(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.value_and_grad(density.logdensity)(x, density.arguments)

    value, gradient = at(position)
    start = Point(
        position=position, momentum=momentum, force=metric.pull(gradient), log_density=value, gradient=gradient
    )
    return start, lambda point: kernel.step(at, metric, point.phase, step)
