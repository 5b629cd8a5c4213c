"""Compiling the two functions of a run: `advance` moves a chain, `expand` turns its positions into named values.

Both are traced here and compiled side by side in two threads, or loaded where an earlier process has kept them
(`gradmc.run.kept_code`).  Where they cannot be kept, the persistent compilation cache of JAX is switched on for the
time of compiling, in the user's cache directory, unless the user has configured one.
"""

import contextlib
import os
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental.compilation_cache import compilation_cache

from gradmc.adaptation.schedule import Schedule
from gradmc.density.kept import Shelf, cache_root
from gradmc.run.device_memory import bytes_per_chain, explaining_memory
from gradmc.run.executor import Executor, Expand
from gradmc.run.kept_code import keep, take
from gradmc.run.machine import Buffer, Machine, State

BUFFER_BYTES = 2 << 20
MAX_CAPACITY = 8192
EXPANDED_BYTES = 64 << 20
"""What a call of `expand` may give, unless a single draw of each chain takes more."""

_cache_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Compiled:
    """The executables of a run, for a block of chains (`gradmc.run.executor`)."""

    block: int  # chains
    advance: Callable[..., tuple[State, Buffer]]
    expand: Callable[..., dict[str, dict[str, jax.Array]]]
    capacity: int  # draws of each chain that a call of `advance` makes at most
    rows: int  # draws of each chain that a call of `expand` takes
    text: Callable[[], str | None]  # the optimised HLO of `advance`
    bytes_per_chain: float | None = None  # that `advance` takes on the device


def buffer_capacity(dim: int, columns: int, itemsize: int, chains: int = 1) -> int:
    """Draws of each chain of a lane that fit into a buffer of 2 MiB, or 16 MiB if they are several.

    A power of two from 16 to 8192, and a function of model and lane alone, so that the number of draws asked for never
    makes XLA compile again.
    """
    rows = BUFFER_BYTES * min(chains, 8) // ((dim + columns) * itemsize * chains)
    return int(np.clip(1 << max(int(rows).bit_length() - 1, 0), 16, MAX_CAPACITY))


def rows_at_once(capacity: int, size: int) -> int:
    """Draws of each chain that a call of `expand` takes: all, or as many as give `EXPANDED_BYTES`, but at least one.

    Args:
        capacity: all of them, a power of two.
        size: bytes that they give.
    """
    return max(1, min(capacity, 1 << (EXPANDED_BYTES * capacity // max(size, 1)).bit_length() >> 1))


def compile_run(
    machine: Machine,
    expand: Expand,
    arguments: Any,
    states: State,
    schedule: Schedule,
    points: jax.Array,
    *,
    data: Any,
    executor: Executor,
    scope: Callable[[], contextlib.AbstractContextManager[Any]],
    capacity: int,
    meanwhile: Callable[[], None] | None = None,
    kept: tuple[Shelf, str] | None = None,
) -> Compiled:
    """Trace and compile for blocks like `states` and `points`; `data` are the arguments of `expand`.

    `meanwhile` is called once `advance` is traced and this thread has nothing to do but wait for XLA. What is compiled
    is kept on the shelf `kept[0]` under a name made of `kept[1]`, or taken from there.
    """
    chains = points.shape[0]
    positions = jax.ShapeDtypeStruct((chains, capacity, machine.dim), machine.dtype)
    whole = jax.ShapeDtypeStruct((), np.int32)
    limits = jax.ShapeDtypeStruct((chains,), np.int32)
    moved = states, Buffer(ticks=0, filled=0, positions=0, statistics=0)  # pyright: ignore[reportArgumentType]
    waiting = [] if meanwhile is None else [meanwhile]
    if kept is not None and kept[0].holds(f"advance-{kept[1]}"):
        while waiting:
            waiting.pop()()
        moving = take(*_named("advance", kept), (states, schedule, arguments, limits, whole, points), moved)
        expanding = take(*_named("expand", kept), (positions, limits, data))
        if moving is not None and expanding is not None:
            return _compiled(moving, expanding, chains, capacity)
    # Compiling holds a thread for long; the calling one waits where signals reach it. `advance` takes longest.
    with _caching(kept is not None), ThreadPoolExecutor(2) as pool:
        advance = jax.jit(executor.advance(machine.advance), static_argnums=5)
        lowered = advance.lower(states, schedule, arguments, limits, whole, capacity, points)
        compiling = pool.submit(_compile, lowered, scope)
        while waiting:
            waiting.pop()()
        lowered_expand = jax.jit(executor.expand(expand)).lower(positions, limits, data)
        given = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(lowered_expand.out_info))
        if (rows := rows_at_once(capacity, given)) < capacity:
            positions = jax.ShapeDtypeStruct((chains, rows, machine.dim), machine.dtype)
            lowered_expand = jax.jit(executor.expand(expand)).lower(positions, limits, data)
        expanding = pool.submit(_compile, lowered_expand, scope).result()
        with explaining_memory(chains, None):
            moving = compiling.result()
    if kept is not None:
        keep(*_named("advance", kept), moving, moved)
        keep(*_named("expand", kept), expanding, jax.tree.map(lambda _: 0, lowered_expand.out_info))
    return _compiled(moving, expanding, chains, capacity)


def _compiled(moving: Any, expanding: Any, chains: int, capacity: int) -> Compiled:
    return Compiled(
        block=chains,
        advance=moving,
        expand=expanding,
        capacity=capacity,
        rows=expanding.in_avals[0][0].shape[1],
        text=moving.as_text,
        bytes_per_chain=bytes_per_chain(moving, chains),
    )


def _named(what: str, kept: tuple[Shelf, str]) -> tuple[Shelf, str]:
    return kept[0], f"{what}-{kept[1]}"


def _compile(lowered: Any, scope: Callable[[], contextlib.AbstractContextManager[Any]]) -> Any:
    with scope():
        return lowered.compile()


def cache_directory() -> Path:
    """Where gradmc keeps compiled code: `$XDG_CACHE_HOME/gradmc/xla`."""
    return cache_root() / "xla"


def unusable_cache() -> str:
    """Why compiled code cannot be kept in its directory, which is made; nothing where it can."""
    try:
        directory = cache_directory()
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return ""
    except OSError as error:
        return f"{directory} cannot be written ({error.strerror})"
    except RuntimeError:
        return "this user has no home directory"


@contextlib.contextmanager
def _caching(keeping: bool) -> Iterator[None]:
    """JAX's persistent compilation cache, for the time of the context; a cache that the user configured stays.

    Where code is kept here it is off: see `gradmc.run.kept_code`.
    """
    if keeping:
        with _configured({"jax_enable_compilation_cache": False}):
            yield
        return
    if jax.config.jax_compilation_cache_dir is not None or os.environ.get("GRADMC_CACHE") == "off":
        yield
        return
    if reason := unusable_cache():
        warnings.warn(
            f"compiled code is not kept: {reason}; set XDG_CACHE_HOME to a directory that can be written, or "
            "GRADMC_CACHE=off",
            RuntimeWarning,
            stacklevel=2,
        )
        yield
        return
    settings = {
        "jax_compilation_cache_dir": str(cache_directory()),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": 0,
    }
    with _configured(settings):
        yield


@contextlib.contextmanager
def _configured(settings: dict[str, Any]) -> Iterator[None]:
    with _cache_lock:
        before = {name: getattr(jax.config, name) for name in settings}
        _configure(settings)
        try:
            yield
        finally:
            _configure(before)


def _configure(settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
