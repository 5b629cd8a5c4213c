"""Checks of what users pass: whole numbers and numbers within their range."""

import math
import numbers
from collections.abc import Mapping
from typing import Any

from gradmc.errors import UsageError


def check_whole(name: str, value: Any, low: int, high: int | None) -> None:
    """Refuse what is no whole number between `low` and `high`."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or int(value) < low or (high is not None and int(value) > high):
        span = f"at least {low}" if high is None else f"between {low} and {high}"
        raise UsageError(f"{name} must be a whole number {span}; got {value!r}")


def check_real(name: str, value: Any, low: float, high: float | None) -> None:
    """Refuse what is no number between `low` and `high`, both exclusive."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or not low < float(value) < (math.inf if high is None else high):
        span = f"greater than {low}" if high is None else f"between {low} and {high} (exclusive)"
        raise UsageError(f"{name} must be a number {span}; got {value!r}")


def check_batch(name: str, value: Any) -> None:
    """Refuse what is not one dimension with a number of rows, such as {"n": 64}."""
    if not isinstance(value, Mapping) or len(value) != 1 or not all(isinstance(key, str) for key in value):
        raise UsageError(f'{name} must name one dimension and a number of rows, {{"n": 64}}; got {value!r}')
    ((dimension, size),) = value.items()
    check_whole(f"{name}: {dimension}", size, 1, None)


def check_name(name: str, value: Any) -> None:
    """Refuse what is not a text with something in it.

    Raises:
        UsageError: naming the argument.
    """
    if not isinstance(value, str) or not value:
        raise UsageError(f"{name} must be a name, got {value!r}")
