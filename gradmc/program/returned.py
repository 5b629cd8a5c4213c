"""The log density in what a program returns: a number, an array of one entry, or the first item of a tuple.

Programs written for other samplers return `(log_density, blobs)`, or an array that was never reduced to its one entry.
"""

from typing import Any

import jax
import numpy as np


def log_density(returned: Any) -> Any:
    """The log density in what a program returned; what holds none is given back as it is."""
    if type(returned) is tuple and len(returned) > 1:
        returned = returned[0]
    if isinstance(returned, np.ndarray | jax.Array) and returned.ndim and returned.size == 1:
        return returned.reshape(())
    return returned


def is_number(value: Any) -> bool:
    """Whether a value is one real number."""
    return value is not None and not np.ndim(value) and not np.iscomplexobj(value)
