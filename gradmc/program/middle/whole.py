"""How large whole numbers get: the interval in which every whole number of a traced program lies.

Whole numbers come from data, from the indices of loops and from counting, so their intervals are known while
compiling. Those of a sum, a product or a maximum follow from its operands; those of numbers that a loop carries are
found by running the loop's body on intervals until they stand still, or grow by the same in every iteration (`s += v`).

An interval that leaves the machine's integers marks the number as *floating*: Python's whole numbers have no limit, so
it has to be computed in floating point (`widen`). What is no number but bits (a hash, a random word: unsigned words
of 32 and 64 bits, and results of primitives not listed here) has no interval and stays as it is.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as jp

from gradmc.program import ir

HUGE = 1 << 1100
"""Stands for infinity: beyond every float."""
STEPS = 1 << 30
"""More iterations than a `while` of unknown length can take: it would run for seconds at every gradient."""
SHORT = 64
"""Loops of so few iterations may be followed one by one."""
ROUNDS = 6
"""Numbers that a loop carries and that depend on each other settle one after the other."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number, or an array of them.

    Attributes:
        low: the smallest that it can be.
        high: the largest.
        floating: whether it is computed in floating point.
    """

    low: int
    high: int
    floating: bool = False

    @property
    def size(self) -> int:
        """The largest absolute value."""
        return max(abs(self.low), abs(self.high))

    def join(self, other: "Whole") -> "Whole":
        """The interval of a number that is one or the other."""
        return Whole(min(self.low, other.low), max(self.high, other.high), self.floating or other.floating)


TRUTH = Whole(0, 1)

type Known = Whole | None


def counts(aval: Any) -> bool:
    """Whether a variable holds whole numbers rather than bits."""
    dtype = getattr(aval, "dtype", None)
    return dtype is not None and (dtype.kind == "i" or (dtype.kind == "u" and dtype.itemsize < 4))


def exact(dtype: Any) -> int:
    """The whole number up to which floats of a type hold all."""
    return 1 << (jnp.finfo(dtype).nmant + 1)


def interval(value: Any) -> Known:
    """The interval of a value that is known."""
    if isinstance(value, Tracer):
        return None
    array = np.asarray(value)
    if array.dtype == bool:
        return TRUTH
    if array.dtype.kind not in "iu" or not array.size:
        return None
    return Whole(int(array.min()), int(array.max()))


def exceeds(jaxpr: Jaxpr, inputs: Sequence[Any]) -> bool:
    """Whether a whole number in a jaxpr may leave the machine's integers; inputs that are traced are unknown."""
    flow = IntervalInterpreter()
    flow.run(jaxpr, [interval(v) for v in inputs])
    return flow.found


