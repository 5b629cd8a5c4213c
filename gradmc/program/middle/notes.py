"""What was decided about a loop while it was emitted."""

from dataclasses import dataclass

from jax.extend.core import JaxprEqn


@dataclass(frozen=True, slots=True)
class Note:
    """A verdict about one loop, and the reason.

    verdict: vectorised, divided, sequential, chunked or written out
    """

    loop: JaxprEqn
    verdict: str
    reason: str
