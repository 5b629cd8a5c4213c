"""What this process may use: cores, memory, and JAX, if it has a device and its threads were not lost in a fork.

A process that was forked after its parent used JAX is told so, instead of hanging: whatever waits for
threads that are gone waits for ever.
"""

import math
import os
import sys
from contextlib import suppress

OF_XLA = "tf_XLA"
"""How the names of its threads begin."""

_used = False
_works = False
_forked = False


def use_jax() -> None:
    """To be called before JAX works.

    Raises:
        UsageError: this process was forked from one in which JAX had worked, JAX has no device that it may use, or is
            told not to compile or not to let its tracers be kept; or XLA does not take the user's flags.
    """
    global _used
    if _forked:
        from gradmc.errors import UsageError

        raise UsageError(
            "this process was forked from one that had used JAX, whose threads a fork does not copy: it would hang. "
            "Start processes by 'spawn' (multiprocessing.get_context('spawn')) or 'forkserver', or fork before the "
            "first density, check or sample"
        )
    if not _used:
        _find_devices()
    _used = True
    _refuse_hindrances()


def _refuse_hindrances() -> None:
    """Settings of JAX for finding errors in programs written for it, with which a loop compiler cannot work."""
    import jax

    from gradmc.errors import UsageError

    for setting, hindrance in (
        ("jax_disable_jit", "JAX compiles nothing"),
        ("jax_check_tracer_leaks", "JAX takes every value that a compiler keeps for a leak"),
    ):
        if getattr(jax.config, setting):
            raise UsageError(f"{hindrance} while {setting} is set; switch it off, or unset {setting.upper()}")


def _find_devices() -> None:
    import jax

    from gradmc._xla import refuse_flags
    from gradmc.errors import UsageError

    if not _has_threads_of_jax():
        refuse_flags()
    try:
        jax.devices()
    except Exception as error:  # JAX itself fails in several ways where a platform is not there
        wanted = os.environ.get("JAX_PLATFORMS")
        remedy = (
            f"JAX_PLATFORMS is {wanted!r}: unset it, or set JAX_PLATFORMS=cpu" if wanted else "set JAX_PLATFORMS=cpu"
        )
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"JAX finds no device to compute on ({reason}); {remedy}") from None


def _before_fork() -> None:
    global _works
    _works = _used or _has_threads_of_jax()


def _has_threads_of_jax() -> bool:
    """Whether JAX works in this process already, as its threads tell; never where the system does not."""
    if "jaxlib" not in sys.modules:
        return False
    with suppress(OSError):
        return any(_name(thread).startswith(OF_XLA) for thread in os.listdir("/proc/self/task"))
    return False


def _name(thread: str) -> str:
    """The name of a thread; empty if it has ended meanwhile."""
    with suppress(OSError), open(f"/proc/self/task/{thread}/comm", encoding="utf-8") as file:
        return file.read()
    return ""


def _after_fork() -> None:
    global _forked
    _forked = _forked or _works


def watch_forks() -> None:
    """To be called once, before JAX works."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before_fork, after_in_child=_after_fork)


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> float:
    """Bytes of memory that this machine has; infinity where it does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return math.inf