class IntervalInterpreter:
    """Runs jaxprs on intervals; `found` says whether a number became floating.

    Loops run their bodies again and again until all stands still, inner loops within outer ones, often on what a body
    has been run on before: what that gave is kept.
    """

    def __init__(self) -> None:
        self.found = False
        self._consts: dict[int, Known] = {}
        self._results: dict[tuple[int, tuple[Known, ...]], tuple[list[Known], bool]] = {}
        self._slices: dict[int, tuple[Jaxpr, list[JaxprEqn]]] = {}

    def begin(self, jaxpr: Jaxpr, given: Sequence[Known]) -> dict[Var, Known]:
        """The intervals of a jaxpr's inputs and constants, by variable."""
        env: dict[Var, Known] = dict(zip(jaxpr.invars, given, strict=True))
        for var, value in zip(jaxpr.constvars, jaxpr.consts, strict=True):
            if counts(var.aval):
                env[var] = self._const(value)
        return env

    def _const(self, value: Any) -> Known:
        if id(value) not in self._consts:
            self._consts[id(value)] = interval(value)
        return self._consts[id(value)]

    def run(self, jaxpr: Jaxpr, given: Sequence[Known]) -> list[Known]:
        """The intervals of a jaxpr's results."""
        key = id(jaxpr), tuple(given)
        if key not in self._results:
            before, self.found = self.found, False
            env = self.begin(jaxpr, given)
            for eqn in self._slice(jaxpr):
                env |= zip(eqn.outvars, self.equation(eqn, [read(env, a) for a in eqn.invars]), strict=True)
            self._results[key] = [read(env, a) for a in jaxpr.outvars], self.found
            self.found = before
        out, found = self._results[key]
        self.found = self.found or found
        return out

    def _slice(self, jaxpr: Jaxpr) -> list[JaxprEqn]:
        """The equations that make whole numbers, and those that hold others."""
        if id(jaxpr) not in self._slices:
            eqns = [e for e in jaxpr.eqns if e.primitive in STRUCTURED or any(counts(v.aval) for v in e.outvars)]
            self._slices[id(jaxpr)] = (jaxpr, eqns)
        return self._slices[id(jaxpr)][1]

    def equation(self, eqn: JaxprEqn, given: Sequence[Known]) -> list[Known]:
        """The intervals of an equation's results."""
        structured = STRUCTURED.get(eqn.primitive)
        if structured is not None:
            return structured(self, eqn, given)
        out = [_result(eqn, given, k) if counts(v.aval) else None for k, v in enumerate(eqn.outvars)]
        self.found = self.found or any(o is not None and o.floating for o in out)
        return out

    def quietly(self, jaxpr: Jaxpr, given: Sequence[Known]) -> list[Known]:
        """`run` for a guess."""
        before = self.found
        out = self.run(jaxpr, given)
        self.found = before
        return out

    def jit(self, eqn: JaxprEqn, given: Sequence[Known]) -> list[Known]:
        """A function of JAX's."""
        return self.run(eqn.params["jaxpr"], given)

    def if_(self, eqn: JaxprEqn, given: Sequence[Known]) -> list[Known]:
        """Either side of a branch."""
        sides = (self.run(eqn.params[side], given[1:]) for side in ir.BODIES[ir.if_p])
        return [joined(a, b) for a, b in zip(*sides, strict=True)]

    def for_(self, eqn: JaxprEqn, given: Sequence[Known]) -> list[Known]:
        """What a `for` carries out of its last iteration, and what it stacks."""
        n = eqn.params["n_carry"]
        carry = self.carried(eqn, given)
        out = self.run(eqn.params["body"], [*self.outside(eqn, given), *carry])
        return [*carry, *out[n:]]

    def while_(self, eqn: JaxprEqn, given: Sequence[Known]) -> list[Known]:
        """What a `while` carries."""
        carry = self.carried(eqn, given)
        for part in ir.BODIES[ir.while_p]:
            self.run(eqn.params[part], [*self.outside(eqn, given), *carry])
        return carry

    def outside(self, eqn: JaxprEqn, given: Sequence[Known]) -> list[Known]:
        """What a loop's body is given besides the numbers it carries: the index of a `for`, and constants."""
        index = [Whole(0, max(eqn.params["length"] - 1, 0))] if eqn.primitive is ir.for_p else []
        return [*index, *given[: eqn.params["n_consts"]]]

    def carried(self, eqn: JaxprEqn, given: Sequence[Known]) -> list[Known]:
        """The intervals of what a loop carries, over all iterations."""
        steps = eqn.params["length"] if eqn.primitive is ir.for_p else _counted(eqn, given)
        start = list(given[eqn.params["n_consts"] :])
        outside = self.outside(eqn, given)

        def step(carry: list[Known], index: int | None = None) -> list[Known]:
            around = outside if index is None or eqn.primitive is not ir.for_p else [Whole(index, index), *outside[1:]]
            return self.quietly(eqn.params["body"], [*around, *carry])[: len(start)]

        carry = _settled(step, start, steps)
        while True:  # a number that one iteration computes in floating point is so from the start
            out = step(carry)
            now = [c and o and replace(c, floating=c.floating or o.floating) for c, o in zip(carry, out, strict=True)]
            if now == carry:
                return carry
            carry = now


STRUCTURED: dict[Any, Callable[..., list[Known]]] = {
    jp.jit_p: IntervalInterpreter.jit,
    ir.if_p: IntervalInterpreter.if_,
    ir.for_p: IntervalInterpreter.for_,
    ir.while_p: IntervalInterpreter.while_,
}


def read(env: dict[Var, Known], atom: Any) -> Known:
    """The interval of an operand."""
    if isinstance(atom, Literal):
        return interval(atom.val)
    return TRUTH if getattr(atom.aval, "dtype", None) == np.bool_ else env.get(atom)


def joined(a: Known, b: Known) -> Known:
    """The interval of a number that is one or the other; None if either is unknown."""
    return None if a is None or b is None else a.join(b)


# --- loops ---------------------------------------------------------------------------------------


def _counted(eqn: JaxprEqn, given: Sequence[Known]) -> int:
    """How many iterations a `while` can take: it has a bound, or may count up to a number whose interval is known."""
    return min(eqn.params["max_steps"] or STEPS, _counted_up(eqn, given))


