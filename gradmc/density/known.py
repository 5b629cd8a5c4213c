"""Programs that were traced before: one that is sampled again, with data of the same shapes, is not traced again.

A trace is a function of the program (`gradmc.program.fingerprint`), of the declarations, of the shapes of the data that
are arguments, and of the values of all others. What was made of it, compiled code above all, is kept with it: in this
process by its fingerprint, and on disk (`gradmc.density.kept`) by its digest, for other processes.
"""

import json
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from gradmc.density.kept import Shelf, shelf
from gradmc.density.memo import Memo
from gradmc.program.binding import BoundModel, argument_names
from gradmc.program.digest import digest
from gradmc.program.fingerprint import fingerprint

if TYPE_CHECKING:
    from gradmc.program.tracing import Traced

MOST = 32
"""Programs that are kept in this process, the last ones used."""
PROGRAM, FACTS, TRACED = "program", "facts", "traced"


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is known of a program.

    Attributes:
        traced: names of the data that are arguments of its trace.
        built_in: the fingerprint of the data that are not.
        memory: what was made of it; its trace, without data, under `PROGRAM`, unless another process made that. On its
            shelf stands what is kept of it on disk.
        index: where on disk stands which data are arguments.
    """

    traced: tuple[str, ...]
    built_in: Any
    memory: Memo
    index: Shelf | None = None

    def keep(self, facts: dict[str, Any]) -> None:
        """Let other processes know what there is to know of the trace."""
        if self.memory.shelf is None or self.index is None:
            return
        self.memory.shelf.put_facts({**facts, TRACED: list(self.traced)})
        outlines = set(_outlines(self.index))
        if self.traced not in outlines:
            self.index.put(TRACED, json.dumps(sorted({*outlines, self.traced})).encode())


_table: OrderedDict[Any, list[Known]] = OrderedDict()
_lock = threading.Lock()


def known(kind: Any, bound: BoundModel, dtype: np.dtype, make: Callable[[], "Traced"], *, anew: bool = False) -> Known:
    """What is known of a program with data; if nothing is, what `make` traces is from now on.

    Args:
        kind: the class of the density, and what its trace depends on besides, comparable.
        bound: the program and its data.
        dtype: of the computation.
        make: traces it.
        anew: forget what is known.
    """
    key = _key(kind, bound, dtype)
    if anew:
        _forget(key, bound)
    with _lock:
        entries = list(_table.get(key, ()))
    for entry in entries:
        if entry.built_in == _built_in(bound, entry.traced):
            return entry
    index = shelf(digest(key))
    found = _elsewhere(key, index, bound)
    if found is None:
        program, quiet = _quietly(make)
        built_in = _built_in(bound, program.traced)
        place = _shelf(key, program.traced, built_in) if quiet else None
        found = Known(program.traced, built_in, Memo(place), index)
        found.memory.remember(PROGRAM, program.bare)
    if key is not None and found.built_in is not None:
        with _lock:
            _table[key] = [*_table.pop(key, ()), found][-MOST:]
            while len(_table) > MOST:
                _table.popitem(last=False)
    return found


def _quietly(make: Callable[[], "Traced"]) -> "tuple[Traced, bool]":
    """What is traced, and whether that was without warnings, which a process that does not trace would not give."""
    with warnings.catch_warnings(record=True) as said:
        program = make()
    for each in said:
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno, source=each.source)
    return program, not said


def _elsewhere(key: Any, index: Shelf | None, bound: BoundModel) -> Known | None:
    """What another process has found out about a program."""
    for traced in _outlines(index):
        built_in = _built_in(bound, traced)
        place = _shelf(key, traced, built_in)
        facts = None if place is None else place.facts()
        if facts is not None and facts[TRACED] == list(traced):
            found = Known(traced, built_in, Memo(place), index)
            found.memory.remember(FACTS, lambda facts=facts: facts)
            return found
    return None


def _outlines(index: Shelf | None) -> Iterator[tuple[str, ...]]:
    """The sets of data that were arguments of traces of a program."""
    body = None if index is None else index.take(TRACED)
    yield from () if body is None else map(tuple, json.loads(body))


def _shelf(key: Any, traced: tuple[str, ...], built_in: Any) -> Shelf | None:
    return None if key is None or built_in is None else shelf(digest((key, traced, built_in)))


def _forget(key: Any, bound: BoundModel) -> None:
    """Forget what is known, here and on disk."""
    for traced in _outlines(shelf(digest(key))):
        place = _shelf(key, traced, _built_in(bound, traced))
        if place is not None:
            place.clear()
    with _lock:
        _table.pop(key, None)


def forget() -> None:
    """Trace every program anew from here on."""
    with _lock:
        _table.clear()


def _key(kind: Any, bound: BoundModel, dtype: np.dtype) -> Any:
    """Equal for programs that are traced alike, but for data that are built in; None for what cannot be compared."""
    own = fingerprint(bound.model.fn, bound.model.name, bound.parameters, bound.dims, bound.coords)
    if own is None:
        return None
    switches = (jax.config.jax_default_matmul_precision, jax.config.jax_numpy_dtype_promotion)
    config = (jax.default_backend(), *map(str, switches))
    arguments = argument_names(bound)  # of which a trace sees the shape alone
    outline = tuple((name, bound.data[name].shape) if name in arguments else name for name in bound.data)
    return kind, str(dtype), config, bound.max_loop_iterations, bound.gradient, own, outline


def _built_in(bound: BoundModel, traced: Iterable[str]) -> Any:
    return fingerprint({name: value for name, value in bound.data.items() if name not in traced})
