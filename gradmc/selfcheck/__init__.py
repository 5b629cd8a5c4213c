"""Every run checks itself, once, at a starting point of its first chain.

The value of the compiled program is compared with that of plain Python, and the compiled gradient along a random
direction with a difference quotient. The compiled numbers are those of the function that moves the chains, so there is
nothing more to compile; the plain program runs in a thread of its own while XLA compiles.
"""

from gradmc.selfcheck.comparison import SelfCheck, prepare_checked
from gradmc.selfcheck.outcome import Outcome

__all__ = ["Outcome", "SelfCheck", "prepare_checked"]
