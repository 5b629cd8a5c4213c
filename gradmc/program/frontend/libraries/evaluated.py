"""Entries of the tables of libraries that are given the evaluation in progress."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False, slots=True)
class Evaluated:
    """What to call in place of a function, with the evaluation as its first argument."""

    function: Callable[..., Any]
