"""`gradmc optimize`: the mode, its standard errors, and on request draws of the normal approximation."""

from pathlib import Path
from typing import Any

import numpy as np

from gradmc.cli.options import Common, Overrides
from gradmc.cli.output import emit
from gradmc.cli.problem import build_problem
from gradmc.config import load_config
from gradmc.errors import UsageError
from gradmc.results.labels import Labels, resolve_axes
from gradmc.run.optimum import Optimum, find_mode, laplace_draws

NO_MAXIMUM = 3
QUANTILES = (0.055, 0.945)


def optimize(path: Path, overrides: Overrides, *, restarts: int, jacobian: bool, draws: int, common: Common) -> int:
    """Find the mode and print it; exit code 3 if there is none."""
    if restarts < 1 or draws < 0:
        raise UsageError(f"--restarts must be at least 1 and --draws at least 0, got {restarts} and {draws}")
    loaded = load_config(path, overrides)
    problem = build_problem(loaded.config)
    jacobian = jacobian or draws > 0
    seed = problem.settings.seed
    optimum = find_mode(problem.density, seed=seed, restarts=restarts, jacobian=jacobian)
    rows = table(optimum, Labels.of_density(problem.density))
    if draws and optimum.covariance is not None:
        add_quantiles(rows, laplace_draws(problem.density, optimum, draws, seed))
    content = {
        "converged": optimum.converged,
        "message": optimum.message,
        "log_density": optimum.log_density,
        "jacobian": jacobian,
        "restarts": list(optimum.restarts),
        "parameters": rows,
    }
    emit(render(optimum, rows, jacobian), content, as_json=common.json)
    return 0 if optimum.converged else NO_MAXIMUM


def table(optimum: Optimum, labels: Labels) -> list[dict[str, Any]]:
    """One row per scalar parameter, named as in summaries."""
    rows: list[dict[str, Any]] = []
    axes = resolve_axes({name: value.shape for name, value in optimum.values.items()}, labels)
    for name, value in optimum.values.items():
        for index in np.ndindex(*value.shape):
            names = [str(axes.coords[dim][i]) for dim, i in zip(axes.dims[name], index, strict=True)]
            label = f"{name}[{', '.join(names)}]" if names else name
            error = float(optimum.errors[name][index])
            rows.append({"name": label, "mode": float(value[index]), "se": error})
    return rows


def add_quantiles(rows: list[dict[str, Any]], drawn: dict[str, np.ndarray]) -> None:
    """Add mean, standard deviation and an 89 % interval of the normal approximation to the rows."""
    flat = np.concatenate([np.reshape(v, (len(v), -1)) for v in drawn.values()], axis=1)
    low, high = np.quantile(flat, QUANTILES, axis=0)
    for i, row in enumerate(rows):
        row |= {"mean": float(flat[:, i].mean()), "sd": float(flat[:, i].std(ddof=1))}
        row |= {"eti89_lb": float(low[i]), "eti89_ub": float(high[i])}


def render(optimum: Optimum, rows: list[dict[str, Any]], jacobian: bool) -> str:
    """The mode as text."""
    columns = list(rows[0])
    lines = [["", *columns[1:]]]
    lines += [[row["name"], *(f"{row[column]:.4g}" for column in columns[1:])] for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    text = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]
    scale = "unconstrained scale (with Jacobian)" if jacobian else "scale of the parameters (no Jacobian)"
    agree = sum(abs(value - optimum.log_density) < 1e-3 for value in optimum.restarts)
    text += [
        "",
        f"Mode on the {scale}: log density {optimum.log_density:.4f}, found by {agree} of "
        f"{len(optimum.restarts)} searches.",
        f"{'Converged' if optimum.converged else 'NOT CONVERGED'}: {optimum.message}.",
    ]
    return "\n".join(text)
