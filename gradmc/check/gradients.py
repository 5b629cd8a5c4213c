"""Gradient: is the gradient the derivative of the density?

Reverse mode is compared with central differences of sixth order at two step sizes, whose own disagreement
says how far they can be trusted, and with forward mode. A disagreement is located to an operation by making
the same comparison for every operation of the program at that point.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gradmc.check.codes import finding
from gradmc.check.finding import Finding
from gradmc.check.probes import coordinates, tails
from gradmc.check.subject import ROWS, Points, Subject
from gradmc.program.blame.origin import Origin
from gradmc.program.blame.tape import Operation, Tape, pull

OFFSETS = np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])
WEIGHTS = np.array([-1.0, 9.0, -45.0, 45.0, -9.0, 1.0]) / 60.0
"""Central differences of sixth order (Fornberg 1988)."""

STEPS = (1e-2, 2.5e-3)
TOLERANCE = 1e-5
TRUST = 50.0
"""A difference counts when it is this many times the disagreement between the two step sizes."""


def gradients(subject: Subject) -> Iterator[Finding]:
    """Compare the gradient with finite differences at starting points, near the mode and in the tails."""
    chosen = _points(subject)
    if not len(chosen.x):
        subject.skip("gradient", "no point with finite density and gradient was found")
        return
    stopped = {
        name
        for landing in subject.activity[0].landings.values()
        if landing.code == "stop-gradient"
        for name in landing.parameters
    }
    told: set[str] = set()
    axes = coordinates(subject)
    for k in range(len(chosen.x)):
        wrong = _disagreements(subject, chosen.x[k], chosen.gradient[k], axes)
        for i, slope in wrong:
            name = subject.parameter_of(i)
            if name in told or name in stopped:
                continue
            told |= _same_culprit(subject, wrong)
            at = located(subject, chosen.x[k])
            yield finding(
                "wrong-gradient",
                f"the derivative with respect to {subject.density.names[i]} is {slope:.6g} by finite differences, "
                f"but the gradient says {chosen.gradient[k, i]:.6g}",
                location=at.location if at else None,
                parameters=(name,),
            )


def _points(subject: Subject) -> Points:
    """Some points near the mode, some starts and some in the tails, all good."""
    parts = []
    for points, most in ((subject.typical, 2), (subject.starts, 4), (subject.at(tails(subject)[:8]), 2)):
        parts.append(points.where(np.flatnonzero(points.good)[:most]))
    return Points(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("x", "value", "gradient")))


def _same_culprit(subject: Subject, wrong: list[tuple[int, float]]) -> set[str]:
    return {subject.parameter_of(i) for i, _ in wrong}


def _disagreements(subject: Subject, x: np.ndarray, gradient: np.ndarray, axes: list[int]) -> list[tuple[int, float]]:
    """Coordinates whose derivative differs, with what it is by finite differences."""
    unit = np.eye(subject.dim)[axes]
    slopes = []
    rounding, near = 0.0, np.zeros(0)
    for step in STEPS:
        moved = x + step * OFFSETS[None, :, None] * unit[:, None, :]
        around = subject.at(moved.reshape(-1, subject.dim))
        values = around.value.reshape(len(axes), len(OFFSETS))
        near = around.gradient.reshape(len(axes), len(OFFSETS), subject.dim)[np.arange(len(axes)), :, axes]
        slopes.append(values @ WEIGHTS / step)
        rounding = np.max(np.abs(values), axis=1) * 1e-13 / step
    doubt = np.abs(slopes[0] - slopes[1])
    found = gradient[axes]
    off = np.abs(slopes[1] - found)
    bend = np.max(np.abs(near - found[:, None]), axis=1)  # large at a cusp, where differences mean nothing
    allowed = TRUST * (doubt + rounding) + 3.0 * bend + TOLERANCE * (np.abs(found) + 1.0)
    return [(axes[k], float(slopes[1][k])) for k in np.flatnonzero(np.isfinite(off) & (off > allowed))]


def located(subject: Subject, x: np.ndarray) -> Origin | None:
    """The operation whose own derivative is wrong at a point."""
    with subject.density.scope():
        tape = subject.tape(x)
        for entry in _once(tape) if tape is not None else ():
            if _is_wrong(entry, subject.rng(3)):
                return entry.at
    return None


def _once(tape: Tape) -> list[Operation]:
    """One entry for every operation of the program, custom derivatives first."""
    found: dict[tuple[Any, ...], Operation] = {}
    for entry in tape.entries:
        line = entry.at.location.line if entry.at.location else 0
        found.setdefault((entry.name, line), entry)
    return sorted(found.values(), key=lambda e: not e.name.startswith("custom"))


def _is_wrong(entry: Operation, rng: np.random.Generator) -> bool:
    """Whether an operation's reverse mode differs from central differences in a random direction."""
    moving = [k for k, v in enumerate(entry.inputs) if np.asarray(v).dtype.kind == "f" and entry.sources[k]]
    if not moving or any(np.asarray(v).dtype.kind != "f" for v in entry.outputs) or entry.name == "stop_gradient":
        return False
    if not all(np.all(np.isfinite(np.asarray(v))) for v in (*entry.inputs, *entry.outputs)):
        return False
    directions = {k: rng.normal(size=np.shape(entry.inputs[k])) for k in moving}
    weights = [rng.normal(size=np.shape(v)) for v in entry.outputs]

    def along(t: float) -> float:
        operands = [jnp.asarray(v) for v in entry.inputs]
        for k in moving:
            operands[k] = operands[k] + t * directions[k]
        out = entry.apply(*operands)
        outs = out if isinstance(out, list | tuple) else (out,)
        return float(sum(np.sum(w * np.asarray(o)) for w, o in zip(weights, outs, strict=True)))

    pulled = pull(entry, moving, [jnp.asarray(w) for w in weights])
    slope = float(sum(np.sum(directions[k] * np.asarray(c)) for k, c in zip(moving, pulled, strict=True)))
    steps = (1e-3, 2.5e-4)
    rough, fine = (sum(w * along(h * o) for w, o in zip(WEIGHTS, OFFSETS, strict=True)) / h for h in steps)
    return abs(fine - slope) > TRUST * abs(rough - fine) + 1e-4 * (1 + abs(slope))


