"""Data: what a model takes, in which form, and what is refused.

`normalise` brings one datum into the form in which programs see it:

* numbers (also numpy and JAX scalars) become Python `int`, `float` or `bool`;
* arrays, nested lists and JAX arrays, and columns of pandas where an array is declared, become numpy arrays of float64,
  int64 or bool. Integers stay integers, because they serve as counts and as indices; in a program they behave as
  Python's, without limit (`gradmc.program.exact`, `gradmc.program.middle.whole`), and those that do not fit into 64
  bits are refused;
* lists of tuples with whole numbers in some places and floats in others stay lists of tuples, unless an array is
  declared;
* strings, dictionaries, lists of strings, frames and columns of pandas, and other objects are handed on as they are
  (arrays of integers in them become int64), unless the declaration `Data[...]` asks for an array.

Numbers that are not finite are refused, unless the program asks which they are (`missing`): a missing value has to be
modelled or left out. So are iterators, which would be empty when the program runs again.
"""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradmc.errors import DataError, DeclarationError
from gradmc.program.dims import Size, parse_shape
from gradmc.program.tabular import is_frame, is_series


@dataclass(frozen=True, eq=False)
class DataAnnotation:
    """The annotation `Data` (any datum) or `Data["school", 2]` (an array with these axes).

    `Data["school"].missing(Real)` is an array whose missing entries (NaN) are parameters with that support.
    """

    shape: tuple[Size, ...] | None = None
    gaps: Any = None

    def __getitem__(self, subscript: object) -> "DataAnnotation":
        if self.shape is not None:
            raise DeclarationError(f"{self!r} already has a shape; write all sizes in one pair of brackets")
        return dataclasses.replace(self, shape=parse_shape(subscript, "Data"))

    def missing(self, support: Any) -> "DataAnnotation":
        """The same data, of which missing entries (NaN) are parameters.

        They are called NAME_missing, an array with an entry for each. The program sees the array whole, and has to give
        missing entries a density as it does the others.

        Args:
            support: of one entry, such as `Real` or `Interval(0, 1)`.

        Raises:
            DeclarationError: the data are no array of declared axes, or the support is none of a number.
        """
        if self.shape is None:
            raise DeclarationError('entries can be missing in arrays with axes: write Data["n"].missing(Real)')
        if getattr(support, "shape", None) != () or getattr(support, "event", None) != 0:
            raise DeclarationError(f"{self!r}.missing expects the support of one number, such as Real; got {support!r}")
        return dataclasses.replace(self, gaps=support)

    def __repr__(self) -> str:
        if self.shape is None:
            return "Data"
        gaps = "" if self.gaps is None else f".missing({self.gaps!r})"
        return f"Data[{', '.join(repr(size.text) if size.terms else size.text for size in self.shape)}]{gaps}"


Data = DataAnnotation()
"""Annotation of a datum. Subscript it with dimension names, integers, and sums and differences of them."""


@dataclass(frozen=True, slots=True)
class DataField:
    """One keyword-only argument of a model.

    Args:
        name: name of the argument.
        shape: declared axes, or None where none are declared.
        kind: a plain type that the annotation asks for (int, float, bool, str, dict), or None.
        default: default value, or `MISSING`.
        gaps: the support of missing entries, or None if there may be none.
    """

    name: str
    shape: tuple[Size, ...] | None
    kind: type | None
    default: Any
    gaps: Any = None

    @property
    def required(self) -> bool:
        """Whether the data must have it."""
        return self.default is MISSING


def declared(field: DataField) -> str:
    """What a datum is declared as, in words."""
    if field.shape is not None:
        return repr(DataAnnotation(field.shape, field.gaps))
    return "any" if field.kind is None else field.kind.__name__


class _Missing:
    def __repr__(self) -> str:
        return "<no default>"

    def __reduce__(self) -> str:
        return "MISSING"


MISSING = _Missing()

KINDS: tuple[type, ...] = (int, float, bool, str, dict)


def normalise(field: DataField, value: Any, asks: Callable[[], bool] = lambda: False, *, end: bool = False) -> Any:
    """Return a datum in the form in which the program sees it.

    Args:
        field: its declaration.
        value: the datum.
        asks: whether the program itself looks after numbers that are missing.
        end: whether it is an end of the support of a parameter: an infinite one is none.

    Raises:
        DataError: it is not finite, has the wrong type, or is not an array where one is declared.
    """
    if isinstance(value, Iterator):
        kind = type(value).__name__
        raise DataError(f"{field.name}: a {kind} can be read once only, and the program runs more often; pass a list")
    if field.kind is not None:
        return _of_kind(field.name, field.kind, value, asks, end=end)
    if type(value) is int and field.shape is None:
        return value
    array = _as_array(field.name, value, declared=field.shape is not None)
    if array is None:
        if field.shape is not None:
            raise DataError(f"{field.name}: expected an array of numbers, got {_describe(value)}")
        return _widened(value)
    array = _standard(field.name, array)
    if field.gaps is None:
        _check_finite(field.name, array, asks, end=end)
    elif np.isinf(array).any():
        raise DataError(f"{field.name} has infinite entries; missing ones are NaN")
    if field.shape is not None and array.ndim != len(field.shape):
        declared = ", ".join(size.text for size in field.shape)
        raise DataError(
            f"{field.name}: expected an array with {len(field.shape)} "
            f"{'axis' if len(field.shape) == 1 else 'axes'} ({declared}), got {_describe(array)}"
        )
    if array.ndim == 0:
        return array.item()
    return array


