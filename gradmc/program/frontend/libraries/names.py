"""What a library's function is called in errors."""

from typing import Any

import numpy as np


def told(function: Any) -> str:
    """A library's function, by name."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        return f"{told(owner)}.{function.__name__}"
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
    if isinstance(function, np.ufunc):
        return f"{'numpy' if getattr(np, function.__name__, None) is function else 'scipy.special'}.{function.__name__}"
    module = getattr(function, "__module__", None) or type(function).__module__
    return f"{module}.{name}" if name else f"an object of {type(function).__module__}.{type(function).__qualname__}"
