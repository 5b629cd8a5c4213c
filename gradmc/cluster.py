"""A cluster of Dask, as the table [cluster] of a configuration asks for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gradmc.errors import UsageError

CONNECT_SECONDS = 20


@contextmanager
def client_of(scheduler: str | None, workers: int | None, wait: float) -> Iterator[Any]:
    """A client of a cluster, or None where none is asked for.

    Args:
        scheduler: its address.
        workers: processes to start on this machine, which end with the context.
        wait: seconds until the scheduler has a worker.

    Raises:
        UsageError: both are given, Dask is not installed, nobody answers, or no worker comes.
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
            client.wait_for_workers(1, timeout=wait)
        except TimeoutError:
            raise UsageError(
                f"cluster.scheduler: {scheduler} has no workers after {wait:g} s; start `dask worker {scheduler}`, or "
                "let cluster.wait be more where they stand in a queue"
            ) from None
        except OSError as error:
            raise UsageError(f"cluster.scheduler: {scheduler} has gone ({error}); start `dask scheduler`") from None
        yield client
