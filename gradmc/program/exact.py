"""Whole numbers that are known: exact or refused, never wrapped around.

Python's whole numbers have no limit; numpy's have 64 bits or fewer, and wrap around in silence. A number that an
operator makes of known ones is Python's if numpy's cannot hold it. An array whose entries numpy cannot hold is an
`OverflowError`: numpy itself would make nonsense of it.

`PlainWhole` makes arrays of data behave so in ordinary Python too: its entries are Python's numbers.
"""

import copy
import numbers
import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import numpy as np

PYTHON = frozenset(
    getattr(operator, name) for name in ("add", "sub", "mul", "pow", "lshift", "neg", "floordiv", "matmul", "abs")
)
"""Python's operators that make larger whole numbers."""
BITS = frozenset(getattr(operator, name) for name in ("mod", "and_", "or_", "xor", "invert", "rshift"))
"""Those that do not, but that fail in numpy beside a number of more than 64 bits."""
GROWING: dict[Any, str] = {
    np: "add subtract multiply power left_shift negative absolute square floor_divide matmul lcm vecdot matvec vecmat "
    "sum prod cumsum cumprod nansum nanprod nancumsum nancumprod cumulative_sum cumulative_prod dot vdot inner outer "
    "tensordot einsum kron cross convolve correlate diff ediff1d trace ptp polyval vander trapezoid",
    np.linalg: "matrix_power multi_dot cross matmul outer tensordot trace vecdot",
}
EXCEEDING = PYTHON | {getattr(module, name) for module, names in GROWING.items() for name in names.split()}
"""Those, and functions of numpy that make larger whole numbers of whole numbers."""

METHODS: dict[str, Callable[..., Any]] = {
    "sum": np.sum,
    "prod": np.prod,
    "cumsum": np.cumsum,
    "cumprod": np.cumprod,
    "dot": np.dot,
    "trace": np.trace,
}
"""Methods of arrays among them."""


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number of numpy's, or an array of them."""
    return isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "iu"


