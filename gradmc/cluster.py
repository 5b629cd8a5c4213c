"""A cluster of Dask, as the table [cluster] of a configuration asks for it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gradmc.errors import ClusterError, UsageError

CONNECT_SECONDS = 20
LOOK_SECONDS = 0.5
"""How often one looks whether there is reason to wait no longer for a worker."""


@contextmanager
def client_of(
    scheduler: str | None, workers: int | None, wait: float, stopped: Callable[[], bool] = lambda: False
) -> Iterator[Any]:
    """A client of a cluster, or None where none is asked for.

    Args:
        scheduler: its address.
        workers: processes to start on this machine, which end with the context.
        wait: seconds until the scheduler has a worker.
        stopped: whether to wait no longer.

    Raises:
        UsageError: both are given, Dask is not installed, nobody answers, or no worker comes.
        ClusterError: `stopped` before one came.
    """
    if scheduler is None and workers is None:
        yield None
        return
    if scheduler is not None and workers is not None:
        raise UsageError(
            "cluster: give scheduler, the address of one that runs, or workers, to start some here; not both"
        )
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise UsageError("a cluster needs Dask: `pip install 'gradmc[cluster]'`") from None
    if workers is not None:
        with (
            LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"cluster.scheduler: nobody answers at {scheduler} ({error}); start `dask scheduler`"
        ) from None
    with client:
        _await_worker(client, scheduler, wait, stopped)
        yield client


def _await_worker(client: Any, scheduler: str | None, wait: float, stopped: Callable[[], bool]) -> None:
    """Wait for the first worker."""
    end = time.monotonic() + wait
    while True:
        try:
            client.wait_for_workers(1, timeout=min(LOOK_SECONDS, max(end - time.monotonic(), 0.01)))
        except TimeoutError:
            if stopped():
                raise ClusterError(
                    f"stopped before {scheduler} had a worker; the same command with --resume begins the run"
                ) from None
            if time.monotonic() < end:
                continue
            raise UsageError(
                f"cluster.scheduler: {scheduler} has no workers after {wait:g} s; start `dask worker {scheduler}`, or "
                "let cluster.wait be more where they stand in a queue"
            ) from None
        except OSError as error:
            raise UsageError(f"cluster.scheduler: {scheduler} has gone ({error}); start `dask scheduler`") from None
        return
