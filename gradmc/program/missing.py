"""Whether a program looks after missing data itself: NaN among the data is then let through.

`if not np.isnan(y[t])` in a Kalman filter, `y[np.isfinite(y)]`, `y[t] == y[t]`: such a program tells which entries
count. A program that asks nothing of the kind would be NaN everywhere.
"""

import ast
import inspect
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

from gradmc.errors import ProgramError
from gradmc.program.frontend.source import function_node

ASKING = frozenset(
    [
        *("isnan", "isfinite", "isinf", "isna", "isnull", "notna", "notnull", "dropna", "fillna", "nan_to_num"),
        *("masked_invalid", "nansum", "nanmean", "nanprod", "nanmax", "nanmin", "nanvar", "nanstd", "nanmedian"),
    ]
)
"""Functions and methods that tell missing numbers from others."""


def asks(fn: Callable[..., Any]) -> bool:
    """Whether a program, or a function that it reaches by name, asks which numbers are missing."""
    return any(_asks_by_name(f.__code__) or _compares_with_itself(f) for f in _reached(fn))


def _reached(fn: Callable[..., Any]) -> Iterator[FunctionType]:
    """A program and the functions that it calls by names of its module or closure, and those that they call."""
    todo, seen = [fn], set()
    while todo:
        function = inspect.unwrap(todo.pop())
        function = getattr(function, "py_func", function)
        if not isinstance(function, FunctionType) or function in seen:
            continue
        seen.add(function)
        yield function
        names = {name for code in _codes(function.__code__) for name in code.co_names}
        todo += [function.__globals__[name] for name in names if callable(function.__globals__.get(name))]
        todo += [cell.cell_contents for cell in function.__closure__ or () if _is_function(cell)]


def _is_function(cell: Any) -> bool:
    try:
        return callable(cell.cell_contents)
    except ValueError:  # not set yet
        return False


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _asks_by_name(code: CodeType) -> bool:
    return any(not ASKING.isdisjoint(c.co_names) for c in _codes(code))


def _compares_with_itself(function: FunctionType) -> bool:
    """Whether a function holds `v == v` or `v != v`, which only NaN answers otherwise than all other numbers."""
    try:
        tree = function_node(function)
    except ProgramError:
        return False
    pairs = [(n.left, n.comparators[0]) for n in ast.walk(tree) if isinstance(n, ast.Compare) and len(n.ops) == 1]
    return any(ast.dump(a) == ast.dump(b) for a, b in pairs)
