"""Draws from a normal approximation of the posterior, and how far to trust them: `gm.approximate`.

Draws x of the approximation q get the importance weights p(x) / q(x), smoothed by a generalised Pareto distribution
fitted to the largest (Vehtari, Simpson, Gelman, Yao & Gabry 2024, 'Pareto smoothed importance sampling'), and are
resampled by them.  The shape k of that distribution says how far q is from p: below 0.7 the weights have, for all that
matters, a finite variance, and what is computed from the draws can be trusted; above it q misses too much of p, and no
number of draws helps.

Where q never gets to, k sees nothing: the arms of a banana, whose middle q fits.  But for all p, and each coordinate,
E[(x - E x) d log p / dx] = -1 (integration by parts, known after Stein), which draws of a part of p do not fulfil.  So
the draws are trusted if their weighted mean of it is -1 as far as it is known.
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from gradmc.arguments import check_whole
from gradmc.density import Density, Precision
from gradmc.elsewhere import explaining
from gradmc.errors import StartError, UsageError
from gradmc.program.model import Model
from gradmc.run.optimum import find_mode
from gradmc.sample import as_density
from gradmc.session import HERE, SamplingWarning
from gradmc.starts.asking import Answer
from gradmc.starts.normal import NormalApproximation
from gradmc.starts.pathfinder import Pathfinder

METHODS = ("laplace", "pathfinder")
PROPOSED = 4
"""Draws of the approximation for each that is returned."""
FEWEST = 25
"""Ratios whose largest fifth are the five that a fit of their tail needs."""
STEIN = 0.5
"""How far from -1 that mean may be, two standard errors allowed for: near 0 for draws that are right, and about 1 for
those of a part of the posterior that is narrow against the whole."""
BATCH = 256
"""Points whose densities are computed at a time."""


@explaining
def approximate(
    model: Model | Density,
    data: Mapping[str, Any] | None = None,
    *,
    method: Literal["laplace", "pathfinder"] = "pathfinder",
    draws: int = 1000,
    seed: int = 0,
    restarts: int = 5,
    paths: int = 8,
    precision: Precision = "float64",
) -> Any:
    """Draw from a normal approximation of the posterior, corrected by importance weights: quick, and often rough.

    Args:
        model: a function decorated with `@gm.model`, or a `Density`.
        data: the model's data by name; None for a model without data, or a density.
        method: "pathfinder" (the best normals along several searches for the mode; Zhang, Carpenter, Gelman & Vehtari
            2022) or "laplace" (the normal around the mode, of the Hessian there).
        draws: number of draws.
        seed: non-negative integer; the draws are a function of it.
        restarts: searches for the mode ("laplace").
        paths: searches ("pathfinder").
        precision: "float64" or "float32".

    Returns:
        An ArviZ `DataTree` as that of `gm.sample`, of one chain of independent draws, some of them the same. Its
        attributes hold `pareto_k`, `stein_error` and, in words, `trust`; `gm.diagnose` judges by them.

    Warns:
        SamplingWarning: the approximation is too far from the posterior.

    Raises:
        UsageError: an argument is of the wrong kind or outside its range; data do not fit the model.
        ProgramError: the model's function raised, or uses something that cannot be compiled.
        StartError: there is no such approximation, or no start has a finite density.
    """
    check_whole("draws", draws, 1, None)
    check_whole("seed", seed, 0, None)
    if method not in METHODS:
        raise UsageError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    target = as_density(model, data, precision)
    evaluate = _evaluator(target)
    if method == "laplace":
        points, own, note = _laplace(target, PROPOSED * draws, seed, restarts)
    else:
        points, own, note = _pathfinder(target, evaluate, PROPOSED * draws, seed, paths)
    values, gradients = evaluate(points)
    weights, k = smoothed(np.where(np.isfinite(values), values - own, -np.inf))
    error = stein_error(points, gradients, weights)
    rows = _resampled(weights, draws, np.random.default_rng([seed, 4]))
    trust = in_words(k, len(points), error)
    tree = _tree(target, points[rows], {"lp": values[rows], "log_q": own[rows]}, draws)
    limit = limit_of(len(points))
    tree.attrs |= {"approximation": method, "approximation_note": note, "pareto_k": k, "trust": trust, "seed": seed}
    tree.attrs |= {"pareto_k_limit": limit, "stein_error": error, "stein_limit": STEIN}
    if not (k < limit and error < STEIN):
        warnings.warn(trust, SamplingWarning, skip_file_prefixes=HERE)
    return tree


def limit_of(count: int) -> float:
    """The largest Pareto k at which so many draws can be trusted (Vehtari et al. 2024, section 3.2.4)."""
    return min(1 - 1 / math.log10(count), 0.7) if count > 10 else 0.0


def in_words(k: float, count: int, error: float) -> str:
    """How far to trust the draws."""
    told, advice = f"Pareto k is {k:.2f}", "draws may be far off; use gm.sample, for which it is a start at most"
    if not k < limit_of(count):
        return f"{told}, above {limit_of(count):.2f}: the approximation misses part of the posterior, and its {advice}"
    if not error < STEIN:
        return (
            f"{told}, but the mean of (x - mean) times the slope of the log density, -1 for the posterior, is off by "
            f"up to {error:.2g}: the approximation may miss part of the posterior, where it never gets to, and its "
            f"{advice}"
        )
    return f"{told}: the approximation is close enough for its weighted draws to be trusted"


def stein_error(points: np.ndarray, gradients: np.ndarray, weights: np.ndarray) -> float:
    """By how much the weighted mean of (x - mean) d log p / dx may differ from -1, in the worst coordinate.

    Args:
        points: (n, dim), unconstrained.
        gradients: of the log density there, (n, dim).
        weights: (n,), of sum 1.

    Returns:
        The difference and two standard errors; infinite where they are no numbers.
    """
    used = weights > 0.0
    points, gradients, weights = points[used], gradients[used], weights[used]
    terms = (points - weights @ points) * gradients + 1.0
    mean = weights @ terms
    bound = np.abs(mean) + 2.0 * np.sqrt(weights**2 @ (terms - mean) ** 2)
    return float(np.max(bound, initial=0.0)) if np.all(np.isfinite(bound)) and used.any() else math.inf


def smoothed(log_ratios: np.ndarray) -> tuple[np.ndarray, float]:
    """Normalised Pareto smoothed weights of log importance ratios (n,), and Pareto k.

    k is infinite where too few are finite, and 0 where the largest ones are one number: then there is no tail.
    """
    from arviz_stats.base.array import array_stats

    finite = np.isfinite(log_ratios)
    if finite.sum() < FEWEST:
        return finite / max(1, finite.sum()), math.inf
    weights = np.zeros(len(log_ratios))
    try:
        log_weights, k = array_stats.psislw(-log_ratios[finite], r_eff=1)  # takes minus the ratios
    except ValueError as error:
        if str(error) != "All tail values are the same":
            raise
        log_weights, k = log_ratios[finite], 0.0
    weights[finite] = np.exp(np.asarray(log_weights) - np.max(log_weights))
    return weights / weights.sum(), math.inf if math.isnan(k) else float(k)


def _resampled(weights: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Rows drawn by their weights, by stratified resampling, in random order (Douc, Cappé & Moulines 2005)."""
    ladder = (np.arange(count) + rng.uniform(size=count)) / count
    rows = np.searchsorted(np.cumsum(weights), ladder, side="right")
    return rng.permutation(np.minimum(rows, len(weights) - 1))


