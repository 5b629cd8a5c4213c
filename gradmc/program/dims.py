"""Sizes of axes: dimension names, integers, and sums and differences of them.

A *size* is what stands in a subscript, `Real["T - 1", 2]`: a linear expression in names with integer
coefficients. A name is a *dimension*, whose length the data show (`Data["T"]`), or an integer among the data.
`SizeTable` collects what is known and says, when two things disagree, which they are.
"""

import ast
import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np

from gradmc.errors import DataError, DeclarationError

RESERVED = ("chain", "draw", "sample", "pred_id")
"""Names that ArviZ gives to its own dimensions."""

LONGEST_NAME = 200
"""In bytes; file systems allow 255, and axes add some to a variable's name."""


def unfit_name(name: str) -> str | None:
    """Why results cannot hold something of this name (each is a directory of its own), or None if they can."""
    if "/" in name:
        return f"the results are a tree whose paths are written with '/'; write {name.replace('/', '_')!r}"
    if name.startswith(".") or name == "zarr.json" or not name.isprintable():
        return "the results are stored in directories of these names, and this is none; write a plain name"
    if len(name.encode()) > LONGEST_NAME:
        return f"the results are stored in directories of these names, at most {LONGEST_NAME} bytes long; shorten it"
    return None


def plain_labels(labels: Any) -> list[Any]:
    """The labels along an axis as Python's values; times as their text, since `tolist` makes integers of some."""
    array = np.asarray(labels)
    return (array.astype(str) if array.dtype.kind in "mM" else array).tolist()


@dataclass(frozen=True, slots=True)
class Size:
    """The linear expression `sum(coefficient * name) + constant`, as written in `text`."""

    text: str
    terms: tuple[tuple[str, int], ...]
    constant: int

    @property
    def dimension(self) -> str | None:
        """The name, if the size is one name and nothing else."""
        if len(self.terms) == 1 and self.terms[0][1] == 1 and self.constant == 0:
            return self.terms[0][0]
        return None

    def unknown(self, sizes: dict[str, int]) -> list[str]:
        """Return the names that `sizes` does not have."""
        return [name for name, _ in self.terms if name not in sizes]

    def evaluate(self, sizes: dict[str, int]) -> int:
        """Return the size; every name must be in `sizes`."""
        return self.constant + sum(coefficient * sizes[name] for name, coefficient in self.terms)


def parse_shape(subscript: object, what: str) -> tuple[Size, ...]:
    """Return the sizes in a subscript such as `"school"`, `3` or `("T - 1", 2)`.

    Raises:
        DeclarationError: an entry is neither a name, an integer, nor a sum or difference of them.
    """
    entries = subscript if isinstance(subscript, tuple) else (subscript,)
    if not entries:
        raise DeclarationError(f"{what}[()]: expected at least one size in the brackets, got none")
    return tuple(parse_size(entry, what) for entry in entries)


def parse_size(entry: object, what: str) -> Size:
    """Return one entry of a subscript as a `Size`."""
    if isinstance(entry, Integral) and not isinstance(entry, bool):
        entry = int(entry)
        if entry < 1:
            raise DeclarationError(f"{what}[{entry}]: a size must be at least 1, got {entry}")
        return Size(str(entry), (), entry)
    if isinstance(entry, str):
        try:
            tree = ast.parse(entry.strip(), mode="eval").body
            coefficients = _linear(tree)
        except (SyntaxError, ValueError):
            raise DeclarationError(
                f"{what}[{entry!r}]: expected a dimension name, an integer, or sums and differences of them "
                f'such as "T - 1" or "K + 2", got {entry!r}'
            ) from None
        constant = coefficients.pop("", 0)
        terms = tuple((name, coefficient) for name, coefficient in coefficients.items() if coefficient)
        for name, _ in terms:
            if name in RESERVED:
                raise DeclarationError(
                    f"{what}[{entry!r}]: the dimension name {name!r} is reserved by ArviZ "
                    f"({', '.join(RESERVED)}); choose another"
                )
        return Size(entry.strip(), terms, constant)
    raise DeclarationError(
        f"{what}[{entry!r}]: expected a dimension name (a string) or an integer, got {type(entry).__name__}"
    )


