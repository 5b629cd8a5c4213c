"""Why a log density is not finite at a point: the term, the line and the parameter values.

The plain function is run once more, as ordinary Python on floats, with its marks collected and with a check
after every assignment. What is found is said in this order: a parameter that overflowed, an exception, the first
observed or recorded term that is not finite, the first assignment that made a value not finite, the components of the
gradient. The operation that made it, forward or backward, is found in the traced program (`gradmc.program.blame`).
"""

import itertools
import linecache
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from gradmc.program.binding import BoundModel
from gradmc.program.blame import Culprit, told
from gradmc.program.exact import plain_data
from gradmc.program.layout import layout, shown
from gradmc.program.marks import Marks, collecting
from gradmc.program.raising import is_of_program, line_of, text_of
from gradmc.program.returned import log_density
from gradmc.program.watching import watched


@dataclass(slots=True)
class NonFiniteWatch:
    """Keeps the first assignment that gave a value that is not finite."""

    file: str
    first: str = ""

    def __call__(self, line: int, target: str, value: Any, loops: Mapping[str, Any]) -> Any:
        if not self.first and not finite(value):
            text = linecache.getline(self.file, line).strip()
            where = ", ".join(f"{name} = {v}" for name, v in loops.items() if isinstance(v, (int, float, np.number)))
            made = "the program returns" if target == "return" else f"{target} becomes"
            self.first = f"{self.file}:{line}\n    {text}\n{made} {brief(value)}{' with ' + where if where else ''}"
        return value


@dataclass(slots=True)
class PlainRun:
    """What one run in ordinary Python showed."""

    marks: Marks = field(default_factory=Marks)
    error: str = ""
    assignment: str = ""
    value: Any = None


def describe(
    bound: BoundModel,
    values: Mapping[str, Any],
    names: Sequence[str],
    value: Any,
    gradient: Any,
    bad_terms: Sequence[str] = (),
    culprit: Culprit | None = None,
) -> str:
    """Say why the log density or its gradient is not finite at a point.

    Args:
        bound: the model with its data.
        values: the parameters at the point.
        names: names of the unconstrained coordinates.
        value: the log density there.
        gradient: its gradient there, shape (dim,).
        bad_terms: observed or recorded terms whose gradient is not finite.
        culprit: the operation that made it, where known.

    Returns:
        A few lines of text, the first of which stands on its own.
    """
    values = {name: np.asarray(v, dtype=float) for name, v in values.items()}
    at = "at\n" + "\n".join(f"    {name} = {shown(v)}" for name, v in values.items())
    if np.isfinite(value):
        bad = [name for name, g in zip(names, np.asarray(gradient), strict=True) if not np.isfinite(g)]
        if not bad:
            return f"the log density is {float(value):.6g} and its gradient is finite {at}"
        terms = f"The gradient is not finite in {listed(bad_terms)}.\n" if bad_terms else ""
        operation = "" if culprit is None else f"{told(culprit)}\n"
        return (
            f"the log density is {float(value):.6g}, but its gradient with respect to {listed(bad)} is not "
            f"finite\n{terms}{operation}"
            "This happens where a function has no derivative (sqrt or a norm at 0, a power with base 0) or "
            "where a branch "
            f"that is not taken divides by 0: keep such values away from the edge\n{at}"
        )
    head = f"the log density is {brief(value)}"
    if (reason := _bad_parameter(bound, values)) is not None:
        return f"{head}: {reason}\n{at}"
    if culprit is not None and culprit.endless:
        return f"{head}. {told(culprit)}\n{at}"  # as ordinary Python it would not end either
    run = run_plainly(bound, values)
    operation = [] if culprit is None else [f"{told(culprit)}\n"]
    if run.error:
        return f"{head}: the program, run as ordinary Python, raised\n{run.error}\n{''.join(operation)}{at}"
    if run.value is None:
        return f"{head}: the program, run as ordinary Python, returned None: no return gave it a value\n{at}"
    found = []
    if (term := bad_mark(run.marks)) is not None:
        found.append(f"{term}\n")
    if run.assignment:
        found.append(f"first at {run.assignment}\n")
    found += operation
    if not found:
        found.append(
            f"run as ordinary Python in float64 the program returns {brief(run.value)}, so the compiled "
            "form loses accuracy "
            "here\n"
            if finite(run.value)
            else "no single assignment or observed term shows why\n"
        )
    return f"{head}: {''.join(found)}{at}"


