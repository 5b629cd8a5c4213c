"""The values that flow through a program while it is traced, and how they are taken apart.

traced       a value JAX does not know yet: a parameter, a loop's index, anything computed from them
leaf         a number or a numeric array: what a loop can carry
form         the structure around leaves: tuples, lists, dicts, registered pytrees, and fixed objects
Unbound      stands for a variable that is not set; reading it is the user's error
Nullable     is None, or a variable that is not set, where a traced condition holds (`nullable`)
"""

import enum
import numbers
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import jax
import numpy as np
from jax.core import Tracer

from gradmc.errors import ProgramError, SourceLocation

ALIKE = "Let both sides of a branch, and every iteration of a loop, change the same things in the same way."


TEXTS = (str, bytes, enum.Enum)
"""What is no number and is told apart by its value: it may be one thing or another, after a branch or along a loop."""

NO_VALUE = "the return value may have no value here: {}"
NO_VALUE_REMEDY = "Return a number on every path."
ITEM = "an item of a tuple"
ITEM_REMEDY = "Let the tuple hold the same things, of the same shapes, on both sides of the branch."


@dataclass(eq=False, frozen=True, slots=True)
class Guess:
    """What the items of a list are taken for that is empty before a loop.

    Attributes:
        made: whether an item has been seen.
    """

    made: bool = False


class Guessed(BaseException):
    """The items of a list are something else than was taken for them: trace the loop again."""

    def __init__(self, guess: Guess, form: "Form", leaves: tuple) -> None:
        super().__init__("trace again")
        self.guess, self.form, self.leaves = guess, form, leaves


@dataclass(eq=False, slots=True)
class AppendCount:
    """How many appends to a list have been traced in one iteration."""

    appends: int = 0


class CannotRoll(BaseException):
    """The loop or branch at hand cannot be traced; the text says why.

    Like all that the compiler throws for itself it is no `Exception`: a program's own `except` must not catch it.

    A loop around it may still be unrolled. If none is, it becomes the user's error, with this remedy.
    """

    def __init__(self, why: str, remedy: str = ALIKE) -> None:
        super().__init__(why)
        self.remedy = remedy


class Unbound:
    """A variable without a value.

    In a loop that gives it one, `late` is what the iterations before have made of it.
    """

    __slots__ = ("late", "name", "reason")

    def __init__(self, name: str, reason: str = "", late: Any = None) -> None:
        self.name = name
        self.reason = reason
        self.late = late

    def complain(self) -> NoReturn:
        """Raise what reading the variable means."""
        why = self.reason or "it has not been assigned on this path"
        if self.name.startswith("__gm"):
            raise ProgramError(NO_VALUE.format(why), remedy=NO_VALUE_REMEDY)
        if self.name == ITEM:
            raise ProgramError(f"{ITEM} may have no value here: {why}", remedy=ITEM_REMEDY)
        raise ProgramError(
            f"{self.name!r} may have no value here: {why}",
            remedy="Assign it before the loop or branch, so that it has a value on every path.",
        )

    def __repr__(self) -> str:
        return f"<{self.name} has no value>"


@dataclass(frozen=True, eq=False, slots=True)
class Nullable:
    """A value that is None where `null`, a traced truth value, holds.

    Attributes:
        value: the value; anything where it is None.
        null: the condition.
        unset: the name of a variable that is not set where it holds, rather than None.
        met: the value and None met at one branch, which alone decides; said for errors.
        at: the branch.
    """

    value: Any
    null: Any
    unset: str = ""
    met: str = ""
    at: SourceLocation | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Spread:
    """An array that is a smaller one on one side of a branch (`partial`).

    Attributes:
        value: the array, with the smaller one spread over it.
        shape: the shape of the smaller one.
        name: the variable that holds it.
        why: how the sides differ.
    """

    value: Any
    shape: tuple[int, ...]
    name: str
    why: str

    def complain(self) -> NoReturn:
        """Raise what needing its shape means."""
        told = (
            NO_VALUE.format(self.why)
            if self.name.startswith("__gm")
            else f"{self.name!r} may have no value here: {self.why}"
        )
        raise ProgramError(
            f"{told}, and what is done with it depends on which",
            remedy="Give it the same shape on both sides, for instance by np.full(n, value) or np.zeros(n) + value.",
        )


