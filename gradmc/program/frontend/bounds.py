"""Indices beyond an array or list, where Python raises an IndexError.

An element of a float array beyond its end is NaN in compiled code, which tells. Whole numbers and truth values have no
NaN, a store beyond the end changes nothing, and a list that grows has room for items that it does not have yet: there
the program fails (`failing`) where the index is not within bounds, unless it is known to be.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from gradmc.program.frontend import failing, tables
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.values import is_traced


def check(ev: Evaluation, index: Any, size: Any) -> None:
    """Note that the program fails where an index is not one of a sequence of this size."""
    if not (is_traced(index) or is_traced(size)) or getattr(index, "ndim", 0):
        return
    known = [tables.demand(ev, v) if is_traced(v) else tables.known(ev, v) for v in (index, size)]
    found = [table for table in known if table is not None]
    if len(found) == len(known):
        table = tables.combine(ev, _beyond, found)
        if table is not None and not table.values.any():
            return
    failing.note(ev, jnp.logical_or(index < -size, index >= size), IndexError)


def _beyond(index: Any, size: Any) -> Any:
    return np.logical_or(index < -size, index >= size)


def check_element(ev: Evaluation, content: Any, parts: Any) -> None:
    """The same for an element of an array of whole numbers or truth values; of any where a `try` waits for it."""
    if not jnp.issubdtype(content.dtype, jnp.inexact) or failing.waits_for(ev, IndexError):
        check_places(ev, content, parts)


def check_places(ev: Evaluation, content: Any, parts: Any) -> None:
    """The same for a place in an array."""
    for size, index in zip(content.shape, parts, strict=False):
        if is_traced(index):
            check(ev, index, size)
