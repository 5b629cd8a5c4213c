"""Check 6: the program run as ordinary Python on floats equals the compiled one."""

import math
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from gradmc.check.codes import finding
from gradmc.check.finding import Finding
from gradmc.check.subject import Subject
from gradmc.errors import SourceLocation
from gradmc.program.exact import plain_data
from gradmc.program.layout import layout
from gradmc.program.watching import watched

TOLERANCE = 1e-7
POINTS = 3
SECONDS = 1.0
"""No further point once a plain run took as long as this."""


def plain(subject: Subject) -> Iterator[Finding]:
    """Compare plain and compiled values at a few points; a difference is located to a line."""
    points = subject.starts.where(subject.starts.good)
    for k in range(min(POINTS, len(points.x))):
        x = points.x[k]
        compiled = float(points.value[k]) - _log_det(subject, x)
        began = time.perf_counter()
        try:
            value = _call(subject, subject.bound.model.fn, x)
        except Exception as error:
            message = f"run as ordinary Python it raises {type(error).__name__}: {error}"
            yield finding("plain-fails", message, location=_raised(subject, error))
            return
        if not abs(value - compiled) <= TOLERANCE * (1.0 + abs(compiled)):
            message = f"ordinary Python gives {value:.10g}, the compiled program {compiled:.10g}"
            yield finding("plain-differs", message, location=_difference(subject, x))
            return
        if time.perf_counter() - began > SECONDS:
            return


def _log_det(subject: Subject, x: np.ndarray) -> float:
    with subject.density.scope():
        return float(layout(subject.bound).constrain(jax.numpy.asarray(x), subject.bound.data)[1])


def _call(subject: Subject, fn: Any, x: np.ndarray) -> float:
    values = subject.values(x)
    arguments = [values[p.name].item() if p.shape == () else values[p.name] for p in subject.bound.parameters]
    with jax.enable_x64(True), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(fn(*arguments, **plain_data(subject.bound.data)))


def _raised(subject: Subject, error: Exception) -> SourceLocation | None:
    file = subject.bound.model.fn.__code__.co_filename
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file and f.lineno]
    return subject.line(frames[-1].lineno or 0) if frames else None


@dataclass(slots=True)
class _Values:
    """The real numbers that a plain run assigned, with their lines, in order."""

    seen: list[tuple[int, float]] = field(default_factory=list)

    def __call__(self, line: int, target: str, value: Any, loops: Mapping[str, Any]) -> Any:
        del target, loops
        if isinstance(value, float | np.floating) and math.isfinite(value):
            self.seen.append((line, float(value)))
        return value


def _difference(subject: Subject, x: np.ndarray) -> SourceLocation | None:
    """The line of the first assignment whose value the compiled program does not compute anywhere."""
    watch = _Values()
    fn = watched(subject.bound.model.fn, watch)
    if fn is None:
        return None
    try:
        _call(subject, fn, x)
        with subject.density.scope():
            tape = subject.tape(x)
    except Exception:
        return None
    if tape is None:
        return None
    known = [np.ravel(np.asarray(v)) for e in tape.entries for v in (*e.outputs, *e.inputs)]
    pool = np.unique(np.concatenate([k.astype(float) for k in known if k.dtype.kind in "fiub"]))
    for line, value in watch.seen:
        near = pool[np.clip(np.searchsorted(pool, value) + np.array([-1, 0]), 0, len(pool) - 1)]
        if not np.any(np.abs(near - value) <= 1e-9 * (1.0 + abs(value))):
            return subject.line(line)
    return None
