"""A branch that is real for one chain and rare for a batch of chains.

For one chain `branch` is `lax.cond`: the side not taken costs nothing.  Under `vmap` a plain `cond` would compute both
sides at every tick and select.  Here the batch takes the side only when *any* chain needs it, and keeps the old values
of the others, so that rare events (a subtree is complete, a transition ends) stay rare.
"""

from collections.abc import Callable

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

        def whole(value: jax.Array, is_batched: bool) -> jax.Array:
            return value if is_batched else jnp.broadcast_to(value, (size, *jnp.shape(value)))

        state = jax.tree.map(whole, state, batched[1])
        predicate = whole(predicate, batched[0])

        def masked(state: S, arguments: A) -> S:
            updated = jax.vmap(update, in_axes=(0, axes[2]), axis_size=size)(state, arguments)
            return jax.tree.map(lambda new, old: _select(predicate, new, old), updated, state)

        state = lax.cond(jnp.any(predicate), masked, lambda state, _: state, state, arguments)
        return state, jax.tree.map(lambda _: True, state)

    return one(predicate, state, arguments)


def _select(predicate: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    return jnp.where(predicate.reshape(predicate.shape + (1,) * (new.ndim - predicate.ndim)), new, old)


def pick[S](predicate: jax.Array, new: S, old: S) -> S:
    """`new` where the scalar `predicate` holds, else `old`, leaf by leaf; both sides are computed."""
    return jax.tree.map(lambda a, b: jnp.where(predicate, a, b), new, old)
