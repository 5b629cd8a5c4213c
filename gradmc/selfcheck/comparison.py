"""The self-check of a run: begun while XLA compiles, ended before the first draw."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.extend.core import jaxpr_as_fun

from gradmc._numpy_jaxpr import in_numpy
from gradmc.density import Density, ProgramDensity
from gradmc.density.reach import AS_STAN
from gradmc.errors import SelfCheckError
from gradmc.kernels.random import START_RADIUS, chain_key, start_on_host
from gradmc.program.layout import shown
from gradmc.program.plainly import Interrupted, Plain, interrupt, raised_at, run_plainly
from gradmc.run.preparing import prepare
from gradmc.run.sampler import Sampler
from gradmc.run.settings import Settings
from gradmc.selfcheck.blamed_line import differing_term, line_of_gradient, line_of_value, worst_coordinate
from gradmc.selfcheck.outcome import AGREES, OFF, UNCHECKED, Outcome
from gradmc.selfcheck.slope import Evaluate, Slope, slope

SECONDS = 1.0
"""A plain run that is neither done by now, nor when XLA is, is stopped."""

THREAD = "gradmc self-check"

CANDIDATES = 10
"""Starting points that are tried for one with a finite log density, and again as many of those that lie elsewhere."""

SPREAD = 30.0
PERTURBED = 4
ULPS = 16.0
"""A doubtful difference is compared with the spread of plain runs at parameters that differ by some ulps."""

NEAR = 1e-7
"""Relative distance of plain runs whose third difference is rounding, also where larger numbers absorb some ulps of a
parameter (Moré & Wild 2011, 'Estimating computational noise', SIAM J. Sci. Comput. 33)."""

NUMERICAL = (ArithmeticError, np.linalg.LinAlgError)


def prepare_checked(
    density: Density,
    settings: Settings,
    *,
    initial: Sequence[np.ndarray] | None = None,
    check: bool = True,
    meanwhile: Callable[[], None] = lambda: None,
) -> tuple[Sampler, Outcome]:
    """`gradmc.run.preparing.prepare`, and meanwhile the self-check of the run, and what else there is to do.

    Raises:
        SelfCheckError: plain Python gives another value than the compiled program.
        ProgramError: JAX has no derivative of something in the program.
    """
    if not check:
        with density.differentiating():
            return prepare(density, settings, initial=initial, meanwhile=meanwhile), OFF
    if not (isinstance(density, ProgramDensity) and density.shelf is not None):
        return _checked(density, settings, initial, meanwhile)
    try:
        sampler, outcome = _checked(density, settings, initial, meanwhile)
        if not (outcome.warning and density.shelf.used):
            return sampler, outcome
    except SelfCheckError:
        if not density.shelf.used:
            raise
    density.retrace()  # what another process has kept may not be of this program: that must not decide
    return _checked(density, settings, initial, meanwhile)


def _checked(
    density: Density, settings: Settings, initial: Sequence[np.ndarray] | None, meanwhile: Callable[[], None]
) -> tuple[Sampler, Outcome]:
    assert settings.seed is not None
    own = SelfCheck(density, seed=settings.seed, initial=initial)

    def begin() -> None:
        own.begin()
        meanwhile()

    try:
        with density.differentiating():
            sampler = prepare(density, settings, initial=initial, meanwhile=begin)
        return sampler, own.finish(sampler.evaluate)
    finally:
        own.stop()


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A candidate with what plain Python makes of it.

    Attributes:
        x: flat vector.
        values: the parameters there.
        log_det: log-determinant of the map from x to them.
        plain: the plain run.
    """

    x: np.ndarray
    values: dict[str, np.ndarray]
    log_det: float
    plain: Plain


