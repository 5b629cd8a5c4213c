"""What crosses from one iteration of a traced loop to the next.

It is only known after the body has run: the body may store into an array through another name, or bind a variable
for the first time. A run that finds more than was known raises `Again` with a larger `LoopCarry`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.growth import Growth
from gradmc.program.frontend.identity import Shared
from gradmc.program.frontend.slots import SlotPlan
from gradmc.program.frontend.values import AppendCount, Form, is_array


@dataclass(frozen=True, slots=True)
class LoopCarry:
    """What is known to cross from one iteration to the next besides the values of variables.

    Attributes:
        tokens: arrays, lists, dicts and objects from outside that the body changes.
        growing: lists from outside that the body appends to and reads.
        fields: names of the attributes that it changes, for those of the tokens that are objects.
        stacked: variables that hold lists to be carried as arrays.
        packed: lists of few numbers among the tokens that must be carried as arrays, too.
        kept: variables that hold the same object in all iterations.
        rebound: variables changed by `x += v` that end as another object.
        late: variables that get their first value in the body, with a value of the same form.
        tabled: carried numbers by leaf, and what they are in every iteration (None: it cannot be told).
        shared: places that hold one object from one iteration to the next.
        options: variables that hold text or None, and all that they may be.
        made: for objects among the tokens, attributes that get their first value in the body, blank.
        replaced: for dicts among the tokens, keys of arrays, lists and the like in whose place the body puts others.
        slots: plans for those dicts among the tokens that need slots (`slots`).
        unsure: numbers that are Python's before the loop and numpy's after an iteration, or the other way round.
    """

    tokens: dict[int, Any] = field(default_factory=dict)
    growing: dict[int, Growth] = field(default_factory=dict)
    fields: dict[int, tuple[str, ...]] = field(default_factory=dict)
    stacked: frozenset[str] = frozenset()
    packed: frozenset[int] = frozenset()
    kept: frozenset[str] = frozenset()
    rebound: frozenset[str] = frozenset()
    late: dict[str, tuple[Form, list]] = field(default_factory=dict)
    tabled: dict[int, np.ndarray | None] = field(default_factory=dict)
    shared: tuple[Shared, ...] = ()
    options: dict[str, tuple] = field(default_factory=dict)
    made: dict[int, dict[str, Any]] = field(default_factory=dict)
    replaced: dict[int, frozenset[Any]] = field(default_factory=dict)
    slots: dict[int, SlotPlan] = field(default_factory=dict)
    unsure: frozenset[str] = frozenset()

    def with_growing(self, ev: Evaluation, token: list, *, counted: bool = False) -> "LoopCarry":
        """With a list that the body appends to and reads; `counted`: how often may depend on parameters."""
        return replace(
            self,
            tokens={**self.tokens, id(token): token},
            growing={**self.growing, id(token): Growth.of(ev, token, AppendCount() if counted else None)},
        )

    def with_slots(self, token: dict, plan: SlotPlan) -> "LoopCarry":
        """With a dict that the body stores into by keys that change."""
        before = self.slots.get(id(token))
        whole = plan if before is None else before.joined(plan)
        return replace(self, tokens={**self.tokens, id(token): token}, slots={**self.slots, id(token): whole})


class Again(BaseException):
    """Passes through the tracer: trace again, knowing more."""

    def __init__(self, carry: LoopCarry) -> None:
        super().__init__("again")
        self.carry = carry


def foreseen(ev: Evaluation, stores: Sequence[Callable[[], Any]]) -> dict[int, Any]:
    """The arrays and lists that a body stores into by name."""
    heap = ev.heap
    tokens = {}
    for read in stores:
        try:
            token = read()
        except NameError:
            continue
        while (view := heap.parent(token)) is not None:
            token = view.parent
        if isinstance(token, list) or is_array(token):
            tokens[id(token)] = token
    return tokens
