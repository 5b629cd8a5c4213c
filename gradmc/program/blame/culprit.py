"""The operation that made a value or a gradient not finite.

From a result that is not finite, `forward_culprit` walks back along operands that are not finite to the first
operation that made one; `backward_culprit` runs reverse mode along the entries of a tape to the first operation
whose derivative is not finite. Reverse mode multiplies: where a side that is not taken has an infinite derivative, its
cotangent 0 makes NaN of it (0 * inf), so operations that receive nothing but 0 are suspects too, the last ones.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr

from gradmc.program.blame.endless import endless
from gradmc.program.blame.origin import Origin, origin
from gradmc.program.blame.tape import Operation, Tape, TooLong, finite, is_real, pull, record

LOOP = "loop"
"""Stands for a loop that takes more iterations than its bound, which is its operand."""

ENDLESS = (
    "A loop whose end depends on parameters may never end at some of them. Let it end by a `for` over a range with a "
    "`break`, keep the parameters away from there by supports or priors, or raise max_loop_iterations"
)

UNDEFINED_BELOW_0 = {"log", "sqrt", "rsqrt", "pow", "log2", "lgamma", "acosh"}
UNDEFINED_BEYOND_1 = {"acos", "asin", "atanh", "erf_inv"}
SELECTIONS = {"select_n", "stack", "if"}
GROWING = {"exp", "exp2", "expm1", "mul", "integer_pow", "add", "sub", "square", "sinh", "cosh"}
"""Operations whose results become too large for floating point."""


@dataclass(frozen=True, slots=True)
class Culprit:
    """The operation that went wrong.

    Attributes:
        name: its name in JAX.
        at: its place.
        operands: its operands at the entry that went wrong.
        backward: whether its derivative did, not its value.
        untaken: whether nothing but 0 came back to it in reverse mode, as on the side of a branch that is not taken.
    """

    name: str
    at: Origin
    operands: tuple[float, ...]
    backward: bool = False
    untaken: bool = False

    @property
    def endless(self) -> bool:
        """Whether it is a loop that takes too many iterations."""
        return self.name == LOOP

    @property
    def undefined(self) -> bool:
        """Whether the operation is undefined at its operands, rather than too large."""
        x = self.operands[0] if self.operands else 0.0
        if self.name == "div" and len(self.operands) > 1:
            return self.operands[1] == 0.0 and x == 0.0
        if self.name == "log1p":
            return x <= -1.0
        return (self.name in UNDEFINED_BEYOND_1 and abs(x) >= 1.0) or (self.name in UNDEFINED_BELOW_0 and x < 0.0)

    @property
    def too_large(self) -> bool:
        """Whether the operation is of those whose results overflow."""
        return self.name in GROWING


def culprit_at(program: Jaxpr, inputs: Sequence[Any], *, backward: bool) -> Culprit | None:
    """The operation that makes a program's value, or only its gradient, not finite at a point.

    Args:
        program: a jaxpr with one result, in the loop IR or of JAX's own primitives.
        inputs: its inputs, which are what the gradient is taken with respect to.
        backward: whether the value is finite and the gradient is not.

    Returns:
        None if an input is not finite, if nothing is found, or if the program takes too many operations.
    """
    if not all(finite(value) for value in inputs):
        return None
    if not backward and (loop := endless(program, inputs)) is not None:
        return Culprit(LOOP, origin(loop), (float(loop.params["max_steps"]),))
    try:
        tape = record(program, inputs)
    except TooLong:
        return None
    return backward_culprit(tape, len(inputs)) if backward else forward_culprit(tape)


def forward_culprit(tape: Tape) -> Culprit | None:
    """The first operation that made the result's NaN or infinity out of finite numbers."""
    value, number = tape.result
    while number in tape.makers and not finite(value):
        entry = tape.makers[number]
        known = [(v, s) for v, s in _read(entry) if not finite(v) and s in tape.makers]
        if not known:
            return _culprit(entry, value)
        value, number = known[0]
    return None


def _read(entry: Operation) -> list[tuple[Any, int]]:
    """The operands that an operation reads: of a selection only what is selected."""
    operands = list(zip(entry.inputs, entry.sources, strict=True))
    if entry.name != "select_n":
        return operands
    which = np.asarray(entry.inputs[0])
    return [(np.asarray(v)[which == k] if which.ndim else v, s) for k, (v, s) in enumerate(operands[1:]) if k in which]


