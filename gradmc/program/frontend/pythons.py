"""Which traced numbers are Python's own in plain Python, and which are numpy's.

`1 / x` raises a ZeroDivisionError where x is a float of Python's, and gives infinity where it is one of numpy's: an
element of an array, or a result of numpy's functions. A parameter that is one number is Python's.
"""

from typing import Any

import numpy as np

from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.values import is_traced


def note(ev: Evaluation, value: Any, pythons: bool | None) -> Any:
    """Note of a traced number whose it is, if that is known; returns it."""
    if pythons is not None and is_traced(value) and not value.ndim:
        ev.pythons[id(value)] = (value, pythons)
    return value


def of(ev: Evaluation, value: Any) -> bool | None:
    """Whether a number is Python's (True) or numpy's (False); None if that is not known."""
    if is_traced(value):
        ev.asked += 1
        return peek(ev, value)
    if isinstance(value, np.generic | np.ndarray):
        return False
    return True if isinstance(value, int | float) else None


def peek(ev: Evaluation, value: Any) -> bool | None:
    """The same of a traced number, without noting that it has been asked."""
    entry = ev.pythons.get(id(value))
    return entry[1] if entry is not None and entry[0] is value else None


def of_result(ev: Evaluation, *operands: Any) -> bool | None:
    """Whose the result of an operator is: numpy's as soon as one operand is numpy's."""
    found = [peek(ev, o) if is_traced(o) else of(ev, o) for o in operands]  # lists and the like are neither
    if False in found:
        return False
    return None if None in found else True
