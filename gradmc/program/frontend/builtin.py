"""Python's builtins in programs: those whose meaning must change for traced values, arrays and lists."""

import builtins
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from gradmc.program.frontend import comprehensions, context, operators, stores, tables, text
from gradmc.program.frontend.comprehensions import Generation, as_list, over
from gradmc.program.frontend.iterables import (
    Enumerated,
    Mapped,
    Reversed,
    TracedRange,
    Zipped,
    iterate,
    rollable,
)
from gradmc.program.frontend.listing import Listing
from gradmc.program.frontend.values import is_traced

LONG = 16
"""`list(x)` of a longer array stays one array."""


def _content(value: Any) -> Any:
    return operators.content(value)


def _range(*bounds: Any) -> Any:
    if not any(map(is_traced, bounds)):
        return range(*(b.item() if isinstance(b, np.ndarray | np.generic | jax.Array) else b for b in bounds))
    start, stop, step = (0, *bounds, 1) if len(bounds) == 1 else (*bounds, 1)[:3]
    return TracedRange(start, stop, step)


def _len(value: Any) -> Any:
    content = _content(value)
    return content.length() if isinstance(content, Listing) else len(content)


def _float(value: Any = 0.0) -> Any:
    value = _content(value)
    return jnp.asarray(value.reshape(()), float) if is_traced(value) else float(value)


def _int(value: Any = 0, *base: Any) -> Any:
    value = _content(value)
    if not is_traced(value):
        return int(value, *base)
    return tables.apply(jnp.asarray(value.reshape(()), int), np.int64, value)


def _bool(value: Any = False) -> Any:
    return operators.truth(value)


def _abs(value: Any) -> Any:
    value = _content(value)
    return tables.apply(abs(value), np.abs, value)


def _round(value: Any, digits: int | None = None) -> Any:
    value = _content(value)
    if not is_traced(value):
        return round(value) if digits is None else round(value, digits)
    return jnp.asarray(jnp.round(value), int) if digits is None else jnp.round(value, digits)


def _divmod(a: Any, b: Any) -> tuple[Any, Any]:
    return operators.binary("FloorDiv", a, b), operators.binary("Mod", a, b)


def _pow(a: Any, b: Any, *modulus: Any) -> Any:
    return pow(a, b, *modulus) if modulus else operators.binary("Pow", a, b)


def _extreme(combine: Callable[[Any, Any], Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    def handler(*values: Any, **options: Any) -> Any:
        if options:
            return plain(*(list(iterate(v)) if len(values) == 1 else v for v in values), **options)
        if len(values) == 1:
            return comprehensions.extreme(values[0], combine)
        result = values[0]
        for value in values[1:]:
            result = combine(result, value)
        return result

    return handler


def _list(values: Any = ()) -> list:
    if isinstance(values, Generation):
        return as_list(values)
    source = rollable(values)
    if source is not None and (is_traced(source.length) or source.length > LONG):
        return as_list(over(values))
    return context.current().memory.bear(list(iterate(values)))


def _tuple(values: Any = ()) -> tuple:
    return tuple(iterate(values))


def _sorted(values: Any, *, key: Any = None, reverse: bool = False) -> list:
    items = list(iterate(values))
    if key is None and any(map(is_traced, items)):
        whole = jnp.sort(jnp.stack([jnp.asarray(v) for v in items]))
        return list(whole[::-1] if reverse else whole)
    return sorted(items, key=key, reverse=reverse)


def _isinstance(value: Any, kinds: Any) -> bool:
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


def _filter(function: Any, values: Any) -> Generation:
    from gradmc.program.frontend.calls import call

    test = (lambda item: item) if function is None else (lambda item: call(function, item))
    return Generation(values, None, test, lambda item: item, 10)


def _map(function: Any, *sources: Any) -> Mapped:
    from gradmc.program.frontend.calls import call

    return Mapped(lambda *items: call(function, *items), sources)


def _dict(*args: Any, **kwargs: Any) -> dict:
    return dict(*(a if isinstance(a, dict) else list(iterate(a)) for a in args), **kwargs)


def _set(values: Any = ()) -> set:
    return set(iterate(values))


def _array_or(plain: Callable[..., Any]) -> Callable[..., Any]:
    return lambda value, *rest: plain(_content(value), *rest)


def _fill_diagonal(array: Any, value: Any, wrap: bool = False) -> None:
    content, value = jnp.asarray(_content(array)), _content(value)
    stores.replace(array, jnp.fill_diagonal(content, value, wrap=wrap, inplace=False))


def _copyto(array: Any, value: Any) -> None:
    stores.store(array, Ellipsis, value)


def _text(plain: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: plain(*map(text.formatted, args))


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
    enumerate: lambda values, start=0: Enumerated(values, start),
    zip: lambda *sources, strict=False: Zipped(sources, strict),
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
    isinstance: _isinstance,
    iter: lambda values, *rest: iter(values, *rest) if rest else iter(iterate(values)),
}
"""What a program calls when it calls one of these."""
