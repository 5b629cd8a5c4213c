"""`explain`: the user's source with a note at each loop, what the compiler made of it, and why.

The notes come from the middle end's report; the cost of a loop is measured by compiling it alone, with
its gradient, at a point near the origin of the parameters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxpr_as_fun

from gradmc._process import use_jax
from gradmc.errors import SourceLocation, UsageError
from gradmc.printable import printable
from gradmc.program import compiler, middle
from gradmc.program.differentiation import GradientMode, choose
from gradmc.program.frontend.source import function_node, known_text
from gradmc.program.middle import LoopReport, lower, report
from gradmc.program.middle.alone import loops_alone
from gradmc.program.model import Model
from gradmc.program.timing import gradient_cost


@dataclass(frozen=True, slots=True)
class Explanation:
    """A program's loops.

    Attributes:
        name: the model.
        loops: what became of each loop, in the order of the source.
        costs: by file and line, microseconds that value and gradient of an outermost loop take.
        total: microseconds that value and gradient of the whole program take; None if not measured.
        gradient: forward or reverse mode, as "auto" has it, and why.
        text: the source with the notes.
        stages: the program after each pass of the compiler: the pass's name, and the program as JAX prints it.
    """

    name: str
    loops: tuple[LoopReport, ...]
    costs: Mapping[tuple[str, int], float]
    total: float | None
    gradient: GradientMode
    text: str
    stages: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return printable("\n\n".join([self.text, *(f"--- {name}\n\n{body}" for name, body in self.stages)]))

    __repr__ = __str__


def explain(model: Model, data: Mapping[str, Any], *, measure: bool = True, stages: bool = False) -> Explanation:
    """Say what the compiler makes of a model's loops.

    Args:
        model: a `@gm.model` function.
        data: its data.
        measure: whether to compile the loops one by one and time them.
        stages: whether to print the program after every pass of the compiler, too.

    Returns:
        An explanation; printed, it is the model's source with a note at each loop.

    Raises:
        UsageError: `model` is not a model.
        DataError: the data do not fit.
        ProgramError: the program cannot be compiled.
    """
    if not isinstance(model, Model):
        raise UsageError(f"expected a model declared by @gm.model, got {type(model).__name__}")
    use_jax()
    with jax.enable_x64(True):
        bound = model.bind(data)
        values = tuple(jnp.full(p.shape, 0.5) for p in bound.parameters)
        traced = compiler.trace(model.fn, values, dict(bound.data))
        loops = tuple(report(traced.jaxpr))
        costs, total = _measured(traced) if measure else ({}, None)
        gradient = _gradient(traced)
        passes = middle.stages(traced.jaxpr, middle.LoweringOptions(), []) if stages else ()
        printed = tuple((name, str(body)) for name, body in passes)
    loops = (*loops, *by_python(traced.python_loops))
    text = f"{_text(model, loops, costs, total)}\n\ngradient: {gradient.mode} mode ({gradient.why})"
    return Explanation(model.name, loops, costs, total, gradient, text, printed)


def by_python(loops: Sequence[compiler.PythonLoop]) -> list[LoopReport]:
    """The loops that Python ran while the program was traced, each line and reason once."""
    once = {(loop.source, loop.why): loop for loop in reversed(loops)}
    return [
        LoopReport(source, 0, loop.trips, "run by Python", why, ()) for (source, why), loop in reversed(once.items())
    ]


def _measured(traced: compiler.TracedJaxpr) -> tuple[dict[tuple[str, int], float], float]:
    costs: dict[tuple[str, int], float] = {}
    for source, closed, inputs in loops_alone(traced.jaxpr, traced.inputs):
        if isinstance(source, SourceLocation):
            where = (source.file, source.line)
            costs[where] = costs.get(where, 0.0) + _microseconds(lower(closed), inputs)
    return costs, _microseconds(lower(traced.jaxpr), traced.inputs)


def _gradient(traced: compiler.TracedJaxpr) -> GradientMode:
    """How the gradient by the parameters is computed, unless the density is told otherwise."""
    lowered = lower(traced.jaxpr)
    ends = np.cumsum([np.size(value) for value in traced.inputs])

    def value(x: Any) -> Any:
        parts = [part.reshape(v.shape) for part, v in zip(jnp.split(x, ends[:-1]), traced.inputs, strict=True)]
        return jaxpr_as_fun(lowered)(*parts)[0]

    return choose(value, jax.ShapeDtypeStruct((int(ends[-1]) if len(ends) else 0,), float))


def _microseconds(lowered: Any, inputs: list[Any]) -> float:
    return 1e6 * gradient_cost(lowered, inputs).seconds


# --- text ------------------------------------------------------------------------------------------


def _text(model: Model, loops: tuple[LoopReport, ...], costs: Mapping[tuple[str, int], float], total: Any) -> str:
    file, first = model.fn.__code__.co_filename, model.fn.__code__.co_firstlineno
    lines = (known_text(model.fn) or "").splitlines()[first - 1 : function_node(model.fn).end_lineno]
    here: dict[int, list[str]] = {}
    elsewhere: list[str] = []
    for loop in loops:
        source = loop.source
        cost = costs.get((source.file, source.line)) if isinstance(source, SourceLocation) and not loop.depth else None
        note = _note(loop, cost)
        if isinstance(source, SourceLocation) and source.file == file and first <= source.line < first + len(lines):
            here.setdefault(source.line, []).extend(note)
        else:
            elsewhere += [str(source), *note]
    out = []
    for number, line in enumerate(lines, first):
        out.append(f"{number:5d}  {line.rstrip()}")
        indent = len(line) - len(line.lstrip())
        out += [f"       {' ' * indent}| {text}" for text in here.get(number, [])]
    out += [f"       {text}" for text in elsewhere]
    head = f"{model.name}: {len(loops)} loop{'s' if len(loops) != 1 else ''}"
    if total is not None:
        head += f", {total:.3g} µs for value and gradient"
    return "\n".join([head, "", *out])


def _note(loop: LoopReport, cost: float | None) -> list[str]:
    times = "" if loop.length is None else f"{loop.length} iteration{'s' if loop.length != 1 else ''}, "
    took = "" if cost is None else f" ({cost:.3g} µs)"
    lines = [f"{times}{loop.verdict}{took}: {loop.reason}"]
    named: dict[str, str] = {}
    for carried in loop.carried:
        named.setdefault(carried.name, carried.kind)
    return [*lines, *(f"  {name}: {kind}" for name, kind in named.items())]
