"""Plain Python: the program run as ordinary Python on floats equals the compiled one."""

import math
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any, cast

import jax
import numpy as np

from gradmc.check.codes import finding
from gradmc.check.finding import Finding
from gradmc.check.subject import Subject
from gradmc.density import ProgramDensity
from gradmc.errors import SourceLocation
from gradmc.program.frontend.source import location
from gradmc.program.layout import layout
from gradmc.program.plainly import Plain, raised_at, run_plainly
from gradmc.program.raising import is_of_program, text_of
from gradmc.program.watching import watched

TOLERANCE = 1e-7
POINTS = 3
SECONDS = 1.0
"""No further point once a plain run took as long as this."""

LARGE = 2**53
"""Whole numbers beyond this are watched too: the compiled program has them exactly, or not at all."""

LARGEST = 10**300

NUDGE = 1e-3

WAVERING = 30.0
"""How much larger the error of a solution may be than the tolerance of its steps."""


def plain(subject: Subject) -> Iterator[Finding]:
    """Compare plain and compiled values at a few points; a difference is located to a line."""
    points = subject.starts.where(subject.starts.good)
    for k in range(min(POINTS, len(points.x))):
        x = points.x[k]
        compiled = float(points.value[k]) - _log_det(subject, x)
        began = time.perf_counter()
        made = _run(subject, subject.bound.model.fn, x)
        if made.error is not None:
            message = f"run as ordinary Python it raises {text_of(made.error)}"
            yield finding("plain-fails", message, location=raised_at(subject.bound.model.fn, made.error))
            return
        if made.value is None or not _agree(subject, x, made.value, compiled):
            given = f"returns {made.returned}" if made.value is None else f"gives {made.value:.10g}"
            message = f"ordinary Python {given}, the compiled program {compiled:.10g}"
            yield finding("plain-differs", message, location=difference(subject, x))
            return
        if time.perf_counter() - began > SECONDS:
            return


def _agree(subject: Subject, x: np.ndarray, made: float, compiled: float) -> bool:
    """Whether two values agree: to rounding, or to the tolerance of an integrator that plain Python calls."""
    gap, density = abs(made - compiled), cast(ProgramDensity, subject.density)
    return gap <= TOLERANCE * (1.0 + abs(compiled)) or gap <= WAVERING * density.wavering(x)


def _log_det(subject: Subject, x: np.ndarray) -> float:
    with subject.density.scope():
        return float(layout(subject.bound).constrain(jax.numpy.asarray(x), subject.bound.data)[1])


def _run(subject: Subject, fn: Any, x: np.ndarray) -> Plain:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return run_plainly(fn, list(subject.values(x).values()), subject.bound.data)


@dataclass(frozen=True, slots=True)
class _Assigned:
    """A number that a plain run assigned or returned, and where."""

    code: CodeType
    line: int
    value: float


@dataclass(frozen=True, slots=True)
class _Watch:
    """Keeps the real numbers that a function assigns, and whole ones beyond 64 bits, in order."""

    code: CodeType
    seen: list[_Assigned]

    def __call__(self, line: int, target: str, value: Any, loops: Mapping[str, Any]) -> Any:
        del target, loops
        real = isinstance(value, float | np.floating) and math.isfinite(value)
        if real or (isinstance(value, int) and abs(value) > LARGE):
            self.seen.append(_Assigned(self.code, line, float(min(max(value, -LARGEST), LARGEST))))
        return value


def difference(subject: Subject, x: np.ndarray) -> SourceLocation | None:
    """The line of the first assignment whose value the compiled program does not compute anywhere."""
    seen = _assigned(subject, x)
    try:
        with subject.density.scope():
            tape = subject.tape(x)
    except BaseException as error:
        if not is_of_program(error):
            raise
        return None
    if tape is None:
        return None
    known = [np.ravel(np.asarray(v)) for e in tape.entries for v in (*e.outputs, *e.inputs)]
    pool = np.unique(np.concatenate([[0.0], *(k.astype(float) for k in known if k.dtype.kind in "fiub")]))
    for at in seen:
        near = pool[np.clip(np.searchsorted(pool, at.value) + np.array([-1, 0]), 0, len(pool) - 1)]
        if not np.any(np.abs(near - at.value) <= 1e-9 * (1.0 + abs(at.value))):
            return location(at.code, at.line)
    return None


def _assigned(subject: Subject, x: np.ndarray) -> list[_Assigned]:
    """The numbers that a plain run assigned; constants, which Python may have computed while tracing, left out."""
    runs = []
    for at in (x, x + NUDGE):
        seen: list[_Assigned] = []
        _run(subject, _watching(subject.bound.model.fn, seen, {}), at)
        runs.append(seen)
    first, second = runs
    if [(at.code, at.line) for at in first] != [(at.code, at.line) for at in second]:
        return first
    return [at for at, other in zip(first, second, strict=True) if at != other or abs(at.value) > LARGE]


def _watching(fn: FunctionType, seen: list[_Assigned], made: dict[FunctionType, Any]) -> Any:
    """A function watched, with those of its file that it can call; one without source as it is."""
    if fn in made:
        return made[fn]
    copy = made[fn] = watched(fn, _Watch(fn.__code__, seen)) or fn
    if copy is fn:
        return fn
    for name, value in fn.__globals__.items():
        if _is_beside(fn, value):
            copy.__globals__[name] = _watching(value, seen, made)
    for cell in copy.__closure__ or ():
        if _is_beside(fn, cell.cell_contents):
            cell.cell_contents = _watching(cell.cell_contents, seen, made)
    return copy


def _is_beside(fn: FunctionType, value: Any) -> bool:
    return isinstance(value, FunctionType) and value.__code__.co_filename == fn.__code__.co_filename
