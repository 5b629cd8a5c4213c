"""Gathers with known indices whose transpose is again made of gathers.

`take(x, table)` is `x[table]` along the first axis, with 0 where the table says -1. Its transpose, the sum of
all cotangents that go to one element, is a scatter-add in JAX; XLA's CPU backend then cannot compile
the surrounding loop into one native function. With a known table it is a *padded gather*: one row
of positions per element, padded with -1, summed along the row. Rows of very different lengths are first
cut into pieces, so that padding wastes at most `WASTE`; the partial sums are summed in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

# Beyond this many positions a scatter-add costs less than padded gathers (measured, CPU: equal at 5,000,
# 5 % less at 50,000), and a loop of that size is not compiled into one native function anyway.
GATHER_LIMIT = 5_000
WASTE = 4.0

take_p = Primitive("take")


@dataclass(frozen=True, slots=True, eq=False)
class KnownIndices:
    """Known positions, hashed by identity so that it can be a parameter of a primitive."""

    index: np.ndarray
    size: int

    @property
    def holes(self) -> bool:
        """Whether some positions are negative, that is, stand for nothing."""
        return bool(self.index.size) and bool(self.index.min() < 0)


def take(x: Any, index: np.ndarray) -> Any:
    """`x[index]` along axis 0 for a known integer array, 0 where the index is -1."""
    return _take(x, KnownIndices(np.asarray(index, np.int32), x.shape[0]))


def _take(x: Any, table: KnownIndices) -> Any:
    run = _run(table.index)
    if run is not None:
        return run(x)
    return take_p.bind(x, table=table)


def _run(index: np.ndarray) -> Any:
    """A slice that does the same, where the positions follow each other in even steps."""
    if index.ndim != 1 or index.size == 0 or index[0] < 0 or index[-1] < 0:
        return None
    step = int(index[1] - index[0]) if index.size > 1 else 1
    if step == 0 or (index.size > 1 and not (np.diff(index) == step).all()):
        return None
    low, high = sorted((int(index[0]), int(index[-1])))

    def cut(x: Any) -> Any:
        if (low, high + 1, abs(step)) != (0, x.shape[0], 1):
            x = lax.slice_in_dim(x, low, high + 1, abs(step))
        return x if step > 0 else lax.rev(x, (0,))

    return cut


def sum_by(x: Any, table: KnownIndices) -> Any:
    """The transpose of `take`: element k of the result is the sum of all x[j] with table[j] == k."""
    index = table.index.reshape(-1)
    x = x.reshape(index.size, *x.shape[table.index.ndim :])
    if index.size > GATHER_LIMIT:
        zero = jnp.zeros((table.size, *x.shape[1:]), x.dtype)
        where = np.where(index < 0, table.size, index)
        return zero.at[where].add(x, mode="drop", wrap_negative_indices=False)
    return _sum_rows(x, index, table.size)


def _sum_rows(x: Any, index: np.ndarray, size: int) -> Any:
    if not index.size:
        return jnp.zeros((size, *x.shape[1:]), x.dtype)
    counts = np.bincount(index[index >= 0], minlength=size)
    longest = int(counts.max(initial=0))
    if longest <= 1:
        return _take(x, KnownIndices(_rows(index, counts, 1)[:, 0], len(index)))
    width = longest
    while size * width > WASTE * max(len(index), size) and width > 2:
        width = (width + 1) // 2
    if width == longest:
        return jnp.sum(_take(x, KnownIndices(_rows(index, counts, width), len(index))), axis=1)
    piece, owner = _pieces(index, counts, width)
    partial = _sum_rows(x, piece, len(owner))
    return _sum_rows(partial, owner, size)


def _order(index: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions sorted by their element, that element, and each one's rank among those of its element."""
    order = np.argsort(index, kind="stable")
    order = order[np.searchsorted(index[order], 0) :]
    owner = index[order]
    rank = np.arange(len(order)) - np.concatenate([[0], np.cumsum(counts)])[owner]
    return order, owner, rank


def _rows(index: np.ndarray, counts: np.ndarray, width: int) -> np.ndarray:
    order, owner, rank = _order(index, counts)
    rows = np.full((len(counts), width), -1, np.int32)
    rows[owner, rank] = order
    return rows


def _pieces(index: np.ndarray, counts: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut each element's positions into pieces of `width`: the piece of each position, the owner of each piece."""
    order, owner, rank = _order(index, counts)
    many = -(-counts // width)
    first = np.concatenate([[0], np.cumsum(many)])
    piece = np.full(index.shape, -1, np.int32)
    piece[order] = first[owner] + rank // width
    return piece, np.repeat(np.arange(len(counts), dtype=np.int32), many)


def _plain(x: Any, *, table: KnownIndices) -> Any:
    got = jnp.asarray(x).at[np.maximum(table.index, 0)].get(mode="promise_in_bounds")
    if not table.holes:
        return got
    hole = (table.index < 0).reshape(*table.index.shape, *[1] * (got.ndim - table.index.ndim))
    return jnp.where(hole, jnp.zeros((), got.dtype), got)


def _type(x: Any, *, table: KnownIndices) -> Any:
    return x.update(shape=(*table.index.shape, *x.shape[1:]), weak_type=False)


def _transpose(cotangent: Any, x: Any, *, table: KnownIndices) -> list[Any]:
    if isinstance(cotangent, ad.Zero):
        return [ad.Zero(x.aval)]
    return [sum_by(cotangent, table)]


def _batch(operands: Sequence[Any], dims: Sequence[Any], *, table: KnownIndices) -> tuple[Any, Any]:
    x = jnp.moveaxis(operands[0], dims[0], -1)
    out = take_p.bind(x, table=table)
    return out, out.ndim - 1


take_p.def_impl(_plain)
take_p.def_abstract_eval(_type)
ad.deflinear2(take_p, _transpose)
batching.primitive_batchers[take_p] = _batch
mlir.register_lowering(take_p, mlir.lower_fun(_plain, multiple_results=False))
