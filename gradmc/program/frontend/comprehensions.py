"""Comprehensions and generator expressions, and the reductions over them.

A `Generation` is one `for ... if ...` of a comprehension that has not run yet; what it yields may be a further
`Generation`. A list comprehension runs it as a `for` that appends; `sum`, `max`, `min`, `any` and `all` run a
generator expression as a `for` that accumulates, so nothing is stored.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from gradmc.program.frontend import bodies, branches, gaps, operators, ordering, partial, tables
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.iterables import Once, iterate, materialised, rollable, taken
from gradmc.program.frontend.listing import Listing
from gradmc.program.frontend.values import Container, Rows, Selected, any_traced, is_traced, representable


@dataclass(frozen=True, eq=False, slots=True)
class Generation(Once):
    """`for item in source if condition(item)`, with `inner(item)` as its value."""

    ev: Evaluation
    source: Any
    pattern: Any
    condition: Callable[..., Any] | None
    inner: Callable[..., Any]
    size: int

    def parts(self, item: Any) -> list[Any]:
        """The item taken apart into the names of the comprehension."""
        return [item] if self.pattern is None else list(_taken_apart(self.ev, item, self.pattern))

    def __iter__(self) -> Iterator[Any]:
        """The values, one after the other, in Python."""
        for item in iterate(self.ev, self.source):
            parts = self.parts(item)
            if self.condition is not None and not operators.truth(self.ev, self.condition(*parts)):
                continue
            value = self.inner(*parts)
            if isinstance(value, Generation):
                yield from value
            else:
                yield value

    def run(self, take: Callable[[Any], None], state: bodies.State, carried: tuple[str, ...]) -> None:
        """Run it as a `for` statement whose body passes each value to `take`."""

        def body(item: Any) -> None:
            parts = self.parts(item)
            if self.condition is None:
                self._take(parts, take, state, carried)
            else:
                test = self.condition(*parts)
                branches.if_(self.ev, test, lambda: self._take(parts, take, state, carried), None, state, carried)

        self.ev.for_(
            self.source, body, state, carried, (), None, (), (), self.size, getattr(self.inner, "__code__", None)
        )

    def _take(
        self, parts: list[Any], take: Callable[[Any], None], state: bodies.State, carried: tuple[str, ...]
    ) -> None:
        value = self.inner(*parts)
        if isinstance(value, Generation):
            value.run(take, state, carried)
        else:
            take(value)


def _taken_apart(ev: Evaluation, item: Any, pattern: tuple) -> Iterator[Any]:
    items = list(iterate(ev, item))
    if len(items) != len(pattern):
        raise ValueError(f"cannot unpack {len(items)} values into {len(pattern)} names")
    for part, below in zip(items, pattern, strict=True):
        if below is None:
            yield part
        else:
            yield from _taken_apart(ev, part, below)


def generate(
    ev: Evaluation,
    source: Any,
    pattern: Any,
    condition: Callable[..., Any] | None,
    inner: Callable[..., Any],
    size: int,
) -> Generation:
    """One `for` of a comprehension; `size` counts its expression nodes."""
    return Generation(ev, materialised(ev, source), pattern, condition, inner, size)


def comprehension(ev: Evaluation, kind: str, generation: Generation) -> Any:
    """The value of a comprehension."""
    match kind:
        case "GeneratorExp":  # who runs through it may leave it before its end
            source = taken(ev, generation.source, early=True)
            return ev.heap.allocate_object(replace(generation, source=source))
        case "ListComp":
            return as_list(ev, generation)
        case "SetComp":
            return set(generation)
        case _:
            return dict(generation)


def as_list(ev: Evaluation, generation: Generation) -> list:
    """All values in a list."""
    heap = ev.heap
    result: list = []
    heap.allocate(result)
    source = rollable(ev, generation.source)
    if source is None:
        result.extend(generation)
        return result
    if is_traced(source.length):  # written out, it would append or not: as a loop it tells how often
        generation = replace(generation, size=-1)
    generation.run(lambda value: heap.append(result, value), None, ())
    return result


@dataclass(eq=False, slots=True)
class ReductionVariable:
    """The variable of a reduction, as the state of its loop."""

    value: Any

    def __call__(self, *values: Any) -> tuple:
        """Read it, or set it."""
        if values:
            (self.value,) = values
        return (self.value,)


def reduce(ev: Evaluation, generation: Generation, start: Any, combine: Callable[[Any, Any], Any]) -> Any:
    """Combine all values, beginning with `start`."""
    total = ReductionVariable(start)

    def take(value: Any) -> None:
        total.value = combine(total.value, value)

    generation.run(take, total, ("the sum",))
    return total.value


def sum_(ev: Evaluation, values: Any, start: Any = 0) -> Any:
    """`sum`."""
    if isinstance(values, Generation):
        return reduce(ev, values, start, lambda a, b: operators.binary(ev, "Add", a, b))
    return reduce(ev, over(ev, values), start, lambda a, b: operators.binary(ev, "Add", a, b))


def over(ev: Evaluation, values: Any) -> Generation:
    """Any iterable as a generation."""
    return Generation(ev, values, None, None, lambda item: item, 1)


def extreme(ev: Evaluation, values: Any, combine: Callable[..., Any]) -> Any:
    """`max` or `min` of an iterable."""
    generation = values if isinstance(values, Generation) else over(ev, values)
    source = rollable(ev, generation.source)
    if source is None:
        items = list(generation)
        result = items[0]
        for item in items[1:]:
            result = combine(ev, result, item)
        return result
    numbers = partial.of_list(ev, as_list(ev, generation))
    if isinstance(numbers, Selected):
        return partial.reduced(ev, numbers, "max" if combine is larger else "min")
    content = ev.heap.content(numbers)
    if isinstance(content, list):
        result = content[0]
        for item in content[1:]:
            result = combine(ev, result, item)
        return result
    if isinstance(content, Listing) and isinstance(content.stacked(ev).form, Container | Rows):
        return ordering.extreme(ev, list(content.items(ev)), None, max if combine is larger else min)
    whole = operators.whole_array(ev, content)
    if ev.missing and jnp.issubdtype(whole.dtype, jnp.floating):
        return _extreme_of_some(whole, combine is larger)
    return (jnp.max if combine is larger else jnp.min)(whole, axis=0)


def _extreme_of_some(whole: Any, largest: bool) -> Any:
    """Python passes over NaN, which is neither larger nor smaller than another number, unless it comes first."""
    there = jnp.where(jnp.isnan(whole), -jnp.inf if largest else jnp.inf, whole)
    found = (jnp.max if largest else jnp.min)(there, axis=0)
    return jnp.where(jnp.isnan(whole[0]), jnp.nan, found)


def larger(ev: Evaluation, a: Any, b: Any) -> Any:
    """The larger of two numbers, as Python's `max`."""
    if any_traced((a, b)) and isinstance(a, tuple):
        return ev.choose(operators.compare(ev, "Gt", b, a), lambda: b, lambda: a)
    a, b = operators.content(ev, a), operators.content(ev, b)
    if not (is_traced(a) or is_traced(b)):
        return max(a, b)
    a, b = representable(a), representable(b)
    if ev.missing and jnp.issubdtype(jnp.result_type(a, b), jnp.floating):
        return gaps.where(ev, b > a, b, a)
    return tables.apply(ev, jnp.maximum(a, b), np.maximum, a, b)


