"""Python's builtins in programs: those whose meaning must change for traced values, arrays and lists."""

import builtins
import functools
import itertools
import operator
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from gradmc.program.frontend import (
    branches,
    comprehensions,
    dicts,
    failing,
    nullable,
    operators,
    ordering,
    pythons,
    special_methods,
    stores,
    tables,
    text,
)
from gradmc.program.frontend.comprehensions import Generation, as_list, over
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.iterables import (
    Enumerated,
    Mapped,
    Reversed,
    TracedRange,
    Zipped,
    advancing,
    iterate,
    rollable,
)
from gradmc.program.frontend.listing import Listing
from gradmc.program.frontend.slots import Slots
from gradmc.program.frontend.values import CannotRoll, Nullable, any_traced, is_traced

LONG = 16
"""`list(x)` of a longer array stays one array."""


def _content(ev: Evaluation, value: Any) -> Any:
    return operators.content(ev, value)


def _range(ev: Evaluation, *bounds: Any) -> Any:
    if not any(map(is_traced, bounds)):
        return range(*(b.item() if isinstance(b, np.ndarray | np.generic | jax.Array) else b for b in bounds))
    start, stop, step = (0, *bounds, 1) if len(bounds) == 1 else (*bounds, 1)[:3]
    return TracedRange(start, stop, step)


def _len(ev: Evaluation, value: Any) -> Any:
    if (users := special_methods.method_of(ev, value, "__len__")) is not None:
        return users()
    content = _content(ev, value)
    return content.length() if isinstance(content, Listing | Slots) else len(content)


def _float(ev: Evaluation, value: Any = 0.0) -> Any:
    value = _content(ev, special_methods.number(ev, value, "__float__"))
    if not is_traced(value):
        return float(value)
    return pythons.note(ev, jnp.array(value.reshape(()), float), True)


def _int(ev: Evaluation, value: Any = 0, *base: Any) -> Any:
    value = _content(ev, special_methods.number(ev, value, "__int__"))
    if not is_traced(value):
        return int(value, *base)
    return tables.apply(ev, pythons.note(ev, failing.whole(ev, value.reshape(())), True), np.int64, value)


def _bool(ev: Evaluation, value: Any = False) -> Any:
    return operators.truth(ev, value)


def _abs(ev: Evaluation, value: Any) -> Any:
    if (users := special_methods.method_of(ev, value, "__abs__")) is not None:
        return users()
    value = _content(ev, value)
    return tables.apply(ev, pythons.note(ev, abs(value), pythons.of_result(ev, value)), np.abs, value)


def _round(ev: Evaluation, value: Any, digits: int | None = None) -> Any:
    if (users := special_methods.method_of(ev, value, "__round__")) is not None:
        return users() if digits is None else users(digits)
    value = _content(ev, value)
    if not is_traced(value):
        return round(value) if digits is None else round(value, digits)
    return failing.whole(ev, jnp.round(value)) if digits is None else jnp.round(value, digits)


def _divmod(ev: Evaluation, a: Any, b: Any) -> tuple[Any, Any]:
    return operators.binary(ev, "FloorDiv", a, b), operators.binary(ev, "Mod", a, b)


def _pow(ev: Evaluation, a: Any, b: Any, *modulus: Any) -> Any:
    return pow(a, b, *modulus) if modulus else operators.binary(ev, "Pow", a, b)


