"""A lane that is larger than a call: whatever the block and the threads, the same arrays come back."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from gradmc.run.blocks import filled_up, over_blocks


@pytest.mark.parametrize("block", [1, 3, 4, 10, 16])
@pytest.mark.parametrize("workers", [0, 3])
def test_a_lane_block_by_block(block: int, workers: int) -> None:
    sizes = []

    def call(state: dict[str, np.ndarray], limits: np.ndarray) -> Any:
        sizes.append(len(limits))
        return {"x": state["x"] + limits[:, None]}, 2 * limits

    x, limits = np.arange(20.0).reshape(10, 2), np.arange(10)
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        state, twice = over_blocks(
            call, ({"x": x}, limits), block=block, pool=pool if workers else None, scope=nullcontext
        )
    np.testing.assert_array_equal(state["x"], x + limits[:, None])
    np.testing.assert_array_equal(twice, 2 * limits)
    assert set(sizes) == {block}


def test_a_block_is_filled_up_with_its_last_row() -> None:
    np.testing.assert_array_equal(filled_up(np.array([1, 2]), 4), [1, 2, 2, 2])
