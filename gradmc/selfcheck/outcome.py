"""What a run found when it checked itself, and how its results say so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

AGREES = "agrees"
UNCHECKED = "unchecked: "
VALUE, GRADIENT = "self_check_value", "self_check_gradient"
"""Names of the attributes that the results have; the errors stand beside them under `..._error`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The two comparisons.

    Attributes:
        value: "agrees", or "unchecked: " and why.
        gradient: "agrees", "unchecked: " and why, or how it differs from the derivative.
        value_error: between plain and compiled value, relative to 1 + its absolute value; None where unchecked.
        gradient_error: between difference quotient and gradient along the direction, relative to the sum of the
            absolute values of its summands; None where unchecked.
    """

    value: str
    gradient: str
    value_error: float | None = None
    gradient_error: float | None = None

    @property
    def warning(self) -> str:
        """What a user must be told at once; empty if nothing."""
        return "" if self.gradient.startswith((AGREES, UNCHECKED)) else self.gradient

    def attributes(self) -> dict[str, Any]:
        """The outcome as attributes of the results."""
        errors = {f"{VALUE}_error": self.value_error, f"{GRADIENT}_error": self.gradient_error}
        known = {name: error for name, error in errors.items() if error is not None}
        return {VALUE: self.value, GRADIENT: self.gradient, **known}

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any]) -> Self:
        """The inverse of `attributes`."""
        errors = (attributes.get(f"{name}_error") for name in (VALUE, GRADIENT))
        return cls(attributes[VALUE], attributes[GRADIENT], *errors)


OFF = Outcome(f"{UNCHECKED}switched off", f"{UNCHECKED}switched off")
