"""Executors: which chains advance together, and functions of one chain as functions of a lane."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradmc.errors import UsageError
from gradmc.run.executor import Batch, Executor, Threads, stacked, suited
from gradmc.run.preparing import suited_kernel


def expand(x: jax.Array, arguments: Any) -> dict[str, dict[str, jax.Array]]:
    return {"posterior": {"square": x**2 * arguments, "first": x[0], "count": jnp.int32(3)}}


@pytest.mark.parametrize(
    ("executor", "counts"), [(Threads(), [5]), (Batch(True), [5, 2, 0]), (Batch(False), [5, 2, 0])]
)
def test_expansion_row_by_row(executor: Executor, counts: list[int], rng: np.random.Generator, x64: None) -> None:
    positions = rng.standard_normal((len(counts), 8, 3))
    rows = jax.jit(executor.expand(expand))(positions, np.asarray(counts, np.int32), 2.0)["posterior"]
    for chain, count in enumerate(counts):
        np.testing.assert_allclose(rows["square"][chain, :count], 2 * positions[chain, :count] ** 2)
        np.testing.assert_array_equal(rows["first"][chain, :count], positions[chain, :count, 0])
        assert rows["count"][chain, :count].tolist() == [3] * count
    np.testing.assert_array_equal(rows["square"][:, max(counts) :], 0)


@pytest.mark.parametrize("executor", [Threads(), Batch()])
def test_every_chain_is_in_one_lane(executor: Executor) -> None:
    lanes = executor.lanes(5)
    assert sorted(chain for lane in lanes for chain in lane) == list(range(5))
    assert len({len(lane) for lane in lanes}) == 1


@pytest.mark.parametrize(("executor", "chains"), [(Threads(), 1), (Batch(True), 3), (Batch(False), 3)])
def test_a_lane_advances_its_chains(executor: Executor, chains: int) -> None:
    def one(state: Any, schedule: Any, arguments: Any, draws: Any, ticks: Any, capacity: int, points: Any) -> Any:
        assert points.shape == (capacity, 2)
        return {"x": state["x"] + schedule * draws}, points[0] * arguments + ticks

    states, draws = stacked([{"x": np.float32(k)} for k in range(chains)]), np.arange(chains, dtype=np.int32)
    points = np.arange(chains * 8, dtype=np.float32).reshape(chains, 4, 2)
    state, first = executor.advance(one)(states, 10, 2.0, draws, 1, 4, points)
    np.testing.assert_array_equal(state["x"], [k + 10 * k for k in range(chains)])
    np.testing.assert_array_equal(first, 2 * points[:, 0] + 1)


def test_auto_suits_the_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert suited(4) == Threads()
    assert suited(64) == Batch()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert suited(4) == Batch()


def test_the_kernel_of_many_chains_suits_the_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert suited_kernel(1024) == "nuts"
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert (suited_kernel(63), suited_kernel(64)) == ("nuts", "chees")


@pytest.mark.parametrize("chains", [1, 8, 20, 128, 4096])
def test_blocks_are_neither_idle_nor_large(chains: int) -> None:
    block = Batch(vectorised=False).block(chains)
    assert 1 <= block <= min(64, chains)
    assert Batch(vectorised=True).block(chains) == chains


def test_more_devices_than_there_are_are_refused() -> None:
    with pytest.raises(UsageError, match="devices must be a whole number between 1 and 1; got 7"):
        Batch(devices=7)
