"""The mode of a density by L-BFGS with restarts, and the normal (Laplace) approximation around it.

The search runs on the unconstrained scale. Without the Jacobian the mode is that of the density of the
parameters as declared (penalised maximum likelihood); with it, that of the density of the unconstrained
coordinates, around which the normal approximation makes sense. Hessians are central differences of gradients,
standard errors of the parameters follow by the delta method. Source: Nocedal & Wright, Numerical
Optimization, chapter 7; L-BFGS-B of scipy.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradmc.density.reach import ATTEMPTS, random_point
from gradmc.errors import StartError
from gradmc.markup import element, table

MAX_ITERATIONS = 10_000
MOST_JUDGED = 200
"""Parameters up to which the mode that a descent ends in is judged by its Hessian: two gradients for each."""

GRADIENT_TOLERANCE = 1e-4
"""A mode is accepted if the gradient, in units of the local standard errors, is below this."""

FAR = 1e100
"""Stands for minus a log density that is not finite."""

STEP = float(np.cbrt(np.finfo(float).eps))
"""Step of central differences, relative to max(1, |x|)."""

type Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]


@dataclass(frozen=True, slots=True)
class Optimum:
    """A mode.

    Args:
        position: its unconstrained coordinates.
        log_density: log density there, with or without Jacobian as asked.
        values: the parameters there.
        errors: their standard errors, NaN where the Hessian gives none.
        covariance: of the normal approximation on the unconstrained scale, or None if there is none.
        converged: whether this is a maximum as far as can be told; None where that was not judged.
        message: why not, or how.
        restarts: log densities that the searches ended with, best first.
        history: of a descent, by column, a row for each epoch: `log_density` (the mean of its estimates), `held_out`
            (log score of a row held out), `learning_rate`.
    """

    position: np.ndarray
    log_density: float
    values: dict[str, np.ndarray]
    errors: dict[str, np.ndarray]
    covariance: np.ndarray | None
    converged: bool | None
    message: str
    restarts: tuple[float, ...]
    history: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """Whether this is a maximum, in words."""
        said = {True: "converged", False: "NOT CONVERGED", None: "not judged"}[self.converged]
        return f"{said}: {self.message}"

    def __str__(self) -> str:
        """The parameters with their standard errors, and whether this is a maximum."""
        lines = [f"{name} = {_shown(value)}  (se {_shown(self.errors[name])})" for name, value in self.values.items()]
        return "\n".join([*lines, f"log density {self.log_density:.6g}; {self.verdict}"])

    def _repr_html_(self) -> str:
        rows = [(name, _shown(value), _shown(self.errors[name])) for name, value in self.values.items()]
        colour = {True: "#14693b", False: "#9c2219", None: "#6b5200"}[self.converged]
        verdict = element("b", self.verdict, style=f"color:{colour}")
        words = element("div", f"log density {self.log_density:.6g}; ", verdict)
        return element("div", table(("", "mode", "standard error"), rows, "The posterior mode"), words)


def _shown(values: np.ndarray) -> str:
    return np.array2string(values, precision=4, suppress_small=True, threshold=12)


def find_mode(density: Any, *, seed: int = 0, restarts: int = 5, jacobian: bool = False) -> Optimum:
    """Search for the mode from several random starts.

    Args:
        density: a `gradmc.density.Density`.
        seed: seed of the starts.
        restarts: number of searches.
        jacobian: whether to include the Jacobian of the map from unconstrained coordinates.

    Raises:
        StartError: no start has a finite density.
        ProgramError: JAX has no derivative of something in the program.
    """
    objective = _objective(density, jacobian)
    with density.differentiating():
        radius = np.broadcast_to(density.start_radius, density.dim)
        found = [_search(objective, radius, np.random.default_rng([seed, k])) for k in range(restarts)]
    good = sorted((item for item in found if item[0] < FAR), key=lambda item: item[0])
    if not good:
        raise StartError(
            f"no search found a finite log density in {restarts} times {ATTEMPTS} starts. At one of them:\n"
            f"{density.describe_failure(found[0][1])}"
        )
    position = good[0][1]
    covariance, message = _covariance(objective, position, density.names)
    values = {name: np.asarray(value) for name, value in density.constrain(position).items()}
    return Optimum(
        position=position,
        log_density=-good[0][0],
        values=values,
        errors=_errors(density, position, covariance, values),
        covariance=covariance,
        converged=covariance is not None and not message,
        message=message or FOUND,
        restarts=tuple(-value for value, _ in good),
    )


def after_descent(
    density: Any, position: np.ndarray, history: Mapping[str, np.ndarray], ending: str, *, jacobian: bool
) -> Optimum:
    """The optimum that a descent ended in.

    Args:
        density: a `gradmc.density.Density`.
        position: where the descent ended.
        history: of the descent.
        ending: how it ended (`gradmc.run.descending.Descended`).
        jacobian: whether the Jacobian counts.
    """
    values = {name: np.asarray(value) for name, value in density.constrain(position).items()}
    value = float(density.log_density(values, jacobian=jacobian))
    covariance, converged, message = None, None, ENDINGS[ending]
    if ending == "not finite":
        converged = False
    elif ending == "interrupted":
        pass
    elif "held_out" in history:
        message += "; the best of the rows held out is as a rule no mode"
    elif density.dim > MOST_JUDGED:
        message += f"; the Hessian of {density.dim} parameters was not computed"
    else:
        covariance, problem = _covariance(_objective(density, jacobian), position, density.names)
        converged = covariance is not None and not problem
        message = problem.replace("try more restarts", "give it more epochs, or a schedule") or FOUND
    return Optimum(
        position=position,
        log_density=value,
        values=values,
        errors=_errors(density, position, covariance, values),
        covariance=covariance,
        converged=converged,
        message=message,
        restarts=(value,),
        history=history,
    )


ENDINGS = {
    "epochs": "all epochs are over",
    "patience": "the rows held out had no better score for as many epochs as patience allows",
    "interrupted": "it was interrupted, and this is the best so far",
    "not finite": "the log density or its gradient was not finite on the way, and this is the best before; lower the "
    "learning rate",
}
FOUND = "the gradient vanishes and the Hessian is negative definite"


def laplace_draws(density: Any, optimum: Optimum, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Draws of the parameters from the normal approximation, leading axis the draw."""
    if optimum.covariance is None:
        raise StartError(f"there is no normal approximation: {optimum.message}")
    import jax

    rng = np.random.default_rng([seed, 1 << 20])
    positions = rng.multivariate_normal(optimum.position, optimum.covariance, size=count, method="cholesky")
    with density.scope():
        drawn = jax.jit(jax.vmap(density.constrain))(jax.numpy.asarray(positions, density.dtype))
    return {name: np.asarray(drawn[name]) for name in optimum.values}


