"""`check`: all checks of one model with data, in order, into one report."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from gradmc.check.codes import finding
from gradmc.check.cost import costs
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
from gradmc.density import ProgramDensity, density
from gradmc.errors import ProgramError, UsageError
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

FULL: dict[str, Any] = {
    "modes": modes,
    "identifiability": identifiability,
}
"""Checks that look for the mode or compile more."""


def check(
    model: Model | ProgramDensity, data: Mapping[str, Any] | None = None, *, fast: bool = False, seed: int = 0
) -> Report:
    """Check whether a model is differentiable, correct and well posed.

    Args:
        model: a function declared with `@gm.model`, or its density.
        data: the model's data by name.
        fast: leave out what needs the mode or further compilation.
        seed: seed of the random points.

    Returns:
        The report: findings with the user's lines; `report.passed` is False if there is an error.

    Raises:
        UsageError: the model is something else.
        DataError: the data do not fit the model.
    """
    began = time.perf_counter()
    try:
        target = _density(model, data)
    except ProgramError as error:
        found = finding("program", error.message, location=error.location, remedy=error.remedy or None)
        name = model.name if isinstance(model, Model) else ""
        return Report(name, (found,), ("compile",), {"compile": time.perf_counter() - began})
    subject = Subject(target, seed=seed)
    seconds = {"trace": time.perf_counter() - began}
    findings: list[Finding] = []
    checks = FAST if fast else FAST | FULL
    for name, run in checks.items():
        began = time.perf_counter()
        with np.errstate(all="ignore"):
            findings += run(subject)
        seconds[name] = time.perf_counter() - began
    began = time.perf_counter()
    measured = costs(subject, fast=fast)
    seconds["cost"] = time.perf_counter() - began
    return Report(subject.bound.model.name, in_order(findings), tuple(checks), seconds, measured)


def _density(model: Any, data: Mapping[str, Any] | None) -> ProgramDensity:
    if isinstance(model, Model):
        made = density(model, {} if data is None else data)
        assert isinstance(made, ProgramDensity)
        return made
    if not isinstance(model, ProgramDensity):
        raise UsageError(
            f"expected a model declared with @gm.model, got {type(model).__name__}: only programs can be checked"
        )
    if data is not None:
        raise UsageError("a density has its data already; pass data only together with a model")
    return model