@dataclass(frozen=True, eq=False, slots=True)
class Selected:
    """The elements of an array that a traced mask selects, as many as there happen to be (`partial`).

    Attributes:
        value: the whole array; where the mask does not hold, some number that is selected.
        mask: the mask.
        key: which mask that is.
        length: how many they are, if they are the first ones: those of a slice whose length changes along a loop.
        part_of: the array that such a slice is a part of, and its version when the slice was made.
    """

    value: Any
    mask: Any
    key: Any
    length: Any = None
    part_of: tuple[Any, int] | None = None

    def complain(self) -> NoReturn:
        """Raise what needing their number means."""
        if self.length is not None:
            raise CannotRoll(LENGTH, LENGTH_REMEDY)
        raise CannotRoll(
            "how many elements a mask selects is not known while compiling",
            "Use np.where(mask, x, 0.0), or loop over the elements with an if.",
        )


LENGTH = "a slice has a length that changes from iteration to iteration, or that depends on parameters"
LENGTH_REMEDY = "Loop over the elements, with an if that says which ones count."


@dataclass(frozen=True, eq=False, slots=True)
class SeriesLabels:
    """What a column carries along beside its numbers: the index of the frame, and which entries are missing."""

    index: Any
    missing: np.ndarray

    def whole(self) -> bool:
        """Whether the index counts 0, 1, 2, ..."""
        return bool(np.array_equal(np.asarray(self.index), np.arange(len(self.missing))))


@dataclass(frozen=True, eq=False, slots=True)
class TracedSeries:
    """A Series of traced values; missing entries hold some number.

    Attributes:
        filled: the numbers.
        labels: its index, and which entries are missing.
    """

    filled: Any
    labels: SeriesLabels

    @property
    def values(self) -> Any:
        """The numbers, NaN where they are missing."""
        missing = self.labels.missing
        return jax.numpy.where(missing, np.nan, self.filled) if missing.any() else self.filled

    def present(self) -> Any:
        """The numbers that are not missing."""
        missing = self.labels.missing
        return self.filled[np.flatnonzero(~missing)] if missing.any() else self.filled

    def __len__(self) -> int:
        return len(self.labels.missing)

    def __abs__(self) -> "TracedSeries":
        return replace(self, filled=abs(self.filled))


@dataclass(frozen=True, eq=False, slots=True)
class Choice:
    """One of several things that are no numbers (`choices`).

    Attributes:
        options: the things.
        code: which one: a traced whole number.
    """

    options: tuple
    code: Any

    def _asked(self, *_: Any) -> NoReturn:
        raise CannotRoll("something that is no number is used at a symbolic place")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _asked  # type: ignore[assignment]
    __hash__ = __bool__ = __iter__ = __len__ = __contains__ = __getitem__ = __call__ = _asked  # type: ignore[assignment]


def is_traced(value: object) -> bool:
    """Whether JAX does not know the value yet."""
    return isinstance(value, Tracer)


def is_array(value: object) -> bool:
    """Whether a value is a numpy or JAX array with at least one axis."""
    return isinstance(value, np.ndarray | jax.Array) and value.ndim > 0


def any_traced(value: object) -> bool:
    """Whether a traced value is in `value`, at any depth of containers."""
    if isinstance(value, Tracer | Nullable | Spread | Selected | Choice):
        return True
    if isinstance(value, TracedSeries):
        return isinstance(value.filled, Tracer)
    if isinstance(value, list | tuple):
        return any(any_traced(v) for v in value)
    if isinstance(value, dict):
        return any(any_traced(v) for v in value.values())
    return False


def is_leaf(value: object) -> bool:
    """Whether a loop can carry the value as one array."""
    if isinstance(value, jax.Array | numbers.Number | np.bool_):
        return True
    return isinstance(value, np.ndarray) and value.dtype.kind in "biufc"


@dataclass(frozen=True)
class Leaf:
    """The form of a number or array."""


@dataclass(frozen=True)
class Fixed:
    """The form of an object that a loop must not change: a string, a function, None."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fixed) and (self.value is other.value or _equal(self.value, other.value))

    def __hash__(self) -> int:
        return hash(type(self.value))


def _equal(a: Any, b: Any) -> bool:
    simple = str | bytes | type(None)
    return isinstance(a, simple) and isinstance(b, simple) and a == b


@dataclass(frozen=True)
class Container:
    """The form of a tuple, list or dict: its type, its keys (or field count) and the forms inside."""

    kind: type
    keys: tuple
    parts: tuple


@dataclass(frozen=True)
class Pytree:
    """The form of a registered pytree that is none of Python's containers."""

    structure: Any


@dataclass(frozen=True)
class Rows:
    """The form of a list whose items are stacked along a leading axis."""

    item: Any
    count: int


@dataclass(frozen=True)
class Missing:
    """The form of a variable without a value.

    Attributes:
        why: why an item of a tuple has none.
    """

    why: str = field(default="", compare=False)


