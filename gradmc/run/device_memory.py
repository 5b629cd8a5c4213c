"""What is said when a device has not enough memory for the chains of a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax

from gradmc.errors import UsageError

MARK = "RESOURCE_EXHAUSTED"
"""XLA's code for memory that is not there (absl's status codes)."""

SHARE = 0.9
"""Of a device's memory that chains may take: the rest goes to pieces."""


def bytes_per_chain(compiled: Any, chains: int) -> float | None:
    """What an executable for so many chains takes for each; None where XLA does not say."""
    analysis = compiled.memory_analysis()
    if analysis is None:
        return None
    parts = (analysis.argument_size_in_bytes, analysis.output_size_in_bytes, analysis.temp_size_in_bytes)
    return sum(parts) / chains


def capacity_of_device() -> int | None:
    """Bytes that the first device has for programs; None where it does not say, as a processor does not."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    return statistics.get("bytes_limit")


@contextmanager
def explaining_memory(chains: int, each: float | None) -> Iterator[None]:
    """Say how many chains fit, where XLA only says that memory is exhausted.

    Args:
        chains: how many there are.
        each: bytes that a chain takes, if that is known.

    Raises:
        UsageError: in place of XLA's own error.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if MARK not in str(error):
            raise
        limit = capacity_of_device()
        fits = chains // 2 if limit is None or not each else int(SHARE * limit * jax.local_device_count() / each)
        fits = max(min(fits, chains - 1), 1)
        need = f", which take {chains * each / 1e9:.2g} GB," if each else ""
        raise UsageError(
            f"the device has not enough memory for {chains:,} chains{need} at once; about {fits:,} fit: run fewer, or "
            "several runs with seeds of their own"
        ) from error
