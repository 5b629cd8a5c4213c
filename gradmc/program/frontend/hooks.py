"""The hooks that converted functions call, under the names that `functionalise` and `expressions` write."""

from collections.abc import Callable
from types import CellType
from typing import Any

from gradmc.errors import ProgramError
from gradmc.program.frontend import (
    attributes,
    branches,
    calls,
    comprehensions,
    container_methods,
    converting,
    dicts,
    failing,
    forms,
    iterables,
    library_calls,
    loops,
    methods,
    nullable,
    operators,
    special_methods,
    stores,
    subscripts,
    text,
    trying,
    user_line,
    whiles,
)
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.heap import Heap
from gradmc.program.frontend.values import Unbound
from gradmc.program.ir import MAX_LOOP_ITERATIONS


class Hooks(Evaluation):
    """One evaluation, as converted functions see it."""

    apart = forms.apart
    together = forms.together
    and_ = operators.and_
    binary = operators.binary
    chain = operators.chain
    compare = operators.compare
    content = operators.content
    inplace = operators.inplace
    made = operators.made
    not_ = operators.not_
    or_ = operators.or_
    truth = operators.truth
    unary = operators.unary
    bound = returned = nullable.bound
    formatted = text.formatted
    joined = staticmethod(text.joined)
    element = subscripts.element
    load = subscripts.load
    slice_ = staticmethod(subscripts.slice_)
    unpack = subscripts.unpack
    delete_item = stores.delete_item
    replace = stores.replace
    store = stores.store
    store_inplace = stores.store_inplace
    iterate = iterables.iterate
    choose = branches.choose
    if_ = branches.if_
    comprehension = comprehensions.comprehension
    generate = comprehensions.generate
    for_ = loops.for_
    counted = whiles.counted
    stopping = whiles.stopping
    while_ = whiles.while_
    attempt = trying.attempt
    attempted = trying.attempted
    catching = staticmethod(trying.catching)
    step = trying.step
    suppressed = staticmethod(trying.suppressed)
    try_ = trying.try_
    assert_ = failing.assert_
    raised = staticmethod(failing.raised)
    attribute = attributes.attribute
    call = calls.call
    delete_attribute = attributes.delete_attribute
    display = dicts.display
    mapping = dicts.mapping
    list_method = container_methods.list_method
    method = methods.method
    present = library_calls.present
    set_attribute = attributes.set_attribute
    subject = staticmethod(calls.subject)
    users_function = converting.users_function
    managed = special_methods.managed

    def __init__(
        self,
        *,
        missing: bool = False,
        wavering: list[float] | None = None,
        max_loop_iterations: int = MAX_LOOP_ITERATIONS,
    ) -> None:
        super().__init__(missing=missing, wavering=wavering, max_loop_iterations=max_loop_iterations)
        self.heap = Heap(self)

    @staticmethod
    def unbound(name: str) -> Unbound:
        """The value of a variable that is not set yet."""
        return Unbound(name)

    def owns(self, *variables: Callable[[], Any]) -> None:
        """A function begins to run, some of whose variables functions inside of it set. Each is told by a lambda."""
        for variable in variables:
            self.heap.own_variable(_cell(variable))

    def sets(self, *variables: Callable[[], Any]) -> None:
        """The next statement sets variables of a function around the one that runs."""
        for variable in variables:
            name = variable.__code__.co_freevars[0]
            if not self.heap.set_variable(_cell(variable), name):
                raise ProgramError(
                    f"a function sets {name!r}, which was made outside of the program and outlasts its evaluation",
                    location=user_line.here(),
                    remedy="Make the function in the program, or pass the value as an argument and return the new one.",
                )


def _cell(variable: Callable[[], Any]) -> CellType:
    assert variable.__closure__ is not None
    return variable.__closure__[0]