def modes(subject: Subject) -> Iterator[Finding]:
    """Compare reverse mode with forward mode in random directions."""
    density = subject.density
    directions = subject.rng(4).normal(size=(ROWS, subject.dim))

    def rows(xs: Any, vs: Any, arguments: Any) -> Any:
        def one(row: tuple[Any, Any]) -> Any:
            return jax.jvp(lambda x: density.logdensity(x, arguments), (row[0],), (row[1],))[1]

        return lax.map(one, (xs, vs))

    points = subject.starts.where(np.arange(len(subject.starts.x)) < ROWS)
    directions = directions[: len(points.x)]
    with density.scope():
        try:
            slopes = jax.jit(rows)(points.x, directions.astype(density.dtype), density.arguments)
        except TypeError:
            subject.skip("modes", "a custom_vjp in the program has no forward mode")
            return
    expected = np.sum(points.gradient * directions, axis=1)
    off = np.abs(np.asarray(slopes) - expected)
    allowed = 1e-6 * (1.0 + np.sum(np.abs(points.gradient * directions), axis=1))
    for k in np.flatnonzero(points.good & np.isfinite(off) & (off > allowed))[:1]:
        at = located(subject, points.x[k])
        yield finding(
            "wrong-gradient",
            f"forward mode gives {float(np.asarray(slopes)[k]):.8g} for a directional derivative, reverse mode "
            f"{expected[k]:.8g}",
            location=at.location if at else None,
        )
