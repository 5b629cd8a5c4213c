"""Programs that were traced in this process: one that is sampled again, with data of the same shapes, is not again.

A trace is a function of the program (`gradmc.program.fingerprint`), of the declarations, of the shapes of the data that
are arguments, and of the values of all others. What was made of it, compiled code above all, is kept with it.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from gradmc.density.memory import Memory
from gradmc.program.binding import BoundModel
from gradmc.program.fingerprint import fingerprint
from gradmc.program.tracing import Traced, argument_names

MOST = 32
"""Programs that are kept, the last ones used."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is known of a program.

    Attributes:
        program: its trace, without data.
        built_in: the fingerprint of the data that are no arguments of it.
        memory: what else was made of it.
    """

    program: Traced
    built_in: Any
    memory: Memory = field(default_factory=Memory)


_table: OrderedDict[Any, list[Known]] = OrderedDict()
_lock = threading.Lock()


def known(kind: type, bound: BoundModel, dtype: np.dtype, make: Callable[[], Traced]) -> Known:
    """What is known of a program with data; if nothing is, what `make` traces is from now on.

    Args:
        kind: the class of the density.
        bound: the program and its data.
        dtype: of the computation.
        make: traces it.
    """
    key = _key(kind, bound, dtype)
    with _lock:
        entries = list(_table.get(key, ()))
    for entry in entries:
        if entry.built_in == _built_in(bound, entry.program.traced):
            return entry
    program = make()
    made = Known(program.bare(), _built_in(bound, program.traced))
    if key is not None and made.built_in is not None:
        with _lock:
            _table[key] = [*_table.pop(key, ()), made][-MOST:]
            while len(_table) > MOST:
                _table.popitem(last=False)
    return made


def forget() -> None:
    """Trace every program anew from here on."""
    with _lock:
        _table.clear()


def _key(kind: type, bound: BoundModel, dtype: np.dtype) -> Any:
    """Equal for programs that are traced alike, but for data that are built in; None for what cannot be compared."""
    own = fingerprint(bound.model.fn, bound.model.name, bound.parameters, bound.dims, bound.coords)
    if own is None:
        return None
    config = (jax.default_backend(), jax.config.jax_default_matmul_precision, jax.config.jax_numpy_dtype_promotion)
    arguments = argument_names(bound)  # of which a trace sees the shape alone
    outline = tuple((name, bound.data[name].shape) if name in arguments else name for name in bound.data)
    return kind, str(dtype), config, bound.max_loop_iterations, own, outline


def _built_in(bound: BoundModel, traced: Iterable[str]) -> Any:
    return fingerprint({name: value for name, value in bound.data.items() if name not in traced})