def _objective(density: Any, jacobian: bool) -> Objective:
    import jax

    def value(x: jax.Array, arguments: Any) -> jax.Array:
        if jacobian:
            return density.logdensity(x, arguments)
        return density.log_density(density.constrain(x))

    with density.scope():
        compiled = jax.jit(jax.value_and_grad(value))

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        with density.scope():
            log_density, gradient = compiled(jax.numpy.asarray(x, density.dtype), density.arguments)
        log_density, gradient = float(log_density), np.asarray(gradient, float)
        if not np.isfinite(log_density) or not np.all(np.isfinite(gradient)):
            return FAR, np.zeros_like(x)
        return -log_density, -gradient

    return objective


def _search(objective: Objective, radius: np.ndarray, rng: np.random.Generator) -> tuple[float, np.ndarray]:
    from scipy.optimize import minimize

    dim = len(radius)
    for attempt in range(ATTEMPTS):
        start = random_point(rng, radius, dim, attempt)
        if objective(start)[0] < FAR:
            break
    else:
        return FAR, start
    options = {
        "maxiter": MAX_ITERATIONS,
        "maxfun": 10 * MAX_ITERATIONS,
        "maxcor": 10,
        "ftol": 1e-15,
        "gtol": 1e-9,
    }
    result = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    return float(result.fun), np.asarray(result.x)


def _covariance(objective: Objective, position: np.ndarray, names: tuple[str, ...]) -> tuple[np.ndarray | None, str]:
    """Inverse Hessian at the mode, and what speaks against a maximum there."""
    hessian = _derivative(lambda x: objective(x)[1], position)
    hessian = (hessian + hessian.T) / 2
    curvatures, directions = np.linalg.eigh(hessian)
    if not np.all(np.isfinite(curvatures)) or curvatures[0] <= 1e-10 * max(1.0, curvatures[-1]):
        flat = names[int(np.argmax(np.abs(directions[:, 0])))]
        return None, (
            f"no maximum was found: the density is flat or goes on rising along {flat}; if its mode lies at an end of "
            "the support, that of the unconstrained scale may exist (option jacobian); if not, give it a prior, or "
            "sample instead"
        )
    covariance = directions @ np.diag(1 / curvatures) @ directions.T
    gradient = objective(position)[1]
    if float(gradient @ covariance @ gradient) > GRADIENT_TOLERANCE**2 * len(position):
        return covariance, "the search stopped before the gradient vanished; try more restarts"
    return covariance, ""


def _derivative(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """Central differences of a vector function; row i is the derivative along coordinate i."""
    rows = []
    for i, step in enumerate(STEP * np.maximum(1.0, np.abs(x))):
        up, down = x.copy(), x.copy()
        up[i] += step
        down[i] -= step
        rows.append((function(up) - function(down)) / (up[i] - down[i]))
    return np.array(rows)


def _errors(
    density: Any, position: np.ndarray, covariance: np.ndarray | None, values: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    if covariance is None:
        return {name: np.full(value.shape, np.nan) for name, value in values.items()}
    flat = _derivative(lambda x: _flatten(density.constrain(x)), position)
    deviations = np.sqrt(np.einsum("ij,ik,kj->j", flat, covariance, flat))
    errors: dict[str, np.ndarray] = {}
    start = 0
    for name, value in values.items():
        errors[name] = deviations[start : start + value.size].reshape(value.shape)
        start += value.size
    return errors


def _flatten(values: dict[str, Any]) -> np.ndarray:
    return np.concatenate([np.ravel(value) for value in values.values()]).astype(float)
