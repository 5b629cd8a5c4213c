"""`while` at trace time, and `for` over a range whose end is traced.

The loop runs in Python for as long as its test is a plain truth value; from the iteration on in which the
test is traced, it is one `while` of the loop IR.
"""

from collections.abc import Callable, Sequence
from typing import Any

from gradmc.errors import ProgramError
from gradmc.program import ir
from gradmc.program.frontend import operators, unrolling, where
from gradmc.program.frontend.bodies import Outcome, State
from gradmc.program.frontend.iterables import Rollable
from gradmc.program.frontend.rolling import INTERNAL, Crossing, Loop, Trial
from gradmc.program.frontend.values import CannotRoll, Unbound, is_traced

UNKNOWN = "the number of iterations is not known while compiling"


def while_(
    test: Callable[[], Any],
    body: Callable[[], object],
    state: State,
    carried: tuple[str, ...],
    after: tuple[str, ...],
    ended: Callable[[], Any] | None,
    stores: tuple[Callable[[], Any], ...],
    augmented: tuple[str, ...],
    size: int,
) -> None:
    """Run a `while` statement; the arguments are those of `for_`, with a test in place of the iterable."""
    del ended, size  # the test includes the flags that end the loop
    unrolled = unrolling.Unrolled("its test is a plain truth value")
    while True:
        decided = test()
        if is_traced(decided):
            break
        if not operators.truth(decided):
            unrolled.end()
            return
        unrolled.iteration(body)
    unrolled.end()
    names = (*carried, *after)
    loop = Loop(_ENDLESS, lambda _: body(), state, names, (), augmented, stores, where.here())
    loop.settle(lambda crossing: _While(loop, crossing, lambda _: test()).run())


def counted(
    source: Rollable,
    body: Callable[[Any], object],
    state: State,
    carried: tuple[str, ...],
    after: tuple[str, ...],
    augmented: tuple[str, ...],
    stores: tuple[Callable[[], Any], ...],
) -> None:
    """Run a `for` whose number of iterations is traced."""
    names = (*carried, *after)
    loop = Loop(source, body, state, names, (), augmented, stores, where.here())
    loop.settle(lambda crossing: _While(loop, crossing, lambda i: i < source.length).run())


_ENDLESS = Rollable(0, lambda i: i)


class _While(Trial):
    """One attempt at tracing a loop of unknown length. The iteration's number is carried along."""

    def __init__(self, loop: Loop, crossing: Crossing, test: Callable[[Any], Any]) -> None:
        super().__init__(loop, crossing)
        self.test = test

    def run(self) -> None:
        def go_on(carry: Sequence[Any]) -> Any:
            i, *leaves = carry
            decided = []

            def test() -> None:
                decided.append(operators.truth(self.test(i)))

            return self.within(test, i, leaves, lambda _: decided[0])

        def body(carry: Sequence[Any]) -> list[Any]:
            i, *leaves = carry

            def once() -> None:
                self.loop.body(self.loop.source.item(i))

            return [i + 1, *self.within(once, i, leaves, self._end)]

        start = strong_zero()
        try:
            _, *out = ir.while_loop(go_on, body, [start, *self.pack.leaves], source=self.loop.place)
        except ir.CarryError as error:
            shifted = ir.CarryError([(k - 1, a, b) for k, a, b in error.mismatches])
            raise ProgramError(
                f"this while loop cannot be compiled: {self.told(shifted)}",
                location=where.here(),
                remedy="Give the variable its final shape before the loop.",
            ) from None
        self.assign(out)

    def _end(self, outcome: Outcome) -> list[Any]:
        if outcome.grown:
            raise CannotRoll(f"a list grows in it, and {UNKNOWN}")
        if outcome.marks.observe or outcome.marks.record:
            raise ProgramError(
                f"observe() and record() cannot collect along this loop: {UNKNOWN}",
                location=where.here(),
                remedy="Mark the value after the loop, or use a for loop over a range of known length.",
            )
        if outcome.failures:
            raise ProgramError(
                f"assert and raise on traced values cannot be compiled in this loop: {UNKNOWN}",
                location=where.here(),
                remedy="Test after the loop.",
            )
        return self.leaving(outcome)

    def assign(self, out: Sequence[Any]) -> None:
        """As after a `for`, except that what the body binds first may have no value: it may never have run."""
        super().assign(out)
        from gradmc.program.frontend import bodies

        values = [
            Unbound(name, "it is assigned only inside a loop that may run no iteration")
            if name in self.crossing.late and not name.startswith(INTERNAL)
            else value
            for name, value in zip(self.names, bodies.get(self.loop.state), strict=True)
        ]
        bodies.put(self.loop.state, values)


def strong_zero() -> Any:
    """The number of the first iteration."""
    import jax
    import numpy as np

    return np.zeros((), jax.dtypes.canonicalize_dtype(np.int64))