def exactly(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`function(*args, **kwargs)`, for a function of `EXCEEDING`, a method of a ufunc, or any other.

    Raises:
        OverflowError: entries of the resulting array do not fit into its type.
    """
    if not any(map(_holds_whole, args)) or not is_hashable(function):
        return function(*args, **kwargs)
    owner = getattr(function, "__self__", None)
    growing = (owner if isinstance(owner, np.ufunc) else function) in EXCEEDING
    if (growing or function in BITS) and all(isinstance(a, int | np.integer) for a in args) and not kwargs:
        return _number(function, args)
    if not growing:
        return function(*args, **kwargs)
    if function in PYTHON and any(_is_pythons(a) for a in args):
        args = tuple(int(a) if isinstance(a, np.integer) else a for a in args)
    taken = _operands(function, args)
    with np.errstate(all="ignore"):
        result = function(*args, **kwargs)
        shadow = function(*map(_floats, args[:taken]), *args[taken:], **kwargs)
    if not wrapped(result, shadow):
        return result
    if np.ndim(result) == 0 and is_whole(result):
        return int(function(*map(_objects, args[:taken]), *args[taken:], **kwargs))
    raise OverflowError(
        f"the whole numbers here reach {np.max(np.abs(shadow)):.2g}, which {np.asarray(result).dtype} cannot hold; "
        "make floats of the array: x.astype(float)"
    )


def unbounded(function: Callable[..., Any], *args: Any) -> Any:
    """The same, but an array whose type cannot hold the result is one of Python's numbers."""
    try:
        return exactly(function, *args)
    except OverflowError:
        return function(*map(_objects, args))


OF_PAIRS: dict[Any, str] = {
    np: "dot vdot inner outer tensordot kron cross convolve correlate polyval trapezoid",
    np.linalg: "cross matmul outer tensordot vecdot",
}
PAIRS = frozenset(getattr(module, name) for module, names in OF_PAIRS.items() for name in names.split())


def _operands(function: Any, args: tuple) -> int:
    """How many of the arguments are numbers to compute with; the others are axes and the like."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        return 2 if function.__name__ == "outer" else 1
    if isinstance(function, np.ufunc) or function in PYTHON or function is np.einsum:
        return len(args)
    return 2 if function in PAIRS else 1


def is_hashable(function: Any) -> bool:
    """Whether a function can be looked up."""
    try:
        hash(function)
    except TypeError:
        return False
    return True


def _holds_whole(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(isinstance(v, int) or _holds_whole(v) for v in value)
    return is_whole(value)


def _is_pythons(value: Any) -> bool:
    """Whether a value is a number of Python's that computes with what whole numbers do one by one (`Fraction`)."""
    return isinstance(value, numbers.Number | Decimal) and not isinstance(value, int | float | complex | np.generic)


def _number(function: Callable[..., Any], args: tuple) -> Any:
    """The result on single numbers: numpy's where it can hold what Python's would be."""
    numbers = [int(a) for a in args]
    exact = function(*numbers) if function in PYTHON | BITS else function(*(np.asarray(n, object) for n in numbers))
    if not isinstance(exact, int):
        return exact
    with np.errstate(all="ignore"):
        result = function(*args) if exact.bit_length() < 64 else None
    return result if result == exact else exact


def _floats(value: Any) -> Any:
    """Whole numbers as floats, with which nothing wraps around."""
    if isinstance(value, list | tuple):
        return type(value)(map(_floats, value))
    return np.asarray(value).astype(float) if is_whole(value) or type(value) is int else value


def _objects(value: Any) -> Any:
    """Whole numbers as Python's."""
    if isinstance(value, list | tuple):
        return type(value)(map(_objects, value))
    return np.asarray(value).astype(object) if is_whole(value) or type(value) is int else value


def python(value: Any) -> Any:
    """Whole numbers of numpy's, in lists and arrays too, as Python's: for functions that know no others."""
    if isinstance(value, list | tuple):
        return [python(v) for v in value] if type(value) is list else tuple(map(python, value))
    return value.tolist() if is_whole(value) else value


def wrapped(result: Any, shadow: Any) -> bool:
    """Whether the result has wrapped around: then it is off by the range of its type, up to rounding."""
    result = np.asarray(result)
    if result.dtype.kind not in "iuf" or not result.size or np.shape(shadow) != result.shape:
        return False
    bits = result.dtype.itemsize * 8 if result.dtype.kind in "iu" else 64
    shadow = np.asarray(shadow)
    off = np.abs(result.astype(float) - shadow)
    return bool(np.any((off > 2.0 ** (bits - 1)) & np.isfinite(shadow)) or np.any(np.isinf(shadow) & (off > 0)))


class PlainWhole(np.ndarray):
    """An array of whole numbers for ordinary Python: its entries are `int`, and nothing wraps around."""

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return found.item() if isinstance(found, np.integer) else found

    def __iter__(self) -> Any:
        return iter(self.tolist()) if self.ndim == 1 else super().__iter__()

    def item(self, *at: Any) -> Any:
        """One entry."""
        return np.asarray(self).item(*at)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if any(isinstance(o, PlainWhole) for o in options.get("out", ())):
            options["out"] = tuple(map(_base, options["out"]))
        return _entries(
            exactly(getattr(ufunc, method) if method != "__call__" else ufunc, *map(_base, inputs), **options)
        )

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: Mapping[str, Any]) -> Any:
        return _entries(exactly(function, *map(_base, args), **{k: _base(v) for k, v in kwargs.items()}))


def _base(value: Any) -> Any:
    if isinstance(value, PlainWhole):
        return value.view(np.ndarray)
    return type(value)(map(_base, value)) if type(value) in (list, tuple) else value


def _entries(result: Any) -> Any:
    """A result, as ordinary Python would go on with it."""
    if isinstance(result, np.ndarray) and result.dtype.kind in "iu" and result.ndim:
        return result.view(PlainWhole)
    return result.item() if isinstance(result, np.integer) else result


def plain_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """Copies of data for a run in ordinary Python: whole numbers are Python's."""
    return {name: _plain(copied(value)) for name, value in data.items()}


def copied(value: Any) -> Any:
    """A copy, so that a program that changes its data does not change the caller's.

    What cannot be copied (a module, a lock) the program gets itself, as the compiled program does.
    """
    try:
        return copy.deepcopy(value)
    except TypeError:
        if type(value) is dict:
            return {k: copied(v) for k, v in value.items()}
        return type(value)(map(copied, value)) if type(value) in (list, tuple) else value


def _plain(value: Any) -> Any:
    if type(value) is dict:
        return {k: _plain(v) for k, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    return value.view(PlainWhole) if isinstance(value, np.ndarray) and value.dtype.kind in "iu" else value
