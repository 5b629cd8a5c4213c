"""`while` at trace time, and `for` over a range whose end is traced.

A `while` is traced once, as a `while` of the loop IR. If what ends it depends on data only, its length is computed
(`control`), and it becomes a `for`. What cannot be traced once runs in Python for as long as its test is plain.

A loop that parameters end may never end at some of them (`while x > tol: x *= math.exp(-k)` as k goes to 0), and
compiled code cannot be interrupted. So there is a bound to its iterations, beyond which the program fails.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, override

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, Literal, Var

from gradmc.errors import ProgramError
from gradmc.program import ir
from gradmc.program.frontend import (
    bodies,
    control,
    failing,
    identity,
    loops,
    operators,
    tables,
    unrolling,
    user_line,
)
from gradmc.program.frontend.bodies import State
from gradmc.program.frontend.body_exit import BodyExit
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.iterables import Rollable
from gradmc.program.frontend.loop_carry import Again, LoopCarry
from gradmc.program.frontend.loop_state import INTERNAL, Statement
from gradmc.program.frontend.rolling import Loop
from gradmc.program.frontend.tables import Table
from gradmc.program.frontend.trial import DataOnly, Trial
from gradmc.program.frontend.values import CannotRoll, Nullable, Unbound, is_traced

ACTS = "the test of this while changes something"
FAILS = "the test of this while may fail"
ACTS_REMEDY = "Write `while True:`, and the test with a break in the body."
FIRST = 2
"""What a loop of unknown length carries before its variables: the iteration's number, how it has failed (0: not)."""
UNKNOWN = "the number of iterations is not known while compiling"