def _counted_up(eqn: JaxprEqn, given: Sequence[Known]) -> int:
    n, cond, body = eqn.params["n_consts"], eqn.params["cond"], eqn.params["body"]
    test = next((e for e in cond.eqns if cond.outvars == e.outvars and e.primitive is jp.lt_p), None)
    if test is None or test.invars[0] not in cond.invars[n:]:
        return STEPS
    k = cond.invars.index(test.invars[0])
    first, last = given[k], read(dict(zip(cond.invars, given, strict=True)), test.invars[1])
    counts_up = any(
        e.primitive is jp.add_p and e.outvars == [body.outvars[k - n]] and e.invars[0] is body.invars[k] and _is_one(e)
        for e in body.eqns
    )
    stays = test.invars[1] not in cond.invars[n:]
    if not counts_up or not stays or first is None or last is None or first.floating or last.floating:
        return STEPS
    return min(max(last.high - first.low, 0), STEPS)


def _is_one(eqn: JaxprEqn) -> bool:
    other = eqn.invars[1]
    return isinstance(other, Literal) and other.val == 1


type Step = Callable[..., list[Known]]
"""Intervals after an iteration from those before it, and from its index where that is given."""


def _settled(step: Step, start: list[Known], steps: int) -> list[Known]:
    """Intervals that hold what a loop carries in each of so many iterations.

    Two iterations are tried as they are: remainders and selections stand still then. Then a number may grow by the
    same amount in every iteration, and what is found so is tried at its end: each number by itself, and then all that
    grow together, since the ends of a binary search stay between each other. What grows faster (a power, a factorial,
    a binomial coefficient) is followed through a short loop, index by index, and unbounded in a long one.
    """
    carry = start
    for _ in range(2):
        wider = [joined(c, o) for c, o in zip(carry, step(carry), strict=True)]
        if wider == carry:
            return carry
        carry = wider
    for together in (False, True):
        base = _hull(step, carry) if together else carry
        grown, pace, settled = _linearly(step, base, steps, together=together)
        if settled:
            return grown
    carry = grown
    if steps <= SHORT:
        return _followed(step, start, steps)
    while True:
        growth = [_growth(c, o) for c, o in zip(carry, step(carry), strict=True)]
        wider = [_unbounded(c, g, p) for c, g, p in zip(carry, growth, pace, strict=True)]
        if wider == carry:
            return carry
        carry = wider


def _linearly(
    step: Step, base: list[Known], steps: int, *, together: bool
) -> tuple[list[Known], list[tuple[int, int]], bool]:
    """Intervals that grow by a pace in each iteration, the paces, and whether that holds at the ends."""
    carry, pace = base, [(0, 0)] * len(base)
    for _ in range(ROUNDS):
        growth = [_growth(c, o) for c, o in zip(carry, step(carry), strict=True)]
        carry = [_forget(c, g) for c, g in zip(carry, growth, strict=True)]
        if all(g is None or (g[0] <= p[0] and g[1] <= p[1]) for g, p in zip(growth, pace, strict=True)):
            return carry, pace, True
        pace = [p if g is None else (max(g[0], p[0]), max(g[1], p[1])) for g, p in zip(growth, pace, strict=True)]
        if together:
            common = (max(p[0] for p in pace), max(p[1] for p in pace))
            pace = [common if any(p) else p for p in pace]
        carry = [
            b and Whole(_clip(b.low - p[0] * steps), _clip(b.high + p[1] * steps), b.floating)
            for b, p in zip([_forget(b, g) for b, g in zip(base, growth, strict=True)], pace, strict=True)
        ]
    return carry, pace, False


def _hull(step: Step, carry: list[Known]) -> list[Known]:
    """The same intervals, but those that an iteration widens are all their hull."""
    growth = [_growth(c, o) for c, o in zip(carry, step(carry), strict=True)]
    growing = [c for c, g in zip(carry, growth, strict=True) if c is not None and g is not None and any(g)]
    hull = functools.reduce(Whole.join, growing) if growing else None
    return [
        c and hull and replace(hull, floating=c.floating) if g and any(g) else c
        for c, g in zip(carry, growth, strict=True)
    ]


def _followed(step: Step, start: list[Known], steps: int) -> list[Known]:
    """The intervals over so many iterations, one after the other."""
    every = carry = start
    for index in range(steps):
        carry = step(carry, index)
        every = [joined(a, b) for a, b in zip(every, carry, strict=True)]
    return every


