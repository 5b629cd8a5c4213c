"""Waiting for the first worker of a cluster (`gradmc.cluster`); clusters that work are in `tests/test_engines.py`."""

import time
from typing import Any

import pytest

from gradmc.cluster import client_of
from gradmc.errors import ClusterError, UsageError

distributed = pytest.importorskip("distributed")


class Client:
    """Of a scheduler whose first worker comes after some looks, if ever; one that has gone raises."""

    def __init__(self, looks: float, gone: bool = False) -> None:
        self.looks, self.gone = looks, gone

    def __call__(self, address: str, timeout: float) -> "Client":
        return self

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: Any) -> None: ...

    def wait_for_workers(self, count: int, timeout: float) -> None:
        if self.gone:
            raise OSError("Timed out during handshake")
        self.looks -= 1
        if self.looks > 0:
            time.sleep(min(timeout, 0.01))
            raise TimeoutError


@pytest.mark.parametrize(
    ("client", "wait", "stopped", "error", "message"),
    [
        (Client(1e9), 0.05, False, UsageError, "has no workers after 0.05 s"),
        (Client(1e9), 1e9, True, ClusterError, "stopped before tcp://x:1 had a worker"),
        (Client(1e9, gone=True), 1e9, False, UsageError, "has gone (Timed out"),
    ],
    ids=["nobody", "stopped", "gone"],
)
def test_no_worker_comes(
    client: Client, wait: float, stopped: bool, error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "Client", client)
    with pytest.raises(error) as raised, client_of("tcp://x:1", None, wait, lambda: stopped):
        pass
    assert message in str(raised.value)
    assert raised.value.exit_code == (75 if stopped else 2)  # type: ignore[attr-defined]


def test_a_worker_that_stood_in_a_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "Client", client := Client(5))
    with client_of("tcp://x:1", None, 100.0) as found:
        assert found is client
