"""The steps of a descent: one compiled loop, of which the host takes as many at a time as fit into a third of a second.

Ctrl-C, progress, checkpoints and early stopping live between these chunks, as between those of a chain.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gradmc.density.batches import Estimate
from gradmc.errors import ResumeError
from gradmc.records import record
from gradmc.results.checkpoint import load_checkpoint, save_checkpoint
from gradmc.results.manifest import hash_data
from gradmc.run.descent import Descent
from gradmc.run.progress import Display

CHUNK_SECONDS = 0.3
CHECKPOINT_SECONDS = 5.0
NOTE_SECONDS = 2.0
EVALUATED = 4096
"""Rows that are scored at a time."""


@record
class Walk:
    """Where a descent stands.

    Attributes:
        position: (dim,), unconstrained.
        memory: the method's own state.
        total: sum of the estimates of the log density in this epoch.
        steps: taken in this epoch.
        finite: whether all gradients were.
    """

    position: jax.Array
    memory: Any
    total: jax.Array
    steps: jax.Array
    finite: jax.Array


@dataclass(slots=True)
class Trail:
    """What the host keeps between epochs.

    Attributes:
        epoch: the present one.
        best: the best score, and the position it belongs to.
        stale: epochs since.
        columns: the history, a row for each epoch: `log_density` (mean of its estimates), `held_out` (log score of a
            row held out), `learning_rate`.
    """

    epoch: int
    position: np.ndarray
    score: float = -np.inf
    stale: int = 0
    columns: dict[str, list[float]] = dataclasses.field(default_factory=dict)

    def put(self, row: Mapping[str, float], score: float, position: np.ndarray) -> None:
        """Enter the end of an epoch."""
        for name, value in row.items():
            self.columns.setdefault(name, []).append(float(value))
        self.epoch += 1
        self.stale += 1
        if score > self.score:
            self.score, self.position, self.stale = score, position, 0


@dataclass(frozen=True, slots=True)
class Descended:
    """What came of a descent.

    Attributes:
        position: the best one, unconstrained.
        history: by column, a row for each epoch.
        ending: "epochs", "patience", "interrupted" or "not finite".
    """

    position: np.ndarray
    history: dict[str, np.ndarray]
    ending: str


def descend(
    descent: Descent, display: Display, *, output: Path | None = None, resume: bool = False, name: str = ""
) -> Descended:
    """Go down until the epochs are over, the score gets no better, or Ctrl-C.

    Args:
        descent: what to do.
        display: is told how it goes.
        output: a directory for checkpoints; None keeps none.
        resume: go on from the checkpoint there.
        name: what the user calls the directory.

    Raises:
        ResumeError: the checkpoint is that of another descent, or there is one and it is not to go on.
    """
    steps = Steps.compiled(descent)
    walk, trail = steps.first(), Trail(0, descent.start)
    keeper = Keeper(descent, output, name)
    walk, trail = keeper.restored(walk, trail, resume=resume)
    ending = "epochs"
    try:
        while trail.epoch < descent.epochs and ending == "epochs":
            walk = steps.chunk(walk, trail.epoch)
            if not bool(walk.finite):
                ending = "not finite"
            elif int(walk.steps) == descent.per_epoch:
                trail.put(*steps.judged(walk, trail), np.asarray(walk.position, float))
                walk = dataclasses.replace(walk, total=jnp.zeros_like(walk.total), steps=jnp.zeros_like(walk.steps))
                if descent.plan.patience is not None and trail.stale >= descent.plan.patience:
                    ending = "patience"
                keeper.tell(display, trail)
            keeper.save(walk, trail)
    except KeyboardInterrupt:
        ending = "interrupted"
    keeper.save(walk, trail, at_once=True)
    position = trail.position if trail.epoch else np.asarray(walk.position, float)
    history = {name: np.asarray(column) for name, column in trail.columns.items()}
    return Descended(position, history, ending)


@dataclass(slots=True)
class Steps:
    """The compiled loop over the steps of an epoch.

    Args:
        descent: whose.
        method: of Optax.
        advance: walks through batches from one step to another.
        score: the mean log score of the rows held out, at a position; None where there are none.
        arrays: the data along the dimension, on the device.
        each: seconds that a step took last.
        epoch: of the order.
        order: the batches of an epoch.
    """

    descent: Descent
    method: optax.GradientTransformation
    advance: Callable[..., Walk]
    score: Callable[[Any], float] | None
    arrays: tuple[Any, ...]
    each: float = 0.0
    epoch: int = -1
    order: Any = None

    @classmethod
    def compiled(cls, descent: Descent) -> "Steps":
        """Trace and compile the loop."""
        density, batches = descent.density, descent.batches
        method = descent.plan.transformation(descent.per_epoch * descent.epochs)
        with density.scope():
            arrays = () if batches is None else tuple(map(jnp.asarray, batches.arrays()))
            value, scale = _objective(descent)

            def loss(x: jax.Array, rows: jax.Array, arrays: Any, arguments: Any) -> tuple[jax.Array, jax.Array]:
                found = value(x, rows, arrays, arguments)
                return -found / scale, found

            def step(walk: Walk, rows: jax.Array, arrays: Any, arguments: Any) -> Walk:
                gradient, found = jax.grad(loss, has_aux=True)(walk.position, rows, arrays, arguments)
                updates, memory = method.update(gradient, walk.memory, walk.position)
                moved = Walk(
                    position=walk.position + updates,  # pyright: ignore[reportOperatorIssue]
                    memory=memory,
                    total=walk.total + found,
                    steps=walk.steps + 1,
                    finite=jnp.isfinite(found) & jnp.all(jnp.isfinite(gradient)),
                )
                kept = dataclasses.replace(walk, finite=moved.finite, steps=moved.steps)
                return jax.tree.map(lambda new, old: jnp.where(moved.finite, new, old), moved, kept)

            def advance(walk: Walk, last: jax.Array, order: jax.Array, arrays: Any, arguments: Any) -> Walk:
                return jax.lax.while_loop(
                    lambda w: (w.steps < last) & w.finite, lambda w: step(w, order[w.steps], arrays, arguments), walk
                )

        return cls(descent, method, jax.jit(advance), _score(descent, arrays), arrays)

    def first(self) -> Walk:
        """The walk before its first step."""
        density = self.descent.density
        with density.scope():
            position = jnp.asarray(self.descent.start, density.dtype)
            zero = jnp.zeros((), density.dtype)
            memory = self.method.init(position)
            return Walk(position=position, memory=memory, total=zero, steps=jnp.int32(0), finite=jnp.bool_(True))

    def chunk(self, walk: Walk, epoch: int) -> Walk:
        """Walk on within an epoch for about a third of a second."""
        density = self.descent.density
        if self.epoch != epoch:
            with density.scope():
                self.order, self.epoch = jnp.asarray(self.descent.order(epoch)), epoch
        began, before = time.perf_counter(), int(walk.steps)
        count = max(1, int(CHUNK_SECONDS / self.each)) if self.each else 1
        last = min(self.descent.per_epoch, before + count)
        with density.scope(), density.differentiating():
            walk = self.advance(walk, jnp.int32(last), self.order, self.arrays, density.arguments)
            walk = jax.block_until_ready(walk)
        self.each = (time.perf_counter() - began) / max(1, last - before)
        return walk

    def judged(self, walk: Walk, trail: Trail) -> tuple[dict[str, float], float]:
        """The row of the history for an epoch, and its score."""
        descent = self.descent
        row = {"log_density": float(walk.total) / descent.per_epoch}
        score = row["log_density"]
        if self.score is not None:
            score = row["held_out"] = self.score(walk.position)
        if isinstance(descent.plan.method, str):
            steps = descent.per_epoch * descent.epochs
            row["learning_rate"] = float(descent.plan.rate(steps)(descent.per_epoch * (trail.epoch + 1) - 1))
        return row, score if np.isfinite(score) else -np.inf


def _objective(descent: Descent) -> tuple[Callable[..., Any], float]:
    """The log density of a position and rows, and what the loss divides it by."""
    density, batches, jacobian = descent.density, descent.batches, descent.jacobian
    if batches is not None:
        estimate = batches.estimate(descent.observed, len(descent.rows))
        return lambda x, rows, arrays, _: estimate(x, rows, arrays, jacobian=jacobian), float(len(descent.rows))

    def value(x: Any, rows: Any, arrays: Any, arguments: Any) -> Any:
        del rows, arrays
        if jacobian:
            return density.logdensity(x, arguments)
        return density.log_density(density.constrain(x))

    return value, 1.0


def _score(descent: Descent, arrays: tuple[Any, ...]) -> Callable[[Any], float] | None:
    """The mean log score of the rows held out, a few thousand at a time."""
    if descent.batches is None or not len(descent.held_out):
        return None
    pieces = np.array_split(descent.held_out, -(-len(descent.held_out) // EVALUATED))
    programs: dict[int, Callable[..., Any]] = {}
    for piece in pieces:
        if len(piece) not in programs:
            programs[len(piece)] = jax.jit(_summed(descent.batches.of_size(len(piece)).marked(), descent.observed))

    def score(position: Any) -> float:
        with descent.density.scope():
            sums = [float(programs[len(piece)](position, jnp.asarray(piece), arrays)) for piece in pieces]
        return sum(sums) / len(descent.held_out)

    return score


def _summed(program: Estimate, names: tuple[str, ...]) -> Callable[..., Any]:
    def total(x: Any, rows: Any, arrays: Any) -> Any:
        _, observed = program.terms(x, rows, arrays)
        return sum(jnp.sum(observed[name]) for name in names)

    return total


def _told(trail: Trail, descent: Descent) -> str:
    words = [f"epoch {trail.epoch} of {descent.epochs}", f"log density {trail.columns['log_density'][-1]:.6g}"]
    if "held_out" in trail.columns:
        words.append(f"{trail.columns['held_out'][-1]:.6g} per row held out")
    return ": ".join([words[0], ", ".join(words[1:])])


@dataclass(slots=True)
class Keeper:
    """Saves a descent every few seconds, and tells how it goes.

    Args:
        descent: which.
        output: where its checkpoints go; None keeps none.
        name: what the user calls that place.
    """

    descent: Descent
    output: Path | None
    name: str
    saved: float = dataclasses.field(default_factory=time.monotonic)
    told: float = 0.0

    def tell(self, display: Display, trail: Trail) -> None:
        """Say where the descent stands, not too often."""
        if time.monotonic() - self.told < NOTE_SECONDS and trail.epoch < self.descent.epochs:
            return
        self.told = time.monotonic()
        words = [f"log density {trail.columns['log_density'][-1]:.6g}"]
        if "held_out" in trail.columns:
            words.append(f"{trail.columns['held_out'][-1]:.6g} per row held out")
        display.note(f"epoch {trail.epoch} of {self.descent.epochs}: {', '.join(words)}")

    def save(self, walk: Walk, trail: Trail, *, at_once: bool = False) -> None:
        """Save a checkpoint, if it is time."""
        if self.output is None or not (at_once or time.monotonic() - self.saved > CHECKPOINT_SECONDS):
            return
        leaves = {f"walk{k}": np.asarray(leaf) for k, leaf in enumerate(jax.tree.leaves(walk))}
        columns = {f"column.{name}": np.asarray(column) for name, column in trail.columns.items()}
        meta = {"epoch": trail.epoch, "score": trail.score, "stale": trail.stale, "descent": self._identity()}
        save_checkpoint(self.output, 0, {**leaves, **columns, "position": trail.position}, meta)
        self.saved = time.monotonic()

    def restored(self, walk: Walk, trail: Trail, *, resume: bool) -> tuple[Walk, Trail]:
        """The walk and trail of the checkpoint, or those given where there is none.

        Raises:
            ResumeError: it is that of another descent, or not to be gone on with.
        """
        if self.output is None:
            return walk, trail
        self.output.mkdir(parents=True, exist_ok=True)
        found = load_checkpoint(self.output, 0)
        if found is None:
            return walk, trail
        if not resume:
            raise ResumeError(
                f"{self.name} holds a descent already; go on with it (resume=True, --resume), or choose another place"
            )
        before, now = found.meta["descent"], self._identity()
        if changed := sorted(name for name in {*before, *now} if before.get(name) != now.get(name)):
            raise ResumeError(f"cannot go on with the descent in {self.name}: {', '.join(changed)} changed")
        leaves = [found.arrays[f"walk{k}"] for k in range(len(jax.tree.leaves(walk)))]
        prefix = "column."
        columns = {n.removeprefix(prefix): list(v) for n, v in found.arrays.items() if n.startswith(prefix)}
        meta = found.meta
        with self.descent.density.scope():
            walk = jax.tree.unflatten(jax.tree.structure(walk), map(jnp.asarray, leaves))
        return walk, Trail(meta["epoch"], found.arrays["position"], meta["score"], meta["stale"], columns)

    def _identity(self) -> dict[str, Any]:
        bound = self.descent.density.bound
        model = "" if bound is None else bound.model.source_hash
        arguments = self.descent.density.arguments
        data = {str(k): value for k, value in enumerate(arguments)} if bound is None else bound.data
        own = {"model": model, "data": hash_data(data), "jacobian": self.descent.jacobian}
        return {**self.descent.plan.identity(), **own}
