"""Operators on plain, traced and list values, with Python's meaning."""

import operator
from collections.abc import Callable
from types import FunctionType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from gradmc.program.exact import exactly
from gradmc.program.frontend import (
    branches,
    choices,
    context,
    frames,
    gaps,
    heavy,
    nullable,
    partial,
    pythons,
    tables,
    text,
)
from gradmc.program.frontend.listing import Listing
from gradmc.program.frontend.memory import TOKENS
from gradmc.program.frontend.values import (
    CannotRoll,
    Choice,
    Nullable,
    OrNone,
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


def content(value: Any) -> Any:
    """The present content of a value, for an operation on it."""
    if isinstance(value, TOKENS):
        here = context.current()
        if isinstance(value, Tracer):
            here.traced += 1
        return here.memory.content(value)
    if isinstance(value, Choice):
        raise CannotRoll("something that is no number is used at a symbolic place", choices.REMEDY)
    return content(nullable.used(value)) if isinstance(value, Unbound | Nullable | Spread | Selected) else value


def made(value: Any) -> Any:
    """Note that an operation has made a new value."""
    return context.current().memory.bear(value) if isinstance(value, TOKENS) else value


def applied(operation: Callable[..., Any], *operands: Any) -> Any:
    """An operator on values; of known numbers it is a known number."""
    if any(map(is_plain_jax, operands)) and not any(map(is_traced, operands)):
        return at_once(operation, *operands)
    if any(map(is_traced, operands)):
        return gaps.elementwise(operation, *operands)
    return exactly(operation, *operands)


def binary(op: str, a: Any, b: Any) -> Any:
    """`a op b`."""
    if choices.involved((a, b)):
        return choices.mapped(lambda a, b: binary(op, a, b), a, b)
    if partial.any_partial((a, b)):
        return _partial_binary(op, a, b)
    if frames.involved((a, b)):
        return frames.product(a, b) if op == "MatMult" else frames.elementwise(lambda a, b: binary(op, a, b), a, b)
    tokens = a, b
    a, b = content(a), content(b)
    if isinstance(a, Listing) or isinstance(b, Listing):
        return _lists(op, a, b)
    if op == "Mod" and isinstance(a, str) and (any_traced(b) or text.is_untold((a, b))):
        return text.Untold(a)
    if op == "Pow" and (is_traced(a) or is_traced(b)):
        result = gaps.elementwise(_power, a, b)
        _watched(op, a, b, result)
        return made(result)
    users = users_operator(BINARY[op], a, b)
    if users is not NotImplemented:
        return users
    if (is_traced(a) and _is_sparse(b)) or (is_traced(b) and _is_sparse(a)):
        from gradmc.program.frontend.libraries import scipy_sparse

        return made(scipy_sparse.combined(op, a, b))
    a, b = _beside(a, b), _beside(b, a)
    if op not in ("BitAnd", "BitOr", "BitXor") and _is_bool(a) and _is_bool(b) and np.ndim(a) == np.ndim(b) == 0:
        a, b = _counted(a), _counted(b)
    a, b = _in_range(a, b), _in_range(b, a)
    result = applied(BINARY[op], a, b)
    if tables.scalar(a) and tables.scalar(b):
        _watched(op, a, b, result)
        return tables.apply(result, BINARY[op], a, b)
    return made(partial.note(result, op, (a, b), tokens))


def _watched(op: str, a: Any, b: Any, result: Any) -> None:
    """Note whose number a result is, and where the operator raises."""
    if is_traced(result):
        pythons.note(result, pythons.of_result(a, b))
        heavy.note(result, a, b)
        if context.current().attempts:
            from gradmc.program.frontend import risks

            risks.operator(op, a, b, result)


def _partial_binary(op: str, a: Any, b: Any) -> Any:
    if op != "MatMult":
        return partial.elementwise(lambda a, b: binary(op, a, b), a, b)
    if isinstance(a, Selected) and isinstance(b, Selected):
        return partial.reduced(binary("Mult", a, b), "sum")
    return binary(op, content(a), content(b))


def _is_sparse(value: Any) -> bool:
    return type(value).__module__.startswith("scipy.sparse")


def _beside(value: Any, other: Any) -> Any:
    """A list beside an array as the array that it stands for."""
    return as_array(value) if isinstance(value, list | tuple) and is_array(other) else value


def as_array(values: Any) -> Any:
    """A list or tuple as an array."""
    from gradmc.program.frontend.calls import present

    return jnp.asarray(present(values)) if any_traced(values) else np.asarray(present(values))


def _in_range(value: Any, other: Any) -> Any:
    """A whole number that JAX's cannot hold, as the float that Python makes of it beside a float."""
    if not is_traced(other) or fits(value):
        return value
    if jnp.issubdtype(other.dtype, jnp.inexact):
        return float(value) if np.ndim(value) == 0 else np.asarray(value).astype(float)
    raise beyond(value)


def _counted(value: Any) -> Any:
    """A truth value as the whole number that it is in arithmetic."""
    return tables.apply(jnp.asarray(value, int), np.int64, value) if is_traced(value) else int(value)


PLAIN = (int, float, complex, np.ndarray, np.generic, jax.Array, str, list, tuple, dict, set)


def users_operator(operation: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """The operator of a class that the user wrote; NotImplemented if there is none."""
    if isinstance(a, PLAIN) and isinstance(b, PLAIN):
        return NotImplemented
    from gradmc.program.frontend.calls import users_function

    name = operation.__name__.strip("_")
    for owner, other, method in ((a, b, f"__{name}__"), (b, a, f"__r{name}__")):
        found = getattr(type(owner), method, None)
        converted = users_function(found) if isinstance(found, FunctionType) else None
        if converted is not None:
            result = converted(owner, other)
            if result is not NotImplemented:
                return result
    return NotImplemented


def _power(a: Any, b: Any) -> Any:
    """Powers of integers with a traced exponent are floats: a negative one gives a fraction."""
    if is_traced(b) and jnp.issubdtype(b.dtype, jnp.integer) and jnp.issubdtype(jnp.result_type(a), jnp.integer):
        return jnp.power(jnp.asarray(a, float), b)
    if isinstance(b, int | np.integer) and b < 0 and jnp.issubdtype(jnp.result_type(a), jnp.integer):
        return jnp.asarray(a, float) ** int(b)
    return a**b


def _lists(op: str, a: Any, b: Any) -> Any:
    from gradmc.program.frontend.subscripts import fresh_list

    if op == "Add" and isinstance(a, Listing | list) and isinstance(b, Listing | list):
        first, second = (v if isinstance(v, Listing) else Listing.of(v) for v in (a, b))
        return fresh_list(first.concatenate(second))
    if op == "Mult":
        listing, times = (a, b) if isinstance(a, Listing) else (b, a)
        if isinstance(times, int | np.integer):
            return fresh_list(listing.repeated(int(times)))
    return BINARY[op](whole_array(a), whole_array(b))


def whole_array(value: Any) -> Any:
    """A list of stacked items as the array it would make."""
    if not isinstance(value, Listing):
        return value
    stack = value.stacked()
    if isinstance(stack.form, OrNone) and len(stack.leaves) == 2:
        return nullable.used(Nullable(stack.leaves[0], jnp.any(stack.leaves[1])))
    if len(stack.leaves) != 1:
        raise CannotRoll("a list of tuples cannot be used as an array")
    return stack.leaves[0]


def inplace(op: str, a: Any, b: Any) -> Any:
    """`a op= b`: returns what the name is bound to afterwards."""
    if isinstance(a, list):
        if op == "Add":
            from gradmc.program.frontend.calls import list_method

            list_method(a, "extend", (b,))
            return a
        if op == "Mult":
            context.current().memory.repeat(a, operator.index(content(b)))
            return a
        return binary(op, a, b)
    if isinstance(a, Spread):
        a.complain()  # an array would be changed in place, a number would not
    if not is_array(a):
        return binary(op, a, b)
    from gradmc.program.frontend import stores

    now = content(a)
    other = _beside(content(b), now)
    result = applied(BINARY[op], _in_range(now, other), _in_range(other, now))
    if np.shape(result) != now.shape or _canonical(result) != _canonical(now):
        return made(result)
    stores.replace(a, result)
    return a


def _canonical(array: Any) -> Any:
    """The type that JAX gives an array: float32 for numpy's float64 in single precision."""
    return jax.dtypes.canonicalize_dtype(array.dtype)


def unary(op: str, a: Any) -> Any:
    """`op a`."""
    if isinstance(a, Choice):
        return choices.mapped(lambda a: unary(op, a), a)
    if partial.any_partial((a,)):
        return partial.elementwise(lambda a: unary(op, a), a)
    if frames.involved((a,)):
        return frames.elementwise(lambda a: unary(op, a), a)
    token, a = a, content(a)
    if op != "Invert" and _is_bool(a) and not np.ndim(a):
        a = _counted(a)
    result = applied(UNARY[op], a)
    pythons.note(result, pythons.of_result(a))
    return tables.apply(result, UNARY[op], a) if tables.scalar(a) else made(partial.note(result, op, (a,), (token,)))


def compare(op: str, a: Any, b: Any) -> Any:
    """`a op b` for one comparison."""
    if choices.involved((a, b)):
        return choices.mapped(lambda a, b: compare(op, a, b), a, b)
    if op in TAKE_NONE and (nullable.may_be_none(a) or nullable.may_be_none(b)):
        return nullable.compared(op, a, b, compare)
    if op in ("Is", "IsNot"):
        return _same_object(op, a, b)
    if op not in ("In", "NotIn") and partial.any_partial((a, b)):
        return partial.elementwise(lambda a, b: compare(op, a, b), a, b)
    if op not in ("In", "NotIn") and frames.involved((a, b)):
        return frames.compared(lambda a, b: compare(op, a, b), a, b)
    tokens = a, b
    a, b = content(a), content(b)
    if op in ("In", "NotIn"):
        found = _contains(a, b)
        return found if op == "In" else not_(found)
    if isinstance(a, str) or isinstance(b, str) or a is None or b is None:
        return COMPARE[op](a, b) if not (is_traced(a) or is_traced(b)) else op == "NotEq"
    a, b = _beside(a, b), _beside(b, a)
    a, b = _comparable(a, b), _comparable(b, a)
    a, b = _placed(a, b), _placed(b, a)
    result = applied(COMPARE[op], a, b)
    if tables.scalar(a) and tables.scalar(b):
        return tables.apply(result, COMPARE[op], a, b)
    return made(partial.note(result, op, (a, b), tokens))


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


def _comparable(value: Any, other: Any) -> Any:
    if isinstance(value, Listing):
        return whole_array(value) if not isinstance(other, Listing | list) else list(value.items())
    return value


def _placed(value: Any, other: Any) -> Any:
    """A whole number that JAX's cannot hold, for a comparison: as a float it is as far beyond all others."""
    return value if fits(value) or not is_traced(other) else np.asarray(value).astype(float)


def _contains(item: Any, container: Any) -> Any:
    if isinstance(container, Listing):
        container = whole_array(container)
    if is_traced(item) or is_traced(container):
        if isinstance(container, range):
            inside = (item >= container.start) & (item < container.stop)
            return inside & ((item - container.start) % container.step == 0)
        if isinstance(container, dict | set | frozenset):
            container = list(container)
        return jnp.any(jnp.asarray(container) == item)
    if isinstance(container, list | tuple) and any(is_traced(v) for v in container):
        return jnp.any(jnp.stack([jnp.asarray(v) for v in container]) == item)
    return item in container


def chain(op: str, a: Any, b: Any, *rest: Any) -> Any:
    """`a op b op c ...`: each operand once, and none after a comparison that fails."""
    result = compare(op, a, b)
    for k in range(0, len(rest), 2):
        if not is_traced(result) and not truth(result):
            return result
        c = rest[k + 1]()
        after = compare(rest[k], b, c)
        result = both(result, after)
        b = c
    return result


def both(a: Any, b: Any) -> Any:
    """`a and b` of two truth values that have both been computed."""
    if is_traced(a) or is_traced(b):
        return jnp.logical_and(truth(a), truth(b))
    return a and b


def truth(value: Any) -> Any:
    """Whether a value counts as true: a bool, or a traced scalar of booleans."""
    if nullable.may_be_none(value):
        return both(not_(value.null), truth(value.value))
    if isinstance(value, Choice):
        return choices.mapped(truth, value)
    value = content(value)
    if isinstance(value, Listing):
        length = value.length()
        return length > 0
    if not is_traced(value):
        return bool(value)
    if value.ndim and value.size != 1:
        raise ValueError("The truth value of an array with more than one element is ambiguous. Use a.any() or a.all()")
    value = value.reshape(()) if value.ndim else value
    return value if value.dtype == bool else value != 0


def not_(a: Any) -> Any:
    """`not a`."""
    a = truth(a)
    return tables.apply(jnp.logical_not(a), np.logical_not, a) if is_traced(a) else not a


def and_(a: Any, *rest: Callable[[], Any]) -> Any:
    """`a and b and ...`."""
    for later in rest:
        known = truth(a)
        if is_traced(known):
            a = _joined(a, known, later, stop_on=False)
        elif not known:
            return a
        else:
            a = later()
    return a


def or_(a: Any, *rest: Callable[[], Any]) -> Any:
    """`a or b or ...`."""
    for later in rest:
        known = truth(a)
        if is_traced(known):
            a = _joined(a, known, later, stop_on=True)
        elif known:
            return a
        else:
            a = later()
    return a


def _joined(a: Any, known: Any, later: Callable[[], Any], *, stop_on: bool) -> Any:
    """One step of and/or whose left side is traced: the right side counts only where the left does not decide.

    A right side that is a truth value, changes nothing and looks nothing up (`i + 1 < n and x[i + 1] > 0`) is
    computed beside the left.
    """
    here = context.current()
    frame = here.memory.enter(loop=False)
    looked_up = here.looked_up
    try:
        b = later()
        harmless = not (frame.saved or frame.grown or frame.failures or here.looked_up > looked_up)
    finally:
        here.memory.leave(frame)
    if harmless and _is_bool(a) and _is_bool(b):
        combine, numpy = (jnp.logical_or, np.logical_or) if stop_on else (jnp.logical_and, np.logical_and)
        return tables.apply(combine(known, b), numpy, known, b)
    if stop_on:
        taken = a.value if isinstance(a, Nullable) else a  # what counts as true is not None
        return branches.choose(known, lambda: taken, later)
    return branches.choose(known, later, lambda: a)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool | np.bool_) or (isinstance(value, jax.Array) and value.dtype == bool)
