"""Operators on plain, traced and list values, with Python's meaning."""

import operator
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from gradmc.program.exact import exactly
from gradmc.program.frontend import (
    choices,
    dicts,
    frames,
    gaps,
    heavy,
    nullable,
    partial,
    pythons,
    risks,
    special_methods,
    tables,
    text,
)
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.heap import TOKENS
from gradmc.program.frontend.listing import Listing
from gradmc.program.frontend.slots import Slots
from gradmc.program.frontend.subscripts import fresh_list
from gradmc.program.frontend.values import (
    LEAF,
    CannotRoll,
    Choice,
    Container,
    Form,
    Nullable,
    OrNone,
    Rows,
    Selected,
    Spread,
    Unbound,
    any_traced,
    at_once,
    beyond,
    fits,
    is_array,
    is_plain_jax,
    is_traced,
)

BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": operator.mul,
    "Div": operator.truediv,
    "FloorDiv": operator.floordiv,
    "Mod": operator.mod,
    "Pow": operator.pow,
    "MatMult": operator.matmul,
    "BitAnd": operator.and_,
    "BitOr": operator.or_,
    "BitXor": operator.xor,
    "LShift": operator.lshift,
    "RShift": operator.rshift,
}
UNARY: dict[str, Callable[[Any], Any]] = {
    "USub": operator.neg,
    "UAdd": operator.pos,
    "Invert": operator.invert,
}
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "Eq": operator.eq,
    "NotEq": operator.ne,
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
    "Is": operator.is_,
    "IsNot": operator.is_not,
}


def content(ev: Evaluation, value: Any) -> Any:
    """The present content of a value, for an operation on it."""
    if isinstance(value, TOKENS):
        if isinstance(value, Tracer):
            ev.traced += 1
        return ev.heap.content(value)
    if isinstance(value, Choice):
        raise CannotRoll("something that is no number is used at a symbolic place", choices.REMEDY)
    return content(ev, nullable.used(ev, value)) if isinstance(value, Unbound | Nullable | Spread | Selected) else value


def made(ev: Evaluation, value: Any) -> Any:
    """Note that an operation has made a new value."""
    return ev.heap.allocate(value) if isinstance(value, TOKENS) else value


def applied(ev: Evaluation, operation: Callable[..., Any], *operands: Any) -> Any:
    """An operator on values; of known numbers it is a known number."""
    if any(map(is_plain_jax, operands)) and not any(map(is_traced, operands)):
        return at_once(operation, *operands)
    if any(map(is_traced, operands)):
        return gaps.elementwise(ev, operation, *operands)
    if any(isinstance(o, list | tuple) for o in operands):
        return operation(*operands)  # puts them one after the other, or repeats them: their numbers stay what they are
    return exactly(operation, *operands)


def binary(ev: Evaluation, op: str, a: Any, b: Any) -> Any:
    """`a op b`."""
    if choices.involved((a, b)):
        return choices.mapped(ev, lambda a, b: binary(ev, op, a, b), a, b)
    if partial.any_partial((a, b)):
        return _partial_binary(ev, op, a, b)
    if frames.involved((a, b)):
        return (
            frames.product(a, b) if op == "MatMult" else frames.elementwise(ev, lambda a, b: binary(ev, op, a, b), a, b)
        )
    tokens = a, b
    a, b = dicts.mapping(ev, content(ev, a)), dicts.mapping(ev, content(ev, b))
    if isinstance(a, Listing) or isinstance(b, Listing):
        return _lists(ev, op, a, b)
    if op == "Mod" and isinstance(a, str) and (any_traced(b) or text.is_untold((a, b))):
        return text.Untold(a)
    if op == "Pow" and (is_traced(a) or is_traced(b)):
        result = gaps.elementwise(ev, _power, a, b)
        _watched(ev, op, a, b, result)
        return made(ev, result)
    users = special_methods.operated(ev, BINARY[op], a, b)
    if users is not NotImplemented:
        return users
    if (is_traced(a) and _is_sparse(b)) or (is_traced(b) and _is_sparse(a)):
        from gradmc.program.frontend.libraries import scipy_sparse

        return made(ev, scipy_sparse.combined(op, a, b))
    a, b = _beside(ev, a, b), _beside(ev, b, a)
    if op not in ("BitAnd", "BitOr", "BitXor") and _is_bool(a) and _is_bool(b) and np.ndim(a) == np.ndim(b) == 0:
        a, b = _counted(ev, a), _counted(ev, b)
    a, b = _in_range(a, b), _in_range(b, a)
    result = applied(ev, BINARY[op], a, b)
    if tables.scalar(a) and tables.scalar(b):
        _watched(ev, op, a, b, result)
        return tables.apply(ev, result, BINARY[op], a, b)
    return made(ev, partial.note(ev, result, op, (a, b), tokens))