def _bad_parameter(bound: BoundModel, values: Mapping[str, np.ndarray]) -> str | None:
    """Return a sentence on a parameter that is not finite or whose ends are not ordered."""
    found = layout(bound)
    for parameter in found.parameters:
        if not finite(values[parameter.name]):
            return f"the parameter {parameter.name} = {shown(values[parameter.name])} is not finite"
        ends = found.ends(parameter, values, bound.data)
        if len(ends) == 2 and not np.all(np.asarray(ends[0]) < np.asarray(ends[1])):
            return f"the support of {parameter.name} is empty: {parameter.support!r} is ({ends[0]}, {ends[1]})"
    return None


def run_plainly(bound: BoundModel, values: Mapping[str, np.ndarray]) -> PlainRun:
    """Run the program once as ordinary Python on floats, with marks collected and assignments watched."""
    fn = bound.model.fn
    watch = NonFiniteWatch(fn.__code__.co_filename)
    run = PlainRun()
    arguments = [values[p.name].item() if p.shape == () else values[p.name] for p in bound.parameters]
    with collecting(run.marks), jax.enable_x64(True), np.errstate(all="ignore"):
        try:
            run.value = log_density((watched(fn, watch) or fn)(*arguments, **plain_data(bound.data)))
        except BaseException as error:
            if not is_of_program(error):
                raise
            run.error = _location(fn, error)
    run.assignment = watch.first
    return run


def _location(fn: Callable[..., Any], error: BaseException) -> str:
    at = line_of(error, fn.__code__.co_filename)
    return f"{'' if at is None else f'{at.file}:{at.line}\n    {at.text}\n'}{text_of(error)}"


def bad_mark(marks: Marks) -> str | None:
    """Return a sentence on the first observed or recorded term that is not finite."""
    for kind, terms in (("observe", marks.observe), ("record", marks.record)):
        for name, entries in terms.items():
            for position, entry in enumerate(entries):
                if not finite(entry):
                    index = [position] if len(entries) > 1 else []
                    inner = np.argwhere(~np.isfinite(np.asarray(entry, dtype=float)))[0].tolist()
                    where = f"[{', '.join(map(str, index + inner))}]" if index + inner else ""
                    return f"{kind}({name!r}){where} is {brief(np.asarray(entry, dtype=float)[tuple(inner)])}"
    return None


def finite(value: Any) -> bool:
    """Whether a value has no entry that is nan or infinite; things that are not numbers count as finite."""
    try:
        array = np.asarray(value)
        return array.dtype.kind not in "fc" or bool(np.all(np.isfinite(array)))
    except (TypeError, ValueError):
        return True


def brief(value: Any) -> str:
    """Return a short text of a number or an array."""
    array = np.asarray(value)
    return str(float(array)) if array.ndim == 0 else shown(array)


def listed(names: Sequence[str]) -> str:
    """Return names separated by commas, at most six of them."""
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(itertools.islice(names, 6)) + more


def terms_without_gradient(marks: Callable[[Any], Mapping[str, Any]], x: np.ndarray) -> list[str]:
    """Return the marked terms whose gradient at x is not finite, as `y[3]`; none where nothing is marked."""
    found: list[str] = []
    if not jax.eval_shape(marks, x):
        return found
    for name, rows in jax.device_get(jax.jit(jax.jacrev(marks))(x)).items():
        bad = ~np.all(np.isfinite(rows), axis=-1)
        for index in np.argwhere(bad):
            found.append(f"{name}[{', '.join(map(str, index))}]" if index.size else name)
    return found


__all__ = [
    "bad_mark",
    "describe",
    "finite",
    "run_plainly",
    "terms_without_gradient",
]
