"""`if` and conditional expressions at trace time.

On a plain truth value Python takes its side. On a traced one both sides are traced, each in a frame of its
own, and what they change is brought together by one `if` of the loop IR: variables, stored arrays, appended
items (as many on either side), and marks. A side that raises is never taken: the program's value becomes NaN
where its condition holds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxpr_as_fun

from gradmc.errors import ProgramError
from gradmc.program import ir, marks
from gradmc.program.frontend import bodies, context, failing, forms, operators, where
from gradmc.program.frontend.bodies import Outcome, State
from gradmc.program.frontend.listing import Listing
from gradmc.program.frontend.values import (
    LEAF,
    CannotRoll,
    Fixed,
    Form,
    Missing,
    Unbound,
    is_traced,
    strong,
)

INTERNAL = "__gm_"
ONE_SIDED = "a list grows on one side of a branch only, and which one is not known while compiling"


def if_(
    test: Any,
    then: Callable[[], object],
    otherwise: Callable[[], object] | None,
    state: State,
    results: tuple[str, ...],
) -> None:
    """Run an `if` statement.

    Args:
        test: what it tests.
        then: its body.
        otherwise: the body of its `else`.
        state: reads or sets the variables that the sides share.
        results: the names of those that are read after it (the first ones).
    """
    decided = operators.truth(test)
    if is_traced(decided):
        _merge(decided, then, otherwise or _nothing, state, results)
    elif decided:
        then()
    elif otherwise is not None:
        otherwise()


def _nothing() -> None:
    return None


def choose(test: Any, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
    """A conditional expression."""
    decided = operators.truth(test)
    if not is_traced(decided):
        return then() if decided else otherwise()
    kept = _Kept()
    _merge(decided, lambda: kept(then()), lambda: kept(otherwise()), kept, ("__gm_choice",))
    return kept.value


@dataclass(eq=False)
class _Kept:
    """One variable, as a state."""

    value: Any = None

    def __call__(self, *values: Any) -> tuple:
        if values:
            (self.value,) = values
        return (self.value,)


type Key = tuple
"""("variable", k), ("token", id), ("item" or "items", id, k), ("mark", kind, name, k) or ("failed",)."""


@dataclass(eq=False, slots=True)
class _Side:
    """One traced side: its jaxpr without inputs, and for every key the form and the place of its leaves."""

    jaxpr: Any = None
    found: dict[Key, tuple[Form, int, int]] = field(default_factory=dict)
    subjects: dict[int, Any] = field(default_factory=dict)
    values: dict[Key, Any] = field(default_factory=dict)

    def leaves(self, key: Key) -> list[Any]:
        """Types of the leaves of one key."""
        _, a, b = self.found[key]
        return list(self.jaxpr.out_avals[a:b])


def _trace(body: Callable[[], object], state: State, count: int) -> _Side | None:
    """Trace one side; None if it raises."""
    side = _Side()
    entry = bodies.get(state)

    def finish(outcome: Outcome) -> list[Any]:
        leaves: list[Any] = []

        def keep(key: Key, value: Any) -> None:
            more, form = forms.apart(value)
            side.found[key] = (form, len(leaves), len(leaves) + len(more))
            side.values[key] = value
            leaves.extend(strong(leaf) for leaf in more)

        for k in range(count):
            if outcome.values[k] is not entry[k]:
                keep(("variable", k), outcome.values[k])
        for token, content in outcome.written:
            side.subjects[id(token)] = token
            keep(("token", id(token)), content)
        for token, items in outcome.grown:
            side.subjects[id(token)] = token
            for k, item in enumerate(items):
                keep(("items" if isinstance(item, Listing) else "item", id(token), k), item)
        for kind in ("observe", "record"):
            for name, values in getattr(outcome.marks, kind).items():
                for k, value in enumerate(values):
                    keep(("mark", kind, name, k), value)
        if outcome.failures:
            keep(("failed",), failing.any_of(outcome.failures))
        return leaves

    try:
        side.jaxpr = jax.make_jaxpr(lambda: bodies.run(body, state, _nothing, finish, loop=False))()
    except Exception as error:
        if failing.was_raised(error):
            return None
        raise
    return side


def _merge(
    test: Any,
    then: Callable[[], object],
    otherwise: Callable[[], object],
    state: State,
    names: tuple[str, ...],
) -> None:
    """Trace both sides and set everything that either changes."""
    yes, no = (_trace(body, state, len(names)) for body in (then, otherwise))
    if yes is None and no is None:
        raise ProgramError("both sides of this branch raise", location=where.here())
    if yes is None or no is None:
        failing.note(test if yes is None else jnp.logical_not(test))
    entry = bodies.get(state)
    subjects = {**(yes.subjects if yes else {}), **(no.subjects if no else {})}
    keys = dict.fromkeys([*(yes.found if yes else ()), *(no.found if no else ())])
    merged = [_Merged.of(key, yes, no, _before(key, entry, subjects), names) for key in keys]
    out = iter(
        ir.cond(
            test,
            _side(yes or no, [m.yes for m in merged]),
            _side(no or yes, [m.no for m in merged]),
            source=where.here(),
        )
        if any(m.yes for m in merged)
        else ()
    )
    now = list(entry)
    listener = marks.collector.get()
    for m in merged:
        value = forms.together(m.form, [next(out) for _ in m.yes]) if m.unbound is None else m.unbound
        match m.key:
            case ("variable", k):
                now[k] = context.current().memory.bear(value)
            case ("token", token):
                context.current().memory.write(subjects[token], context.current().memory.peek(value))
            case ("item", token, _):
                context.current().memory.append(subjects[token], value)
            case ("items", token, _):
                context.current().memory.append(subjects[token], context.current().memory.peek(value))
            case ("mark", kind, name, _):
                if listener is not None:
                    getattr(listener, kind).setdefault(name, []).append(value)
            case ("failed",):
                failing.note(value)
    bodies.put(state, now)


def _before(key: Key, entry: tuple, subjects: dict[int, Any]) -> Any:
    """What stands in for a side that does not change it."""
    match key:
        case ("variable", k):
            return entry[k]
        case ("token", token):
            return context.current().memory.peek(subjects[token])
        case ("item" | "items", _, _):
            raise CannotRoll(ONE_SIDED)
        case ("failed",):
            return np.False_
    return None


@dataclass(frozen=True, eq=False, slots=True)
class _Merged:
    """How one key's value on either side becomes one value.

    `yes` and `no` are the leaves on either side: the number of an output of that side's jaxpr (an int in a
    list), or an array from outside.
    """

    key: Key
    form: Form
    yes: list[Any]
    no: list[Any]
    unbound: Unbound | None = None

    @staticmethod
    def of(key: Key, yes: _Side | None, no: _Side | None, before: Any, names: tuple[str, ...]) -> "_Merged":
        sides = [_leaves(key, side, other, before) for side, other in ((yes, no), (no, yes))]
        (yes_form, yes_leaves, yes_types), (no_form, no_leaves, no_types) = sides
        internal = key[0] == "variable" and names[key[1]].startswith(INTERNAL)
        if internal and names[key[1]] != "__gm_choice":
            if isinstance(yes_form, Missing):
                yes_form, yes_leaves, yes_types = no_form, [blank_of(t) for t in no_types], no_types
            elif isinstance(no_form, Missing):
                no_form, no_leaves, no_types = yes_form, [blank_of(t) for t in yes_types], yes_types
        if yes_form == no_form and [t.shape for t in yes_types] == [t.shape for t in no_types]:
            if isinstance(yes_form, Missing):
                return _Merged(key, yes_form, [], [], before if isinstance(before, Unbound) else Unbound("it"))
            return _Merged(key, yes_form, yes_leaves, no_leaves)
        why = _difference((yes_form, yes_types), (no_form, no_types))
        if key[0] == "token" and isinstance(before, list | Listing):
            raise CannotRoll(ONE_SIDED)
        if key[0] != "variable":
            raise CannotRoll(f"the two sides of a branch store different things: {why}")
        name = names[key[1]]
        return _Merged(key, yes_form, [], [], Unbound(name, why))


def blank_of(aval: Any) -> Any:
    """Zeros of a type."""
    return np.zeros(aval.shape, aval.dtype)


def _leaves(key: Key, side: _Side | None, other: _Side | None, before: Any) -> tuple[Form, list[Any], list[Any]]:
    """Form, leaves and types of one key on one side. A side that raises is whatever the other one is."""
    side = side or other
    assert side is not None
    if key in side.found:
        form, a, b = side.found[key]
        return form, [[k] for k in range(a, b)], side.leaves(key)
    if key[0] == "mark":
        assert other is not None
        form, _, _ = other.found[key]
        types = other.leaves(key)
        return form, [np.full(t.shape, np.nan, _floating(t.dtype)) for t in types], types
    leaves, form = forms.apart(before)
    leaves = [strong(leaf) for leaf in leaves]
    return form, leaves, [jax.typeof(leaf) for leaf in leaves]


def _floating(dtype: Any) -> Any:
    return dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.result_type(float)


def _difference(yes: tuple[Form, list], no: tuple[Form, list]) -> str:
    line = where.here()
    at = f" (line {line.line})" if line else ""
    told = [_described(*side) for side in (yes, no)]
    if "nothing" in told:
        return f"it is assigned on one side of a branch only{at}"
    return f"it is {told[0]} on one side of a branch and {told[1]} on the other{at}"


def _described(form: Form, types: list) -> str:
    match form:
        case Missing():
            return "nothing"
        case Fixed(value=value):
            return repr(value)[:40]
    if form == LEAF:
        return "a number" if types[0].shape == () else f"an array of shape {types[0].shape}"
    shapes = ", ".join(str(t.shape) for t in types)
    return f"a {type(form).__name__.lower()} of arrays of shapes {shapes}"


def _side(side: _Side | None, wanted: list[list[Any]]) -> Callable[[], list[Any]]:
    """A function that gives the wanted leaves of one side."""
    assert side is not None

    def leaves() -> list[Any]:
        out = jaxpr_as_fun(side.jaxpr)()
        return [out[leaf[0]] if isinstance(leaf, list) else leaf for group in wanted for leaf in group]

    return leaves
