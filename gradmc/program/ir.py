"""The loop IR: five primitives that stand in jaxprs for Python's loops, branches and subscripts.

The front end traces a loop's body once and leaves it in the jaxpr as data; the middle end
(`gradmc.program.middle`) analyses and schedules it. Vocabulary:

    for     body(i, *consts, *carry) -> (*carry, *ys), run `length` times; the ys are stacked along the loop
    while   body(*consts, *carry) -> carry for as long as cond(*consts, *carry)
    if      then(*operands) or otherwise(*operands), by a scalar predicate
    load    array[i, j, ...] with Python's meaning of negative indices
    store   a copy of array in which array[i, j, ...] is value

`consts` are what a body reads from outside and never changes. Bodies hold no constants of their own:
whatever they close over becomes an operand, so every concrete array ends up as a constant of the
outermost jaxpr, where the middle end finds it.

`library` is a library's computation as one equation (`as_one`): nobody looks into its body.

Each primitive also runs by itself, under every transformation of JAX, through its plain meaning:
`scan`, `while_loop`, `cond`, `gather` and `scatter` (the functions `*_plain`). What the middle end
makes of a program must equal that.
"""

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Jaxpr, Primitive, Var, jaxpr_as_fun
from jax.interpreters import ad, batching, mlir

Run = Callable[[Jaxpr], Callable[..., Sequence[Any]]]

for_p = Primitive("for")
while_p = Primitive("while_")
if_p = Primitive("if")
library_p = Primitive("library")
load_p = Primitive("load")
store_p = Primitive("store")
for _primitive in (for_p, while_p, if_p, library_p):
    _primitive.multiple_results = True

BODIES = {for_p: ("body",), while_p: ("cond", "body"), if_p: ("then", "otherwise")}
"""The parameters of a primitive that are jaxprs."""
WHOLE = np.dtype(np.int64)
"""The largest type of whole numbers."""
MOST_GUARDED = 1000
MAX_LOOP_ITERATIONS = 1_000_000
"""Iterations at most, unless told otherwise, of a loop that parameters end: as scalars they take some 10 ms."""
MOST_LOOP_ITERATIONS = 2**30
"""The largest bound that can be given."""

PRIMITIVES = frozenset({for_p, while_p, if_p, load_p, store_p})


class CarryError(TypeError):
    """A carried value changes its shape from one iteration to the next.

    `mismatches` lists (position among the leaves, type before, type after).
    """

    def __init__(self, mismatches: list[tuple[int, Any, Any]]) -> None:
        self.mismatches = mismatches
        told = "; ".join(f"value {k}: {before} becomes {after}" for k, before, after in mismatches)
        super().__init__(f"a loop must carry values of one shape: {told}")


# --- plain meaning -------------------------------------------------------------------------------


def _direct(body: Jaxpr) -> Callable[..., Sequence[Any]]:
    return jaxpr_as_fun(body)


def for_plain(
    *operands: Any, length: int, body: Jaxpr, n_consts: int, n_carry: int, run: Run = _direct, **_: Any
) -> list[Any]:
    """A `for` as one `scan`."""
    consts, init = operands[:n_consts], operands[n_consts:]
    step = run(body)

    def scan_body(carry: tuple, i: Any) -> tuple[tuple, tuple]:
        out = step(i, *consts, *carry)
        return tuple(out[:n_carry]), tuple(out[n_carry:])

    index_dtype = types(body.in_avals)[0].dtype
    carry, ys = lax.scan(scan_body, tuple(init), jnp.arange(length, dtype=index_dtype))
    return [*carry, *ys]