class SelfCheck:
    """Checks a density at the first candidate for the start of the first chain with a finite log density.

    Args:
        density: what is sampled.
        seed: that of the run.
        initial: flat starting points, one per chain, where they are given.
    """

    def __init__(self, density: Density, *, seed: int, initial: Sequence[np.ndarray] | None = None) -> None:
        self.density = density
        self.seed = seed
        key, dtype = chain_key(seed, 0), np.dtype(density.dtype)
        narrowed = np.asarray(density.start_radius / START_RADIUS, dtype)
        attempts = (*range(CANDIDATES), *range(AS_STAN, AS_STAN + CANDIDATES))
        starts = (start_on_host(key, attempt, density.dim, dtype) * narrowed for attempt in attempts)
        self.candidates = list(starts) if initial is None else [np.asarray(initial[0], dtype)]
        self._points: list[Candidate] = []
        self._errors: list[BaseException] = []
        self._began = math.inf
        self._over = False
        self._thread = threading.Thread(target=self._work, name=THREAD, daemon=True)

    def begin(self) -> None:
        """Run the plain program in the background, where there is one."""
        if isinstance(self.density, ProgramDensity):
            self._began = time.monotonic()
            self._thread.start()

    def _work(self) -> None:
        try:
            self._run_plainly(self.density)
        except Interrupted:
            pass
        except BaseException as error:
            self._errors.append(error)

    def _run_plainly(self, density: Any) -> None:
        with density.scope():
            named = density.memory.remember("named", lambda: _named_values(density))
            names = sorted(part.name for part in density.parts)  # JAX sorts dictionaries
            for x in self.candidates:
                *leaves, log_det = jax.device_get(named(x, *density.arguments))
                found = dict(zip(names, leaves, strict=True))
                values = {part.name: np.asarray(found[part.name]) for part in density.parts}
                plain = self._plain(values)
                self._points.append(Candidate(x, values, float(log_det), plain))
                if self._over or (plain.value is not None and math.isfinite(plain.value)):
                    return

    def _plain(self, values: dict[str, np.ndarray]) -> Plain:
        density: Any = self.density
        with density.plain_scope():
            return run_plainly(density.bound.model.fn, list(values.values()), density.as_given.data)

    def finish(self, evaluate: Evaluate) -> Outcome:
        """Compare with the compiled density.

        Args:
            evaluate: log density and gradient at a flat vector, as the sampler sees them; the gradient is NaN where it
                is not finite.

        Raises:
            SelfCheckError: plain Python gives another value.
        """
        self._wait()
        for point in self._points:
            compiled = evaluate(point.x)[0] - point.log_det
            agreement = self._judge(point, compiled)
            if agreement == "differs":
                raise self._error(point, compiled)
            if agreement == "agrees":
                error = abs((point.plain.value or 0.0) - compiled) / (1.0 + abs(compiled))
                return Outcome(AGREES, *self._gradient([point.x], evaluate, error))
        gradient, _, error = self._gradient(self.candidates, evaluate, None)
        return Outcome(f"{UNCHECKED}{self._why()}", gradient, None, error)

    def _wait(self) -> None:
        if isinstance(self.density, ProgramDensity):
            self._thread.join(max(0.0, self._began + SECONDS - time.monotonic()))
        self.stop()
        if self._errors:
            raise self._errors[0]

    def stop(self) -> None:
        """End the plain run, if it still goes on."""
        self._over = True
        if self._thread.is_alive():
            interrupt(self._thread, self.density.function.__code__.co_filename)

    def _why(self) -> str:
        """Why the value could not be compared."""
        if not isinstance(self.density, ProgramDensity):
            return "not a plain Python program"
        if len(self._points) < len(self.candidates):
            return f"plain Python takes longer than {SECONDS:g} s"
        error = self._points[-1].plain.error
        if error is not None:
            place = raised_at(self.density.function, error)
            return f"plain Python raises {_named(error)}" + (f" at line {place.line}" if place else "")
        if self._is_cut_off(self._points[-1]):
            return "a loop takes more than max_loop_iterations where it was looked at"
        return f"the log density is not finite at {len(self._points)} starting point" + "s" * (len(self._points) > 1)

    def _judge(self, point: Candidate, compiled: float) -> str:
        """Whether plain and compiled value agree, differ, or show nothing here."""
        plain = point.plain
        finite = math.isfinite(compiled)
        if plain.error is not None:
            return "differs" if finite and _is_telling(plain.error) else "nothing"
        if plain.value is None:
            return "differs"
        if not math.isfinite(plain.value):
            return "differs" if finite and not math.isnan(plain.value) else "nothing"
        if not finite and (self.density.dtype != np.float64 or self._is_cut_off(point)):
            return "nothing"  # numbers too large for the precision that was asked for, or a loop longer than it may be
        return "agrees" if finite and self._close(point, compiled) else "differs"

    def _is_cut_off(self, point: Candidate) -> bool:
        """Whether a loop takes more iterations than it may."""
        culprit = self.density.culprit(point.x, backward=False)
        return culprit is not None and culprit.endless

    def _close(self, point: Candidate, compiled: float) -> bool:
        """Whether two finite values differ by rounding alone.

        Half of the digits are enough, as a rule. Where sums cancel or a matrix is nearly singular, fewer agree: as many
        as survive a change of the parameters in their last digits. Where plain Python integrates to a tolerance, as
        many as survive a change of the solution by that tolerance.
        """
        plain = point.plain.value or 0.0
        eps = float(np.finfo(self.density.dtype).eps)
        gap = abs(plain - compiled)
        if gap <= math.sqrt(eps) * (1.0 + abs(plain)):
            return True
        rng = np.random.default_rng(self.seed)
        spread = 0.0
        for _ in range(PERTURBED):
            moved = {n: v * (1.0 + ULPS * eps * rng.uniform(-1, 1, np.shape(v))) for n, v in point.values.items()}
            other = self._plain(moved).value
            spread = max(spread, abs(plain - other)) if other is not None and math.isfinite(other) else math.inf
        return gap <= SPREAD * max(spread, self._noise(point)) or gap <= SPREAD * self._tolerated(point)

    def _tolerated(self, point: Candidate) -> float:
        """How far plain values may be off since an integrator works to a tolerance only."""
        density: Any = self.density
        found = density.wavering(point.x)
        return found if math.isfinite(found) else 0.0

    def _noise(self, point: Candidate) -> float:
        """The rounding of plain values: what their third difference leaves of the values at parameters close by."""
        near = [self._plain({n: v * (1.0 + NEAR * k) for n, v in point.values.items()}).value for k in (1, 2, 3)]
        found = [point.plain.value, *near]
        if any(v is None or not math.isfinite(v) for v in found):
            return 0.0
        return abs(float(np.diff(np.asarray(found, float), 3)[0])) / math.sqrt(20.0)

    def _error(self, point: Candidate, compiled: float) -> SelfCheckError:
        density: Any = self.density
        plain = point.plain
        if plain.error is not None:
            made = f"raises {_named(plain.error)}"
        else:
            made = f"returns {plain.returned}" if plain.value is None else f"gives {plain.value:.10g}"
        lines = [
            f"run as plain Python, {density.bound.model.name} {made}; the compiled program gives {compiled:.10g}",
            differing_term(density, point.x),
            "at",
            *(f"    {name} = {shown(np.asarray(value))}" for name, value in point.values.items()),
        ]
        return SelfCheckError(
            "\n".join(line for line in lines if line),
            location=line_of_value(density, point.x, plain),
            remedy="The draws would be those of another model than the one that is written, so there are none. Please "
            "report this line: gradmc should have compiled it rightly, or have refused it. Written in another way it "
            'may be right. To sample all the same: check=False (in a configuration, check = "off" under [sampler]).',
        )

    def _gradient(
        self, points: Sequence[np.ndarray], evaluate: Evaluate, value_error: float | None
    ) -> tuple[str, float | None, float | None]:
        """What became of the gradient at the first point with a finite value; the error of the value; its own."""
        for x in points:
            value, gradient = evaluate(x)
            if not math.isfinite(value):
                continue
            if not np.all(np.isfinite(gradient)):
                return self._not_finite(x, evaluate), value_error, None
            direction = np.random.default_rng([self.seed, 1]).normal(size=self.density.dim)
            found = _slope(evaluate, x, value, gradient, direction)
            if not found.known:
                return f"{UNCHECKED}the difference quotient does not converge", value_error, None
            told = self._wrong(x, value, gradient, found, evaluate) if found.differs else AGREES
            return told, value_error, found.gap
        return f"{UNCHECKED}the log density is not finite where it was looked at", value_error, None

    def _wrong(self, x: np.ndarray, value: float, gradient: np.ndarray, along: Slope, evaluate: Evaluate) -> str:
        """How the gradient differs from the derivative, and where."""
        worst = worst_coordinate(self.density.dim, lambda unit: _slope(evaluate, x, value, gradient, unit))
        if worst is None:
            return (
                f"the derivative along a random direction is {along.quotient:.6g} by differences, but "
                f"{along.gradient:.6g} by the gradient"
            )
        i, found = worst
        name = self.density.names[i]
        return (
            f"the derivative with respect to {name} is {found.quotient:.6g} by differences, but the gradient says "
            f"{found.gradient:.6g}{self._place(x, i)}"
        )

    def _not_finite(self, x: np.ndarray, evaluate: Evaluate) -> str:
        if not any(np.all(np.isfinite(evaluate(other)[1])) for other in self.candidates):
            return f"{UNCHECKED}it is not finite where the log density is"  # the run will say why it cannot start
        _, gradient = self.density.value_and_grad(x)
        bad = np.flatnonzero(~np.isfinite(np.asarray(gradient)))
        names = [self.density.names[i] for i in bad[:3]]
        culprit = self.density.culprit(x, backward=True)
        place = culprit.at.location if culprit is not None else None
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        return (
            f"the log density is finite, but its gradient with respect to {', '.join(names)}{more} is not"
            f"{'' if place is None else _at(place)}"
        )

    def _place(self, x: np.ndarray, coordinate: int) -> str:
        part = next(part for part in self.density.parts if part.start <= coordinate < part.start + part.size)
        place = line_of_gradient(self.density, x, part.name)
        return "" if place is None else _at(place)