def _extreme(combine: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    def handler(ev: Evaluation, *values: Any, **options: Any) -> Any:
        if options:
            key = options.pop("key", None)
            items = list(iterate(ev, values[0])) if len(values) == 1 else list(values)
            if key is not None and items:
                return ordering.extreme(ev, items, key, plain)
            return handler(ev, items) if any_traced(items) else plain(items, **options)
        if len(values) == 1:
            return comprehensions.extreme(ev, values[0], combine)
        result = values[0]
        for value in values[1:]:
            result = combine(ev, result, value)
        return result

    return handler


def _iter(ev: Evaluation, values: Any, *rest: Any) -> Any:
    made = iter(values, *rest) if rest else iter(iterate(ev, values))
    return ev.heap.allocate_object(made)


def _next(ev: Evaluation, iterator: Any, *default: Any) -> Any:
    if special_methods.method_of(ev, iterator, "__next__") is not None:
        try:
            return special_methods.following(ev, iterator)
        except StopIteration:
            if not default:
                raise
            return default[0]
    if not isinstance(iterator, Generation):
        return next(advancing(ev, iterator), *default)
    items = ev.heap.listing(as_list(ev, iterator))
    count = items.length()
    if is_traced(count):
        if not default:
            return items.item(ev, 0)
        return branches.choose(ev, count > 0, lambda: items.item(ev, 0), lambda: default[0])
    return items.item(ev, 0) if count else next(iter(()), *default)


def _type(ev: Evaluation, *args: Any) -> Any:
    if len(args) == 1 and is_traced(args[0]):
        raise CannotRoll("the type of a value that depends on the parameters is asked for", "Use isinstance.")
    return type(*args)


def sort(ev: Evaluation, numbers: list, *, key: Any = None, reverse: bool = False) -> None:
    """`numbers.sort()`."""
    ev.heap.rebind(numbers)
    ev.heap.write(numbers, Listing.of(_sorted(ev, numbers, key=key, reverse=reverse)))


def _list(ev: Evaluation, values: Any = ()) -> list:
    if isinstance(values, Generation):
        return as_list(ev, values)
    source = rollable(ev, values)
    if source is not None and (is_traced(source.length) or source.length > LONG):
        return as_list(ev, over(ev, values))
    return ev.heap.allocate(list(iterate(ev, values)))


def _tuple(ev: Evaluation, values: Any = ()) -> tuple:
    return tuple(iterate(ev, values))


def _sorted(ev: Evaluation, values: Any, *, key: Any = None, reverse: bool = False) -> list:
    return ordering.sorted_(ev, list(iterate(ev, values)), key, reverse=reverse)


def _isinstance(ev: Evaluation, value: Any, kinds: Any) -> Any:
    if isinstance(value, Nullable) and value.unset:
        value = nullable.used(ev, value)
    if isinstance(value, Nullable):
        is_none, is_value = isinstance(None, kinds), _isinstance(ev, value.value, kinds)
        return (
            is_none
            if is_none == is_value
            else operators.truth(ev, value.null if is_none else jnp.logical_not(value.null))
        )
    if isinstance(value, Tracer) and not isinstance(value, kinds):
        return _stands_for(value, kinds if isinstance(kinds, tuple) else (kinds,))
    return isinstance(value, kinds)


def _stands_for(value: Any, kinds: tuple) -> bool:
    """Whether plain Python would have a float, int, bool or numpy array in place of a traced value."""
    if value.ndim:
        return np.ndarray in kinds
    if value.dtype == bool:
        return bool in kinds or int in kinds
    if jnp.issubdtype(value.dtype, jnp.integer):
        return int in kinds
    return float in kinds


def _filter(ev: Evaluation, function: Any, values: Any) -> Generation:
    test = (lambda item: item) if function is None else (lambda item: ev.call(function, item))
    return Generation(ev, values, None, test, lambda item: item, 10)


def _map(ev: Evaluation, function: Any, *sources: Any) -> Mapped:
    return Mapped(ev, lambda *items: ev.call(function, *items), sources)


def _dict(ev: Evaluation, /, *args: Any, **kwargs: Any) -> dict:
    given = [(a,) if isinstance(a, dict) else (dict(iterate(ev, a)),) for a in args]
    return dicts.display(ev, *given, *kwargs.items())


def _set(ev: Evaluation, values: Any = ()) -> set:
    return set(iterate(ev, values))


def _fill_diagonal(ev: Evaluation, array: Any, value: Any, wrap: bool = False) -> None:
    content, value = jnp.asarray(_content(ev, array)), _content(ev, value)
    stores.replace(ev, array, jnp.fill_diagonal(content, value, wrap=wrap, inplace=False))


def _copyto(ev: Evaluation, array: Any, value: Any) -> None:
    stores.store(ev, array, Ellipsis, value)


def _text(plain: Callable[..., Any]) -> Callable[..., Any]:
    def handler(ev: Evaluation, *args: Any) -> Any:
        shown = [text.shown(ev, a) for a in args]
        return text.Untold(text.GAP) if text.is_untold(shown) else plain(*shown)

    return handler


def _reduce(ev: Evaluation, function: Any, values: Any, *start: Any) -> Any:
    items = list(iterate(ev, values))
    if not items and not start:
        raise TypeError("reduce() of empty iterable with no initial value")
    result, *rest = [*start, *items]
    for item in rest:
        result = ev.call(function, result, item)
    return result


def _accumulate(ev: Evaluation, values: Any, function: Any = operator.add, *, initial: Any = None) -> Iterator[Any]:
    items = [*([] if initial is None else [initial]), *iterate(ev, values)]
    made = items[:1]
    for item in items[1:]:
        made.append(ev.call(function, made[-1], item))
    return iter(made)


def _operators() -> dict[Any, Callable[..., Any]]:
    """Python's operators as functions of the module `operator`."""
    found: dict[Any, Callable[..., Any]] = {}
    for hook, table in (
        (operators.binary, operators.BINARY),
        (operators.unary, operators.UNARY),
        (operators.compare, operators.COMPARE),
    ):
        found |= {function: _operator(hook, name) for name, function in table.items()}
    return found | {operator.truth: operators.truth, operator.not_: operators.not_, operator.abs: _abs}


def _operator(hook: Callable[..., Any], name: str) -> Callable[..., Any]:
    return lambda ev, *operands: hook(ev, name, *operands)


HANDLERS: dict[Any, Callable[..., Any]] = {
    range: _range,
    len: _len,
    float: _float,
    int: _int,
    bool: _bool,
    abs: _abs,
    round: _round,
    divmod: _divmod,
    pow: _pow,
    sum: comprehensions.sum_,
    all: comprehensions.all_,
    any: comprehensions.any_,
    max: _extreme(comprehensions.larger, builtins.max),
    min: _extreme(comprehensions.smaller, builtins.min),
    enumerate: lambda ev, values, start=0: Enumerated(ev, values, start),
    zip: lambda ev, *sources, strict=False: Zipped(ev, sources, strict),
    reversed: Reversed,
    map: _map,
    filter: _filter,
    list: _list,
    tuple: _tuple,
    dict: _dict,
    set: _set,
    sorted: _sorted,
    np.fill_diagonal: _fill_diagonal,
    np.copyto: _copyto,
    str: _text(str),
    repr: _text(repr),
    format: _text(format),
    print: text.printed,
    isinstance: _isinstance,
    iter: _iter,
    next: _next,
    type: _type,
    functools.reduce: _reduce,
    itertools.accumulate: _accumulate,
    **_operators(),
}
"""What a program calls when it calls one of these; the evaluation comes first."""
ASKING = (isinstance, bool)
"""Those of them that raise nothing when they are given None."""