def _growth(before: Known, after: Known) -> tuple[int, int] | None:
    """By how much an iteration widens an interval, below and above."""
    if before is None or after is None:
        return None
    return max(before.low - after.low, 0), max(after.high - before.high, 0)


def _forget(number: Known, growth: tuple[int, int] | None) -> Known:
    return None if growth is None else number


def _unbounded(number: Known, growth: tuple[int, int] | None, pace: tuple[int, int]) -> Known:
    if number is None or growth is None:
        return None
    return Whole(
        -HUGE if growth[0] > pace[0] else number.low, HUGE if growth[1] > pace[1] else number.high, number.floating
    )


# --- one equation --------------------------------------------------------------------------------


def values(eqn: JaxprEqn) -> Sequence[int]:
    """The positions of the operands of which the result is made; the others are places and conditions."""
    at = VALUES.get(eqn.primitive.name, range(len(eqn.invars)))
    return [k for k in at if k < len(eqn.invars)]


VALUES: dict[str, Sequence[int]] = {
    "select_n": range(1, 99),
    "load": (0,),
    "store": (0, 1),
    "dynamic_slice": (0,),
    "dynamic_update_slice": (0, 1),
    "gather": (0,),
    "scatter": (0, 2),
    "scatter-add": (0, 2),
}


def _result(eqn: JaxprEqn, given: Sequence[Known], k: int) -> Known:
    """The interval of one result, and whether it leaves its type."""
    name = eqn.primitive.name
    info = np.iinfo(eqn.outvars[k].aval.dtype)
    if name == "convert_element_type":
        return _converted(eqn, given[0], info)
    if name in ("iota", "argmax", "argmin"):
        return Whole(0, max((0, *(n - 1 for n in (eqn.invars or eqn.outvars)[0].aval.shape))))
    operands: list[Any] = [given[j] for j in values(eqn)]
    if name == "sort":
        return operands[k]
    if any(o is None for o in operands):
        return None
    if name in SAME:
        low, high = min(o.low for o in operands), max(o.high for o in operands)
    elif name in RULES:
        low, high = map(_clip, RULES[name](eqn, *operands))
    else:
        return None
    rounded = name in ON_FLOATS and any(o.floating for o in operands)
    return Whole(low, high, rounded or not info.min <= low <= high <= info.max)


def _converted(eqn: JaxprEqn, given: Known, info: Any) -> Known:
    """A truth value, a float, or a number of another width as a whole number."""
    before = eqn.invars[0].aval.dtype
    if before.kind in "fc":  # beyond, a float has no unit digit; the front end sees to it that none is there
        given = Whole(-exact(before), exact(before))
    if given is None:
        return None
    if given.floating or info.min <= given.low <= given.high <= info.max:
        return given
    return Whole(max(given.low, int(info.min)), min(given.high, int(info.max)))


def _clip(n: int) -> int:
    return max(-HUGE, min(HUGE, n))


_SAME = (
    "broadcast_in_dim clamp concatenate copy cummax cummin dynamic_slice dynamic_update_slice expand_dims gather load "
    "optimization_barrier pad reduce_max reduce_min reshape rev scatter select_n slice squeeze stack "
    "stop_gradient store tile transpose"
)
SAME = frozenset(_SAME.split())
"""Primitives whose results are among their operands."""
SUMS = frozenset(["add", "sub", "reduce_sum", "cumsum", "dot_general", "scatter-add"])
ON_FLOATS = SAME | SUMS | {"mul", "neg", "abs", "sign", "max", "min", "square", "integer_pow", "reduce_prod", "cumprod"}
"""Primitives that mean the same on floats, but for rounding."""


def _corners(f: Callable[[int, int], int], a: Whole, b: Whole) -> tuple[int, int]:
    found = [_clip(f(x, y)) for x, y in product((a.low, a.high), (b.low, b.high))]
    return min(found), max(found)


def _times(a: Whole, b: Whole) -> tuple[int, int]:
    return _corners(lambda x, y: x * y, a, b)


def _power(eqn: JaxprEqn, a: Whole) -> tuple[int, int]:
    n = eqn.params.get("y", 2)
    if n < 0:
        return -1, 1
    ends = [_clip_power(a.low, n), _clip_power(a.high, n)]
    return (min(ends) if n % 2 or a.low > 0 or a.high < 0 else 0), max(ends)


def _clip_power(x: int, n: int) -> int:
    return x**n if abs(x).bit_length() * n <= 1100 else (HUGE if x > 0 or n % 2 == 0 else -HUGE)


