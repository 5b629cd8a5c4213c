"""`gradmc optimize`: the mode, its standard errors, and on request draws of the normal approximation."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from gradmc.cli.options import Common, Overrides
from gradmc.cli.output import emit
from gradmc.cli.problem import build_problem
from gradmc.config import load_config
from gradmc.config.schema import OptimizeSection
from gradmc.errors import UsageError
from gradmc.optimize import optimize as find
from gradmc.results.labels import Labels, resolve_axes
from gradmc.results.place import place_of
from gradmc.run.optimum import Optimum, laplace_draws

NO_MAXIMUM = 3
MOST_ROWS = 60
RESULT = "optimum.npz"
QUANTILES = (0.055, 0.945)


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of the command.

    Args:
        restarts: searches of L-BFGS.
        jacobian: whether the Jacobian counts.
        draws: of the normal approximation.
        resume: go on with the descent in `optimize.dir`.
        progress: how a descent shows how it goes.
    """

    restarts: int
    jacobian: bool
    draws: int
    resume: bool
    progress: str


def optimize(path: Path, overrides: Overrides, asked: Asked, *, common: Common) -> int:
    """Find the mode and print it; exit code 3 if there is none."""
    if asked.restarts < 1 or asked.draws < 0:
        raise UsageError(
            f"--restarts must be at least 1 and --draws at least 0, got {asked.restarts} and {asked.draws}"
        )
    loaded = load_config(path, overrides)
    problem = build_problem(loaded.config)
    section = loaded.config.optimize
    refuse_idle(section, asked)
    seed = problem.settings.seed
    jacobian = asked.jacobian or asked.draws > 0
    settings = section.model_dump(exclude={"dir", "start_radius"})
    optimum = find(
        problem.density,
        **settings,
        seed=seed,
        restarts=asked.restarts,
        jacobian=jacobian,
        initial=section.start_radius,
        progress=asked.progress,
        output=section.dir,
        resume=asked.resume,
    )
    if section.dir is not None:
        place_of(section.dir).write(RESULT, encoded(optimum))
    rows = table(optimum, Labels.of_density(problem.density))
    if asked.draws and optimum.covariance is not None:
        add_quantiles(rows, laplace_draws(problem.density, optimum, asked.draws, seed))
    content = {
        "converged": optimum.converged,
        "message": optimum.message,
        "log_density": optimum.log_density,
        "jacobian": jacobian,
        "method": section.method,
        "restarts": list(optimum.restarts),
        "history": {name: column.tolist() for name, column in optimum.history.items()},
        "parameters": rows,
    }
    emit(render(optimum, rows, jacobian), content, as_json=common.json)
    return NO_MAXIMUM if optimum.converged is False and not optimum.history else 0


def refuse_idle(section: OptimizeSection, asked: Asked) -> None:
    """Refuse by their names here what L-BFGS would not heed, and to go on with nothing."""
    given = [name for name in type(section).model_fields if getattr(section, name) not in (None, "constant")]
    idle = [f"optimize.{name}" for name in given if name != "method"] + ["--resume"] * asked.resume
    if section.method == "lbfgs" and idle:
        raise UsageError(f"{', '.join(idle)}: for the methods of Optax; choose one, as in --optimize.method adam")
    if asked.resume and section.dir is None:
        raise UsageError("--resume goes on with the descent in a directory: name it as optimize.dir")


def encoded(optimum: Optimum) -> bytes:
    """The parameters and the history as a NumPy archive."""
    file = BytesIO()
    history = {f"history.{name}": column for name, column in optimum.history.items()}
    np.savez_compressed(file, allow_pickle=False, **optimum.values, **history)
    return file.getvalue()


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
    columns, shown = list(rows[0]), rows[:MOST_ROWS]
    lines = [["", *columns[1:]]]
    lines += [[row["name"], *(f"{row[column]:.4g}" for column in columns[1:])] for row in shown]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    text = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]
    if len(rows) > len(shown):
        text.append(f"... and {len(rows) - len(shown)} more (--json has all)")
    scale = "unconstrained scale (with Jacobian)" if jacobian else "scale of the parameters (no Jacobian)"
    agree = sum(abs(value - optimum.log_density) < 1e-3 for value in optimum.restarts)
    found = f"found by {agree} of {len(optimum.restarts)} searches"
    if optimum.history:
        found = f"after {len(optimum.history['log_density'])} epochs"
    if "held_out" in optimum.history:
        found += f", {optimum.history['held_out'].max():.4f} per row held out"
    text += [
        "",
        f"Mode on the {scale}: log density {optimum.log_density:.4f}, {found}.",
        f"{optimum.verdict[0].upper()}{optimum.verdict[1:]}.",
    ]
    return "\n".join(text)
