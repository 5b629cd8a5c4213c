"""`check`: all checks of one model with data, in order, into one report."""

import functools
import numbers
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from gradmc.check.clock import SHARE, Clock
from gradmc.check.codes import finding
from gradmc.check.cost import Run, costs
from gradmc.check.differentiable import differentiability
from gradmc.check.discontinuities import jumps
from gradmc.check.domain import supports
from gradmc.check.finding import CheckReport, Finding, in_order
from gradmc.check.gradients import gradients, modes
from gradmc.check.identify import identifiability
from gradmc.check.lint import reading
from gradmc.check.nonfinite import nonfinite
from gradmc.check.plain import plain
from gradmc.check.subject import Subject
from gradmc.density import Density, density
from gradmc.density.prior import PriorDensity
from gradmc.elsewhere import explaining
from gradmc.errors import ProgramError, UsageError
from gradmc.program.ir import MAX_LOOP_ITERATIONS
from gradmc.program.model import Model

FAST = {
    "differentiable": differentiability,
    "support": supports,
    "finite": nonfinite,
    "jumps": jumps,
    "gradient": gradients,
    "plain": plain,
    "source": reading,
}
"""Checks that need one trace and one compilation."""

ELSEWHERE = {
    "plain": "the density is a JAX function, not a plain Python program compiled by gradmc",
    "source": "supports and Jacobians are the business of the function, not of gradmc",
}
"""Checks that a density from elsewhere (`from_logdensity`, `from_numpyro`) does not admit, and why."""

FULL: dict[str, Any] = {
    "modes": modes,
    "identifiability": identifiability,
}
"""Checks that look for the mode or compile more."""

SECONDS = 20.0
LEAST = 0.4
"""The share of the time that the checks have at least, however long compiling took."""


@explaining
def check(
    model: Model | Density,
    data: Mapping[str, Any] | None = None,
    *,
    fast: bool = False,
    seed: int = 0,
    chains: int = 4,
    transitions: int = 2000,
    max_loop_iterations: int = MAX_LOOP_ITERATIONS,
    seconds: float = SECONDS,
) -> CheckReport:
    """Check whether a model is differentiable, correct and well posed.

    Args:
        model: a function declared with `@gm.model`, or a density: of such a function, `gm.from_logdensity` or
            `gm.from_numpyro`. Where a check is not possible for a density, `report.skipped` says why.
        data: the model's data by name.
        fast: leave out what needs the mode or further compilation.
        seed: seed of the random points.
        chains: chains of the run whose time is predicted.
        transitions: its transitions per chain, warmup included.
        max_loop_iterations: as for `gm.density`; a density has its own.
        seconds: of the processor, that the checks may take together, compiling the program not counted beyond 0.6 of
            it; those that are not done then are named in `report.skipped`. Above 0; `math.inf` for no limit.

    Returns:
        The report: findings with the user's lines; `report.passed` is False if there is an error.

    Raises:
        UsageError: the model is something else, or a number is out of its range.
        DataError: the data do not fit the model.
    """
    for name, value, least in (("seed", seed, 0), ("chains", chains, 1), ("transitions", transitions, 1)):
        if not isinstance(value, numbers.Integral) or value < least:
            raise UsageError(f"{name} must be a whole number of at least {least}, got {value!r}")
    if not isinstance(seconds, numbers.Real) or not float(seconds) > 0:
        raise UsageError(f"seconds must be a number above 0, got {seconds!r}")
    began, worked = time.perf_counter(), time.process_time()
    try:
        subject = Subject(_density(model, data, max_loop_iterations), seed=seed)
        subject.compile()
    except ProgramError as error:
        found = finding("program", error.message, location=error.location, remedy=error.remedy or None)
        name = model.name if isinstance(model, Model) else getattr(getattr(model, "function", None), "__name__", "")
        return CheckReport(name, (found,), ("compile",), {"compile": time.perf_counter() - began})
    took = {"compile": time.perf_counter() - began}
    checks = FAST if fast else FAST | FULL
    if isinstance(model, Density) and model.dtype != np.float64:
        subject.skip("single precision", "finite differences need double precision, in which the density was checked")
    if subject.density.bound is None:
        subject.skipped |= ELSEWHERE
        checks = {name: run for name, run in checks.items() if name not in ELSEWHERE}
    subject.clock = Clock(max(seconds - (time.process_time() - worked), LEAST * seconds))
    findings: list[Finding] = []
    for name, run in checks.items():
        began = time.perf_counter()
        findings += _within(subject, name, functools.partial(run, subject), seconds)
        took[name] = time.perf_counter() - began
    began = time.perf_counter()
    measured = _within(subject, "cost", lambda: [costs(subject, Run(chains, transitions), fast=fast)], seconds, 1.0)
    took["cost"] = time.perf_counter() - began
    return CheckReport(
        subject.name,
        in_order(findings),
        tuple(n for n in checks if n not in subject.skipped),
        took,
        measured[0] if measured else {},
        subject.skipped,
    )


def _within[T](
    subject: Subject, name: str, run: Callable[[], Iterable[T]], seconds: float, share: float = SHARE
) -> list[T]:
    """What one check finds in its share of the time that is left."""
    found, done = subject.clock.collect(run, subject.file, share)
    if not done:
        subject.skip(name, f"{'not finished' if found else 'no time was left for it'}: checks may take {seconds:g} s "
                     "(seconds=...)")  # fmt: skip
    return found


def _density(model: Any, data: Mapping[str, Any] | None, max_loop_iterations: int) -> Density:
    if isinstance(model, Model):
        return density(model, {} if data is None else data, max_loop_iterations=max_loop_iterations)
    if not isinstance(model, Density):
        raise UsageError(
            f"expected a model declared with @gm.model or a density, got {type(model).__name__}; a log density written "
            "in JAX becomes one by gm.from_logdensity(function, example_position)"
        )
    if data is not None:
        raise UsageError("a density has its data already; pass data only together with a model")
    if isinstance(model, PriorDensity):
        raise UsageError(f"the prior of {model.bound.model.name} alone cannot be checked: check the model")
    return model if model.dtype == np.float64 else model.with_precision("float64")
