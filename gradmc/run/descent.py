"""A descent: the mode of a density by the methods of Optax, on request from batches of the data.

A *step* moves the position along the gradient of the loss, minus the log density per row.  An *epoch* is one pass
over the rows in an order of its own, a function of seed and epoch; rows that fill no batch wait for the next.  What an
epoch is judged by is its *score*: the log score of rows held out, or else the mean of its estimates.  The best position
at the end of an epoch is the result (`gradmc.run.descending` takes the steps).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import optax

from gradmc.arguments import check_batch, check_real, check_whole
from gradmc.density import Density
from gradmc.density.batches import Batches
from gradmc.density.reach import ATTEMPTS, random_point
from gradmc.errors import StartError, UsageError

METHODS = ("adabelief", "adagrad", "adam", "adamax", "lion", "nadam", "radam", "rmsprop", "sgd", "yogi")
"""Of Optax; those that add a penalty of their own (adamw) would change the density."""

SCHEDULES: Mapping[str, Callable[[float, int], Any]] = {
    "constant": lambda rate, steps: optax.constant_schedule(rate),
    "cosine": lambda rate, steps: optax.cosine_decay_schedule(rate, max(steps, 1)),
    "exponential": lambda rate, steps: optax.exponential_decay(rate, max(steps, 1), 1e-2),
}
"""From the learning rate and the number of steps: constant, to 0 as a half cosine, or down to a hundredth."""

EPOCHS, STEPS = 50, 2000
"""By default: passes over batches, or steps with all the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescentPlan:
    """How to descend.

    Args:
        method: the name of one of Optax's, or an `optax.GradientTransformation`.
        learning_rate: of a named method: a number, or a function of the number of the step.
        schedule: what becomes of the number along the way: "constant", "cosine" or "exponential".
        epochs: passes over the data; steps where there are no batches. None for the default.
        batch: the dimension and the rows of it in a batch, `{"n": 64}`; None takes all data at every step.
        held_out: the share of the rows that is held out, in (0, 1), or their numbers; None holds out none.
        patience: epochs without a better score of the rows held out after which it ends; None goes on.
        seed: decides the start, the rows held out, and the batches.

    Raises:
        UsageError: a value is outside its range, or one needs another.
    """

    method: Any = "adam"
    learning_rate: Any = None
    schedule: str = "constant"
    epochs: int | None = None
    batch: Mapping[str, int] | None = None
    held_out: Any = None
    patience: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        named = isinstance(self.method, str)
        if named and self.method not in METHODS:
            raise UsageError(f"method must be 'lbfgs' or one of {', '.join(METHODS)}, or of optax; got {self.method!r}")
        if not named and not isinstance(self.method, optax.GradientTransformation):
            raise UsageError(f"method must be a name or an optax.GradientTransformation; got {self.method!r}")
        if not named and (self.learning_rate is not None or self.schedule != "constant"):
            raise UsageError("learning_rate and schedule belong to a method given by name; give them to the object")
        if self.learning_rate is not None and not callable(self.learning_rate):
            check_real("learning_rate", self.learning_rate, 0, None)
        if self.schedule not in SCHEDULES:
            raise UsageError(f"schedule must be one of {', '.join(SCHEDULES)}; got {self.schedule!r}")
        if callable(self.learning_rate) and self.schedule != "constant":
            raise UsageError("learning_rate is a function of the step already; leave out schedule")
        if self.epochs is not None:
            check_whole("epochs", self.epochs, 1, None)
        if self.batch is not None:
            check_batch("batch", self.batch)
        if self.held_out is not None and self.batch is None:
            raise UsageError("held_out needs batch, too: rows are held out along its dimension")
        if self.patience is not None:
            check_whole("patience", self.patience, 1, None)
            if self.held_out is None:
                raise UsageError("patience counts epochs without a better score of rows held out; give held_out too")

    def transformation(self, steps: int) -> optax.GradientTransformation:
        """The method of Optax, for so many steps in all."""
        if not isinstance(self.method, str):
            return self.method
        return getattr(optax, self.method)(self.rate(steps))

    def rate(self, steps: int) -> Callable[[Any], Any]:
        """The learning rate as a function of the step."""
        if callable(self.learning_rate):
            return self.learning_rate
        given = 1e-2 if self.learning_rate is None else float(self.learning_rate)
        return SCHEDULES[self.schedule](given, steps)

    def identity(self) -> dict[str, Any]:
        """What a descent that goes on must have in common with the one before."""
        held_out = None if self.held_out is None else np.asarray(self.held_out).tolist()
        rate = self.learning_rate if isinstance(self.learning_rate, float | int | None) else "a function"
        method = self.method if isinstance(self.method, str) else "of optax"
        batch = None if self.batch is None else dict(self.batch)
        made = {"method": method, "learning_rate": rate, "schedule": self.schedule, "batch": batch}
        made |= {"held_out": held_out, "seed": self.seed}
        return made | ({"epochs": self.epochs} if self.schedule != "constant" else {})


