"""`if` and conditional expressions at trace time.

On a plain truth value Python takes its side. On a traced one both sides are traced (`sides`), and what they change
is brought together by one `if` of the loop IR. A side that raises is never taken: the program's value becomes NaN
where its condition holds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from gradmc.errors import ProgramError
from gradmc.program import ir, marks
from gradmc.program.frontend import bodies, dicts, failing, operators, pythons, sides, tables, user_line
from gradmc.program.frontend.bodies import State
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.phi_objects import PhiObjects
from gradmc.program.frontend.slots import Reslot
from gradmc.program.frontend.values import is_traced


def if_(
    ev: Evaluation,
    test: Any,
    then: Callable[[], object],
    otherwise: Callable[[], object] | None,
    state: State,
    results: tuple[str, ...],
    first: bool = False,
) -> None:
    """Run an `if` statement.

    Args:
        test: what it tests.
        then: its body.
        otherwise: the body of its `else`.
        state: reads or sets the variables that the sides share.
        results: the names of those that are read after it (the first ones).
        first: whether the first iteration of the loop around it surely takes the side `then`, so that what this
            side assigns has a value whenever the other is taken.
    """
    decided = _decided(ev, test)
    if is_traced(decided):
        _merge(ev, decided, then, otherwise or _nothing, state, results, first=first)
    elif decided:
        then()
    elif otherwise is not None:
        otherwise()


def _decided(ev: Evaluation, test: Any) -> Any:
    """The truth value of a test: a plain one if it is the same in all iterations of the loops around."""
    decided = operators.truth(ev, test)
    same = tables.same(tables.known(ev, decided)) if is_traced(decided) else None
    return decided if same is None else same


def _nothing() -> None:
    return None


def choose(ev: Evaluation, test: Any, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
    """A conditional expression."""
    decided = _decided(ev, test)
    if not is_traced(decided):
        return then() if decided else otherwise()
    kept = _Kept()
    _merge(ev, decided, lambda: kept(then()), lambda: kept(otherwise()), kept, (sides.CHOICE,))
    return kept.value


@dataclass(eq=False)
class _Kept:
    """One variable, as a state."""

    value: Any = None

    def __call__(self, *values: Any) -> tuple:
        if values:
            (self.value,) = values
        return (self.value,)


def _merge(
    ev: Evaluation,
    test: Any,
    then: Callable[[], object],
    otherwise: Callable[[], object],
    state: State,
    names: tuple[str, ...],
    *,
    first: bool = False,
) -> None:
    """Trace both sides and set everything that either changes."""
    try:
        yes, no = (sides.trace(ev, body, state, len(names)) for body in (then, otherwise))
        if inside := sides.changed_inside(ev, yes, no):
            yes = sides.trace(ev, then, state, len(names), inside)
        if inside := sides.changed_inside(ev, no, yes):
            no = sides.trace(ev, otherwise, state, len(names), inside)
        one, other = yes, no
        if yes.error is not None or no.error is not None:
            one, other = _raising(ev, test, yes, no)
        phis = sides.Join(ev, one, other, names, bodies.get(state), tables.known(ev, test), first).phis()
    except Reslot as asked:
        if asked.depth != len(ev.heap.frames):
            raise
        dicts.give_slots(ev, asked.token, asked.plan)
        _merge(ev, test, then, otherwise, state, names, first=first)
        return
    out = []
    if any(m.yes for m in phis):
        here = sides.picked(one, [(m.yes, m.spread) for m in phis])
        there = sides.picked(other, [(m.no, m.spread) for m in phis])
        out = ir.cond(test, here, there, source=user_line.here())
    rest = iter(out)
    found = PhiObjects(ev.heap, (one, other), {**one.subjects, **other.subjects})
    now = list(bodies.get(state))
    for m in phis:
        found.begin(m.key, now)
    values = [_set_one(ev, m, [next(rest) for _ in m.yes], found, now) for m in phis]
    for m, value in zip(phis, values, strict=True):
        found.note(m.key, value)
    found.end()
    bodies.put(state, now)


def _raising(ev: Evaluation, test: Any, yes: sides.Side, no: sides.Side) -> tuple[sides.Side, sides.Side]:
    """Two sides, one of which raises: note when; what they leave is what the other leaves.

    Raises:
        ProgramError: both do, and no `try` catches it.
    """
    for side, taken in ((yes, test), (no, operators.not_(ev, test))):
        if side.error is not None:
            leaves = side.leaves()
            for (_, kinds), (_, first, _) in side.found.items():
                known = isinstance(leaves[first], np.ndarray) or len(leaves) == 1
                failing.note(ev, taken if known else jnp.logical_and(taken, leaves[first]), *kinds)
    if yes.error is None:
        return yes, yes
    if no.error is not None:
        if not failing.waits_for(ev, type(no.error)):
            raise ProgramError("both sides of this branch raise", location=user_line.here())
        raise no.error
    return no, no


def _set_one(ev: Evaluation, m: sides.Phi, leaves: list[Any], found: PhiObjects, variables: list[Any]) -> Any:
    """Make one thing what it is after the branch; returns that."""
    value = m.value(ev, leaves)
    if is_traced(value):
        kind, which, *_ = m.key
        before = variables[which] if kind == "variable" else None
        whose = {pythons.of_result(ev, side.values.get(m.key, before)) for side in found.both}
        pythons.note(ev, value, whose.pop() if len(whose) == 1 else None)
    _set(ev, m.key, value, found.subjects, variables)
    return value


def _set(ev: Evaluation, key: sides.Key, value: Any, subjects: dict[int, Any], variables: list[Any]) -> None:
    """Make one thing what it is after the branch."""
    heap = ev.heap
    match key:
        case ("variable", k):
            variables[k] = heap.allocate(value)
        case ("token", token):
            heap.write(subjects[token], heap.held(subjects[token], value))
        case ("item", token, _):
            heap.append(subjects[token], value)
        case ("items", token, _):
            heap.append(subjects[token], heap.peek(value))
        case ("mark", kind, name, _):
            listener = marks.collector.get()
            if listener is not None:
                getattr(listener, kind).setdefault(name, []).append(value)
        case ("failed", kinds):
            failing.note(ev, value, *kinds)
