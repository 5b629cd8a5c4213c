"""What is checked: a density, traced once, compiled once, and evaluated at many points.

All checks share one compiled function, the log density and its gradient at the rows of a matrix of fixed
height, and the density's `equations`, in which loops and branches still are data and every equation knows the user's
line. A density that is not from a gradmc program has no `bound` model, and parts with no declared support.
"""

import ast
import functools
import time
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Literal
from jax.extend.core import primitives as jp

from gradmc.check.activity import Activity, Dependence, interpret
from gradmc.check.clock import Clock
from gradmc.density import Density
from gradmc.density.reach import AS_STAN, ATTEMPTS, reach
from gradmc.errors import ProgramError, SourceLocation
from gradmc.foreign.common import explaining
from gradmc.program.binding import BoundModel
from gradmc.program.blame import Culprit
from gradmc.program.blame.tape import Tape, TooLong, record
from gradmc.program.frontend.source import function_node, location
from gradmc.program.jaxprs import walk

ROWS = 32
"""Height of the matrix of points that the compiled function takes; a loop over rows, so it costs no compile time."""

PATIENCE = 0.3
"""Seconds that one call of compiled code should take at most: signals and the clock are looked at between calls."""

FIRST = 4
"""Points of the first call, which shows how long one takes."""

START_SHARE = 0.15
"""Of the time that is left: what finding points to begin with may take."""

MOST_COMPARED = 32
"""More numbers that a program compares something with are not tried as ends of supports."""

LARGEST_COMPARED = 1e4
"""Larger numbers are limits of arithmetic (2**53, where floats stop being whole numbers), not ends of supports."""

START_WIDTH = 2.0
"""Samplers start in uniform(-2, 2) on the unconstrained scale."""


@dataclass(frozen=True, slots=True)
class Points:
    """Unconstrained points with their log densities and gradients, one row each."""

    x: np.ndarray
    value: np.ndarray
    gradient: np.ndarray

    def where(self, keep: np.ndarray) -> "Points":
        """The rows selected by a mask or by indices."""
        return Points(self.x[keep], self.value[keep], self.gradient[keep])

    @property
    def good(self) -> np.ndarray:
        """Mask of the points with finite value and gradient."""
        return np.isfinite(self.value) & np.all(np.isfinite(self.gradient), axis=1)


