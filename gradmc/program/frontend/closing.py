"""Loops that close in on a number by comparisons: bisection, golden section, search by halved steps and the like.

Their ends move by assignments that see no parameter, `hi = mid`, and only which of them is made depends on parameters.
So the number that they close in on changes with the parameters, but its derivative says that it does not. Such a loop
is told by what its body does:

* some carried real numbers, the *ends*, are computed from each other and from nothing that depends on parameters;
* which of several values an end gets is decided by a comparison that depends on parameters and on the ends;
* what an end gets lies between the ends, and is not always one of them: it is a mean. Or it moves by steps that are
  not decided by anything and get ever smaller. The body is run on random ends and random decisions to find out.
  Or it moves in some other way, but comes to rest where the parameters lead it (`response`).

Counting, halving a step, changepoints, sorting, running maxima and the times of an adaptive integrator are none of
this: their numbers see the parameters, are not decided by a comparison with themselves, or do not follow the
parameters but stay, or jump from one value to the next.
"""

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.extend.core import JaxprEqn, Var

from gradmc.program.frontend.flows import Body, Flow, Flows, inside
from gradmc.program.frontend.random_execution import UNKNOWN, sampled
from gradmc.program.frontend.response import following
from gradmc.program.jaxprs import walk

SEED = 20260101
RUNS = 6
WIDTHS = (1.0, 1e-6)
"""How far random ends lie apart: a mean of close numbers is close to them, a sum with a step is not."""
FEW = 20
"""Iterations that tell a count from a search."""
SMALL, SMALLER = 1e-3, 0.1
"""A step is small that is so much smaller than the first ones; on the way there are steps of a smaller size."""