def backward_culprit(tape: Tape, parameters: int) -> Culprit | None:
    """The first operation, from the result backwards, whose derivative is not finite."""
    return _backwards(tape, parameters, untaken=False) or _backwards(tape, parameters, untaken=True)


def _backwards(tape: Tape, parameters: int, *, untaken: bool) -> Culprit | None:
    """As `backward_culprit`; `untaken`: also along operations to which nothing but 0 comes back."""
    cotangents: dict[int, Any] = {tape.result[1]: jnp.ones_like(tape.result[0])}
    active = _active(tape, parameters)
    for entry in reversed(tape.entries):
        given = [cotangents.get(r) for r in entry.results]
        nothing = all(c is None or not np.any(np.asarray(c)) for c in given)
        moving = [k for k, s in enumerate(entry.sources) if s in active and is_real(entry.inputs[k])]
        if not moving or all(c is None for c in given) or (nothing and not untaken):
            continue
        pulled = pull(entry, moving, given)
        for k, cotangent in zip(moving, pulled, strict=True):
            if not finite(cotangent):
                return _culprit(entry, cotangent, backward=True, untaken=nothing)
            number = entry.sources[k]
            cotangents[number] = cotangents[number] + cotangent if number in cotangents else cotangent
    return None


def _active(tape: Tape, parameters: int) -> set[int]:
    """Numbers of the values that depend on the first inputs."""
    active = set(range(1, parameters + 1))
    for entry in tape.entries:
        if any(s in active for s in entry.sources):
            active |= set(entry.results)
    return active


def _culprit(entry: Operation, bad: Any, *, backward: bool = False, untaken: bool = False) -> Culprit:
    """The operands at the first bad entry of a value, where the operation is entry by entry."""
    flat = np.ravel(np.asarray(bad))
    at = int(np.argmax(~np.isfinite(flat)))
    operands = []
    for value in entry.inputs:
        entries = np.ravel(np.asarray(value))
        if entries.dtype.kind in "fiub" and len(entries):
            operands.append(float(entries[at if len(entries) == len(flat) else 0]))
    return Culprit(entry.name, entry.at, tuple(operands), backward, untaken)


def described(culprit: Culprit) -> str:
    """The operation with the operands that it failed at, in words."""
    called = culprit.at.called if culprit.at.law else ""
    inside = f" inside {called}" if called else ""
    values = culprit.operands
    if culprit.endless:
        return f"a loop that takes more than {values[0]:,.0f} iterations (max_loop_iterations)"
    name = "a function" if culprit.name in ("custom_jvp_call", "custom_vjp_call") else culprit.name
    numbers = [f"{v:.4g}" for v in values]
    if called and not culprit.backward and (name in SELECTIONS or values == (-math.inf,)):
        return f"{called} of a value outside its support"
    if name in SELECTIONS and not culprit.backward:
        return "the side that is taken"
    if name == "div" and len(values) >= 2:
        return f"the division {numbers[0]} / {numbers[1]}{inside}"
    if name in ("pow", "integer_pow") and values:
        exponent = f" ** {numbers[1]}" if len(values) > 1 else ""
        return f"the power {numbers[0]}{exponent}{inside}"
    if len(values) == 1:
        return f"{name} of {numbers[0]}{inside}"
    return f"{name} of {', '.join(numbers[:3])}{inside}" if values else f"{name}{inside}"


def blamed(culprit: Culprit) -> str:
    """What went wrong, in words: the operation, or its derivative."""
    what = f"{'the derivative of ' if culprit.backward else ''}{described(culprit)}"
    return what + (", on a side of a branch that is not taken (0 times infinity is NaN)" if culprit.untaken else "")


def told(culprit: Culprit) -> str:
    """The operation with the user's line, as part of an error message."""
    place = culprit.at.location
    where = f" at {place}\n    {place.text.strip()}" if place is not None else ""
    if culprit.endless:
        return f"It comes of {described(culprit)}{where}\n{ENDLESS}"
    return f"The first operation that is not finite is {blamed(culprit)}{where}"
