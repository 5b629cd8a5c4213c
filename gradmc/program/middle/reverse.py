"""Reverse mode of `while` loops whose number of iterations is known only when they run.

JAX has no reverse mode for `while_loop`, since the states of all iterations would have to be kept and their number is
unknown. Two ways around that, by the number m of floating-point inputs that vary:

    few     carry the Jacobian with respect to the m inputs along (forward mode, m directions at once);
            exact, no bound, constant memory
    many    count the iterations, and go back over them by recursive checkpointing: level l of a loop
            keeps SLOTS states, SLOTS ** (l - 1) iterations apart, and recomputes from each; LEVELS levels
            reach SLOTS ** LEVELS iterations with LEVELS * SLOTS states. Beyond, the gradient is NaN

A bound to the number of iterations is counted beside the loop: once for all elements of a batch.

Griewank & Walther, Evaluating Derivatives (2008), chapter 12.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Jaxpr, Primitive, jaxpr_as_fun
from jax.interpreters import ad, batching, mlir

from gradmc.program import ir
from gradmc.program.middle.checkpoints import Back, is_inexact
from gradmc.program.middle.guard import guard

# Up to this many inputs the Jacobian costs less than going back (a step forward, one kept, and one back).
FEW = 6

loop_p = Primitive("differentiable_while")
tangent_p = Primitive("while_tangent")
loop_p.multiple_results = tangent_p.multiple_results = True


def differentiable_while(
    cond: Jaxpr, body: Jaxpr, consts: Sequence[Any], init: Sequence[Any], bound: int | None = None
) -> list[Any]:
    """`while cond(*consts, *carry): carry = body(*consts, *carry)`, with both modes of differentiation.

    There are at most `bound` iterations.
    """
    return loop_p.bind(*consts, *init, cond=cond, body=body, n_consts=len(consts), bound=bound)


def _value(*operands: Any, cond: Jaxpr, body: Jaxpr, n_consts: int, bound: int | None) -> list[Any]:
    consts, init = operands[:n_consts], tuple(operands[n_consts:])
    again, step = jaxpr_as_fun(cond), jaxpr_as_fun(body)
    return list(_repeated(lambda c: again(*consts, *c)[0], lambda c: tuple(step(*consts, *c)), init, bound))


def _repeated(again: Callable[[Any], Any], step: Callable[[Any], Any], start: Any, bound: int | None) -> Any:
    """`lax.while_loop` of at most `bound` iterations."""
    if bound is None:
        return lax.while_loop(again, step, start)
    first = (jnp.zeros((), np.int32), start)
    return lax.while_loop(lambda s: again(s[1]) & (s[0] < bound), lambda s: (s[0] + 1, step(s[1])), first)[1]


def _types(*operands: Any, body: Jaxpr, **_: Any) -> list[Any]:
    return list(body.out_avals)


def _jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, cond: Jaxpr, body: Jaxpr, n_consts: int, bound: int | None
) -> tuple:
    moving = tuple(k for k, t in enumerate(tangents) if not isinstance(t, ad.Zero) and is_inexact(primals[k]))
    dots = [tangents[k] for k in moving]
    params = {"body": body, "n_consts": n_consts, "moving": moving}
    if sum(np.size(primals[k]) for k in moving) <= FEW:
        out = loop_p.bind(*primals, cond=cond, body=body, n_consts=n_consts, bound=bound)
        out_dots = _by_jacobian(primals, dots, cond=cond, bound=bound, **params)
    else:
        count, *out = _counted(primals, cond, body, n_consts, bound)
        out_dots = tangent_p.bind(count, *primals, *dots, **params)
    rest = iter(out_dots)
    return out, [next(rest) if is_inexact(o) else ad.Zero(jax.typeof(o).to_tangent_aval()) for o in out]


def _counted(primals: Sequence[Any], cond: Jaxpr, body: Jaxpr, n_consts: int, bound: int | None) -> list[Any]:
    """The number of iterations and the result."""
    consts, init = primals[:n_consts], primals[n_consts:]
    again, step = jaxpr_as_fun(cond), jaxpr_as_fun(body)

    def cond_fn(*args: Any) -> Any:
        return again(*args[:n_consts], *args[n_consts + 1 :])

    def body_fn(*args: Any) -> Any:
        return [args[n_consts] + 1, *step(*args[:n_consts], *args[n_consts + 1 :])]

    args = [*consts, jnp.zeros((), np.int32), *init]
    avals = ir.types([jax.typeof(a) for a in args])
    traced = jax.make_jaxpr(cond_fn)(*avals), jax.make_jaxpr(body_fn)(*avals)
    return loop_p.bind(*args, cond=traced[0], body=traced[1], n_consts=n_consts, bound=bound)


# --- few inputs: the Jacobian ----------------------------------------------------------------------


def _step_with_tangents(body: Jaxpr, n_consts: int, moving: Sequence[int]) -> Callable[..., Any]:
    """(consts, carry, const tangents, carry tangents) -> (carry, carry tangents); only inexact ones have any."""
    step = jaxpr_as_fun(body)

    def along(consts: Any, carry: Any, const_dots: Any, carry_dots: Any) -> Any:
        which = [k for k in moving if k < n_consts]
        floats = [k for k, c in enumerate(carry) if is_inexact(c)]

        def of(some_consts: Any, some_carry: Any) -> list[Any]:
            full_consts, full = list(consts), list(carry)
            for k, c in zip(which, some_consts, strict=True):
                full_consts[k] = c
            for k, c in zip(floats, some_carry, strict=True):
                full[k] = c
            return step(*full_consts, *full)

        point = ([consts[k] for k in which], [carry[k] for k in floats])
        out, dots = jax.jvp(of, point, (list(const_dots), list(carry_dots)))
        return out, [dots[k] for k in floats]

    return along


def _started(primals: Sequence[Any], dots: Sequence[Any], n_consts: int, moving: Sequence[int]) -> tuple:
    """Tangents of the constants that move, and of all inexact carried values at the start."""
    given = dict(zip(moving, dots, strict=True))
    const_dots = [given[k] for k in moving if k < n_consts]
    carry_dots = [given.get(n_consts + k, jnp.zeros_like(c)) for k, c in enumerate(primals[n_consts:]) if is_inexact(c)]
    return const_dots, carry_dots


def _by_jacobian(
    primals: Sequence[Any],
    dots: Sequence[Any],
    *,
    cond: Jaxpr,
    body: Jaxpr,
    n_consts: int,
    moving: Sequence[int],
    bound: int | None,
) -> list[Any]:
    """Output tangents as the Jacobian times the input tangents."""
    consts, init = primals[:n_consts], list(primals[n_consts:])
    again = jaxpr_as_fun(cond)
    along = _step_with_tangents(body, n_consts, moving)
    basis = _basis([primals[k] for k in moving])
    start = jax.vmap(lambda d: _started(primals, d, n_consts, moving))(basis)

    def step(state: Any) -> Any:
        carry, columns = state
        new = along(
            consts,
            carry,
            [jnp.zeros_like(consts[k]) for k in moving if k < n_consts],
            [jnp.zeros_like(c) for c in carry if is_inexact(c)],
        )[0]
        moved = jax.vmap(lambda d, c: along(consts, carry, d, c)[1])(start[0], columns)
        return new, moved

    _, columns = _repeated(lambda s: again(*consts, *s[0])[0], step, (init, start[1]), bound)
    flat = jnp.concatenate([jnp.ravel(d) for d in dots])
    return [jnp.sum(c * flat.reshape(-1, *[1] * (c.ndim - 1)), axis=0) for c in columns]


def _basis(values: Sequence[Any]) -> list[Any]:
    """The unit directions of some arrays, stacked along a leading axis."""
    sizes = [int(np.size(v)) for v in values]
    rows = np.eye(sum(sizes))
    ends = np.cumsum(sizes)
    parts = [rows[:, e - n : e] for n, e in zip(sizes, ends, strict=True)]
    return [jnp.asarray(p.reshape(-1, *np.shape(v)), v.dtype) for p, v in zip(parts, values, strict=True)]


# --- many inputs: checkpoints ----------------------------------------------------------------------


def _tangent(count: Any, *operands: Any, body: Jaxpr, n_consts: int, moving: tuple[int, ...]) -> list[Any]:
    """Forward mode: the tangents of the carried values after `count` iterations."""
    split = len(body.in_avals)
    primals, dots = operands[:split], operands[split:]
    consts, init = primals[:n_consts], list(primals[n_consts:])
    along = _step_with_tangents(body, n_consts, moving)
    const_dots, carry_dots = _started(primals, dots, n_consts, moving)

    def step(state: Any) -> Any:
        k, carry, dots = state
        carry, dots = along(consts, carry, const_dots, dots)
        return k + 1, carry, dots

    start = (jnp.zeros((), np.int32), init, carry_dots)
    return lax.while_loop(lambda s: s[0] < count, step, start)[2]


def _tangent_types(count: Any, *operands: Any, body: Jaxpr, **_: Any) -> list[Any]:
    return [a for a in body.out_avals if is_inexact(a)]


def _transpose(
    cotangents: Sequence[Any], count: Any, *operands: Any, body: Jaxpr, n_consts: int, moving: tuple[int, ...]
) -> list[Any]:
    """Reverse mode: from the cotangents of the results to those of the inputs that move."""
    split = len(body.in_avals)
    primals = operands[:split]
    out = [a for a in body.out_avals if is_inexact(a)]
    cts = [jnp.zeros(a.shape, a.dtype) if isinstance(c, ad.Zero) else c for c, a in zip(cotangents, out, strict=True)]
    back = Back(body, n_consts, [k for k in moving if k < n_consts], primals[:n_consts])
    const_cts, cts = back.run(list(primals[n_consts:]), count, cts)
    floats = [k for k, a in enumerate(body.out_avals) if is_inexact(a)]
    given = dict(zip((k for k in moving if k < n_consts), const_cts, strict=True))
    given |= {n_consts + k: c for k, c in zip(floats, cts, strict=True)}
    return [None] * (1 + split) + [given[k] for k in moving]


# --- rules -----------------------------------------------------------------------------------------


def _batch(
    operands: Sequence[Any], dims: Sequence[Any], *, cond: Jaxpr, body: Jaxpr, n_consts: int, bound: int | None
) -> tuple:
    """One loop for all elements of a batch; an element that has ended is held, and its step guarded."""
    size = next(x.shape[d] for x, d in zip(operands, dims, strict=True) if isinstance(d, int))
    again, step = jaxpr_as_fun(cond), jaxpr_as_fun(body)
    consts_in = [0 if isinstance(d, int) else None for d in dims[:n_consts]]
    moved = [jnp.moveaxis(x, d, 0) if isinstance(d, int) else x for x, d in zip(operands, dims, strict=True)]
    carry = [
        x if isinstance(d, int) else jnp.broadcast_to(x, (size, *np.shape(x)))
        for x, d in zip(moved[n_consts:], dims[n_consts:], strict=True)
    ]

    def going(*args: Any) -> Any:
        return jax.vmap(lambda *a: again(*a)[0], in_axes=(*consts_in, *[0] * len(carry)))(*args)

    def one(on: Any, *args: Any) -> list[Any]:
        safe = [guard(a, jnp.broadcast_to(on, jnp.shape(a))) if is_inexact(a) else a for a in args]
        return [jnp.where(on, new, old) for new, old in zip(step(*safe), args[n_consts:], strict=True)]

    def held(*args: Any) -> list[Any]:
        return jax.vmap(one, in_axes=(0, *consts_in, *[0] * len(carry)))(going(*args), *args)

    args = [*moved[:n_consts], *carry]
    avals = ir.types([jax.typeof(a) for a in args])
    conds = jax.make_jaxpr(lambda *a: [jnp.any(going(*a))])(*avals)
    bodies = jax.make_jaxpr(held)(*avals)
    out = loop_p.bind(*args, cond=conds, body=bodies, n_consts=n_consts, bound=bound)
    return out, [0] * len(out)


def _tangent_batch(operands: Sequence[Any], dims: Sequence[Any], **params: Any) -> tuple:
    axes = tuple(d if isinstance(d, int) else None for d in dims)
    out = jax.vmap(lambda *a: _tangent(*a, **params), in_axes=axes)(*operands)
    return out, [0] * len(out)


def _tangent_jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple:
    dots = [
        jnp.zeros_like(p) if isinstance(t, ad.Zero) and is_inexact(p) else t
        for p, t in zip(primals, tangents, strict=True)
    ]
    moving = [k for k, p in enumerate(primals) if is_inexact(p)]

    def of(*some: Any) -> list[Any]:
        full = list(primals)
        for k, v in zip(moving, some, strict=True):
            full[k] = v
        return _tangent(*full, **params)

    return jax.jvp(of, tuple(primals[k] for k in moving), tuple(dots[k] for k in moving))


loop_p.def_impl(_value)
loop_p.def_abstract_eval(_types)
ad.primitive_jvps[loop_p] = _jvp
batching.primitive_batchers[loop_p] = _batch
mlir.register_lowering(loop_p, mlir.lower_fun(_value, multiple_results=True))
tangent_p.def_impl(_tangent)
tangent_p.def_abstract_eval(_tangent_types)
ad.primitive_jvps[tangent_p] = _tangent_jvp
ad.primitive_transposes[tangent_p] = _transpose
batching.primitive_batchers[tangent_p] = _tangent_batch
mlir.register_lowering(tangent_p, mlir.lower_fun(_tangent, multiple_results=True))