def _linear(tree: ast.expr) -> dict[str, int]:
    """Return the coefficients of a linear expression; the constant is under the empty name."""
    match tree:
        case ast.Name(id=name):
            return {name: 1}
        case ast.Constant(value=int(value)) if not isinstance(value, bool):
            return {"": value}
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _scaled(_linear(operand), -1)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _added(_linear(left), _linear(right))
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _added(_linear(left), _scaled(_linear(right), -1))
        case ast.BinOp(left=ast.Constant(value=int(value)), op=ast.Mult(), right=right):
            return _scaled(_linear(right), value)
        case ast.BinOp(left=left, op=ast.Mult(), right=ast.Constant(value=int(value))):
            return _scaled(_linear(left), value)
    raise ValueError(ast.unparse(tree))


def _scaled(terms: dict[str, int], factor: int) -> dict[str, int]:
    return {name: factor * coefficient for name, coefficient in terms.items()}


def _added(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) + right.get(name, 0) for name in [*left, *right]}


@dataclass(slots=True)
class SizeTable:
    """Sizes known so far, and where each was learnt."""

    sizes: dict[str, int] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)

    def learn(self, name: str, size: int, origin: str) -> None:
        """Add a size, or check it against what is known.

        Raises:
            DataError: another array or integer gave the name another size.
        """
        if name not in self.sizes:
            self.sizes[name] = size
            self.origin[name] = origin
        elif self.sizes[name] != size:
            raise DataError(
                f"{self._says(self.origin[name], name, self.sizes[name])}, {self._says(origin, name, size)}; "
                f"arrays that share the dimension {name!r} must have the same length along it"
            )

    def _says(self, origin: str, name: str, size: int) -> str:
        if origin == name:
            return f"the data value {name} is {size}"
        return f"{origin} has {size} {'entry' if size == 1 else 'entries'} along {name!r}"

    def match(self, origin: str, axes: Iterable[tuple[Size, int]]) -> list[tuple[Size, int]]:
        """Learn from the axes of one array; return those that need names not known yet.

        Raises:
            DataError: an axis does not have the size that its declaration asks for.
        """
        later = []
        for size, length in axes:
            unknown = size.unknown(self.sizes)
            if not unknown:
                self._check(origin, size, length)
            elif len(unknown) == 1 and dict(size.terms)[unknown[0]] in (1, -1):
                self._solve(origin, size, length, unknown[0])
            else:
                later.append((size, length))
        return later

    def _solve(self, origin: str, size: Size, length: int, name: str) -> None:
        others = size.constant + sum(c * self.sizes[n] for n, c in size.terms if n != name)
        solution = (length - others) * dict(size.terms)[name]
        if solution < 0:
            raise DataError(f"{origin} has {length} entries along {size.text!r}, which would make {name} {solution}")
        self.learn(name, solution, origin)

    def _check(self, origin: str, size: Size, length: int) -> None:
        if size.dimension is not None:
            self.learn(size.dimension, length, origin)
            return
        expected = size.evaluate(self.sizes)
        if expected != length:
            known = ", ".join(f"{name} = {self.sizes[name]} from {self.origin[name]}" for name, _ in size.terms)
            raise DataError(
                f"{origin} has {length} {'entry' if length == 1 else 'entries'} along {size.text!r}, "
                f"expected {expected}" + (f" ({known})" if known else "")
            )

    def resolve(self, size: Size, what: str) -> int:
        """Return a size whose names must all be known by now.

        Raises:
            DataError: a name is not known, or the size is negative.
        """
        unknown = size.unknown(self.sizes)
        if unknown:
            close = difflib.get_close_matches(unknown[0], self.sizes, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise DataError(
                f"{what}: the size {unknown[0]!r} is not known: no data array is declared along it "
                f'(Data["{unknown[0]}"]) and no integer of that name is among the data{hint}'
            )
        value = size.evaluate(self.sizes)
        if value < 0:
            raise DataError(f"{what}: the size {size.text!r} is {value}; a size cannot be negative")
        return value
