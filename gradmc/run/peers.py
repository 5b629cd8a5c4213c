"""Processes that compute the same chains together, each with its share of the data (`jax.distributed`).

The first process *leads*: it keeps the run as ever, and before each call of the compiled function it tells the others
what with.  They *follow*: they make the same calls and drop what comes of them, since only the sums over all devices
need them.  So whatever a run depends on besides the density (time, signals, files) is decided in one place, and it is
enough that all processes compile the same program on processors of one kind.

A process that dies closes its connections, at which the next sum fails in all others.  They end with a `ClusterError`,
and the run goes on from its checkpoints when it is started again.  Where there is no sum to fail (a process compiles,
say), JAX ends those that are left by `abort` as soon as it learns of the death; `joined` sees to it that they end with
the same exit code.
"""

import atexit
import ctypes
import functools
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.errors import JaxRuntimeError
from jax.experimental.multihost_utils import broadcast_one_to_all

from gradmc.errors import ClusterError, GradmcError, UsageError
from gradmc.program.digest import processor
from gradmc.results.manifest import hash_text
from gradmc.run.signals import NAMES
from gradmc.tasks import versions

OF_OTHERS = re.compile("(ABORTED|CANCELLED|DEADLINE_EXCEEDED|FAILED_PRECONDITION|INTERNAL|UNAVAILABLE|UNKNOWN): ")
"""How XLA's errors begin that are not of this process alone, as want of memory is."""

GONE = (
    "a process that computes with this one is gone; everything stored so far is safe: start all processes again with "
    "--resume"
)

HEARTBEAT = 100
"""Seconds of silence after which JAX takes a process for dead, where no sum fails."""

END = -1
"""In place of the length of what follows: nothing does."""


@dataclass(slots=True)
class Dismissal:
    """How the others end.

    Attributes:
        code: their exit code.
    """

    code: int = 0


@contextmanager
def joined(coordinator: str | None, processes: int | None, process: int | None) -> Iterator[None]:
    """This process is one of several; to be entered before JAX computes anything.

    With an error the process ends at once when Python exits: JAX would wait there for processes that are gone.

    Args:
        coordinator: address and port of the first process; None, here and below, where Slurm or Open MPI tell.
        processes: how many.
        process: the number of this one.

    Raises:
        UsageError: nobody tells, or the others do not come.
    """
    given = (coordinator, processes, process)
    jax.config.update("jax_enable_preemption_service", False)  # it would take SIGTERM for itself
    try:
        jax.distributed.initialize(
            *given,
            cluster_detection_method="deactivate" if None not in given else None,
            initialization_timeout=120,
            heartbeat_timeout_seconds=HEARTBEAT,
        )
    except (ValueError, RuntimeError) as error:
        raise UsageError(
            f"cannot join the other processes ({error}); start them by Slurm's srun, or give --coordinator HOST:PORT, "
            "--processes and --process to each"
        ) from error
    _end_with_the_others()
    try:
        yield
    except BaseException as error:
        atexit.register(os._exit, error.exit_code if isinstance(error, GradmcError) else 1)
        raise


def _end_with_the_others() -> None:
    """Turn an abort by JAX, because another process has died, into the exit code that says: start it again.

    A handler of Python's own would run in the main thread, after the abort, and so never: C calls this one.
    """
    if os.name == "posix":
        libc = ctypes.CDLL(None)
        libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
        libc.signal(signal.SIGABRT, ctypes.cast(_aborted(), ctypes.c_void_p))


@functools.cache  # C keeps no reference
def _aborted() -> Any:
    """What C calls in the thread that aborts.

    JAX aborts in a thread that is none of Python's.  An abort in one of Python's is a fault of this process, and stays.
    """

    def handle(number: int) -> None:
        del number
        if threading.get_ident() not in {thread.ident for thread in threading.enumerate()}:
            os.write(2, f"error: {GONE}\n".encode())
            os._exit(ClusterError.exit_code)

    return ctypes.CFUNCTYPE(None, ctypes.c_int)(handle)


