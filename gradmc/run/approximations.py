"""How far the draws of a run by batches of the data are off, found after the run."""

from typing import Any

import jax
import numpy as np

from gradmc.density import Density
from gradmc.errors import GradmcError
from gradmc.kernels.sghmc import Sghmc
from gradmc.run.sampler import Sampler
from gradmc.run.subsampled import DRAWS


def explain_batches(sampler: Sampler, density: Density, tree: Any) -> dict[str, Any]:
    """Attributes of the results that say what batches do to the draws; nothing where the steps saw all data.

    Args:
        sampler: the sampler after its run.
        density: its density.
        tree: its draws.

    Returns:
        `batch`, which batches, in words; `step_size`; `gradient_noise`, the variance of a whitened coordinate of the
        estimated gradient; and `variance_excess`, the share by which the variances of a normal posterior's draws were
        too large.
    """
    subsampled, kernel, chain = sampler.subsampled, sampler.plan.machine.kernel, sampler.lanes[0].state.chain
    if subsampled is None:
        return {}
    batches, step = subsampled.variates.batches, float(np.asarray(chain.adapted.step.value)[0])
    told = {"batch": f"{batches.size} of {batches.rows} rows of {batches.dimension}", "step_size": step}
    positions = _positions(density, tree)
    if not len(positions) or not isinstance(kernel, Sghmc):
        return told
    with density.scope():
        metric = jax.tree.map(lambda leaf: np.asarray(leaf)[0], chain.adapted.metric)
        noise = subsampled.noise(positions, metric, int(sampler.settings.seed or 0))
    return {**told, "gradient_noise": noise, "variance_excess": kernel.excess(step, noise)}


def _positions(density: Density, tree: Any) -> np.ndarray:
    """Draws from all over the run on the unconstrained scale, (n, dim); none where parameters are missing."""
    posterior = tree["posterior"].to_dataset() if "posterior" in tree.children else {}
    if any(part.name not in posterior for part in density.parts):
        return np.zeros((0, density.dim))
    named = {part.name: posterior[part.name].transpose("chain", "draw", ...).values for part in density.parts}
    named = {name: values.reshape(-1, *values.shape[2:]) for name, values in named.items()}
    count = len(next(iter(named.values())))
    found = []
    for row in np.unique(np.linspace(0, count - 1, min(count, DRAWS)).astype(int)):
        try:
            found.append(np.asarray(density.unconstrain({name: values[row] for name, values in named.items()})))
        except GradmcError:
            continue  # a value that was rounded onto the edge of its support
    return np.asarray(found, density.dtype).reshape(-1, density.dim)
