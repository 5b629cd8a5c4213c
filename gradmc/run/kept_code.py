"""Compiled functions of a run on disk: made once, and loaded by later processes, which then trace nothing.

JAX's own cache knows a program by its lowered text, so that it has to be traced and lowered first. Here it is known by
what that text is a function of (`gradmc.density.kept`), kernel, adaptation and shapes. What is loaded is the machine
code that was compiled, so draws are the same bits. JAX's cache stays out of it: XLA does not write again the functions
that it has loaded from there, and what is made of them lacks them.
"""

import json
import threading
from typing import Any

import jax
from jax.experimental.serialize_executable import deserialize_and_load, serialize

from gradmc.density.kept import Shelf

_keeping: list[threading.Thread] = []


def keep(shelf: Shelf, name: str, compiled: Any, results: Any) -> None:
    """Keep a compiled function, unless it cannot be, or its results are not made up as they will be taken for.

    A thread does it, since the run need not wait.

    Args:
        shelf: where.
        name: of the file.
        compiled: the function.
        results: what says how its results are made up: a nested dictionary of names, or any tree like them.
    """
    thread = threading.Thread(target=_write, args=(shelf, name, compiled, results))
    _keeping[:] = [thread, *(other for other in _keeping if other.is_alive())]
    thread.start()


def settle() -> None:
    """Wait until everything is kept."""
    for thread in _keeping:
        thread.join()


def _write(shelf: Shelf, name: str, compiled: Any, results: Any) -> None:
    try:
        body, _, structure = serialize(compiled)
    except Exception:  # whatever pickle says of a function of the host that is called back, XLA of what it cannot write
        return
    if jax.tree.structure(results) == structure:
        told = json.dumps(results) if isinstance(results, dict) else "null"
        shelf.put(name, told.encode() + b"\n" + body)


def take(shelf: Shelf, name: str, arguments: tuple[Any, ...], results: Any = None) -> Any | None:
    """A compiled function that was kept; None where none is, or it cannot be loaded here.

    Args:
        shelf: where.
        name: of the file.
        arguments: trees like its arguments.
        results: a tree like its results; None where the file says how they are made up.
    """
    content = shelf.take(name)
    if content is None:
        return None
    told, _, body = content.partition(b"\n")
    given = jax.tree.structure((arguments, {}))
    made = jax.tree.structure(json.loads(told) if results is None else results)
    try:
        return deserialize_and_load(body, given, made)
    except Exception:  # whatever XLA says of code that is not for this machine: it is compiled again
        return None
