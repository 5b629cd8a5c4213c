"""How many draws of which chains can be shown when chains differ in length.

Padding short chains with NaN turns every summary into NaN, so results are rectangular: all shown
chains have the same number of draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rectangle:
    """The chains that are shown, and the number of draws of each."""

    chains: tuple[int, ...]
    draws: int


def common(lengths: Sequence[int]) -> Rectangle:
    """All chains, cut to the shortest."""
    return Rectangle(chains=tuple(range(len(lengths))), draws=min(lengths, default=0))


def largest(lengths: Sequence[int]) -> Rectangle:
    """The chains and length that keep most draws of an interrupted run.

    With lengths 1000, 1000, 3, 0 that is two chains of 1000; with 500, 480, 300, 290 all four of 290.
    The choice depends on the lengths alone, never on the values drawn.
    """
    order = sorted(range(len(lengths)), key=lambda chain: (-lengths[chain], chain))
    best = Rectangle(chains=(), draws=0)
    for count in range(1, len(order) + 1):
        draws = lengths[order[count - 1]]
        if draws * count >= best.draws * len(best.chains) and draws > 0:
            best = Rectangle(chains=tuple(sorted(order[:count])), draws=draws)
    return best if best.chains else common(lengths)