def while_(
    ev: Evaluation,
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
    del ended  # the test includes the flags that end the loop
    decided = _decided(ev, test)
    if isinstance(decided, CannotRoll):
        if not _in_python(ev, test, body, unrolling.Unrolled(ev, str(decided))):
            raise decided
        return
    if not is_traced(decided) and not decided:
        test()  # for what it notes
        return
    loop = Loop(ev, _ENDLESS, lambda _: body(), state, (*carried, *after), (), augmented, stores, user_line.here())
    try:
        attempts: list[_While] = []
        runs = not is_traced(decided)
        loop.settle(lambda carry: attempts.append(_While(ev, loop, carry, lambda _: test(), runs=runs)))
        counts = attempts[-1].trips()
        if counts is None:
            attempts[-1].emit()
            return
        length = tables.same(counts)
        if length is not None and loops.stays_in_python(ev, length, size):
            _in_python(ev, test, body, unrolling.Unrolled(ev, unrolling.SHORT, length))
            return
        names = (*carried, *after)
        if length is None:
            source = Rollable(tables.look(ev, counts), lambda i: i, int(counts.values.max(initial=0)))
            loops.for_(ev, source, lambda _: body(), state, names, (), None, stores, augmented, size)
            return
        source = Rollable(length, lambda i: i)
        Loop(ev, source, lambda _: body(), state, carried, after, augmented, stores, user_line.here()).roll()
    except DataOnly:
        _in_python(ev, test, body, unrolling.Unrolled(ev, unrolling.DATA))
    except (Exception, CannotRoll) as obstacle:
        if is_traced(decided) or not unrolling.is_obstacle(obstacle):
            raise
        if not _in_python(ev, test, body, unrolling.Unrolled(ev, unrolling.reason(obstacle))):
            raise


def _decided(ev: Evaluation, test: Callable[[], Any]) -> Any:
    """The truth value of the test, with what it changes undone: an obstacle if it changes anything."""
    decided = []

    def finish(outcome: BodyExit) -> Any:
        return CannotRoll(ACTS, ACTS_REMEDY) if outcome.written or outcome.grown else decided[0]

    try:
        return bodies.run(
            ev, lambda: decided.append(operators.truth(ev, test())), None, lambda: None, finish, loop=False
        )
    except CannotRoll as obstacle:
        return obstacle


def _in_python(ev: Evaluation, test: Callable[[], Any], body: Callable[[], object], loop: unrolling.Unrolled) -> bool:
    """Run the loop in Python; False if its test turns out to be traced."""
    while True:
        decided = operators.truth(ev, test())
        if is_traced(decided):
            return False
        if not decided:
            loop.end()
            return True
        loop.iteration(body)


def counted(
    ev: Evaluation,
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
    loop = Loop(ev, source, body, state, names, (), augmented, stores, user_line.here())
    loop.settle(lambda carry: _While(ev, loop, carry, lambda i: i < source.length).emit())


def stopping(ev: Evaluation, loop: Loop) -> bool:
    """Run a `for` that a condition on parameters may end as a `while`; False if it does what a `while` cannot."""
    ended, n = loop.ended, loop.source.length
    names = (*loop.carried, *loop.after)
    alone = replace(loop, carried=names, after=(), whole=True)

    def goes_on(i: Any) -> Any:
        return i < n if ended is None else operators.both(ev, i < n, operators.not_(ev, ended()))

    try:
        alone.settle(lambda carry: _While(ev, alone, carry, goes_on, runs=True, most=n).emit())
    except (CannotRoll, ProgramError):
        return False
    return True


_ENDLESS = Rollable(0, lambda i: i)


def _bounded(jaxpr: Jaxpr, bound: int) -> Jaxpr:
    """A traced loop that takes at most so many iterations, and as a last result whether it would go on after them."""
    (loop,) = (eqn for eqn in jaxpr.eqns if eqn.primitive is ir.while_p)
    n, cond = loop.params["n_consts"], loop.params["cond"]
    names: dict[Any, Any] = dict(zip(cond.invars, [*loop.invars[:n], *loop.outvars], strict=True))

    def named(atom: Any) -> Any:
        return atom if isinstance(atom, Literal) else names[atom]

    tested = []
    for eqn in cond.eqns:
        invars = [named(v) for v in eqn.invars]
        names |= {v: Var(v.aval) for v in eqn.outvars}
        tested.append(eqn.replace(invars=invars, outvars=[names[v] for v in eqn.outvars]))
    eqns = [eqn.replace(params={**eqn.params, "max_steps": bound}) if eqn is loop else eqn for eqn in jaxpr.eqns]
    return jaxpr.replace(eqns=[*eqns, *tested], outvars=[*jaxpr.outvars, named(cond.outvars[0])])


class _While(Trial):
    """One attempt at tracing a loop of unknown length.

    The iteration's number is carried along, and whether an iteration, or the test, has failed. `runs` says that there
    surely is one, `most` how many there are at most.
    """

    def __init__(
        self,
        ev: Evaluation,
        loop: Statement,
        carry: LoopCarry,
        test: Callable[[Any], Any],
        *,
        runs: bool = False,
        most: int | None = None,
    ) -> None:
        self.known = most
        super().__init__(ev, loop, carry)
        self.test = test
        self.runs = runs
        self.bound = None if most is not None or self.ev.endless else self.ev.max_loop_iterations
        self.may_fail = False
        self.stops = False
        start = np.zeros((), jax.dtypes.canonicalize_dtype(np.int64))
        self.kinds: list[failing.Kinds] = []
        self.inputs = [start, start, *self.pack.leaves]
        self.jaxpr = jax.make_jaxpr(self._while)(*self.inputs)

    def trips(self) -> Table | None:
        """The number of iterations, if it depends on data only."""
        return control.trips(self.ev, self.jaxpr, self.inputs)

    def emit(self) -> None:
        """Run the loop, and set everything it changes; an iteration that fails is the last."""
        if self.carry.growing and self.most is None:
            raise self._grows()
        if self.may_fail:
            self.stops = True
            self.jaxpr = jax.make_jaxpr(self._while)(*self.inputs)
        jaxpr = self.jaxpr if self.bound is None else _bounded(self.jaxpr, self.bound)
        _, failed, *out = ir.opened(jaxpr)(*self.inputs)
        if self.bound is not None:
            failing.note(self.ev, out.pop())
        if self.may_fail:
            for k, kinds in enumerate(self.kinds):
                failing.note(self.ev, failed == k + 1, *kinds)
        self.assign(out)

    def _while(self, *inputs: Any) -> list[Any]:
        try:
            return ir.while_loop(self._go_on, self._once, list(inputs), source=self.loop.place)
        except ir.CarryError as error:
            shifted = ir.CarryError([(k - FIRST, a, b) for k, a, b in error.mismatches])
            raise CannotRoll(self.told(shifted)) from None

    def _go_on(self, values: Sequence[Any]) -> Any:
        i, failed, *leaves = values
        decided = []

        around, self.ev.endless = self.ev.endless, True

        def test() -> None:
            decided.append(operators.truth(self.ev, self.test(i)))

        def finish(outcome: BodyExit) -> Any:
            if {id(token) for token, _ in outcome.written} - set(self.carry.tokens) or outcome.grown:
                raise CannotRoll(ACTS, ACTS_REMEDY)
            if outcome.failures:
                raise CannotRoll(FAILS, ACTS_REMEDY)
            return decided[0]

        try:
            more = self.within(test, i, leaves, finish)
        finally:
            self.ev.endless = around
        return jnp.logical_and(more, failed == 0) if self.stops else more

    def _once(self, values: Sequence[Any]) -> list[Any]:
        i, failed, *leaves = values

        def body() -> None:
            self.loop.body(self.loop.source.item(i))

        fails, leaves = self.within(body, i, leaves, self._end)
        return [i + 1, jnp.where(failed == 0, fails, failed) if self.may_fail else failed, *leaves]

    @override
    def within[T](
        self, body: Callable[[], object], i: Any, leaves: Sequence[Any], finish: Callable[[BodyExit], T]
    ) -> T:
        """As in a `for`, except that no iteration can be run by itself: there may be none."""
        try:
            return super().within(body, i, leaves, finish)
        except identity.Peel as peel:
            raise CannotRoll(str(peel), peel.remedy) from None

    @property
    @override
    def iterations(self) -> None:
        """Not known."""
        return None

    @property
    @override
    def most(self) -> int | None:
        """A bound, if there is one."""
        return self.known

    @property
    @override
    def peeled(self) -> None:
        """None can be run by itself."""
        return None

    def _end(self, outcome: BodyExit) -> tuple[Any, list[Any]]:
        if outcome.grown:
            if self.most is None:
                raise self._grows()
            raise Again(self.carry.with_growing(self.ev, outcome.grown[0][0], counted=True))
        if outcome.marks.observe or outcome.marks.record:
            raise ProgramError(
                f"observe() and record() cannot collect along this loop: {UNKNOWN}",
                location=user_line.here(),
                remedy="Mark the value after the loop, or use a for loop over a range of known length.",
            )
        self.may_fail |= bool(outcome.failures)
        self.kinds = list(dict.fromkeys([*self.kinds, *(f.kinds for f in outcome.failures)]))
        code: Any = 0
        for failure in reversed(outcome.failures):
            code = jnp.where(failure.condition, self.kinds.index(failure.kinds) + 1, code)
        return code, self.leaving(outcome)

    def _grows(self) -> CannotRoll:
        return CannotRoll(
            f"a list grows in it, and {UNKNOWN}",
            "Let the loop be `for _ in range(most):` with a break, or store into an array that is made before it.",
        )

    def assign(self, out: Sequence[Any]) -> None:
        """As after a `for`, except that what the body binds first may have no value: it may never have run."""
        super().assign(out)
        values = [
            Unbound(name, "it is assigned only inside a loop that may run no iteration")
            if name in self.carry.late
            and not name.startswith(INTERNAL)
            and not self.runs
            and not isinstance(value, Nullable)
            else value
            for name, value in zip(self.names, bodies.get(self.loop.state), strict=True)
        ]
        bodies.put(self.loop.state, values)