def _of_kind(name: str, kind: type, value: Any, asks: Callable[[], bool], *, end: bool) -> Any:
    """Return a datum whose annotation is a plain type."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, np.generic):
        value = value.item()
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind in (int, float) and isinstance(value, bool)):
        raise DataError(f"{name}: expected {kind.__name__}, got {_describe(value)}")
    if kind is float:
        _check_finite(name, np.asarray(value), asks, end=end)
    return value


def _as_array(name: str, value: Any, *, declared: bool) -> np.ndarray | None:
    """Return a numeric array, or None for anything else."""
    if value is None or isinstance(value, (str, bytes, dict, set, frozenset)):
        return None
    if (is_frame(value) or is_series(value)) and not declared:
        return None
    if not declared and _is_records(value):
        return None
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            raise DataError(f"{name}: a masked array with masked entries came; leave missing entries out or model them")
        value = value.filled()
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):
        return None  # ragged nested lists, for example
    if array.dtype.kind in "fO" and isinstance(value, list | tuple):
        _check_whole(name, value)
    if array.dtype.kind in "biuf":
        return array
    if array.dtype == object and array.size:  # pandas columns of mixed numbers
        try:
            return array.astype(float)
        except (ValueError, TypeError):
            return None
    if array.dtype.kind not in "cOSUMmVT" and array.ndim:  # ml_dtypes such as bfloat16
        return array.astype(float)
    return None


def _is_records(value: Any) -> bool:
    """Whether a list holds tuples of one length, with whole numbers in some places and floats in others.

    As one array of floats the whole numbers would be none: `for a, b, dt in jumps: q[a, b] * dt`.
    """
    if not isinstance(value, list | tuple) or not all(type(v) is tuple for v in value):
        return False
    kinds = {tuple(_kind(v) for v in record) for record in value}
    return len(kinds) == 1 and set(kinds.pop()) == {int, float}


def _kind(value: Any) -> type:
    """`int` or `float` for numbers of Python's and numpy's."""
    if isinstance(value, bool | np.bool_):
        return bool
    return int if isinstance(value, int | np.integer) else float if isinstance(value, float | np.floating) else object


def _check_whole(name: str, value: Any) -> None:
    """Refuse whole numbers that would be rounded, since they stand in an array of floats."""
    if isinstance(value, list | tuple):
        for v in value:
            _check_whole(name, v)
    elif type(value) is int and float(value) != value:
        why = "does not fit into 64-bit integers" if value.bit_length() > 63 else "would be rounded beside floats"
        raise DataError(f"{name}: {value} {why}; convert it to float")


def _widened(value: Any) -> Any:
    """Dictionaries and ragged lists, with the arrays of narrow and unsigned integers in them as int64."""
    if type(value) is dict:
        return {k: _widened(v) for k, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_widened, value))
    if isinstance(value, np.ndarray) and value.dtype.kind in "iu" and value.dtype != np.int64:
        return value.astype(np.int64) if not value.size or value.max() <= np.iinfo(np.int64).max else value
    return value


def _standard(name: str, array: np.ndarray) -> np.ndarray:
    """Widen to float64, int64 or bool; narrow and unsigned integers would overflow silently in a program."""
    if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        raise DataError(f"{name}: {array.max()} does not fit into 64-bit integers; convert it to float")
    target = {"f": np.float64, "i": np.int64, "u": np.int64, "b": np.bool_}[array.dtype.kind]
    return np.array(array, dtype=target)


def _check_finite(name: str, array: np.ndarray, asks: Callable[[], bool], *, end: bool) -> None:
    if array.dtype.kind != "f":
        return
    bad = np.isnan(array) if end else ~np.isfinite(array)
    if not bad.any() or asks():
        return
    where = tuple(int(i) for i in np.argwhere(bad)[0])
    entry = f"{name}[{', '.join(map(str, where))}]" if where else name
    more = f" ({int(bad.sum())} such entries in all)" if bad.sum() > 1 else ""
    raise DataError(
        f"{entry} is {array[where]}{more}: data must be finite; leave missing entries out, make them parameters "
        f"({name}: Data[...].missing(Real)), or "
        f"tell them from the others in the program (if not np.isnan({name}[t]): ...)"
    )


def _is_text(entry: Any) -> bool:
    if not isinstance(entry, str):
        return False
    try:
        float(entry)
    except ValueError:
        return True
    return False


def _describe(value: Any) -> str:
    if isinstance(value, np.ndarray):
        texts = ((place, entry) for place, entry in np.ndenumerate(value) if _is_text(entry))
        place, entry = next(texts, (None, None))
        return f"shape {value.shape}" if place is None else f"text, {str(entry)[:40]!r} at {[*place]} for example"
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} that is not a rectangular array of numbers"
    shown = repr(value)
    return f"{shown if len(shown) < 40 else shown[:37] + '...'} of type {type(value).__name__}"