def while_plain(
    *operands: Any,
    cond: Jaxpr,
    body: Jaxpr,
    n_consts: int,
    max_steps: int | None,
    run: Run = _direct,
    **_: Any,
) -> list[Any]:
    """A `while` as `while_loop`; with a small bound, as a `scan` over guarded steps (which has a reverse mode)."""
    consts, init = operands[:n_consts], tuple(operands[n_consts:])
    again, step = run(cond), run(body)
    if max_steps is None:
        return list(
            lax.while_loop(lambda carry: again(*consts, *carry)[0], lambda carry: tuple(step(*consts, *carry)), init)
        )

    if max_steps > MOST_GUARDED:
        bound = max_steps
        return list(
            lax.while_loop(
                lambda s: again(*consts, *s[1])[0] & (s[0] < bound),
                lambda s: (s[0] + 1, tuple(step(*consts, *s[1]))),
                (jnp.zeros((), np.int32), init),
            )[1]
        )

    def guarded(carry: tuple, _: Any) -> tuple[tuple, None]:
        more = again(*consts, *carry)[0]
        return lax.cond(more, lambda c: tuple(step(*consts, *c)), lambda c: c, carry), None

    return list(lax.scan(guarded, init, None, length=max_steps)[0])


def if_plain(pred: Any, *operands: Any, then: Jaxpr, otherwise: Jaxpr, run: Run = _direct, **_: Any) -> list[Any]:
    """An `if` as `cond`."""
    yes, no = run(then), run(otherwise)
    return list(lax.cond(pred, lambda *o: tuple(yes(*o)), lambda *o: tuple(no(*o)), *operands))


def library_plain(*operands: Any, body: Jaxpr, **_: Any) -> list[Any]:
    """A library's computation."""
    return list(jaxpr_as_fun(body)(*operands))


def wrap_index(index: Any, size: int) -> Any:
    """Python's negative indices: count from the end."""
    return jnp.where(index < 0, index + size, index)


def load_plain(array: Any, *indices: Any, **_: Any) -> Any:
    """A `load` as a gather; an index beyond the array gives NaN in a float array."""
    where = tuple(wrap_index(i, n) for i, n in zip(indices, array.shape, strict=False))
    return jnp.asarray(array).at[where].get(mode="fill", wrap_negative_indices=False)


def store_plain(array: Any, value: Any, *indices: Any, **_: Any) -> Any:
    """A `store` as a scatter; an index beyond the array changes nothing."""
    where = tuple(wrap_index(i, n) for i, n in zip(indices, array.shape, strict=False))
    return jnp.asarray(array).at[where].set(value, mode="drop", wrap_negative_indices=False)


# --- rules for JAX -------------------------------------------------------------------------------


def _stacked(aval: Any, length: int) -> Any:
    return aval.update(shape=(length, *aval.shape), weak_type=False)


@for_p.def_abstract_eval
def _for_types(*_: Any, length: int, body: Jaxpr, n_consts: int, n_carry: int, **__: Any) -> list[Any]:
    out = body.out_avals
    return [*out[:n_carry], *(_stacked(a, length) for a in out[n_carry:])]


@while_p.def_abstract_eval
def _while_types(*_: Any, body: Jaxpr, **__: Any) -> list[Any]:
    return list(body.out_avals)


@if_p.def_abstract_eval
def _if_types(*_: Any, then: Jaxpr, **__: Any) -> list[Any]:
    return list(then.out_avals)


@library_p.def_abstract_eval
def _library_types(*_: Any, body: Jaxpr, **__: Any) -> list[Any]:
    return list(body.out_avals)


@load_p.def_abstract_eval
def _load_types(array: Any, *indices: Any, **_: Any) -> Any:
    batch = np.broadcast_shapes(*(i.shape for i in indices))
    return array.update(shape=(*batch, *array.shape[len(indices) :]), weak_type=False)


@store_p.def_abstract_eval
def _store_types(array: Any, value: Any, *indices: Any, **_: Any) -> Any:
    return array.update(weak_type=False)


