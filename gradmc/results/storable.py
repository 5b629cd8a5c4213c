"""Data and labels in a form that a DataTree, a Zarr store and a NetCDF file can all hold.

That is: arrays of booleans, integers, real numbers, or texts. What a model may take besides (ragged lists, records,
dates, functions) has no such form. Data without one are left out of the results, and said before sampling starts;
labels without one stand there as their text.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradmc.program.dims import RESERVED


def data_arrays(data: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Those data that can stand in a DataTree: numbers, strings and arrays of them."""
    found = {name: as_array(value) for name, value in data.items() if name not in RESERVED}
    return {name: array for name, array in found.items() if array is not None}


def left_out(data: Mapping[str, Any]) -> list[str]:
    """What of the data cannot stand in results, with its type; None holds nothing that could be missed."""
    kept = data_arrays(data)
    return [f"{n} ({type(v).__name__})" for n, v in data.items() if n not in kept and v is not None]


def as_array(value: Any) -> np.ndarray | None:
    """A value as an array of booleans, numbers or texts; None where it is something else."""
    if value is None or isinstance(value, Mapping):
        return None
    try:
        array = np.asarray(value)
    except Exception:  # ragged lists, and whatever a class of the user's makes of being an array
        return None
    if array.dtype.kind in "biuf":
        return array
    # NumPy writes the numbers of a list that holds texts too as texts.
    items = array.ravel().tolist() if isinstance(value, np.ndarray) else np.asarray(value, object).ravel().tolist()
    if array.dtype.kind not in "UTO" or not all(isinstance(item, str) and is_text(item) for item in items):
        return None
    return np.asarray(items, str).reshape(array.shape)


def axis_labels(values: Sequence[Any]) -> np.ndarray:
    """The labels along an axis, as they are or, where no file could hold them, as their text."""
    array = as_array(values)
    if array is None or array.shape != (len(values),):
        texts = [value if isinstance(value, str) else str(value) for value in values]
        array = np.asarray([text if is_text(text) else ascii(text)[1:-1] for text in texts], str)
    return array


def is_text(text: str) -> bool:
    """Whether a text can be stored: it has a form in UTF-8 and holds no NUL, at which other programs end it."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False
