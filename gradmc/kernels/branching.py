"""A branch and a loop that are what they seem for one chain, and cheap for a batch of chains.

For one chain `branch` is `lax.cond`: the side not taken costs nothing.  Under `vmap` a plain `cond` would compute both
sides at every tick and select.  Here the batch takes the side only when *any* chain needs it, and keeps the old values
of the others, so that rare events (a subtree is complete, a transition ends) stay rare.

For one chain `loop` is `lax.while_loop`.  Under `vmap` that would select, at every tick, between the old and the new
value of everything it carries, large tables of draws too.  Here the batch goes on until *no* chain wants to; what a
chain carries is selected, but tables are written in place, a row at a time.

Rows that are read or written by number would be gathers and scatters for a batch, each a loop over the chains; of a
table of two rows they are selections.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap


def branch[S, A](predicate: jax.Array, update: Callable[[S, A], S], state: S, arguments: A) -> S:
    """`update(state, arguments)` where `predicate` holds, else `state`.

    `update` must be a function of its two arguments alone (it may not close over traced values).
    """

    @custom_vmap
    def one(predicate: jax.Array, state: S, arguments: A) -> S:
        return lax.cond(predicate, update, lambda state, _: state, state, arguments)

    @one.def_vmap
    def many(size: int, batched: tuple, predicate: jax.Array, state: S, arguments: A) -> tuple[S, S]:
        axes = jax.tree.map(lambda b: 0 if b else None, batched)
        predicate, state = jax.tree.map(_whole(size), (predicate, state), tuple(batched[:2]))

        def masked(state: S, arguments: A) -> S:
            updated = jax.vmap(update, in_axes=(0, axes[2]), axis_size=size)(state, arguments)
            return jax.tree.map(lambda new, old: _select(predicate, new, old), updated, state)

        state = lax.cond(jnp.any(predicate), masked, lambda state, _: state, state, arguments)
        return state, jax.tree.map(lambda _: True, state)

    return one(predicate, state, arguments)


def _whole(size: int) -> Callable[[jax.Array, bool], jax.Array]:
    """Gives every chain its own copy of what chains have in common."""
    return lambda value, batched: value if batched else jnp.broadcast_to(value, (size, *jnp.shape(value)))


def _select(predicate: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    return jnp.where(predicate.reshape(predicate.shape + (1,) * (new.ndim - predicate.ndim)), new, old)


def pick[S](predicate: jax.Array, new: S, old: S) -> S:
    """`new` where the scalar `predicate` holds, else `old`, leaf by leaf; both sides are computed."""
    return jax.tree.map(lambda a, b: lax.select(predicate, a, b), new, old)


def choose[R](index: jax.Array, branches: Sequence[Callable[..., R]], *operands: Any) -> R:
    """`branches[index](*operands)`; a batch takes the branches that any chain needs.

    The branches are functions of their arguments alone.
    """

    @custom_vmap
    def one(index: jax.Array, operands: tuple[Any, ...]) -> R:
        return lax.switch(index, branches, *operands)

    @one.def_vmap
    def many(size: int, batched: tuple, index: jax.Array, operands: tuple[Any, ...]) -> tuple[R, Any]:
        index = _whole(size)(index, batched[0])
        axes = jax.tree.map(lambda b: 0 if b else None, batched[1])
        shapes = jax.eval_shape(jax.vmap(branches[0], in_axes=axes, axis_size=size), *operands)
        result: Any = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        for k, side in enumerate(branches):
            mine = index == k

            def taken(result: R, mine: jax.Array, operands: tuple[Any, ...], side: Callable[..., R] = side) -> R:
                new = jax.vmap(side, in_axes=axes, axis_size=size)(*operands)
                return jax.tree.map(lambda a, b: _select(mine, a, b), new, result)

            result = lax.cond(jnp.any(mine), taken, lambda result, *_: result, result, mine, operands)
        return result, jax.tree.map(lambda _: True, result)

    return one(index, operands)


def row_of(table: jax.Array, row: jax.Array) -> jax.Array:
    """Row `row`, at least 0, of a table."""
    return lax.dynamic_index_in_dim(table, row, 0, keepdims=False, allow_negative_indices=False)


def _with_row(table: jax.Array, new: jax.Array, row: jax.Array) -> jax.Array:
    return lax.dynamic_update_index_in_dim(table, new, row, 0, allow_negative_indices=False)


def read_rows[S](tables: S, row: jax.Array) -> S:
    """Row `row` of each table of a tree."""

    @custom_vmap
    def one(tables: S, row: jax.Array) -> S:
        return jax.tree.map(lambda table: row_of(table, row), tables)

    @one.def_vmap
    def many(size: int, batched: tuple, tables: S, row: jax.Array) -> tuple[S, Any]:
        tables, row = jax.tree.map(_whole(size), (tables, row), tuple(batched))

        def read(table: jax.Array) -> jax.Array:
            if table.shape[1] == 2:
                return _select(row == 0, table[:, 0], table[:, 1])
            return table[jnp.arange(size), row]

        rows = jax.tree.map(read, tables)
        return rows, jax.tree.map(lambda _: True, rows)

    return one(tables, row)


def write_rows[S](tables: S, values: S, row: jax.Array) -> S:
    """The tables of a tree with row `row` of each written."""

    @custom_vmap
    def one(tables: S, values: S, row: jax.Array) -> S:
        return jax.tree.map(lambda table, new: _with_row(table, new, row), tables, values)

    @one.def_vmap
    def many(size: int, batched: tuple, tables: S, values: S, row: jax.Array) -> tuple[S, Any]:
        tables, values, row = jax.tree.map(_whole(size), (tables, values, row), tuple(batched))

        def write(table: jax.Array, new: jax.Array) -> jax.Array:
            if table.shape[1] == 2:
                first = row == 0
                return jnp.stack([_select(first, new, table[:, 0]), _select(first, table[:, 1], new)], axis=1)
            return table.at[jnp.arange(size), row].set(new)

        tables = jax.tree.map(write, tables, values)
        return tables, jax.tree.map(lambda _: True, tables)

    return one(tables, values, row)


def write_row(table: jax.Array, row: jax.Array, value: jax.Array, when: jax.Array) -> jax.Array:
    """The table with one row written, where `when` holds."""

    @custom_vmap
    def one(table: jax.Array, row: jax.Array, value: jax.Array, when: jax.Array) -> jax.Array:
        return _with_row(table, jnp.where(when, value, row_of(table, row)), row)

    @one.def_vmap
    def many(size: int, batched: tuple, table: jax.Array, row: jax.Array, value: jax.Array, when: jax.Array) -> Any:
        assert all(batched)
        beyond = jnp.where(when, row, table.shape[1])  # is not written
        return table.at[jnp.arange(size), beyond].set(value, mode="drop"), True

    return one(table, row, value, when)


def event[S, T, A](
    predicate: jax.Array,
    update: Callable[[S, T, A, jax.Array], tuple[S, T]],
    state: S,
    tables: T,
    arguments: A,
) -> tuple[S, T]:
    """`update(state, tables, arguments, True)` where `predicate` holds, else `state, tables`.

    `update` is a function of its arguments alone; it writes tables by `write_row` alone, and only where its last
    argument holds.
    """

    @custom_vmap
    def one(predicate: jax.Array, state: S, tables: T, arguments: A) -> tuple[S, T]:
        def taken(state: S, tables: T, arguments: A) -> tuple[S, T]:
            return update(state, tables, arguments, jnp.bool_(True))

        return lax.cond(predicate, taken, lambda state, tables, _: (state, tables), state, tables, arguments)

    @one.def_vmap
    def many(size: int, batched: tuple, predicate: jax.Array, state: S, tables: T, arguments: A) -> tuple[Any, Any]:
        predicate, state, tables = jax.tree.map(_whole(size), (predicate, state, tables), tuple(batched[:3]))
        axes = jax.tree.map(lambda b: 0 if b else None, batched[3])

        def taken(state: S, tables: T, arguments: A) -> tuple[S, T]:
            together = jax.vmap(update, in_axes=(0, 0, axes, 0), axis_size=size)
            new, tables = together(state, tables, arguments, predicate)
            return jax.tree.map(lambda a, b: _select(predicate, a, b), new, state), tables

        result = lax.cond(jnp.any(predicate), taken, lambda state, tables, _: (state, tables), state, tables, arguments)
        return result, jax.tree.map(lambda _: True, result)

    return one(predicate, state, tables, arguments)


def loop[S, T, C](
    unfinished: Callable[[S, C], jax.Array],
    step: Callable[[S, T, C, jax.Array], tuple[S, T]],
    state: S,
    tables: T,
    constants: C,
) -> tuple[S, T]:
    """`state, tables = step(state, tables, constants, True)` while `unfinished(state, constants)`.

    Where its last argument does not hold, `step` changes in the tables only what is written again before it is read.
    Both functions are of their arguments alone (they may not close over traced values).
    """

    @custom_vmap
    def one(state: S, tables: T, constants: C) -> tuple[S, T]:
        return lax.while_loop(
            lambda carry: unfinished(carry[0], constants),
            lambda carry: step(*carry, constants, jnp.bool_(True)),
            (state, tables),
        )

    @one.def_vmap
    def many(size: int, batched: tuple, state: S, tables: T, constants: C) -> tuple[tuple[S, T], Any]:
        axes = jax.tree.map(lambda b: 0 if b else None, batched[2])
        state, tables = jax.tree.map(_whole(size), (state, tables), tuple(batched[:2]))
        wanting = jax.vmap(unfinished, in_axes=(0, axes), axis_size=size)

        def together(carry: tuple[S, T, jax.Array]) -> tuple[S, T, jax.Array]:
            old, tables, active = carry
            new, tables = jax.vmap(step, in_axes=(0, 0, axes, 0), axis_size=size)(old, tables, constants, active)
            new = jax.tree.map(lambda a, b: _select(active, a, b), new, old)
            return new, tables, active & wanting(new, constants)

        first = (state, tables, wanting(state, constants))
        state, tables, _ = lax.while_loop(lambda carry: jnp.any(carry[2]), together, first)
        return (state, tables), jax.tree.map(lambda _: True, (state, tables))

    return one(state, tables, constants)