@dataclass(frozen=True, slots=True)
class Descent:
    """A descent that is ready to go.

    Args:
        density: of which the mode is looked for.
        plan: how.
        batches: by which batches, or None.
        observed: the names of the terms that are scaled up.
        rows: numbers of the rows that it descends by.
        held_out: and of those held out.
        jacobian: whether the Jacobian counts.
        start: the first position.
    """

    density: Density
    plan: DescentPlan
    batches: Batches | None
    observed: tuple[str, ...]
    rows: np.ndarray
    held_out: np.ndarray
    jacobian: bool
    start: np.ndarray

    @property
    def per_epoch(self) -> int:
        """Steps in an epoch."""
        return 1 if self.batches is None else len(self.rows) // self.batches.size

    @property
    def epochs(self) -> int:
        """Epochs at most."""
        return self.plan.epochs or (STEPS if self.batches is None else EPOCHS)

    def order(self, epoch: int) -> np.ndarray:
        """The batches of an epoch: numbers of rows, shape (steps, size)."""
        if self.batches is None:
            return np.zeros((1, 0), np.int32)
        shuffled = np.random.default_rng([self.plan.seed, 2, epoch]).permutation(self.rows)
        return shuffled[: self.per_epoch * self.batches.size].reshape(self.per_epoch, -1).astype(np.int32)


def prepare(density: Density, plan: DescentPlan, *, jacobian: bool, initial: Any = None) -> Descent:
    """A descent for a density.

    Args:
        density: of which the mode is looked for.
        plan: how.
        jacobian: whether the Jacobian counts.
        initial: the first position, unconstrained; a number r for uniform(-r, r); None for uniform(-2, 2).

    Raises:
        UsageError: the density has no such batches, or is no sum over them.
        StartError: it is finite nowhere.
    """
    start = _begin(density, plan, initial, jacobian=jacobian)
    if plan.batch is None:
        return Descent(density, plan, None, (), np.arange(0), np.arange(0), jacobian, start)
    ((dimension, size),) = plan.batch.items()
    batches = Batches.of(density, dimension, int(size))
    rng = np.random.default_rng([plan.seed, 1])
    rows, held_out = _split_rows(batches, plan.held_out, rng)
    if size > len(rows):
        raise UsageError(f"batch: {size} rows of {dimension!r} at a time, of which {len(rows)} are not held out")
    observed = batches.observed(start, rng)
    return Descent(density, plan, batches, observed, rows, held_out, jacobian, start)


def _begin(density: Density, plan: DescentPlan, initial: Any, *, jacobian: bool) -> np.ndarray:
    """The first position: where the density is finite, and, unless that is too dear, its gradient too."""
    if initial is not None and np.ndim(initial):
        return np.asarray(initial, float)
    radius = density.start_radius if initial is None else float(initial)
    rng = np.random.default_rng([plan.seed, 0])
    for attempt in range(ATTEMPTS):
        point = random_point(rng, radius, density.dim, attempt)
        if plan.batch is not None:
            known = [density.log_density(density.constrain(point), jacobian=jacobian)]
        else:
            value, gradient = density.value_and_grad(point)
            known = [value, *gradient]
        if np.all(np.isfinite(known)):
            return point
    what = "log density" if plan.batch is not None else "log density and gradient"
    raise StartError(f"none of {ATTEMPTS} starts has a finite {what}. At the last:\n{density.describe_failure(point)}")


def _split_rows(batches: Batches, held_out: Any, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The rows to descend by, and those held out."""
    if held_out is None:
        return np.arange(batches.rows), np.arange(0)
    if np.ndim(held_out) == 0:
        check_real("held_out", held_out, 0, 1)
        count = max(1, round(float(held_out) * batches.rows))
        out = np.sort(rng.permutation(batches.rows)[:count])
    else:
        out = np.unique(np.asarray(held_out, int))
        if not out.size or out[0] < 0 or out[-1] >= batches.rows:
            raise UsageError(f"held_out must be numbers of rows, 0 to {batches.rows - 1}, at least one")
    return np.setdiff1d(np.arange(batches.rows), out), out