def _absolute(eqn: JaxprEqn, a: Whole) -> tuple[int, int]:
    return (0 if a.low <= 0 <= a.high else min(abs(a.low), abs(a.high))), a.size


def _reduced(eqn: JaxprEqn) -> int:
    """How many terms a sum or product along axes has."""
    shape = eqn.invars[0].aval.shape
    return prod(shape[k] for k in eqn.params.get("axes", (eqn.params.get("axis"),)))


def _sum(eqn: JaxprEqn, a: Whole) -> tuple[int, int]:
    n = _reduced(eqn)
    return n * a.low, n * a.high


def _running_sum(eqn: JaxprEqn, a: Whole) -> tuple[int, int]:
    n = _reduced(eqn)
    return min(a.low, n * a.low), max(a.high, n * a.high)


def _product(eqn: JaxprEqn, a: Whole) -> tuple[int, int]:
    most = max(_clip_power(a.size, _reduced(eqn)), 1)
    return (0 if a.low >= 0 else -most), most


def _dot(eqn: JaxprEqn, a: Whole, b: Whole) -> tuple[int, int]:
    (axes, _), _ = eqn.params["dimension_numbers"]
    n = prod(eqn.invars[0].aval.shape[k] for k in axes)
    low, high = _times(a, b)
    return n * low, n * high


def _added_at(eqn: JaxprEqn, a: Whole, b: Whole) -> tuple[int, int]:
    n = prod(eqn.invars[2].aval.shape)
    return a.low + min(0, n * b.low), a.high + max(0, n * b.high)


def _remainder(eqn: JaxprEqn, a: Whole, b: Whole) -> tuple[int, int]:
    most = min(a.size, max(b.size - 1, 0))
    return (0 if a.low >= 0 else -most), (0 if a.high <= 0 else most)


def _quotient(eqn: JaxprEqn, a: Whole, b: Whole) -> tuple[int, int]:
    """Rounded towards 0; what is divided by 0 is no number of the program's."""
    if b.low <= 0 <= b.high:
        return (0 if a.low >= 0 and b.low >= 0 else -a.size), a.size
    return _corners(lambda x, y: abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1), a, b)


def _shifted_up(eqn: JaxprEqn, a: Whole, b: Whole) -> tuple[int, int]:
    return _corners(lambda x, y: x << max(min(y, 1100), 0), a, b)


def _shifted_down(eqn: JaxprEqn, a: Whole, b: Whole) -> tuple[int, int]:
    return _corners(lambda x, y: x >> max(min(y, 1100), 0), a, b)


def _bits(eqn: JaxprEqn, a: Whole, b: Whole) -> tuple[int, int]:
    most = (1 << max(x.bit_length() for x in (a.low, a.high, b.low, b.high))) - 1
    return (0 if a.low >= 0 and b.low >= 0 else -most - 1), most


def _masked(eqn: JaxprEqn, a: Whole, b: Whole) -> tuple[int, int]:
    kept = [x.high for x in (a, b) if x.low >= 0]
    return (0, min(kept)) if kept else _bits(eqn, a, b)


RULES: dict[str, Callable[..., tuple[int, int]]] = {
    "add": lambda eqn, a, b: (a.low + b.low, a.high + b.high),
    "sub": lambda eqn, a, b: (a.low - b.high, a.high - b.low),
    "mul": lambda eqn, a, b: _times(a, b),
    "neg": lambda eqn, a: (-a.high, -a.low),
    "abs": _absolute,
    "sign": lambda eqn, a: (-1, 1),
    "max": lambda eqn, a, b: (max(a.low, b.low), max(a.high, b.high)),
    "min": lambda eqn, a, b: (min(a.low, b.low), min(a.high, b.high)),
    "square": _power,
    "integer_pow": _power,
    "reduce_sum": _sum,
    "cumsum": _running_sum,
    "reduce_prod": _product,
    "cumprod": _product,
    "dot_general": _dot,
    "scatter-add": _added_at,
    "rem": _remainder,
    "div": _quotient,
    "not": lambda eqn, a: (-a.high - 1, -a.low - 1),
    "and": _masked,
    "or": _bits,
    "xor": _bits,
    "shift_left": _shifted_up,
    "shift_right_arithmetic": _shifted_down,
    "population_count": lambda eqn, a: (0, 64),
    "clz": lambda eqn, a: (0, 64),
}
"""The interval of a result, from those of the operands, before it is looked at whether its type can hold it."""
