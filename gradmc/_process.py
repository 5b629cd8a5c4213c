"""Forked processes, in which JAX's threads are gone and whatever waits for them waits for ever.

A process that was forked after its parent used JAX through gradmc is told so, instead of hanging.
"""

import os

from gradmc.errors import UsageError

_used = False
_forked = False


def use_jax() -> None:
    """To be called before JAX works.

    Raises:
        UsageError: this process was forked from one in which JAX had worked.
    """
    global _used
    if _forked:
        raise UsageError(
            "this process was forked from one that had used JAX, whose threads a fork does not copy: it would hang. "
            "Start processes by 'spawn' (multiprocessing.get_context('spawn')) or 'forkserver', or fork before the "
            "first density, check or sample"
        )
    _used = True


def _after_fork() -> None:
    global _forked
    _forked = _forked or _used


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
