"""The user's functions that are given to libraries: right-hand sides, integrands, equations.

Such a function is compiled once, like the rest of the program; what it closes over becomes its operands, so that a
library's computation as a whole can be differentiated with respect to them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, Var, jaxpr_as_fun

from gradmc.program import ir
from gradmc.program.frontend.callbacks import Callback
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.values import any_traced
from gradmc.program.middle import lower


@dataclass(frozen=True, eq=False, slots=True)
class Function:
    """A compiled function of numbers and arrays.

    Attributes:
        body: its jaxpr; the operands come first.
        operands: what it closes over.
    """

    body: Jaxpr
    operands: tuple[Any, ...]

    def __call__(self, *args: Any) -> Any:
        """Its value, with the operands that it has."""
        return self.at(self.operands, *args)

    def at(self, operands: Sequence[Any], *args: Any) -> Any:
        """Its value, with other operands."""
        given = [jnp.asarray(a, jnp.result_type(float)) for a in args]
        return jaxpr_as_fun(self.body)(*operands, *given)[0]

    @property
    def traced(self) -> bool:
        """Whether it sees a traced value."""
        return any_traced(list(self.operands))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its value."""
        return ir.types(self.body.out_avals)[0].shape


def compiled(ev: Evaluation, function: Callable[..., Any], *examples: Any) -> Function:
    """A function of the user's on float arrays of the shapes of `examples`; its value is one array of floats."""

    def values(*args: Any) -> Any:
        return as_array(ev.present(ev.call(function, *args)))

    shapes = [jax.ShapeDtypeStruct(jnp.shape(e), jnp.result_type(float)) for e in examples]
    body, operands = ir.closed(Callback(ev, values), *shapes)
    return _hoisted(lower(body), operands)


def as_array(value: Any) -> Any:
    """Numbers in lists and tuples, at any depth, as one array of floats."""
    if isinstance(value, list | tuple):
        value = jnp.stack([as_array(v) for v in value]) if value else jnp.zeros(0)
    return jnp.asarray(value, float)


def _hoisted(body: Jaxpr, operands: Sequence[Any]) -> Function:
    """The function with what depends on its operands alone computed before: these are often fewer numbers."""
    n = len(operands)
    outside: set[Any] = set(body.invars[:n])
    before, after = [], []
    for eqn in body.eqns:
        alone = all(not isinstance(a, Var) or a in outside for a in eqn.invars)
        (before if alone and eqn.invars else after).append(eqn)
        outside |= set(eqn.outvars) if alone and eqn.invars else set()
    read = [a for eqn in after for a in eqn.invars if isinstance(a, Var)]
    read += [a for a in body.outvars if isinstance(a, Var)]
    needed = [v for v in dict.fromkeys(read) if v in outside]
    first = body.replace(invars=body.invars[:n], outvars=needed, eqns=before)
    rest = body.replace(invars=[*needed, *body.invars[n:]], eqns=after)
    made = jaxpr_as_fun(first)(*operands) if needed else []
    return Function(rest, tuple(made))
