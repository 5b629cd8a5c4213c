"""`check`: all checks of one model with data, in order, into one report."""

import numbers
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from gradmc.check.codes import finding
from gradmc.check.cost import Run, costs
from gradmc.check.differentiable import differentiability
from gradmc.check.finding import Finding, Report, in_order
from gradmc.check.gradients import gradients, modes
from gradmc.check.identify import identifiability
from gradmc.check.jumps import jumps
from gradmc.check.nonfinite import nonfinite
from gradmc.check.plain import plain
from gradmc.check.reading import reading
from gradmc.check.subject import Subject
from gradmc.check.supports import supports
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
) -> Report:
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

    Returns:
        The report: findings with the user's lines; `report.passed` is False if there is an error.

    Raises:
        UsageError: the model is something else, or a number is out of its range.
        DataError: the data do not fit the model.
    """
    for name, value, least in (("seed", seed, 0), ("chains", chains, 1), ("transitions", transitions, 1)):
        if not isinstance(value, numbers.Integral) or value < least:
            raise UsageError(f"{name} must be a whole number of at least {least}, got {value!r}")
    began = time.perf_counter()
    try:
        subject = Subject(_density(model, data, max_loop_iterations), seed=seed)
        subject.compile()
    except ProgramError as error:
        found = finding("program", error.message, location=error.location, remedy=error.remedy or None)
        name = model.name if isinstance(model, Model) else getattr(getattr(model, "function", None), "__name__", "")
        return Report(name, (found,), ("compile",), {"compile": time.perf_counter() - began})
    seconds = {"compile": time.perf_counter() - began}
    findings: list[Finding] = []
    checks = FAST if fast else FAST | FULL
    if isinstance(model, Density) and model.dtype != np.float64:
        subject.skip("single precision", "finite differences need double precision, in which the density was checked")
    if subject.density.bound is None:
        subject.skipped |= ELSEWHERE
        checks = {name: run for name, run in checks.items() if name not in ELSEWHERE}
    for name, run in checks.items():
        began = time.perf_counter()
        with np.errstate(all="ignore"):
            findings += run(subject)
        seconds[name] = time.perf_counter() - began
    began = time.perf_counter()
    measured = costs(subject, Run(chains, transitions), fast=fast)
    seconds["cost"] = time.perf_counter() - began
    return Report(
        subject.name,
        in_order(findings),
        tuple(n for n in checks if n not in subject.skipped),
        seconds,
        measured,
        subject.skipped,
    )


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