def _watched(ev: Evaluation, op: str, a: Any, b: Any, result: Any) -> None:
    """Note whose number a result is, and where the operator raises."""
    if is_traced(result):
        pythons.note(ev, result, pythons.of_result(ev, a, b))
        heavy.note(ev, result, a, b)
        if ev.attempts:
            risks.operator(ev, op, a, b, result)


def _partial_binary(ev: Evaluation, op: str, a: Any, b: Any) -> Any:
    if op != "MatMult":
        return partial.elementwise(ev, lambda a, b: binary(ev, op, a, b), a, b)
    if isinstance(a, Selected) and isinstance(b, Selected):
        return partial.reduced(ev, binary(ev, "Mult", a, b), "sum")
    return binary(ev, op, content(ev, a), content(ev, b))


def _is_sparse(value: Any) -> bool:
    return type(value).__module__.startswith("scipy.sparse")


def _beside(ev: Evaluation, value: Any, other: Any) -> Any:
    """A list beside an array as the array that it stands for."""
    if isinstance(value, Listing) and is_array(other):
        return whole_array(ev, value)
    return as_array(ev, value) if isinstance(value, list | tuple) and is_array(other) else value


def as_array(ev: Evaluation, values: Any) -> Any:
    """A list or tuple as an array."""
    present = ev.present(values)
    return jnp.asarray(present) if any_traced(values) else np.asarray(present)


def _in_range(value: Any, other: Any) -> Any:
    """A whole number that JAX's cannot hold, as the float that Python makes of it beside a float."""
    if not is_traced(other) or fits(value):
        return value
    if jnp.issubdtype(other.dtype, jnp.inexact):
        return float(value) if np.ndim(value) == 0 else np.asarray(value).astype(float)
    raise beyond(value)


def _counted(ev: Evaluation, value: Any) -> Any:
    """A truth value as the whole number that it is in arithmetic."""
    return tables.apply(ev, jnp.asarray(value, int), np.int64, value) if is_traced(value) else int(value)


def _power(a: Any, b: Any) -> Any:
    """Powers of integers with a traced exponent are floats: a negative one gives a fraction."""
    if is_traced(b) and jnp.issubdtype(b.dtype, jnp.integer) and jnp.issubdtype(jnp.result_type(a), jnp.integer):
        return jnp.power(jnp.asarray(a, float), b)
    if isinstance(b, int | np.integer) and b < 0 and jnp.issubdtype(jnp.result_type(a), jnp.integer):
        return jnp.asarray(a, float) ** int(b)
    return a**b


def _lists(ev: Evaluation, op: str, a: Any, b: Any) -> Any:
    if op == "Add" and isinstance(a, Listing | list) and isinstance(b, Listing | list):
        first, second = (v if isinstance(v, Listing) else Listing.of(v) for v in (a, b))
        return fresh_list(ev, first.concatenate(ev, second))
    if op == "Mult":
        listing, times = (a, b) if isinstance(a, Listing) else (b, a)
        if isinstance(times, int | np.integer):
            return fresh_list(ev, listing.repeated(ev, int(times)))
    return BINARY[op](whole_array(ev, a), whole_array(ev, b))


