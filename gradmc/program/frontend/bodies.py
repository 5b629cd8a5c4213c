"""Run the body of a loop or the side of a branch, with everything that it changes.

What a body changes: the variables it assigns, the arrays and lists it stores into, the lists it appends to,
and the marks it makes. `run` gives a body a frame, hands what it left (`BodyExit`) to `finish`, and puts everything
back; `Pack` turns values into the flat leaves that pass through a jaxpr.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from gradmc.program import marks
from gradmc.program.frontend import forms
from gradmc.program.frontend.aliases import Copies
from gradmc.program.frontend.body_exit import BodyExit
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.values import Form, Unbound

type State = Callable[..., tuple] | None
"""Reads the variables that a body shares with its surroundings, or sets them."""


def get(state: State) -> tuple:
    """The values of the shared variables."""
    return state() if state is not None else ()


def put(state: State, values: Sequence[Any]) -> None:
    """Set the shared variables."""
    if state is not None:
        state(*values)


def run[T](
    ev: Evaluation,
    body: Callable[[], object],
    state: State,
    begin: Callable[[], object],
    finish: Callable[[BodyExit], T],
    *,
    loop: bool,
    branch: bool = False,
) -> T:
    """Run a body in a frame of its own, and undo what it did.

    Args:
        body: runs it.
        state: the variables that it shares.
        begin: sets what the body sees.
        finish: takes what the body left.
        loop: whether it is a loop's body,
        branch: or the side of a branch.

    Returns:
        What `finish` returns.
    """
    entry = get(state)
    frame = ev.heap.enter(loop=loop, branch=branch)
    for variable in getattr(state, "__closure__", None) or ():
        ev.heap.own_variable(variable)
    copies, ev.copies = ev.copies, 1
    held: list[Copies] = []
    doubled: list[list] = []
    listening = marks.collector.get() is not None
    try:
        with marks.collecting() if listening else nullcontext(marks.Marks()) as collected:
            begin()
            body()
        ev.heap.aliases.check_choices()
        if branch:
            ev.heap.aliases.check_copies()
            held, doubled = ev.heap.aliases.copies(), ev.heap.aliases.doubled_outside()
        written = [(cell.token, cell.content) for cell, _ in frame.saved.values()]
        left = finish(BodyExit(get(state), written, list(frame.grown.values()), collected, list(frame.failures)))
        if branch:
            ev.heap.check_rows()
        return left
    finally:
        put(state, entry)
        ev.copies = copies
        ev.heap.leave(frame)
        ev.heap.aliases.keep(held, doubled)


@dataclass(eq=False, slots=True)
class Pack:
    """Several values as one flat list of leaves, and the way back."""

    ev: Evaluation
    leaves: list[Any] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)

    def add(self, value: Any, *, stack: bool = False) -> Form:
        """Take a value apart and keep its leaves; returns its form."""
        leaves, form = forms.apart(self.ev, value, stack=stack)
        self.spans.append((len(self.leaves), len(self.leaves) + len(leaves)))
        self.leaves += leaves
        self.forms.append(form)
        return form

    def values(self, leaves: Sequence[Any]) -> list[Any]:
        """The values with these leaves in the places of the packed ones."""
        return [forms.together(self.ev, form, leaves[a:b]) for form, (a, b) in zip(self.forms, self.spans, strict=True)]


def named(name: str, value: Any) -> Any:
    """A value fit to be assigned to `name`: an `Unbound` tells the name."""
    return Unbound(name, value.reason, value.late) if isinstance(value, Unbound) else value