def smaller(ev: Evaluation, a: Any, b: Any) -> Any:
    """The smaller of two numbers, as Python's `min`."""
    if any_traced((a, b)) and isinstance(a, tuple):
        return ev.choose(operators.compare(ev, "Lt", b, a), lambda: b, lambda: a)
    a, b = operators.content(ev, a), operators.content(ev, b)
    if not (is_traced(a) or is_traced(b)):
        return min(a, b)
    a, b = representable(a), representable(b)
    if ev.missing and jnp.issubdtype(jnp.result_type(a, b), jnp.floating):
        return gaps.where(ev, b < a, b, a)
    return tables.apply(ev, jnp.minimum(a, b), np.minimum, a, b)


def all_(ev: Evaluation, values: Any) -> Any:
    """`all`."""
    generation = values if isinstance(values, Generation) else over(ev, values)
    return reduce(ev, generation, True, lambda a, b: _both(ev, a, b))


def any_(ev: Evaluation, values: Any) -> Any:
    """`any`."""
    generation = values if isinstance(values, Generation) else over(ev, values)
    return reduce(ev, generation, False, lambda a, b: _either(ev, a, b))


def _both(ev: Evaluation, a: Any, b: Any) -> Any:
    a, b = operators.truth(ev, a), operators.truth(ev, b)
    return jnp.logical_and(a, b) if is_traced(a) or is_traced(b) else a and b


def _either(ev: Evaluation, a: Any, b: Any) -> Any:
    a, b = operators.truth(ev, a), operators.truth(ev, b)
    return jnp.logical_or(a, b) if is_traced(a) or is_traced(b) else a or b
