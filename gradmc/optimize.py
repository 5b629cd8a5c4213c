"""The mode of a posterior: `gm.optimize`."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gradmc.arguments import check_whole
from gradmc.density import Density, Precision
from gradmc.elsewhere import explaining
from gradmc.errors import UsageError
from gradmc.program.model import Model
from gradmc.results.mirror import writing
from gradmc.run.displays import choose_display
from gradmc.run.optimum import Optimum, after_descent, find_mode
from gradmc.sample import as_density
from gradmc.session import HERE, SamplingWarning
from gradmc.starts.inits import starting_point

type Initial = Mapping[str, Any] | Optimum | float


@explaining
def optimize(
    model: Model | Density,
    data: Mapping[str, Any] | None = None,
    *,
    method: Any = "lbfgs",
    seed: int = 0,
    restarts: int = 5,
    jacobian: bool = False,
    batch: Mapping[str, int] | None = None,
    epochs: int | None = None,
    learning_rate: float | Callable[[Any], Any] | None = None,
    schedule: str = "constant",
    held_out: Any = None,
    patience: int | None = None,
    initial: Initial | None = None,
    precision: Precision = "float64",
    progress: str | bool = "auto",
    output: Path | str | None = None,
    resume: bool = False,
) -> Optimum:
    """Find the posterior mode: by L-BFGS from several random starts, or by a method of Optax, on request from batches.

    With `batch={"n": 64}` each step of Adam and its like sees 64 rows of the data that are declared along "n": the
    program is compiled for 64 rows, and its observed terms (`gm.observe`) along "n" count n / 64 times, so that the
    gradient is right on average. A density that is no sum over these rows is refused.

    Args:
        model: a function decorated with `@gm.model`, or a `Density`.
        data: the model's data by name; None for a model without data, or a density.
        method: "lbfgs", or the name of a method of Optax (adabelief, adagrad, adam, adamax, lion, nadam, radam,
            rmsprop, sgd, yogi), or an `optax.GradientTransformation`.
        seed: non-negative integer; starts, batches and the rows held out are a function of it.
        restarts: number of searches of "lbfgs", at least 1; the best one counts.
        jacobian: False for the mode of the parameters as declared (maximum a posteriori); True for that of the
            unconstrained coordinates, around which the normal (Laplace) approximation is made.
        batch: a declared dimension and the number of rows in a batch; None takes all data at every step.
        epochs: passes over the data, 50 by default; without batches steps, 2000 by default.
        learning_rate: of a named method, of the loss per row: a positive number, 0.01 by default, or a function of the
            number of the step.
        schedule: what becomes of the learning rate by the last step: "constant", "cosine" (0), "exponential" (1 %).
        held_out: rows along the dimension of `batch` by which the steps are judged instead of being taken: their share
            in (0, 1), or their numbers. The position with the best log score of these rows is returned.
        patience: epochs without a better score of the rows held out after which it ends.
        initial: parameter values or an `Optimum` to start from; or the largest modulus of the random unconstrained
            coordinates to start from, 2 by default (networks want less).
        precision: "float64" or "float32".
        progress: of the methods of Optax: "auto", "rich", "plain", "json", "notebook" or "none" (False).
        output: directory for their checkpoints, or its address (`s3://bucket/mode`).
        resume: go on with the descent in `output`, if there is one; it ends where it would have without interruption.

    Returns:
        An `Optimum`: the parameters by name in `values`, their standard errors in `errors`, whether this is a maximum
        as far as can be told in `converged` and `message`, and the way of a descent in `history`. After Ctrl-C it is
        the best so far.

    Warns:
        SamplingWarning: the descent was interrupted, or came to where the density is not finite.

    Raises:
        UsageError: an argument is of the wrong kind or outside its range; data do not fit the model; the density is
            no sum over the rows of a batch.
        ProgramError: the model's function raised, or uses something that cannot be compiled.
        ResumeError: `output` holds another descent, or one that is not to go on.
        StartError: no start has a finite density.
    """
    check_whole("seed", seed, 0, None)
    check_whole("restarts", restarts, 1, None)
    density = as_density(model, data, precision)
    chosen = {
        "batch": batch,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "held_out": held_out,
        "patience": patience,
    }
    if isinstance(method, str) and method == "lbfgs":
        _refuse_all({**chosen, "initial": initial, "output": output, "resume": resume})
        return find_mode(density, seed=seed, restarts=restarts, jacobian=jacobian)
    from gradmc.run.descending import descend
    from gradmc.run.descent import DescentPlan, prepare

    if resume and output is None:
        raise UsageError("resume goes on with the descent in a directory: pass output too")
    plan = DescentPlan(method=method, seed=seed, **chosen)
    descent = prepare(density, plan, jacobian=jacobian, initial=_position(density, initial, seed))
    with _kept_at(output) as kept:
        found = descend(descent, choose_display(progress), output=kept, resume=resume, name=str(output))
    optimum = after_descent(density, found.position, found.history, found.ending, jacobian=jacobian)
    if found.ending in ("interrupted", "not finite"):
        warnings.warn(optimum.message, SamplingWarning, skip_file_prefixes=HERE)
    return optimum


@contextmanager
def _kept_at(output: Path | str | None) -> Iterator[Path | None]:
    """The directory of the checkpoints; of those at an address, a copy that is put there as it changes."""
    if output is None:
        yield None
        return
    with writing(output) as place:
        yield place.path


def _refuse_all(given: Mapping[str, Any]) -> None:
    """Refuse settings of the methods of Optax for L-BFGS, which would not heed them."""
    idle = (None, "constant", False)
    for name, value in given.items():
        if not any(value is default or (isinstance(value, str) and value == default) for default in idle):
            raise UsageError(f'{name} is for the methods of Optax; choose one, such as method="adam"')


def _position(density: Density, initial: Initial | None, seed: int) -> Any:
    """The first position, or the modulus of a random one."""
    if initial is None or isinstance(initial, float | int):
        return initial
    if isinstance(initial, Optimum):
        initial = initial.values
    if not isinstance(initial, Mapping):
        raise UsageError(f"initial must map parameter names to values, or be an Optimum or a number; got {initial!r}")
    return starting_point(density, initial, np.random.default_rng([seed, 0]))