def several() -> bool:
    """Whether there are other processes."""
    return jax.process_count() > 1


def leads() -> bool:
    """Whether this process keeps the run."""
    return jax.process_index() == 0


def meet() -> None:
    """Wait for the other processes, and see that they are like the first one.

    Raises:
        UsageError: this one has other versions or another kind of processor.
        ClusterError: one has died.
    """
    mine = hash_text(repr((sorted(versions().items()), processor()))).encode()
    if _told(np.frombuffer(mine, np.uint8)).tobytes() != mine:
        raise UsageError(
            f"process {jax.process_index()} has other versions or another kind of processor than process 0; processes "
            "that compute a chain together must be alike"
        )


def led(advance: Callable[..., Any]) -> Callable[..., Any]:
    """The compiled function of a run, which other processes, if there are any, call together with the first one."""
    if not several() or not leads():
        return advance

    def call(states: Any, schedule: Any, arguments: Any, draws: Any, ticks: Any, points: Any) -> Any:
        told = jax.tree.map(np.asarray, (states, schedule, draws, ticks, points))
        body = b"".join(leaf.tobytes() for leaf in jax.tree.leaves(told))
        _told(np.asarray([len(body), 0]))
        _told(np.frombuffer(body, np.uint8))
        states, schedule, draws, ticks, points = told
        with _together():
            return jax.block_until_ready(advance(states, schedule, arguments, draws, ticks, points))

    return call


@contextmanager
def dismissing() -> Iterator[Dismissal]:
    """Let the others end with the context, as this process does; after a `ClusterError` they end by themselves."""
    end = Dismissal()
    try:
        yield end
    except ClusterError:
        raise
    except BaseException as error:
        with suppress(ClusterError):
            _told(np.asarray([END, error.exit_code if isinstance(error, GradmcError) else 1]))
        raise
    _told(np.asarray([END, end.code]))


def follow(advance: Callable[..., Any], arguments: Any, like: tuple[Any, ...]) -> int:
    """Make the calls of the process that leads, until there are no more.  Signals are its business.

    Args:
        advance: the compiled function of the run.
        arguments: the data on this process's devices.
        like: states, schedule, draws, ticks and points of any call.

    Returns:
        The exit code of that process.

    Raises:
        ClusterError: a process has died.
    """
    leaves, tree = jax.tree.flatten(jax.tree.map(np.asarray, like))
    ends = np.cumsum([leaf.nbytes for leaf in leaves])
    with _deaf():
        while True:
            length, code = _told(np.zeros(2, int)).tolist()
            if length == END:
                return code
            pieces = np.split(_told(np.zeros(length, np.uint8)), ends[:-1])
            told = [
                np.frombuffer(p.tobytes(), old.dtype).reshape(old.shape) for p, old in zip(pieces, leaves, strict=True)
            ]
            states, schedule, draws, ticks, points = jax.tree.unflatten(tree, told)
            with _together():
                jax.block_until_ready(advance(states, schedule, arguments, draws, ticks, points))


def _told(array: np.ndarray) -> np.ndarray:
    """What the first process has in place of this array."""
    with _together(), jax.enable_x64(True):
        return np.asarray(broadcast_one_to_all(array))


@contextmanager
def _together() -> Iterator[None]:
    """What all processes do at the same time.

    Raises:
        ClusterError: one of them is gone.
    """
    try:
        yield
    except (JaxRuntimeError, ValueError) as error:  # XLA's, raised by a function that waits or by one that does not
        if not OF_OTHERS.match(str(error)):
            raise
        raise ClusterError(f"{GONE} ({error})") from error


@contextmanager
def _deaf() -> Iterator[None]:
    """Signals are ignored while the context lasts; only the main thread can see to that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, signal.SIG_IGN) for name in NAMES if (number := getattr(signal, name, None))
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