def whole_array(ev: Evaluation, value: Any) -> Any:
    """A list of stacked items as the array that numpy makes of it; lists and tuples inside are axes, too.

    Raises:
        CannotRoll: it holds something else, or lists of different lengths.
    """
    if not isinstance(value, Listing):
        return value
    stack = value.stacked(ev)
    if isinstance(stack.form, OrNone) and len(stack.leaves) == 2:
        return nullable.used(ev, Nullable(stack.leaves[0], jnp.any(stack.leaves[1])))
    return _filled(stack.form, iter(stack.leaves), 1)


def _filled(form: Form, leaves: Iterator[Any], axis: int) -> Any:
    """Items of one form, stacked along `axis` leading axes, as one array."""
    if form == LEAF:
        return next(leaves)
    if isinstance(form, Rows):
        return _filled(form.item, leaves, axis + 1)
    if not isinstance(form, Container) or not issubclass(form.kind, list | tuple) or not form.parts:
        raise CannotRoll("a list of things that are no numbers, arrays or lists cannot be used as an array")
    parts = [_filled(part, leaves, axis) for part in form.parts]
    if len({np.shape(part) for part in parts}) > 1:
        raise CannotRoll("a list of lists of different lengths cannot be used as an array")
    return (jnp if any_traced(parts) else np).stack(parts, axis)


def inplace(ev: Evaluation, op: str, a: Any, b: Any) -> Any:
    """`a op= b`: returns what the name is bound to afterwards."""
    if isinstance(a, list):
        if op == "Add":
            ev.list_method(a, "extend", (b,))
            return a
        if op == "Mult":
            ev.heap.repeat(a, operator.index(content(ev, b)))
            return a
        return binary(ev, op, a, b)
    users = special_methods.operated_inplace(ev, BINARY[op], a, b)
    if users is not NotImplemented:
        return users
    if isinstance(a, Spread) or (isinstance(a, Selected) and a.part_of is not None):
        a.complain()  # an array would be changed in place, a number would not
    if not is_array(a):
        return binary(ev, op, a, b)
    now = content(ev, a)
    other = _beside(ev, content(ev, b), now)
    result = applied(ev, BINARY[op], _in_range(now, other), _in_range(other, now))
    if np.shape(result) != now.shape or _canonical(result) != _canonical(now):
        return made(ev, result)
    ev.replace(a, result)
    return a


def _canonical(array: Any) -> Any:
    """The type that JAX gives an array: float32 for numpy's float64 in single precision."""
    return jax.dtypes.canonicalize_dtype(array.dtype)


def unary(ev: Evaluation, op: str, a: Any) -> Any:
    """`op a`."""
    if isinstance(a, Choice):
        return choices.mapped(ev, lambda a: unary(ev, op, a), a)
    if partial.any_partial((a,)):
        return partial.elementwise(ev, lambda a: unary(ev, op, a), a)
    if frames.involved((a,)):
        return frames.elementwise(ev, lambda a: unary(ev, op, a), a)
    if (users := special_methods.method_of(ev, a, f"__{UNARY[op].__name__.strip('_')}__")) is not None:
        return users()
    token, a = a, content(ev, a)
    if op != "Invert" and _is_bool(a) and not np.ndim(a):
        a = _counted(ev, a)
    result = applied(ev, UNARY[op], a)
    pythons.note(ev, result, pythons.of_result(ev, a))
    return (
        tables.apply(ev, result, UNARY[op], a)
        if tables.scalar(a)
        else made(ev, partial.note(ev, ev.heap.own(result, a), op, (a,), (token,)))
    )


