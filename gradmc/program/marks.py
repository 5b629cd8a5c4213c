"""Marks in a program: pointwise log-likelihood terms and derived quantities.

`observe(name, value)` and `record(name, value)` return their value unchanged, so a program that is only being
sampled pays nothing for them. When somebody listens, that is, when `collector` holds a `Marks`, each call
also appends its value there, in call order. The compiler pushes a fresh collector for every loop body that it
traces, so that marks made inside a loop become outputs stacked along the loop; ordinary Python runs with one
collector for the whole call.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradmc.errors import UsageError
from gradmc.program.dims import plain_labels, unfit_name

type Dims = str | Sequence[str] | Mapping[str, Sequence[Any] | None]
"""Names of axes; a mapping gives labels along them too."""

type Axes = dict[str, tuple[Any, ...] | None]
"""The axes of a recorded quantity: their names in order, each with its labels, if it has any."""


@dataclass(slots=True)
class Marks:
    """What a run of a program marked: for each name the values in call order."""

    observe: dict[str, list[Any]] = field(default_factory=dict)
    record: dict[str, list[Any]] = field(default_factory=dict)


collector: ContextVar[Marks | None] = ContextVar("gradmc_marks", default=None)


@contextmanager
def collecting(marks: Marks | None = None) -> Iterator[Marks]:
    """Collect the marks made inside the `with` block; yields the `Marks` they go to."""
    marks = Marks() if marks is None else marks
    token = collector.set(marks)
    try:
        yield marks
    finally:
        collector.reset(token)


axes: ContextVar[dict[str, Axes] | None] = ContextVar("gradmc_axes", default=None)


@contextmanager
def naming() -> Iterator[dict[str, Axes]]:
    """Collect the axes that `record` is told inside the `with` block, by the name of the quantity."""
    named: dict[str, Axes] = {}
    token = axes.set(named)
    try:
        yield named
    finally:
        axes.reset(token)


prior_only: ContextVar[bool] = ContextVar("gradmc_prior_only", default=False)


@contextmanager
def without_likelihood() -> Iterator[None]:
    """Make `observe` return 0 inside the `with` block: what is left of a program is its prior."""
    token = prior_only.set(True)
    try:
        yield
    finally:
        prior_only.reset(token)


weights: ContextVar[Mapping[str, float]] = ContextVar("gradmc_weights", default=MappingProxyType({}))


@contextmanager
def weighted(given: Mapping[str, float]) -> Iterator[None]:
    """Make `observe` return the terms of these names times a weight inside the `with` block.

    Terms of a batch of b out of n rows have the weight n / b.  What has the weight 0 is left out, whatever it is.
    """
    token = weights.set(given)
    try:
        yield
    finally:
        weights.reset(token)


def _times(weight: float, value: Any) -> Any:
    return weight * (value if isinstance(value, jax.Array | int | float) else np.asarray(value, float))


def _nothing(value: Any) -> Any:
    """Zero in the shape and kind of `value`."""
    return jnp.zeros_like(value) if isinstance(value, jax.Array) else np.zeros_like(value, dtype=float)[()]


def observe[T](name: str, value: T) -> T:
    """Mark a pointwise term of the log likelihood and return it unchanged.

    Inside a loop the terms collect along the loop. Group `log_likelihood` of the results holds them, one
    entry per term; leave-one-out cross-validation and sensitivity checks read them there.

    Args:
        name: what was observed, as a rule the name of the data array (its dimensions then name the terms').
        value: log density of one datum, or an array of them (not yet summed).

    Returns:
        `value`.

    Raises:
        UsageError: the name is not a non-empty string.
    """
    marks = collector.get()
    if marks is not None:
        _checked(name, "observe", "record", marks.record)
        marks.observe.setdefault(name, []).append(value)
    weight = weights.get().get(name)
    if prior_only.get() or weight == 0:
        return _nothing(value)
    return value if weight is None else _times(weight, value)


def record[T](name: str, value: T, *, dims: Dims | None = None) -> T:
    """Mark a derived quantity and return it unchanged.

    Inside a loop the values collect along the loop. They stand in group `posterior` of the results beside the
    parameters, computed once for every kept draw.

    Args:
        name: name of the derived quantity; not that of a parameter.
        value: a number or an array.
        dims: names of the axes of what is collected, those of the loops around the call first: one name, a list of
            names, or a mapping from names to labels along the axes (None for no labels).

    Returns:
        `value`.

    Raises:
        UsageError: the name is not a non-empty string, or is already used by `observe`; `dims` are no names.
    """
    marks = collector.get()
    if marks is not None:
        _checked(name, "record", "observe", marks.observe)
        marks.record.setdefault(name, []).append(value)
    named = axes.get()
    if named is not None and dims is not None:
        found = _axes(name, dims)
        if named.setdefault(name, found) != found:
            raise UsageError(f"record({name!r}, ...): dims are {list(named[name])} in one place and {list(found)} here")
    return value


def _axes(name: str, dims: Any) -> Axes:
    """Check and unify the forms of `dims`."""
    found: Axes
    if isinstance(dims, Mapping):
        found = {key: None if labels is None else tuple(plain_labels(labels)) for key, labels in dims.items()}
    else:
        given = (dims,) if isinstance(dims, str) else tuple(dims) if isinstance(dims, Sequence) else ("",)
        found = dict.fromkeys(given)
        if len(found) < len(given):
            raise UsageError(f"record({name!r}, ...): dims must be different names, got {dims!r}")
    if not all(isinstance(key, str) and key for key in found):
        raise UsageError(f'record({name!r}, ...): dims must be names of axes, got {dims!r}; write dims=["school"]')
    for key in found:
        if (reason := unfit_name(key)) is not None:
            raise UsageError(f"record({name!r}, ...): the axis {key!r}: {reason}")
    return found


def _checked(name: object, this: str, other: str, taken: dict[str, list[Any]]) -> None:
    if not isinstance(name, str) or not name:
        raise UsageError(
            f"{this}(name, value) expects a name (a non-empty string) first, got {name!r} "
            f'of type {type(name).__name__}; write {this}("y", value)'
        )
    if (reason := unfit_name(name)) is not None:
        raise UsageError(f"{this}({name!r}, ...): {reason}")
    if name in taken:
        raise UsageError(
            f"the name {name!r} is used by both {this}() and {other}(); give the derived quantity another name"
        )
