"""A cluster of Dask, as the table [cluster] of a configuration asks for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gradmc.errors import UsageError

CONNECT_SECONDS = 20


@contextmanager
def client_of(scheduler: str | None, workers: int | None) -> Iterator[Any]:
    """A client of a cluster, or None where none is asked for.

    Args:
        scheduler: its address.
        workers: processes to start on this machine, which end with the context.

    Raises:
        UsageError: both are given, Dask is not installed, or nobody answers at the address.
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
        try:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError:
            raise UsageError(
                f"cluster.scheduler: {scheduler} has no workers; start `dask worker {scheduler}`"
            ) from None
        yield client