def compare(ev: Evaluation, op: str, a: Any, b: Any) -> Any:
    """`a op b` for one comparison."""
    if choices.involved((a, b)):
        return choices.mapped(ev, lambda a, b: compare(ev, op, a, b), a, b)
    if op in TAKE_NONE and (nullable.may_be_none(a) or nullable.may_be_none(b)):
        return nullable.compared(op, a, b, lambda *operands: compare(ev, *operands))
    if op in ("Is", "IsNot"):
        return _same_object(op, a, b)
    if op not in ("In", "NotIn") and partial.any_partial((a, b)):
        return partial.elementwise(ev, lambda a, b: compare(ev, op, a, b), a, b)
    if op not in ("In", "NotIn") and frames.involved((a, b)):
        return frames.compared(ev, lambda a, b: compare(ev, op, a, b), a, b)
    if op not in ("In", "NotIn") and (users := special_methods.compared(ev, op, a, b)) is not NotImplemented:
        return users
    tokens = a, b
    a, b = content(ev, a), content(ev, b)
    if op in ("In", "NotIn"):
        found = dicts.contains(ev, tokens[1], a) if isinstance(tokens[1], dict) else _contains(ev, a, b)
        return found if op == "In" else not_(ev, found)
    if isinstance(a, str) or isinstance(b, str) or a is None or b is None:
        return COMPARE[op](a, b) if not (is_traced(a) or is_traced(b)) else op == "NotEq"
    if _in_turn(a, b):
        return _lexicographic(ev, op, a, b)
    a, b = _beside(ev, a, b), _beside(ev, b, a)
    a, b = _comparable(ev, a, b), _comparable(ev, b, a)
    a, b = _placed(a, b), _placed(b, a)
    result = applied(ev, COMPARE[op], a, b)
    if tables.scalar(a) and tables.scalar(b):
        return tables.apply(ev, result, COMPARE[op], a, b)
    return made(ev, partial.note(ev, result, op, (a, b), tokens))


def _in_turn(a: Any, b: Any) -> bool:
    """Whether Python compares two operands item by item, and that is not known: both are tuples, or both lists."""
    kinds = [(tuple,), (list, Listing)]
    return any(isinstance(a, kind) and isinstance(b, kind) for kind in kinds) and any(
        isinstance(v, Listing) or any_traced(v) for v in (a, b)
    )


def _lexicographic(ev: Evaluation, op: str, a: Any, b: Any) -> Any:
    """A comparison of tuples or lists: the first items that differ decide, or the lengths if there are none."""
    a, b = (list(v.items(ev)) if isinstance(v, Listing) else v for v in (a, b))
    result: Any = COMPARE[op](len(a), len(b))
    if op in ("Eq", "NotEq") and len(a) != len(b):
        return result
    for one, other in reversed(list(zip(a, b, strict=False))):
        alike = truth(ev, compare(ev, "Eq", one, other))
        differ = op == "NotEq" if op in ("Eq", "NotEq") else truth(ev, compare(ev, op, one, other))
        if is_traced(alike):
            result = tables.apply(ev, jnp.where(alike, result, differ), np.where, alike, result, differ)
        else:
            result = result if alike else differ
    return result


TAKE_NONE = ("Is", "IsNot", "Eq", "NotEq")
"""Comparisons that raise nothing where an operand is None."""


def _same_object(op: str, a: Any, b: Any) -> bool:
    """`a is b` or `a is not b`."""
    if isinstance(a, bool) != isinstance(b, bool) and (is_traced(a) or is_traced(b)):
        raise CannotRoll(
            "`is` (also: case True, case False) compares a truth value that is not known while compiling",
            "Test the condition itself: if x > 0.",
        )
    return COMPARE[op](a, b)


def _comparable(ev: Evaluation, value: Any, other: Any) -> Any:
    if isinstance(value, Listing):
        return whole_array(ev, value) if not isinstance(other, Listing | list) else list(value.items(ev))
    return value


def _placed(value: Any, other: Any) -> Any:
    """A whole number that JAX's cannot hold, for a comparison: as a float it is as far beyond all others."""
    return value if fits(value) or not is_traced(other) else np.asarray(value).astype(float)


