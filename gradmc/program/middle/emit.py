"""The emitter: runs a normal-form jaxpr on values with loop axes and leaves JAX's own equations behind.

Equations without a rule of their own are elementwise (one equation on the common axes of the operands) or
are mapped over the axes. Rules for the IR's primitives are added to `RULES` by the modules that hold them.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as jp

from gradmc.program.middle.folding import ELEMENTWISE, LARGEST, fold_elementwise, fold_structural, run_now, uniform
from gradmc.program.middle.guard import guard_p
from gradmc.program.middle.lowering_options import LoweringOptions
from gradmc.program.middle.named_axes import Axis, Value, traced, union, value_of, widen

Rule = Callable[[JaxprEqn, list[Any], "Context"], list[Any]]
RULES: dict[Any, Rule] = {}
# A stack of more values than this is put together from stretches.
MANY = 16


class NotVectorisable(Exception):
    """A carried value turned out not to be what its use in the body looked like; the loop is planned anew."""


@dataclass(frozen=True, slots=True)
class Context:
    """Where an equation is emitted.

    guards: predicates of the branches around it that are computed for all iterations
    masked: whether such a branch is around it: what it computes may not count
    loops: the axes of the vectorised loops around it; in a branch on data, the part of the axis
    wide: values already spread over axes, in the trace that is being recorded
    notes: what was decided about each loop, for `report`
    level: depth of the next axis
    """

    options: LoweringOptions
    notes: list[Any]
    guards: tuple[Value, ...] = ()
    masked: bool = False
    level: int = 0
    loops: tuple[Axis, ...] = ()
    wide: dict[Any, tuple[Any, Value]] = field(default_factory=dict)

    def inside(self) -> "Context":
        """The context of a body that JAX traces on its own: nothing recorded there may be used outside."""
        return replace(self, wide={})

    def widen(self, value: Value, axes: Sequence[Axis]) -> Value:
        """`value` with all of `axes`; asked for twice, it is the same array, so that it has one cotangent."""
        if value.known or value.axes == tuple(axes):
            return widen(value, axes)
        key = (id(value.array), value.axes, tuple(axes))
        if key not in self.wide:
            self.wide[key] = (value.array, widen(value, axes, self.guards))
        return self.wide[key][1]


def run(body: Jaxpr, args: Sequence[Any], context: Context) -> list[Any]:
    """The results of a jaxpr in normal form."""
    env: dict[Var, Any] = {}
    for var, const in zip(body.constvars, body.consts, strict=True):
        env[var] = value_of(const, var.aval)
    env |= zip(body.invars, args, strict=True)
    for eqn in body.eqns:
        env |= zip(eqn.outvars, apply(eqn, [read(env, a) for a in eqn.invars], context), strict=True)
    return [read(env, a) for a in body.outvars]


def read(env: dict[Var, Any], atom: Any) -> Any:
    """The value of an atom: a literal's own, or a variable's in `env`."""
    return value_of(atom.val, atom.aval) if isinstance(atom, Literal) else env[atom]


def apply(eqn: JaxprEqn, args: list[Any], context: Context) -> list[Any]:
    """The results of one equation."""
    for arg in args:
        if not isinstance(arg, Value) and type(arg).RULE is not None and eqn.primitive not in RULES:
            return type(arg).RULE(eqn, args, context)
    rule = RULES.get(eqn.primitive)
    if rule is None:
        rule = elementwise if eqn.primitive in ELEMENTWISE and _alike(eqn) else mapped
    return rule(eqn, args, context)


def _alike(eqn: JaxprEqn) -> bool:
    return all(a.aval.shape == eqn.outvars[0].aval.shape for a in eqn.invars)


def elementwise(eqn: JaxprEqn, args: list[Value], context: Context) -> list[Value]:
    """One equation on the common axes of its operands."""
    simple = _simplified(eqn, args)
    if simple is not None:
        return [simple]
    axes = union(args)
    wide = [context.widen(a, axes) for a in args]
    if all(a.known for a in args):
        folded = fold_elementwise(eqn, [a.array for a in wide])
        if folded is not None:
            return [_collapsed(Value(folded, axes))]
    power = _power(eqn, args)
    if power is not None:
        return [Value(power(traced(wide[0])), axes)]
    out = eqn.primitive.bind(*map(traced, wide), **eqn.params)
    product = eqn.primitive is jp.mul_p and len(axes) > 1 and not wide[0].element
    return [Value(out, axes, factors=(args[0], args[1]) if product else None)]


def _collapsed(value: Value) -> Value:
    """A known value that is the same all along the axes, without them."""
    if value.axes and not value.element and uniform(value.array):
        return Value(np.asarray(value.array.flat[0], value.dtype))
    return value


def _is(value: Value, number: float) -> bool:
    return value.known and value.array.ndim == 0 and bool(value.array == number)


def _simplified(eqn: JaxprEqn, args: list[Value]) -> Value | None:
    """The operand that the result equals, for operations with 0, 1, True or False."""
    primitive = eqn.primitive
    if primitive is jp.select_n_p and args[0].known and args[0].array.ndim == 0:
        return args[1 + int(args[0].array)]
    if primitive is guard_p and (args[0].known or (args[1].known and args[1].array.all())):
        return args[0]
    if primitive in (jp.mul_p, jp.div_p) and _is(args[1], 1):
        return args[0]
    if primitive is jp.mul_p and _is(args[0], 1):
        return args[1]
    if primitive in (jp.add_p, jp.sub_p) and _is(args[1], 0):
        return args[0]
    if primitive is jp.add_p and _is(args[0], 0):
        return args[1]
    if primitive in (jp.max_p, jp.min_p):
        nothing = -np.inf if primitive is jp.max_p else np.inf
        for one, other in (args, args[::-1]):
            if _is(one, nothing) and np.issubdtype(one.dtype, np.inexact):
                return other
    return None


def _power(eqn: JaxprEqn, args: list[Value]) -> Callable[[Any], Any] | None:
    """A power with a small whole exponent is a product, with one half a square root."""
    if eqn.primitive is not jp.pow_p or not args[1].known or args[1].array.ndim:
        return None
    exponent = float(args[1].array)
    if exponent == 0.5:
        return jnp.sqrt
    if exponent == round(exponent) and abs(exponent) <= 4:
        return partial(lax.integer_pow, y=int(exponent))
    return None


def mapped(eqn: JaxprEqn, args: list[Value], context: Context) -> list[Value]:
    """Any other equation, mapped over the axes of its operands one by one."""
    axes = union(args)
    primitive = eqn.primitive
    if not axes and all(a.known for a in args):
        folded = fold_structural(eqn, [a.array for a in args])
        if folded is not None:
            return [Value(folded)]
    if primitive.name == "stack" and not axes and len(args) > MANY:
        return [Value(_stacked(args, eqn.params["axis"]))]

    def bind(*arrays: Any) -> list[Any]:
        out = primitive.bind(*arrays, **primitive.get_bind_params(eqn.params))
        return list(out) if primitive.multiple_results else [out]

    return spread(bind, args, context, axes)


def _stacked(args: list[Value], axis: int) -> Any:
    """Many values stacked: stretches of known ones are one constant each."""
    parts = []
    for known, run in itertools.groupby(args, lambda a: a.known):
        arrays = [a.array for a in run]
        parts += [jnp.asarray(np.stack(arrays, axis))] if known else [jnp.expand_dims(a, axis) for a in arrays]
    return parts[0] if len(parts) == 1 else lax.concatenate(parts, axis)


def spread(fn: Callable[..., list[Any]], args: list[Value], context: Context, axes: tuple[Axis, ...]) -> list[Value]:
    """Map a function of elements over axes; known operands of moderate size are worked off now."""
    if context.guards:
        args = [context.widen(a, axes) if a.differentiable else a for a in args]
    for axis in reversed(axes):
        fn = jax.vmap(fn, in_axes=[0 if axis in a.axes else None for a in args], axis_size=axis.size)
    if all(a.known and a.array.size <= LARGEST for a in args):
        out = run_now(lambda *arrays: fn(*arrays), [a.array for a in args])
    else:
        out = fn(*map(traced, args))
    return [Value(o, axes) for o in out]