def _laplace(target: Density, count: int, seed: int, restarts: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Points of the normal around the mode, their log densities under it, and how the search went."""
    optimum = find_mode(target, seed=seed, restarts=restarts, jacobian=True)
    if optimum.covariance is None:
        raise StartError(f"there is no Laplace approximation: {optimum.message}")
    factor = np.linalg.cholesky(optimum.covariance)
    noise = np.random.default_rng([seed, 3]).standard_normal((count, target.dim))
    constant = np.sum(np.log(np.diag(factor))) + target.dim * math.log(2 * math.pi) / 2
    return optimum.position + noise @ factor.T, -np.sum(noise**2, axis=1) / 2 - constant, optimum.message


def _pathfinder(
    target: Density, evaluate: Callable[[np.ndarray], Answer], count: int, seed: int, paths: int
) -> tuple[np.ndarray, np.ndarray, str]:
    """Points of the mixture of the paths' normals, their log densities under it, and how the search went."""
    radius = np.broadcast_to(target.start_radius, target.dim)
    normals, tried = Pathfinder(paths=paths).pool(evaluate, radius, seed)
    if not normals:
        raise StartError(f"none of {tried} paths found a normal approximation of use; use gm.sample")
    rng = np.random.default_rng([seed, 3])
    shares = np.bincount(np.arange(count) % len(normals), minlength=len(normals))
    parts = [n.draw(rng.standard_normal((share, target.dim)))[0] for n, share in zip(normals, shares, strict=True)]
    points = np.concatenate(parts)
    return points, _mixture(normals, points), f"{len(normals)} of {tried} paths found the mass"


def _mixture(normals: Sequence[NormalApproximation], points: np.ndarray) -> np.ndarray:
    """Log densities of the mixture of normals in equal parts."""
    return np.logaddexp.reduce([normal.log_density(points) for normal in normals]) - math.log(len(normals))


def _evaluator(target: Density) -> Callable[[np.ndarray], Answer]:
    """Log densities and gradients at points (n, dim)."""
    import jax

    def both(x: jax.Array, arguments: Any) -> tuple[jax.Array, jax.Array]:
        return jax.value_and_grad(target.logdensity)(x, arguments)

    def mapped(points: jax.Array, arguments: Any) -> tuple[jax.Array, jax.Array]:
        return jax.lax.map(lambda x: both(x, arguments), points)

    with target.scope():
        compiled = jax.jit(mapped)

    def evaluate(points: np.ndarray) -> Answer:
        found = []
        with target.scope(), target.differentiating():
            for first in range(0, len(points), BATCH):
                part = points[first : first + BATCH]
                size = BATCH if len(part) > BATCH // 8 else BATCH // 8
                room = np.concatenate([part, np.repeat(part[:1], size - len(part), axis=0)])
                answer = compiled(jax.numpy.asarray(room, target.dtype), target.arguments)
                found.append([np.asarray(a, float)[: len(part)] for a in answer])
        return np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])

    return evaluate


def _tree(target: Density, points: np.ndarray, statistics: Mapping[str, np.ndarray], draws: int) -> Any:
    """The DataTree of these unconstrained points."""
    import jax

    from gradmc.results.labels import Labels
    from gradmc.results.memory import MemoryStore

    labels = Labels.of_density(target)
    with target.scope():
        given = jax.numpy.asarray(points, target.dtype)
        expand = jax.jit(lambda xs, arguments: jax.lax.map(lambda x: target.expand(x, arguments), xs))
        groups = jax.tree.map(np.asarray, expand(given, target.arguments))
    store = MemoryStore(chains=1, labels=labels, expected=draws)
    store.append(0, False, {**groups, "sample_stats": dict(statistics)})
    return store.to_datatree()
