"""Views that show all of an array in another arrangement: `m.T`, `x.reshape(2, 3)`, `x.ravel()`.

Reading such a view rearranges what the array holds now; storing into it puts the elements back into the array.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

METHODS = frozenset({"transpose", "swapaxes", "reshape", "ravel", "squeeze"})


@dataclass(frozen=True, slots=True)
class Rearranged:
    """The index of such a view: how its content is made of its parent's, and the other way round."""

    there: Callable[[Any], Any]
    back: Callable[[Any], Any]


def rearranged(content: Any, name: str, args: tuple) -> Rearranged:
    """The rearrangement that a method does; arguments as for numpy."""
    shape = content.shape
    if name in ("transpose", "swapaxes"):
        order = list(range(len(shape)))
        if name == "swapaxes":
            first, second = args
            order[first], order[second] = order[second], order[first]
        else:
            given = args[0] if len(args) == 1 and isinstance(args[0], tuple | list) else args
            order = [k % len(shape) for k in given] if given and given[0] is not None else order[::-1]
        inverse = tuple(int(k) for k in np.argsort(order))
        return Rearranged(lambda x: x.transpose(order), lambda x: x.transpose(inverse))
    new = getattr(np.broadcast_to(np.empty(()), shape), name)(*args).shape
    return Rearranged(lambda x: x.reshape(new), lambda x: x.reshape(shape))