@dataclass(frozen=True)
class OrNone:
    """The form of a value that may be None: the leaves of the value, and whether it is None.

    With a name in `unset` it is the form of that variable, which may not be set.
    """

    item: Any
    unset: str = ""


@dataclass(frozen=True)
class GrowingList:
    """The form of a list that the loop at hand appends to and reads: its leaves are buffers and a count.

    Attributes:
        item: the form of an item.
        added: how many items the iteration at hand has appended; 0 if that may depend on parameters.
        tally: counts the appends then.
        guess: if the list was empty before the loop, what was taken for its items.
    """

    item: Any
    added: int
    tally: "AppendCount | None" = None
    guess: "Guess | None" = None


@dataclass(frozen=True)
class OneOf:
    """The form of a `Choice`: its leaf says which of the options it is."""

    options: tuple

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OneOf) or len(self.options) != len(other.options):
            return False
        return all(Fixed(a) == Fixed(b) for a, b in zip(self.options, other.options, strict=True))

    def __hash__(self) -> int:
        return hash(len(self.options))


@dataclass(frozen=True)
class Slotted:
    """The form of a dict with a slot for every key (`slots`).

    Attributes:
        kind: its type.
        keys: the keys that it may have.
        item: the form of an item.
        stamps: when each key was inserted (-1: it is not there); None if stamps and their number are leaves, too.
        rows: the list that holds the items, if they are arrays or lists (`ItemRows`); then no item is a leaf here.
    """

    kind: type
    keys: tuple
    item: Any
    stamps: tuple[int, ...] | None
    rows: Any = None


type Form = Leaf | Fixed | Container | Pytree | Rows | GrowingList | OrNone | OneOf | Slotted | Missing

LEAF = Leaf()
MISSING = Missing()
NONE = Fixed(None)


def blank(leaf: Any) -> Any:
    """Zeros of a leaf's shape and type."""
    aval = jax.typeof(strong(leaf))
    return np.zeros(aval.shape, aval.dtype)


def at_once(operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run an operation of JAX on plain values now: inside a trace it would give a traced value."""
    with jax.ensure_compile_time_eval():
        return operation(*args, **kwargs)


def is_plain_jax(value: Any) -> bool:
    """Whether a value is a JAX array whose numbers are known."""
    return isinstance(value, jax.Array) and not isinstance(value, Tracer)


def fits(value: Any) -> bool:
    """Whether JAX can hold a whole number that is known, in the present precision; others fit."""
    if type(value) is int:
        return -(1 << _bits()) <= value < 1 << _bits()
    if not isinstance(value, np.ndarray | np.generic) or value.dtype.kind not in "iu" or not value.size:
        return True
    if value.dtype.itemsize * 8 <= _bits():
        return True
    return bool(-(1 << _bits()) <= int(value.min()) and int(value.max()) < 1 << _bits())


def representable(value: Any) -> Any:
    """A value that JAX can hold."""
    if not fits(value):
        raise beyond(value)
    return value


def _bits() -> int:
    return np.iinfo(jax.dtypes.canonicalize_dtype(np.int64)).bits - 1


def beyond(value: Any) -> CannotRoll:
    """What keeps a whole number that JAX cannot hold out of loops and away from traced values."""
    largest = max(abs(int(np.min(value))), abs(int(np.max(value))))
    told = f"{largest:.3g}" if largest.bit_length() < 1000 else "a number"
    return CannotRoll(
        f"{told} does not fit into the whole numbers of {_bits() + 1} bits that compiled code has",
        f"If {15 if _bits() > 31 else 7} digits are enough, make floats: float(v), x.astype(float).",
    )


def strong(value: Any) -> Any:
    """A leaf as an array of a definite type: Python's 0.0 becomes the default float."""
    if isinstance(value, jax.Array):
        if getattr(value, "weak_type", False):
            return jax.lax.convert_element_type(value, value.dtype)
        return value
    array = np.asarray(representable(value))
    return array.astype(jax.dtypes.canonicalize_dtype(array.dtype), copy=False)


def leaves_in(form: Form) -> Iterator[Leaf]:
    """The leaves of a form, in order."""
    match form:
        case Leaf():
            yield form
        case OneOf():
            yield LEAF
        case Container(parts=parts):
            for p in parts:
                yield from leaves_in(p)
        case Pytree(structure=structure):
            for _ in range(structure.num_leaves):
                yield LEAF
        case Rows(item=item):
            yield from leaves_in(item)
        case GrowingList(item=item) | OrNone(item=item):
            yield from leaves_in(item)
            yield LEAF
        case Slotted(item=item, stamps=stamps):
            yield from leaves_in(item)
            if stamps is None:
                yield from (LEAF, LEAF)
