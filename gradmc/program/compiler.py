"""The loop compiler: run a plain Python function on JAX values, its loops compiled.

    front end    the function, traced once into a jaxpr in which loops and branches are data (`frontend`, `ir`)
    middle end   analysis and scheduling of those loops; the result has only JAX's own primitives (`middle`)

`evaluate` does both and evaluates the result, so it works under `jit`, `grad` and `vmap` from outside.
"""

import inspect
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxpr_as_fun

from gradmc.errors import GradmcError, ProgramError
from gradmc.program import ir, marks
from gradmc.program.frontend import (
    complaints,
    failing,
    gaps,
    implicit,
    influence,
    lasting,
    marking,
    pythons,
)
from gradmc.program.frontend.hooks import Hooks
from gradmc.program.frontend.libraries.unsupported import NoCounterpart
from gradmc.program.frontend.sides import OneSidedMark
from gradmc.program.frontend.unrolling import PythonLoop, UnrolledLoopWarning
from gradmc.program.frontend.values import (
    NO_VALUE,
    NO_VALUE_REMEDY,
    CannotRoll,
    Nullable,
    Spread,
    is_array,
    is_leaf,
    is_traced,
    strong,
)
from gradmc.program.middle import lower
from gradmc.program.middle.widen import widened
from gradmc.program.raising import is_of_program
from gradmc.program.returned import log_density

__all__ = ["Collected", "ConcreteDataNeeded", "PythonLoop", "TracedJaxpr", "UnrolledLoopWarning", "evaluate", "trace"]


class ConcreteDataNeeded(GradmcError):
    """Data that were passed as traced arrays are needed as numbers while compiling.

    Attributes:
        names: the data arrays to pass as numpy arrays instead.
    """

    def __init__(self, names: frozenset[str]) -> None:
        super().__init__(f"needed while compiling: {', '.join(sorted(names))}")
        self.names = names


@dataclass(frozen=True, slots=True)
class Collected:
    """What a program marked: by name, the values along its loops."""

    observe: dict[str, jax.Array] = field(default_factory=dict)
    record: dict[str, jax.Array] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TracedJaxpr:
    """A program as a jaxpr in the loop IR.

    Attributes:
        jaxpr: from the traced leaves of the arguments to the value and the marks.
        inputs: those leaves.
        structure: how the jaxpr's results make up the value and the marks.
        python_loops: the loops that Python ran while tracing, and why.
    """

    jaxpr: Any
    inputs: list[Any]
    structure: Any
    python_loops: tuple[PythonLoop, ...] = ()


def evaluate(
    fn: FunctionType,
    args: tuple,
    kwargs: Mapping[str, Any],
    *,
    collect: bool = False,
    wavering: list[float] | None = None,
    varying: Collection[str] = (),
    max_loop_iterations: int = ir.MAX_LOOP_ITERATIONS,
) -> tuple[jax.Array, Collected]:
    """Run a program on JAX values.

    Args:
        fn: a plain Python function.
        args: its parameters: JAX values.
        kwargs: its data: float arrays may be JAX tracers; all others are plain values.
        collect: whether to collect what the program marks by `observe` and `record`.
        wavering: if given, what plain Python computes to a tolerance only is moved by as much, to see what that does,
            and the tolerances are noted here.
        varying: data that change from call to call: they are not asked for where they decide a branch.
        max_loop_iterations: how many iterations a loop may take that parameters end; after more the value is NaN.

    Returns:
        The value, and the marks (empty unless `collect`).

    Raises:
        ProgramError: the program raises, or uses something that cannot be compiled.
        ConcreteDataNeeded: data given as tracers are needed as plain numbers.
    """
    traced = trace(
        fn,
        args,
        kwargs,
        collect=collect,
        wavering=wavering,
        varying=varying,
        max_loop_iterations=max_loop_iterations,
    )
    lowered = lower(traced.jaxpr)
    out = jaxpr_as_fun(lowered)(*traced.inputs)
    value, observe, record = jax.tree.unflatten(traced.structure, out)
    return value, Collected(observe, record)


