"""Objects of pandas, which is not needed here: they are known by the module of their type."""

from typing import Any

import numpy as np


def is_pandas(value: Any) -> bool:
    """Whether a value is an object of pandas."""
    return type(value).__module__.split(".")[0] == "pandas"


def is_series(value: Any) -> bool:
    """Whether a value is a Series or Index of pandas: one column."""
    return is_pandas(value) and getattr(value, "ndim", 0) == 1 and hasattr(value, "to_numpy")


def is_frame(value: Any) -> bool:
    """Whether a value is a DataFrame of pandas."""
    return is_pandas(value) and getattr(value, "ndim", 0) == 2 and hasattr(value, "to_numpy")


def numbers(value: Any) -> np.ndarray:
    """The entries of a Series or DataFrame: of float64, int64 or bool where they are numbers, NaN where missing."""
    array = value.to_numpy()
    if array.dtype == object:
        try:
            array = value.to_numpy(dtype=float, na_value=np.nan)
        except (TypeError, ValueError):
            return array
    kinds = {"f": np.float64, "i": np.int64, "u": np.int64}
    return array.astype(kinds.get(array.dtype.kind, array.dtype), copy=False)