def _contains(ev: Evaluation, item: Any, container: Any) -> Any:
    if (users := special_methods.contains(ev, container, item)) is not NotImplemented:
        return users
    if isinstance(container, Listing):
        flat = container.stacked(ev).form == LEAF
        container = whole_array(ev, container) if flat else list(container.items(ev))
    if is_traced(item) or is_traced(container):
        if isinstance(container, range):
            inside = (item >= container.start) & (item < container.stop)
            return inside & ((item - container.start) % container.step == 0)
        if isinstance(container, set | frozenset):
            container = list(container)
        return jnp.any(jnp.asarray(container) == item)
    if isinstance(container, list | tuple) and any(is_traced(v) for v in container):
        return jnp.any(jnp.stack([jnp.asarray(v) for v in container]) == item)
    return item in container


def chain(ev: Evaluation, op: str, a: Any, b: Any, *rest: Any) -> Any:
    """`a op b op c ...`: each operand once, and none after a comparison that fails."""
    result = compare(ev, op, a, b)
    if not rest:
        return result
    then, later, *others = rest
    return and_(ev, result, lambda: chain(ev, then, b, later(), *others))


def both(ev: Evaluation, a: Any, b: Any) -> Any:
    """`a and b` of two truth values that have both been computed."""
    if is_traced(a) or is_traced(b):
        return jnp.logical_and(truth(ev, a), truth(ev, b))
    return a and b


def truth(ev: Evaluation, value: Any) -> Any:
    """Whether a value counts as true: a bool, or a traced scalar of booleans."""
    if nullable.may_be_none(value):
        return both(ev, not_(ev, value.null), truth(ev, value.value))
    if isinstance(value, Choice):
        return choices.mapped(ev, lambda v: truth(ev, v), value)
    if (users := special_methods.truth(ev, value)) is not NotImplemented:
        return users
    value = content(ev, value)
    if isinstance(value, Listing | Slots):
        length = value.length()
        return length > 0
    if not is_traced(value):
        return bool(value)
    if value.ndim and value.size != 1:
        raise ValueError("The truth value of an array with more than one element is ambiguous. Use a.any() or a.all()")
    value = value.reshape(()) if value.ndim else value
    return value if value.dtype == bool else value != 0


def not_(ev: Evaluation, a: Any) -> Any:
    """`not a`."""
    a = truth(ev, a)
    return tables.apply(ev, jnp.logical_not(a), np.logical_not, a) if is_traced(a) else not a


def and_(ev: Evaluation, a: Any, *rest: Callable[[], Any]) -> Any:
    """`a and b and ...`."""
    for later in rest:
        known = truth(ev, a)
        if is_traced(known):
            a = _joined(ev, a, known, later, stop_on=False)
        elif not known:
            return a
        else:
            a = later()
    return a


def or_(ev: Evaluation, a: Any, *rest: Callable[[], Any]) -> Any:
    """`a or b or ...`."""
    for later in rest:
        known = truth(ev, a)
        if is_traced(known):
            a = _joined(ev, a, known, later, stop_on=True)
        elif known:
            return a
        else:
            a = later()
    return a


def _joined(ev: Evaluation, a: Any, known: Any, later: Callable[[], Any], *, stop_on: bool) -> Any:
    """One step of and/or whose left side is traced: the right side counts only where the left does not decide.

    A right side that is a truth value, changes nothing and looks nothing up (`i + 1 < n and x[i + 1] > 0`) is
    computed beside the left.
    """
    frame = ev.heap.enter(loop=False)
    looked_up = ev.looked_up
    try:
        b = later()
        harmless = not (frame.saved or frame.grown or frame.failures or ev.looked_up > looked_up)
    finally:
        ev.heap.leave(frame)
    if harmless and _is_bool(a) and _is_bool(b):
        combine, numpy = (jnp.logical_or, np.logical_or) if stop_on else (jnp.logical_and, np.logical_and)
        return tables.apply(ev, combine(known, b), numpy, known, b)
    if stop_on:
        taken = a.value if isinstance(a, Nullable) else a  # what counts as true is not None
        return ev.choose(known, lambda: taken, later)
    return ev.choose(known, later, lambda: a)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool | np.bool_) or (isinstance(value, jax.Array) and value.dtype == bool)
