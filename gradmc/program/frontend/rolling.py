"""Trace a `for` once, and leave one `for` of the loop IR.

A `Trial` traces the body on what is known to cross from one iteration to the next (`loop_carry`); if the body needs
more it is traced again. Most loops need one run.

    program                        trial   carries             finds
    for t in range(1, n):          1       total               h is read, and made outside: appends must be seen
        h.append(f(h[t - 1]))      2       total, h            nothing new: `total, h = for t: ...` is emitted
        total += h[t]

An iteration that differs from the others in what its values are is run by itself, before the rest (it is *peeled*):

    last = None                                                last = first(0)
    for t in range(n):                             becomes     for k in range(n - 1):
        last = first(t) if last is None else f(last, t)            last = f(last, k + 1)
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from gradmc.program.frontend import dicts, failing, operators, patterns, unrolling
from gradmc.program.frontend.heap import OneSided
from gradmc.program.frontend.identity import Peel
from gradmc.program.frontend.iterables import Rollable
from gradmc.program.frontend.loop_carry import Again, LoopCarry, foreseen
from gradmc.program.frontend.loop_state import Statement
from gradmc.program.frontend.slots import Reslot
from gradmc.program.frontend.trial import IN_PYTHON, DataOnly, Stops, Trial
from gradmc.program.frontend.values import CannotRoll

MOST_PEELED = 2
"""So many first iterations may differ from the others."""
MOST_TRIES = 24


@dataclass(frozen=True, eq=False, slots=True)
class Loop(Statement):
    """A `for`, and the ways to run it."""

    def run(self) -> None:
        """Trace the loop; if that cannot be done, run it in Python.

        A loop that has depended on data only before (in a function that is called again and again) begins in Python,
        and is traced from the first iteration on that depends on more.
        """
        done, n = 0, self.source.length
        if self._key() in self.ev.data_only and n <= IN_PYTHON:
            done = unrolling.begun(self.ev, self.source, self.body, self.ended)
        if not done:
            self._run()
        elif done < n:
            item = self.source.item
            rest = Rollable(n - done, lambda i: item(operators.binary(self.ev, "Add", i, done)))
            replace(self, source=rest, peeled=self.peeled + 1)._run()

    def _key(self) -> tuple[str, int, Any]:
        return (self.place.file, self.place.line, self.origin) if self.place else ("", 0, self.origin)

    def _run(self) -> None:
        key = self._key()
        if key in self.ev.recursive:
            unrolling.instead(self.ev, self.source, self.body, self.ended, RecursionError())
            return
        nested = key in self.ev.rolling and not self.peeled
        loops = self.ev.loops
        try:
            self._within(key)
        except DataOnly:
            self.ev.data_only.add(self._key())
            unrolling.plain(self.ev, self.source, self.body, self.ended)
        except (Exception, CannotRoll) as obstacle:
            # With a symbolic index a recursion through the loop has no end. Where it began, the index can be plain.
            if not unrolling.is_obstacle(obstacle) or (isinstance(obstacle, RecursionError) and nested):
                raise
            if isinstance(obstacle, RecursionError):
                self.ev.recursive.add(key)
            # As a `while` the loop carries the list with a count, so that it may grow on one side of a branch.
            if isinstance(obstacle, OneSided) and self._stopping():
                return
            if self._by_patterns(loops):
                return
            unrolling.instead(self.ev, self.source, self.body, self.ended, obstacle)

    def _by_patterns(self, since: int) -> bool:
        """Trace it for each pattern of the masks that it reads; False if that is of no use."""
        ev, n, item = self.ev, self.source.length, self.source.item
        codes = patterns.found(ev, since, n)
        if codes is None:
            return False
        names = (*self.carried, *self.after)

        def body(i: Any) -> None:
            patterns.chosen(ev, codes, i, lambda: self.body(item(i)), self.state, names)

        try:
            replace(self, source=Rollable(n, lambda i: i), body=body).roll()
        except (Exception, CannotRoll) as obstacle:
            if not unrolling.is_obstacle(obstacle):
                raise
            return False
        return True

    def _within(self, key: tuple[str, int, Any]) -> None:
        self.ev.rolling.append(key)
        try:
            self.roll()
        finally:
            self.ev.rolling.pop()

    def roll(self) -> None:
        """Trace the loop and set everything that it changes to what it is after the loop.

        Raises:
            CannotRoll: the body does not do the same in every iteration.
            DataOnly: it depends on data only, and Python is to run it.
        """
        try:
            self.settle(lambda carry: Trial(self.ev, self, carry).run())
        except Stops:
            if not self.ev.stopping(self):
                replace(self, whole=True).roll()
        except Peel as peel:
            self._peel(peel)
        except KeyError as error:  # perhaps the first iteration makes the entry that the others read
            if failing.was_raised(error) or failing.waits_for(self.ev, KeyError):
                raise
            self._peel(Peel(f"a dict or frame has no {error} in all iterations"))

    def _stopping(self) -> bool:
        """Run it as a `while`, in which a list may grow as often as parameters say."""
        return not self.whole and self.ev.stopping(self)

    def _peel(self, peel: Peel) -> None:
        """Run the first iteration by itself, and roll the others."""
        n = self.source.length
        if self.peeled >= MOST_PEELED or n < 2:
            raise CannotRoll(str(peel), peel.remedy) from None
        first = unrolling.Unrolled(self.ev, unrolling.FIRST)
        first.iteration(lambda: self.body(self.source.item(0)))
        first.end()
        item = self.source.item
        rest = Rollable(n - 1, lambda i: item(operators.binary(self.ev, "Add", i, 1)))
        replace(self, source=rest, peeled=self.peeled + 1).run()

    def settle(self, attempt: Callable[[LoopCarry], None]) -> None:
        """Trace until what crosses from one iteration to the next is known.

        Where that fails, dicts hold their arrays and lists themselves again: Python may run the loop.
        """
        carry = LoopCarry(tokens=foreseen(self.ev, self.stores))
        plain: list[tuple[dict, Any]] = []
        try:
            for _ in range(MOST_TRIES):
                try:
                    return attempt(carry)
                except Again as again:
                    carry = again.carry
                except Reslot as asked:
                    if asked.depth != len(self.ev.heap.frames):
                        raise
                    if asked.plan.objects:
                        plain.append((asked.token, self.ev.heap.peek(asked.token)))
                    dicts.give_slots(self.ev, asked.token, asked.plan)
            raise CannotRoll("what the body changes does not settle")
        except BaseException:
            for token, content in reversed(plain):
                dicts.take_slots(self.ev, token, content)
            raise
