"""Functions of numpy that return views: an array's axes in another order, turned round, or its parts.

Each is made of what is a view already: a transpose, or an index of slices and new axes. So what is stored into one of
them is seen in the array, and the other way round.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from gradmc.program.frontend.array_methods import array_method
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.library_calls import library
from gradmc.program.frontend.subscripts import load
from gradmc.program.frontend.values import any_traced, is_array

FULL = slice(None)


def _followed(function: Any, view: Callable[..., Any]) -> Callable[..., Any]:
    """A function of numpy: `view` for an array, the library's for a list or a number."""

    def handler(ev: Evaluation, x: Any, *args: Any, **options: Any) -> Any:
        if not is_array(x) or any_traced((args, options)):
            return library(ev, function, (x, *args), options)
        return view(ev, x, *args, **options)

    return handler


def _ordered(function: Any) -> Callable[..., Any]:
    """A function that puts axes into another order, which it is asked for with an array whose sizes tell them apart."""

    def view(ev: Evaluation, x: Any, *args: Any, **options: Any) -> Any:
        told = np.broadcast_to(np.empty(()), tuple(range(x.ndim)))
        order = function(told, *args, **options).shape
        return array_method(ev, x, "transpose", (order,), {})

    return _followed(function, view)


def _axes(axis: Any, count: int) -> set[int]:
    """Axes as numbers from the front; all of them for None."""
    given = range(count) if axis is None else np.atleast_1d(axis)
    found = {int(k) + count if k < 0 else int(k) for k in given}
    if not found <= set(range(count)):
        raise np.exceptions.AxisError(f"axis {axis} is out of bounds for array of dimension {count}")
    return found


def _flipped(ev: Evaluation, m: Any, axis: Any = None) -> Any:
    turned = _axes(axis, m.ndim)
    return load(ev, m, tuple(slice(None, None, -1) if k in turned else FULL for k in range(m.ndim)))


def _expanded(ev: Evaluation, a: Any, axis: Any) -> Any:
    count = a.ndim + np.size(axis)
    new = _axes(axis, count)
    return load(ev, a, tuple(None if k in new else FULL for k in range(count)))


def _in_two(ev: Evaluation, x: Any) -> Any:
    return load(ev, x, (None, FULL)) if x.ndim == 1 else x


def _in_three(ev: Evaluation, x: Any) -> Any:
    return x if x.ndim > 2 else load(ev, x, (None, FULL, None) if x.ndim == 1 else (FULL, FULL, None))


def _split(function: Any) -> Callable[..., Any]:
    """A function that takes an array apart: where, it is asked for with the places along the axis."""

    def view(ev: Evaluation, ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
        (along,) = _axes(axis, ary.ndim)
        places = function(np.arange(ary.shape[along]), indices_or_sections)
        cuts = [slice(p[0], p[-1] + 1) if len(p) else slice(0, 0) for p in places]
        return ev.heap.allocate([load(ev, ary, (*[FULL] * along, cut)) for cut in cuts])

    return view


def _along(function: Any, axis: Callable[[Any], int]) -> Callable[..., Any]:
    """`np.split` along an axis that follows from the array."""
    split = _split(np.split)

    def view(ev: Evaluation, ary: Any, indices_or_sections: Any) -> Any:
        return split(ev, ary, indices_or_sections, axis(ary))

    return _followed(function, view)


VIEWS: dict[Any, Callable[..., Any]] = {
    np.moveaxis: _ordered(np.moveaxis),
    np.rollaxis: _ordered(np.rollaxis),
    np.matrix_transpose: _ordered(np.matrix_transpose),
    np.flip: _followed(np.flip, _flipped),
    np.flipud: _followed(np.flipud, lambda ev, m: _flipped(ev, m, 0)),
    np.fliplr: _followed(np.fliplr, lambda ev, m: _flipped(ev, m, 1)),
    np.expand_dims: _followed(np.expand_dims, _expanded),
    np.atleast_2d: _followed(np.atleast_2d, _in_two),
    np.atleast_3d: _followed(np.atleast_3d, _in_three),
    np.split: _followed(np.split, _split(np.split)),
    np.array_split: _followed(np.array_split, _split(np.array_split)),
    np.hsplit: _along(np.hsplit, lambda x: min(x.ndim - 1, 1)),
    np.vsplit: _along(np.vsplit, lambda x: 0),
    np.dsplit: _along(np.dsplit, lambda x: 2),
}
"""What a program calls when it calls one of these; the evaluation comes first."""
