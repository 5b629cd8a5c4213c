"""The cost model's constants, each with where it comes from, and a switch for each decision."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoweringOptions:
    """How loops are scheduled and lowered.

    vectorise: run loops without a recurrence on all iterations at once; False leaves every loop a `scan`.
    memory_limit: bytes that the values of one vectorised body may take before it is cut into chunks.
    dot_limit: multiplications up to which a `dot_general` becomes a product and a sum.
    unroll_limit: equations up to which a sequential loop is written out.
    associative: run linear recurrences as prefix products; None leaves it to the machine (accelerators do).
    unroll: iterations of a `scan` per turn of its machine loop.
    """

    vectorise: bool = True
    memory_limit: int = 1 << 29
    dot_limit: int = 8_192
    unroll_limit: int = 24
    associative: bool | None = None
    unroll: int = 4