def _named_values(density: ProgramDensity) -> Callable[..., Any]:
    """The parameters by name at a flat vector, and the log-determinant, as a list of leaves."""
    template = jax.ShapeDtypeStruct((density.dim,), density.dtype)
    traced = jax.make_jaxpr(density.named)(template, density.arguments)
    return in_numpy(traced) or jax.jit(jaxpr_as_fun(traced))


def _slope(evaluate: Evaluate, x: np.ndarray, value: float, gradient: np.ndarray, direction: np.ndarray) -> Slope:
    with np.errstate(all="ignore"):
        return slope(evaluate, x, value, gradient, direction)


def _is_telling(error: BaseException) -> bool:
    """Whether a finite compiled value is wrong where plain Python raises this.

    Not where numbers are too large or too small for Python, which a compiled program may survive, and not where a
    program is written for JAX's arrays rather than for plain Python.
    """
    if isinstance(error, NUMERICAL) or (isinstance(error, ValueError) and "math domain error" in str(error)):
        return False
    if isinstance(error, AttributeError) and isinstance(error.obj, np.ndarray | np.generic | float | int):
        return False
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return frame is None or "/jax/" not in frame.tb_frame.f_code.co_filename


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _at(place: Any) -> str:
    return f" (at {place}: {place.text.strip()})"
