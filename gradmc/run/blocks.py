"""A lane that is larger than what one call moves: its blocks of chains are shared out among threads.

The last block is filled up with copies of its last chain, from which nothing is taken.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import jax
import numpy as np


def over_blocks(
    call: Callable[..., Any],
    own: tuple[Any, ...],
    *,
    block: int,
    pool: ThreadPoolExecutor | None,
    scope: Callable[[], AbstractContextManager[Any]],
) -> Any:
    """`call(*own)` for a lane, block by block.

    Args:
        call: a compiled function of a block; XLA releases Python's lock while it runs.
        own: its arguments, with a leading axis of chains, as many as the lane has.
        block: how many chains a call takes.
        pool: makes several calls at the same time; None makes one after the other.
        scope: JAX in the density's precision, which holds for a single thread.

    Returns:
        What `call` returns; of several blocks in NumPy arrays, joined along the axis of chains.
    """
    leaves, tree = jax.tree.flatten(own)
    chains = len(leaves[0])
    if chains == block:
        return call(*own)
    leaves = [np.asarray(leaf) for leaf in leaves]

    def of_block(first: int) -> tuple[list[np.ndarray], Any]:
        parts = [filled_up(leaf[first : first + block], block) for leaf in leaves]
        with scope():
            result, shape = jax.tree.flatten(call(*jax.tree.unflatten(tree, parts)))
        return [np.asarray(leaf) for leaf in result], shape

    pieces = list((map if pool is None else pool.map)(of_block, range(0, chains, block)))
    joined = [np.concatenate(parts)[:chains] for parts in zip(*(piece for piece, _ in pieces), strict=True)]
    return jax.tree.unflatten(pieces[0][1], joined)


def filled_up(rows: np.ndarray, block: int) -> np.ndarray:
    """Rows of a block, the last of which is repeated until there are as many."""
    missing = block - len(rows)
    return np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)]) if missing else rows