def trace(
    fn: FunctionType,
    args: tuple,
    kwargs: Mapping[str, Any],
    *,
    collect: bool = False,
    wavering: list[float] | None = None,
    varying: Collection[str] = (),
    max_loop_iterations: int = ir.MAX_LOOP_ITERATIONS,
) -> TracedJaxpr:
    """Trace a program into the loop IR; arguments as for `evaluate`."""
    leaves, tree = jax.tree.flatten((args, {k: v for k, v in kwargs.items() if is_traced(v)}))
    plain = {k: _copied(v) for k, v in kwargs.items() if not is_traced(v)}
    inputs = [strong(leaf) for leaf in leaves]
    ev = Hooks(missing=gaps.among(plain), wavering=wavering, max_loop_iterations=max_loop_iterations)

    def run(*values: Any) -> tuple[Any, dict, dict]:
        parameters, data = jax.tree.unflatten(tree, values)
        return _run(ev, fn, parameters, {**plain, **data}, collect=collect)

    try:
        jaxpr, shapes = jax.make_jaxpr(run, return_shape=True)(*inputs)
    except BaseException as error:
        if not (isinstance(error, CannotRoll) or is_of_program(error)):
            raise
        names = frozenset(k for k, v in kwargs.items() if is_traced(v))
        curable = isinstance(error, CannotRoll | OneSidedMark | NoCounterpart) or complaints.is_concretization(error)
        if names and curable:
            raise ConcreteDataNeeded(names) from error
        raise complaints.explained(error, fn) from error
    _ask_for_deciding_data(jaxpr, args, kwargs, varying)
    jaxpr = _with_roots(widened(jaxpr), len(jax.tree.leaves(args)), fn)
    return TracedJaxpr(jaxpr, inputs, jax.tree.structure(shapes), tuple(ev.python_loops))


def _with_roots(jaxpr: Any, parameters: int, fn: FunctionType) -> Any:
    """The program in which the roots that loops find have their derivatives."""
    try:
        return implicit.solved(jaxpr, [k < parameters for k in range(len(jaxpr.in_avals))])
    except ProgramError as error:
        raise complaints.explained(error, fn) from None


def _ask_for_deciding_data(jaxpr: Any, args: tuple, kwargs: Mapping[str, Any], varying: Collection[str]) -> None:
    """Ask for data that alone decide a branch: known, they let the loop be split."""
    names = sorted(k for k, v in kwargs.items() if is_traced(v))  # the order of a flattened dict
    first = len(jax.tree.leaves(args))
    found = influence.deciding(jaxpr, range(first, first + len(names)))
    asked = {names[k - first] for k in found} - set(varying)
    if asked:
        raise ConcreteDataNeeded(frozenset(asked))


def _copied(value: Any) -> Any:
    """Lists and dicts of the data, so that a program that changes them does not change the caller's.

    Arrays are new views, since JAX remembers in which precision it first met one.
    """
    if type(value) is np.ndarray:
        return value.view()
    if isinstance(value, list):
        return [_copied(v) for v in value]
    if type(value) is dict:
        return {k: _copied(v) for k, v in value.items()}
    return value


def _run(ev: Hooks, fn: FunctionType, args: tuple, kwargs: dict[str, Any], *, collect: bool) -> tuple[Any, dict, dict]:
    if fn.__code__.co_flags & inspect.CO_GENERATOR:
        raise ProgramError("a generator function cannot be a program", remedy="Return the log density.")
    converted = ev.users_function(fn)
    if converted is None:
        raise ProgramError(f"{fn!r} is not a Python function that the loop compiler can read")
    made = marks.Marks()
    token = marks.collector.set(made if collect else None)
    try:
        for leaf in jax.tree.leaves(args):
            pythons.note(ev, leaf, True)
        for leaf in jax.tree.leaves((args, kwargs), is_leaf=is_array):
            ev.heap.allocate(leaf)
        value = _scalar(ev, converted(*args, **kwargs), fn)
        lasting.check(ev)
    finally:
        marks.collector.reset(token)
    if ev.failures:
        value = jnp.where(failing.any_of(ev.failures), jnp.nan, value)
    observe, record = (
        {name: marking.finished(ev, values) for name, values in group.items()} for group in (made.observe, made.record)
    )
    return value, observe, record


def _one_entry(value: Any) -> Any:
    """An array of one entry that is a number on one side of a branch (`return -np.inf`); others as they are."""
    return value.value if isinstance(value, Spread) and np.size(value.value) == 1 else value


def _scalar(ev: Hooks, value: Any, fn: FunctionType) -> jax.Array:
    """What the program returned, as one real number."""
    if isinstance(value, Nullable) and value.met:  # one `if` has not covered all cases: say so before anything runs
        raise ProgramError(NO_VALUE.format(value.met), location=value.at, remedy=NO_VALUE_REMEDY)
    value = ev.content(log_density(ev.content(_one_entry(value))))
    if value is None:
        raise ProgramError(
            f"{fn.__name__} returned None",
            remedy="Return the log density: a number. Is a return statement missing?",
        )
    value = log_density(value)
    if not is_leaf(value) or np.ndim(value):
        what = f"an array of shape {np.shape(value)}" if is_array(value) else f"a {type(value).__name__}"
        raise ProgramError(
            f"{fn.__name__} returned {what}", remedy="Return the log density: one number (sum the terms)."
        )
    value = jnp.asarray(value)
    return value if jnp.issubdtype(value.dtype, jnp.inexact) else value.astype(float)