def _register(primitive: Primitive, plain: Callable[..., Any]) -> None:
    many = primitive.multiple_results

    def on_all(*operands: Any, **params: Any) -> list[Any]:
        out = plain(*operands, **params)
        return list(out) if many else [out]

    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        moving = [k for k, t in enumerate(tangents) if not isinstance(t, ad.Zero)]

        def along(*values: Any) -> list[Any]:
            operands = list(primals)
            for k, v in zip(moving, values, strict=True):
                operands[k] = v
            return on_all(*operands, **params)

        out, out_dot = jax.jvp(along, tuple(primals[k] for k in moving), tuple(tangents[k] for k in moving))
        out_dot = [
            ad.Zero(jax.typeof(o).to_tangent_aval()) if t.dtype == jax.dtypes.float0 else t
            for o, t in zip(out, out_dot, strict=True)
        ]
        return (out, out_dot) if many else (out[0], out_dot[0])

    def batch(operands: Sequence[Any], dims: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        axes = tuple(d if isinstance(d, int) else None for d in dims)
        out = jax.vmap(partial(on_all, **params), in_axes=axes)(*operands)
        return (out, [0] * len(out)) if many else (out[0], 0)

    primitive.def_impl(plain)
    ad.primitive_jvps[primitive] = jvp
    batching.primitive_batchers[primitive] = batch
    mlir.register_lowering(primitive, mlir.lower_fun(plain, multiple_results=many))


for _primitive, _plain in (
    (for_p, for_plain),
    (while_p, while_plain),
    (if_p, if_plain),
    (library_p, library_plain),
    (load_p, load_plain),
    (store_p, store_plain),
):
    _register(_primitive, _plain)


# --- builders ------------------------------------------------------------------------------------


def types(avals: Sequence[Any]) -> list[jax.ShapeDtypeStruct]:
    """Shapes, dtypes and weak types, as `jax.make_jaxpr` takes them."""
    return [_struct(a) for a in avals]


def _struct(aval: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(aval.shape, aval.dtype, weak_type=aval.weak_type)


def _aval(value: Any) -> jax.ShapeDtypeStruct:
    return _struct(jax.typeof(value))


def _trace(fn: Callable[..., Any], *avals: Any) -> tuple[Jaxpr, list[Any], Any]:
    """Trace `fn`: its jaxpr with everything it closes over as leading inputs, those values, the output tree."""
    closed, shapes = jax.make_jaxpr(lambda *args: fn(*args), return_shape=True)(*avals)
    consts = list(closed.consts)
    return _open(closed), consts, jax.tree.structure(shapes)


def _open(closed: Jaxpr) -> Jaxpr:
    """The same jaxpr with its constants as leading inputs."""
    return closed.replace(constvars=[], invars=[*closed.constvars, *closed.invars])


def _with_unused(body: Jaxpr, at: int, count: int, of: Jaxpr) -> Jaxpr:
    """`body` with `count` inputs of `of` that it does not read, inserted before position `at`."""
    v = body.invars
    extra = [Var(a) for a in of.in_avals[:count]]
    return body.replace(invars=[*v[:at], *extra, *v[at:]])


def _reorder(body: Jaxpr, n_consts: int, n_front: int) -> Jaxpr:
    """(*consts, *front, *rest) -> (*front, *consts, *rest)."""
    v = body.invars
    front = v[n_consts : n_consts + n_front]
    return body.replace(invars=[*front, *v[:n_consts], *v[n_consts + n_front :]])


def _promoted(before: Sequence[Any], after: Sequence[Any]) -> list[Any]:
    """The types that hold a carried value before and after an iteration, by Python's promotion."""
    wrong = [(k, a, b) for k, (a, b) in enumerate(zip(before, after, strict=True)) if a.shape != b.shape]
    if wrong:
        raise CarryError(wrong)
    out = []
    for a, b in zip(before, after, strict=True):
        dtype, weak = jax.dtypes.result_type(a, b, return_weak_type_flag=True)
        out.append(jax.ShapeDtypeStruct(a.shape, dtype, weak_type=weak))
    return out


def _same(before: Sequence[Any], after: Sequence[Any]) -> bool:
    return all(a.dtype == b.dtype and a.weak_type == b.weak_type for a, b in zip(before, after, strict=True))


def _settle(trace: Callable[[list[Any]], tuple], avals: list[Any]) -> tuple[tuple, list[Any]]:
    """Trace a loop body until the types it is given are the types it returns.

    Booleans rise to integers, those to floats, those to complex numbers: it ends after a few rounds.
    """
    while True:
        traced = trace(avals)
        wider = _promoted(avals, traced[-1])
        if _same(wider, avals):
            return traced, avals
        avals = wider


def _cast(values: Sequence[Any], avals: Sequence[Any]) -> list[Any]:
    return [_as(v, a) for v, a in zip(values, avals, strict=True)]


def _as(value: Any, aval: Any) -> Any:
    have = jax.typeof(value)
    if have.dtype == aval.dtype and have.weak_type == aval.weak_type:
        return value
    if aval.weak_type:
        return lax.convert_element_type(value, type(np.zeros((), aval.dtype).item()))
    return lax.convert_element_type(value, aval.dtype)


def _index_aval() -> jax.ShapeDtypeStruct:
    dtype = jax.dtypes.canonicalize_dtype(np.int64)
    return jax.ShapeDtypeStruct((), dtype, weak_type=True)


def _checked(fn: Callable[..., Any], tree: Any) -> Callable[..., list[Any]]:
    """`fn` on flat carried values, its result flat and of the same structure."""

    def flat(*leaves: Any) -> list[Any]:
        out = fn(jax.tree.unflatten(tree, leaves))
        if jax.tree.structure(out) != tree:
            raise TypeError(f"a loop body must return the carried values it was given: {tree}")
        return jax.tree.leaves(out)

    return flat


def _casting(body: Jaxpr, avals: Sequence[Any]) -> Jaxpr:
    """`body` with its first results converted to the types `avals`."""
    n = len(avals)
    if _same(body.out_avals[:n], avals):
        return body

    def cast(*args: Any) -> list[Any]:
        out = jaxpr_as_fun(body)(*args)
        return [*_cast(out[:n], avals), *out[n:]]

    return jax.make_jaxpr(cast)(*types(body.in_avals))


def for_loop(
    length: int,
    body_fn: Callable[[Any, Any], tuple[Any, Any]],
    carry: Any,
    *,
    source: Hashable = None,
    names: Sequence[str] = (),
) -> tuple[Any, Any]:
    """Run `body_fn(i, carry) -> (carry, ys)` for i = 0 .. length - 1.

    `names` say what the leaves of the carry are called in the source, for explanations. Returns the final carry and
    the ys stacked along a new leading axis of size `length`.
    Carried values are promoted as Python would (an integer to which a float is added becomes a float).
    Raises CarryError when a carried value changes its shape.
    """
    init, tree = jax.tree.flatten(carry)
    n_carry = len(init)

    def trace(avals: list[Any]) -> tuple:
        def flat_body(i: Any, *leaves: Any) -> tuple[list[Any], Any]:
            out, ys = body_fn(i, jax.tree.unflatten(tree, leaves))
            if jax.tree.structure(out) != tree:
                raise TypeError(f"a loop body must return the carried values it was given: {tree}")
            return jax.tree.leaves(out), ys

        body, consts, out_tree = _trace(flat_body, _index_aval(), *avals)
        return body, consts, out_tree, list(body.out_avals[:n_carry])

    (body, consts, out_tree, _), avals = _settle(trace, [_aval(v) for v in init])
    out = for_p.bind(
        *consts,
        *_cast(init, avals),
        length=int(length),
        body=_reorder(_casting(body, avals), len(consts), 1),
        n_consts=len(consts),
        n_carry=n_carry,
        source=source,
        names=tuple(names) if len(names) == n_carry else ("",) * n_carry,
    )
    leaves, ys = jax.tree.unflatten(out_tree, out)
    return jax.tree.unflatten(tree, leaves), ys


def while_loop(
    cond_fn: Callable[[Any], Any],
    body_fn: Callable[[Any], Any],
    carry: Any,
    max_steps: int | None = None,
    *,
    source: Hashable = None,
) -> Any:
    """Run `body_fn(carry) -> carry` for as long as `cond_fn(carry)`; at most `max_steps` times if given."""
    init, tree = jax.tree.flatten(carry)

    def trace(avals: list[Any]) -> tuple:
        body, consts, _ = _trace(_checked(body_fn, tree), *avals)
        return body, consts, list(body.out_avals)

    (body, consts, _), avals = _settle(trace, [_aval(v) for v in init])
    cond, cond_consts, _ = _trace(lambda *leaves: cond_fn(jax.tree.unflatten(tree, leaves)), *avals)
    body = _casting(body, avals)
    n, m = len(cond_consts), len(consts)
    shared = [*cond_consts, *consts]
    out = while_p.bind(
        *shared,
        *_cast(init, avals),
        cond=_with_unused(cond, n, m, of=body),
        body=_with_unused(body, 0, n, of=cond),
        n_consts=n + m,
        max_steps=max_steps,
        source=source,
    )
    return jax.tree.unflatten(tree, out)


def cond(
    pred: Any,
    then_fn: Callable[..., Any],
    else_fn: Callable[..., Any],
    *operands: Any,
    source: Hashable = None,
) -> Any:
    """`then_fn(*operands)` if `pred` else `else_fn(*operands)`; results are promoted to a common type.

    Raises CarryError when the two sides return different shapes.
    """
    leaves, tree = jax.tree.flatten(operands)
    avals = [_aval(v) for v in leaves]
    yes, yes_consts, yes_tree = _trace(lambda *a: then_fn(*jax.tree.unflatten(tree, a)), *avals)
    no, no_consts, no_tree = _trace(lambda *a: else_fn(*jax.tree.unflatten(tree, a)), *avals)
    if yes_tree != no_tree:
        raise TypeError(f"both sides of a branch must return alike: {yes_tree} and {no_tree}")
    common = _promoted(yes.out_avals, no.out_avals)
    n, m = len(yes_consts), len(no_consts)
    out = if_p.bind(
        pred,
        *yes_consts,
        *no_consts,
        *leaves,
        then=_with_unused(_casting(yes, common), n, m, of=no),
        otherwise=_with_unused(_casting(no, common), 0, n, of=yes),
        source=source,
    )
    return jax.tree.unflatten(yes_tree, out)


def as_one(fn: Callable[..., Any], *args: Any) -> Any:
    """`fn(*args)`, a pytree of arrays, as one equation, which the loop compiler neither analyses nor rewrites."""
    leaves, tree = jax.tree.flatten(args)
    body, consts, out_tree = _trace(lambda *a: fn(*jax.tree.unflatten(tree, a)), *map(_aval, leaves))
    return jax.tree.unflatten(out_tree, library_p.bind(*consts, *leaves, body=body))


def opened(body: Jaxpr) -> Callable[..., list[Any]]:
    """A jaxpr as a function; its arrays are new views, since JAX remembers in which precision it first met one."""
    pairs = zip(body.constvars, body.consts, strict=True)
    consts = [_anew(c, v.aval) if isinstance(c, np.ndarray) else c for v, c in pairs]
    return jaxpr_as_fun(body.replace(consts=consts))


def _anew(array: np.ndarray, aval: Any) -> np.ndarray:
    return array.view(np.ndarray).astype(aval.dtype, copy=False).view()


def closed(fn: Callable[..., Any], *avals: Any) -> tuple[Jaxpr, list[Any]]:
    """`fn` as a jaxpr whose leading inputs are what it closes over, and those values."""
    body, consts, _ = _trace(fn, *avals)
    return body, consts


def load(array: Any, *indices: Any, source: Hashable = None) -> Any:
    """`array[i, j, ...]`: an element, or a sub-array when there are fewer indices than axes.

    Whole numbers of small types become those of the largest: JAX takes int32 / 3 for a float32, which NumPy does not.
    """
    if not indices:
        return array
    return widened(load_p.bind(array, *map(jnp.asarray, indices), source=source))


def widened(value: Any) -> Any:
    """Whole numbers in the largest type for them; others as they are."""
    small = jnp.issubdtype(value.dtype, jnp.integer) and value.dtype.itemsize < WHOLE.itemsize
    return value.astype(jax.dtypes.canonicalize_dtype(WHOLE)) if small else value


def store(array: Any, value: Any, *indices: Any, source: Hashable = None) -> Any:
    """A copy of `array` in which `array[i, j, ...]` is `value`, converted to the array's type."""
    array = jnp.asarray(array)
    value = jnp.broadcast_to(jnp.asarray(value, array.dtype), array.shape[len(indices) :])
    return store_p.bind(array, value, *map(jnp.asarray, indices), source=source)
