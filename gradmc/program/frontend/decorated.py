"""Functions of numba and autograd, neither of which is needed here: what they stand for in Python and numpy.

They are known by the modules of their types and what these keep of the function that was decorated; where the library
is not installed there are none.
"""

import sys
from types import FunctionType
from typing import Any

import numpy as np


def underneath(function: Any) -> Any:
    """The function of Python's or numpy's that another library's stands for; others as they are."""
    if isinstance(function, FunctionType):
        return _of_autograd(function)
    if isinstance(function, type):
        return range if function is getattr(sys.modules.get("numba"), "prange", None) else function
    if type(function).__module__.split(".")[0] != "numba":
        return function
    python = getattr(function, "py_func", None)
    if isinstance(python, FunctionType):
        return python
    one = getattr(function, "__wrapped__", None)  # what numba.vectorize applies to each entry
    return np.vectorize(one) if isinstance(one, FunctionType) else function


def _of_autograd(function: FunctionType) -> Any:
    place = function.__globals__.get("__name__", "")
    if place == "autograd.tracer":
        return getattr(function, "fun", function)
    if place in ("autograd.numpy", "autograd.numpy.numpy_wrapper"):
        return getattr(np, function.__name__.removeprefix("custom_"), function)
    return function