class Subject:
    """A density under examination."""

    def __init__(self, density: Density, *, seed: int = 0) -> None:
        self.density = density
        self.seed = seed
        self.dim = density.dim
        self.parts = density.parts
        self.narrowed: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.skipped: dict[str, str] = {}
        self.clock = Clock()
        self._pace = 0.0

    @property
    def bound(self) -> BoundModel:
        """The model with its data; only densities of gradmc programs have one."""
        assert self.density.bound is not None
        return self.density.bound

    @property
    def file(self) -> str:
        """The file of the program; empty where there is none."""
        code = getattr(self.density.function, "__code__", None)
        return "" if code is None else code.co_filename

    @property
    def name(self) -> str:
        """Name of the model."""
        return getattr(self.density.function, "__name__", type(self.density.function).__name__)

    def skip(self, check: str, why: str) -> None:
        """Say that a check, or a part of one, was not possible."""
        self.skipped[check] = why

    def rng(self, purpose: int) -> np.random.Generator:
        """Random numbers of one check: the same in every run."""
        return np.random.default_rng([self.seed, purpose])

    @functools.cached_property
    def activity(self) -> tuple[Activity, Dependence]:
        """How the density's values depend on the parameters."""
        return interpret(self.density.equations, [part.name for part in self.parts])

    @functools.cached_property
    def compared(self) -> tuple[float, ...]:
        """Numbers of moderate size with which the program compares something; none if there are many."""
        found = {
            float(atom.val)
            for eqn in walk(self.density.equations)
            if eqn.primitive in (jp.lt_p, jp.le_p, jp.gt_p, jp.ge_p)
            for atom in eqn.invars
            if isinstance(atom, Literal) and np.ndim(atom.val) == 0 and abs(atom.val) <= LARGEST_COMPARED
        }
        return tuple(sorted(found)) if len(found) <= MOST_COMPARED else ()

    def culprit(self, x: np.ndarray, *, backward: bool) -> Culprit | None:
        """The operation that makes the density's value, or only its gradient, not finite at a point."""
        return self.density.culprit(x, backward=backward)

    def tape(self, x: np.ndarray) -> Tape | None:
        """The density's operations at a point; None if there are too many. To be called within the density's scope."""
        try:
            return record(self.density.equations, self.density.operands_at(x))
        except TooLong:
            return None

    @functools.cached_property
    def _compiled(self) -> Any:
        density = self.density

        def rows(xs: Any, count: Any, arguments: Any) -> Any:
            def row(i: Any, results: Any) -> Any:
                made = jax.value_and_grad(density.logdensity)(xs[i], arguments)
                return tuple(whole.at[i].set(one) for whole, one in zip(results, made, strict=True))

            empty = jnp.zeros(ROWS, density.dtype), jnp.zeros_like(xs)
            return lax.fori_loop(0, count, row, empty)

        with density.scope():
            shape = jax.ShapeDtypeStruct((ROWS, self.dim), density.dtype)
            whole = jax.ShapeDtypeStruct((), np.int32)
            return jax.jit(rows).lower(shape, whole, density.arguments).compile()

    def compile(self) -> None:
        """Compile value and gradient.

        Raises:
            ProgramError: the function cannot be differentiated.
        """
        with explaining(self.density.function), self.density.differentiating():
            _ = self._compiled

    def gradient_bytes(self) -> int:
        """Working memory of the compiled gradient."""
        analysis = self._compiled.memory_analysis()
        return int(getattr(analysis, "temp_size_in_bytes", 0))

    def at(self, x: np.ndarray) -> Points:
        """Values and gradients at the rows of x, shape (n, dim).

        Raises:
            OutOfTime: the time of the checks is over.
        """
        x = np.asarray(x, self.density.dtype)
        values, gradients = [], []
        first = 0
        with self.density.scope():
            while first < len(x):
                self.clock.check()
                block = np.zeros((ROWS, self.dim), self.density.dtype)
                count = min(self._rows, len(x) - first)
                block[:count] = x[first : first + count]
                began = time.process_time()
                value, gradient = self._compiled(block, np.int32(count), self.density.arguments)
                values.append(np.asarray(value)[:count])
                gradients.append(np.asarray(gradient)[:count])
                self._pace = (time.process_time() - began) / count
                first += count
        if not values:
            return Points(x, np.empty(0), np.empty((0, self.dim)))
        return Points(x, np.concatenate(values), np.concatenate(gradients))

    @property
    def _rows(self) -> int:
        """How many points are evaluated in one call, so that it takes no longer than `PATIENCE`."""
        return ROWS if self._pace * ROWS <= PATIENCE else max(1, int(PATIENCE / self._pace))

    @functools.cached_property
    def starts(self) -> Points:
        """Points where samplers may start: fewer where evaluating them takes too long."""
        x = self.rng(0).uniform(-START_WIDTH, START_WIDTH, (2 * ROWS, self.dim))
        found = self._at_some(x)
        if np.any(found.good):
            return found
        attempts = AS_STAN + np.arange(len(x)) % (ATTEMPTS - 2 * AS_STAN)
        return self._at_some(x * reach(attempts)[:, None])

    def _at_some(self, x: np.ndarray) -> Points:
        """The first points of these, as many as there is time for."""
        end = self.clock.now() + START_SHARE * self.clock.left()
        parts: list[Points] = []
        first = 0
        while first < len(x) and (not parts or self.clock.now() < end):
            count = max(1, self._rows) if parts else FIRST
            parts.append(self.at(x[first : first + count]))
            first += count
        return Points(*(np.concatenate(column) for column in zip(*map(_parts, parts), strict=True)))

    @functools.cached_property
    def typical(self) -> Points:
        """A few good points uphill of the starts: some steps of gradient ascent from the best of them."""
        good = self.starts.where(self.starts.good)
        good = good.where(np.argsort(-good.value)[:4])
        steps = np.full(len(good.x), 0.1)
        end = self.clock.now() + START_SHARE * self.clock.left()
        for _ in range(25):
            if not len(good.x) or self.clock.now() > end:
                break
            size = np.linalg.norm(good.gradient, axis=1) + 1e-12
            moved = self.at(good.x + (steps / size)[:, None] * good.gradient)
            better = moved.good & (moved.value > good.value)
            good = Points(
                *(np.where(_column(better, a), b, a) for a, b in zip(_parts(good), _parts(moved), strict=True))
            )
            steps = np.where(better, 1.5 * steps, 0.3 * steps)
        return good

    def values(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """The parameters by name at a point."""
        return {name: np.asarray(v) for name, v in self.density.constrain(x).items()}

    @functools.cached_property
    def tree(self) -> ast.FunctionDef | None:
        """The syntax tree of the program with the lines of its file; None where there is no source."""
        function = self.density.function
        if not isinstance(function, FunctionType):
            return None
        try:
            found = function_node(function)
        except ProgramError:
            return None
        return found if isinstance(found, ast.FunctionDef) else None

    def line(self, number: int) -> SourceLocation:
        """A line of the program's file."""
        return location(self.density.function.__code__, number)

    def parameter_line(self, name: str) -> SourceLocation | None:
        """The line that declares a parameter, or names a site; else that of the function, where it has one."""
        code = getattr(self.density.function, "__code__", None)
        if code is None:
            return None
        program = self.density.bound is not None
        for node in ast.walk(self.tree) if self.tree is not None else ():
            if isinstance(node, ast.arg) and node.arg == name and program:
                return self.line(node.lineno)
            if isinstance(node, ast.Constant) and node.value == name and not program:
                return self.line(node.lineno)
        return self.line(code.co_firstlineno)

    def parameter_of(self, coordinate: int) -> str:
        """Name of the parameter that a coordinate belongs to."""
        return next(part.name for part in self.parts if part.start <= coordinate < part.start + part.size)


def _parts(points: Points) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return points.x, points.value, points.gradient


def _column(mask: np.ndarray, like: np.ndarray) -> np.ndarray:
    return mask if like.ndim == 1 else mask[:, None]