@dataclass(frozen=True, eq=False, slots=True)
class Sought:
    """A number that a loop closes in on.

    Attributes:
        ends: positions of the ends among the carried values.
        steps: positions of the steps by which they move, if they do.
        tests: the comparisons that decide them, in order.
    """

    ends: tuple[int, ...]
    steps: tuple[int, ...]
    tests: tuple[JaxprEqn, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Closing:
    """A loop that closes in on numbers.

    Attributes:
        sought: the numbers.
        flows: what the variables of the body are computed from.
    """

    sought: tuple[Sought, ...]
    flows: dict[Var, Flow]

    @property
    def ends(self) -> set[int]:
        """The ends of all of them."""
        return {k for sought in self.sought for k in sought.ends}


def closing(body: Body, known: Container[JaxprEqn] = ()) -> Closing | None:
    """What a loop closes in on, if it does.

    Args:
        body: the loop.
        known: loops within it that close in on numbers of their own, which get derivatives.
    """
    flows = Flows(known)
    given = [
        Flow(data=frozenset({k - body.first})) if k in body.carried() else Flow(outside=touched)
        for k, touched in enumerate(body.touched)
    ]
    out = flows.follow(body.jaxpr, given)[: len(body.carried())]
    real = _ends(body, out)
    decided = {k for k in real if _is_decided(k, out, real)}
    if not decided:
        return None
    reach = {k: _reach({k}, lambda j: out[j].data) for k in real}
    trial = _Trial(body, reach)
    means = trial.means({k for k in real if reach[k] & decided})
    groups = [group for group in _joined(means, reach) if group & decided]
    alone = {k for k in decided - means if not reach[k] & (decided | means) - {k}}
    moving = {k for k in alone if trial.settles(k) and not trial.keeps_to_zero(k)}
    told = moving.union(*groups)
    found = following(body, {k for k in decided if not reach[k] & told and not trial.is_even(k)})
    sought = [(group, set[int]()) for group in groups] + [({k}, reach[k] - {k}) for k in moving]
    for group in _joined(found, reach):
        copies = {k for k in real - group if reach[k] & group and trial.copies(k, group)}
        sought.append((group | copies, set().union(*(reach[k] for k in group)) - group - copies))
    if not sought:
        return None
    ordered = list(walk(body.jaxpr, inside))

    def tests(ends: set[int]) -> tuple[JaxprEqn, ...]:
        deciding = reduce(or_, (out[k].tests for k in ends))
        return tuple(eqn for eqn in ordered if eqn in deciding)

    numbers = [Sought(tuple(sorted(ends)), tuple(sorted(steps)), tests(ends)) for ends, steps in sought]
    return Closing(tuple(numbers), flows.env)


def _ends(body: Body, out: Sequence[Flow]) -> set[int]:
    """The carried real numbers that are computed from each other alone."""
    avals = [body.jaxpr.invars[k].aval for k in body.carried()]
    ends = {k for k, f in enumerate(out) if jnp.issubdtype(avals[k].dtype, jnp.floating) and not f.outside}  # type: ignore[attr-defined]
    while not all(out[k].data <= ends for k in ends):
        ends = {k for k in ends if out[k].data <= ends}
    return ends


def _is_decided(k: int, out: Sequence[Flow], ends: set[int]) -> bool:
    """Whether comparisons of parameters with the ends decide what an end becomes."""
    deciders = _reach(out[k].deciders, lambda j: out[j].data | out[j].deciders)
    outside = out[k].decided or any(out[j].outside or out[j].decided for j in deciders - ends)
    return outside and bool(deciders & ends)


def _reach(start: Iterable[int], step: Callable[[int], Iterable[int]]) -> set[int]:
    """All that is reached from here by such steps."""
    found, todo = set(start), list(start)
    while todo:
        new = set(step(todo.pop())) - found
        found |= new
        todo += new
    return found


def _joined(ends: set[int], reach: dict[int, set[int]]) -> list[set[int]]:
    """Groups of ends that are computed from each other."""
    groups: list[set[int]] = []
    for k in sorted(ends):
        mine = reach[k] & ends
        apart = [g for g in groups if not g & mine]
        groups = [*apart, mine.union(*(g for g in groups if g & mine))]
    return groups


def _moves(path: np.ndarray) -> np.ndarray:
    """How far a number moves in each iteration; NaN where it stays infinite."""
    with np.errstate(invalid="ignore"):
        return np.abs(np.diff(path, axis=0))


@dataclass(eq=False, slots=True)
class _Trial:
    """A body that is run on random numbers, with random decisions."""

    body: Body
    reach: dict[int, set[int]]
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(SEED))
    fixed: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.fixed = [self._given(k) for k in range(self.body.first)]

    def means(self, candidates: set[int]) -> set[int]:
        """Those that stay between the numbers they are computed from, and do not always become one of them."""
        inside: dict[int, list[bool]] = {k: [] for k in candidates}
        new: dict[int, list[bool]] = {k: [] for k in candidates}
        for run in range(RUNS * len(WIDTHS)):
            carry = [self._random(k, WIDTHS[run % len(WIDTHS)]) for k in range(len(self.body.carried()))]
            out = self._once(UNKNOWN, carry)
            for k in candidates:
                among = np.concatenate([np.ravel(carry[j]) for j in self.reach[k]])
                known = out[k] is not UNKNOWN
                inside[k].append(known and bool(np.all((among.min() <= out[k]) & (out[k] <= among.max()))))
                new[k].append(known and not np.all(np.isin(out[k], among)))
        between = {k for k in candidates if all(inside[k])}
        return {k for k in between if any(any(new[j]) for j in between & self.reach[k])}

    def settles(self, k: int) -> bool:
        """Whether a number moves by ever smaller steps, to where the decisions lead it."""
        paths = [self._path(k, self.body.length) for _ in range(RUNS)]
        if any(path is None for path in paths):
            return False
        moves = [_moves(path) for path in paths if path is not None]
        first, last = (np.max([m[part] for m in moves]) for part in (slice(None, 3), slice(-3, None)))
        shrinking = any(np.any((m > 0) & (m < SMALLER * first)) for m in moves)  # and not only large ones and none
        ends = [path[-1] for path in paths if path is not None]
        return bool(shrinking and last < SMALL * first and np.ptp(ends, axis=0).max() > SMALL * first)

    def copies(self, k: int, ends: set[int]) -> bool:
        """Whether a number is always one of the ends, of this iteration or an earlier one."""
        for _ in range(RUNS):
            carry = [self._random(j) for j in range(len(self.body.carried()))]
            out = self._once(UNKNOWN, carry)
            among = [carry[k], *(values[j] for j in ends for values in (carry, out))]
            if out[k] is UNKNOWN or not any(v is not UNKNOWN and np.array_equal(v, out[k]) for v in among):
                return False
        return True

    def keeps_to_zero(self, k: int) -> bool:
        """Whether a number stays 0 if it begins there, as a step does that is halved or doubled."""
        path = self._path(k, FEW, zero=True)
        return path is not None and not np.any(path)

    def is_even(self, k: int) -> bool:
        """Whether a number moves by steps of one size, as a count does."""
        path = self._path(k, FEW)
        if path is None:
            return False
        moves = _moves(path)
        return bool(np.all((moves == 0) | np.isclose(moves, moves.max())))

    def _path(self, k: int, length: int, *, zero: bool = False) -> np.ndarray | None:
        """The values of a carried number, iteration by iteration, if they are known."""
        start = [self.body.values[j] for j in self.body.carried()]
        carry = [UNKNOWN if v is None else np.asarray(v) for v in start]
        for j in self.reach[k]:
            carry[j] = self._random(j) if carry[j] is UNKNOWN else carry[j]
        carry[k] = np.zeros_like(carry[k]) if zero else carry[k]
        path = []
        for i in range(length):
            path.append(carry[k])
            carry = self._once(np.asarray(i), carry)[: self.body.count]
        return None if any(v is UNKNOWN for v in path) else np.asarray(path)

    def _once(self, index: Any, carry: Sequence[Any]) -> list[Any]:
        fixed = [index, *self.fixed[1:]] if self.body.counts else self.fixed
        joined = set().union(*self.reach.values())
        given = [v if k in joined else UNKNOWN for k, v in enumerate(carry)]
        rest = [UNKNOWN] * (len(self.body.touched) - len(fixed) - len(given))
        return sampled(self.body.jaxpr, [*fixed, *given, *rest], self.rng)

    def _given(self, k: int) -> Any:
        """An input that is not carried: data that are not known while compiling are as good as any numbers."""
        aval: Any = self.body.jaxpr.invars[k].aval
        if self.body.values[k] is not None:
            return np.asarray(self.body.values[k])
        if self.body.touched[k] or not jnp.issubdtype(aval.dtype, jnp.floating):
            return UNKNOWN
        return self.rng.uniform(0.2, 0.8, aval.shape).astype(aval.dtype)

    def _random(self, k: int, width: float = 1.0) -> np.ndarray:
        aval: Any = self.body.jaxpr.invars[self.body.first + k].aval
        return self.rng.uniform(1.0, 1.0 + width, aval.shape).astype(aval.dtype)
