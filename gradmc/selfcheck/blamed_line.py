"""The user's line behind a wrong value or a wrong gradient.

It is looked for only when something is wrong, so it may take its time: the program is traced once more, and the checks
of `gm.check` are asked.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import jax
import numpy as np

from gradmc.density import ProgramDensity
from gradmc.errors import SourceLocation
from gradmc.program.frontend.source import location
from gradmc.program.marks import collecting
from gradmc.program.plainly import Plain, raised_at, run_plainly

CLOSE = 1e-6


def line_of_value(density: ProgramDensity, x: np.ndarray, plain: Plain) -> SourceLocation:
    """The first line whose value the compiled program does not compute; that of the function, if none is found."""
    from gradmc.check.plain import difference
    from gradmc.check.subject import Subject

    fn = density.bound.model.fn
    found = None if plain.error is None else raised_at(fn, plain.error)
    if found is None:
        # What is wrong may be in the way, and the difference has to be told in any case.
        with suppress(Exception), density.plain_scope():
            found = difference(Subject(density), x)
    return found or location(fn.__code__, None)


def differing_term(density: ProgramDensity, x: np.ndarray) -> str:
    """A sentence on the first observed or recorded entry that differs; empty if there is none."""
    with suppress(Exception), density.scope(), density.plain_scope():
        groups = jax.device_get(jax.jit(density.expand)(x, density.arguments))
        compiled = {**groups["posterior"], **groups.get("log_likelihood", {})}
        with collecting() as marks:
            run_plainly(density.bound.model.fn, list(density.constrain(x).values()), density.as_given.data)
        for name, values in {**marks.observe, **marks.record}.items():
            ours, theirs = (np.ravel(np.asarray(given, float)) for given in (values, compiled.get(name, ())))
            if len(ours) != len(theirs):
                continue
            for k in np.flatnonzero(~(np.abs(ours - theirs) <= CLOSE * (1.0 + np.abs(ours)))):
                entry = f"entry {k} of " if len(ours) > 1 else ""
                return f"{entry}{name} is {ours[k]:.10g} in plain Python, {theirs[k]:.10g} in the compiled program"
    return ""


def worst_coordinate(
    coordinates: int, quotient: Callable[[np.ndarray], Any], most: int = 256
) -> tuple[int, Any] | None:
    """The coordinate in which gradient and difference quotient lie furthest apart, with its slope."""
    found: list[tuple[float, int, Any]] = []
    for i in range(min(coordinates, most)):
        made = quotient(np.eye(1, coordinates, i)[0])
        if made.differs:
            found.append((abs(made.quotient - made.gradient), i, made))
    if not found:
        return None
    _, i, made = max(found, key=lambda entry: entry[:2])
    return i, made


def line_of_gradient(density: Any, x: np.ndarray, parameter: str) -> SourceLocation | None:
    """The line through which the gradient does not see a parameter: a step, a branch, or a wrong derivative."""
    from gradmc.check.gradients import located
    from gradmc.check.subject import Subject

    subject = Subject(density)
    activity, _ = subject.activity
    for landing in (*activity.landings.values(), *activity.branches.values()):
        if parameter in landing.parameters and landing.at.location is not None:
            return landing.at.location
    at = located(subject, x)
    return at.location if at is not None else subject.parameter_line(parameter)
