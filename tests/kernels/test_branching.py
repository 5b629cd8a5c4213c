"""A branch is real for one chain, and for a batch real as long as no chain takes it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradmc.kernels.branching import branch, pick

type Pair = dict[str, jax.Array]


def update(state: Pair, arguments: jax.Array) -> Pair:
    return {"a": state["a"] + jnp.sum(arguments), "b": jnp.where(state["b"] > 0, state["b"] * arguments, 7.0)}


def branched(predicate: jax.Array, state: Pair, arguments: jax.Array) -> Pair:
    return branch(predicate, update, state, arguments)


@pytest.mark.parametrize("predicate", [True, False])
def test_one_chain(predicate: bool) -> None:
    state, arguments = {"a": jnp.asarray(1.0), "b": jnp.array([1.0, -1.0])}, jnp.array([2.0, 3.0])
    got = jax.jit(branched)(jnp.bool_(predicate), state, arguments)
    want = update(state, arguments) if predicate else state
    jax.tree.map(np.testing.assert_array_equal, got, want)


@pytest.mark.parametrize("predicates", [[False] * 3, [True] * 3, [False, True, False]])
@pytest.mark.parametrize("shared", ["nothing", "arguments", "state", "predicate"])
def test_a_batch_equals_its_chains(predicates: list[bool], shared: str, rng: np.random.Generator) -> None:
    predicate = jnp.asarray(predicates)
    state = {"a": jnp.asarray(rng.standard_normal(3)), "b": jnp.asarray(rng.standard_normal((3, 2)))}
    arguments = jnp.asarray(rng.standard_normal((3, 2)))
    axes = [0, {"a": 0, "b": 0}, 0]
    if shared == "arguments":
        arguments, axes[2] = arguments[0], None
    if shared == "state":
        state, axes[1] = {**state, "b": state["b"][0]}, {"a": 0, "b": None}
    if shared == "predicate":
        predicate, axes[0] = predicate[0], None
    got = jax.vmap(branched, in_axes=tuple(axes))(predicate, state, arguments)
    for i in range(3):
        one = branched(
            predicate if shared == "predicate" else predicate[i],
            {"a": state["a"][i], "b": state["b"] if shared == "state" else state["b"][i]},
            arguments if shared == "arguments" else arguments[i],
        )
        jax.tree.map(lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-14), got, one)


def test_the_branch_of_a_batch_is_not_computed_in_vain() -> None:
    """Under `vmap` a branch remains, on `any` of the predicates."""
    state = {"a": jnp.zeros(4), "b": jnp.zeros((4, 2))}
    traced = jax.make_jaxpr(jax.vmap(branched))(jnp.zeros(4, bool), state, jnp.zeros((4, 2)))
    names = [equation.primitive.name for equation in traced.jaxpr.eqns]
    assert "cond" in names
    assert "reduce_or" in names


def test_pick() -> None:
    new, old = {"a": jnp.ones(2)}, {"a": jnp.zeros(2)}
    np.testing.assert_array_equal(pick(jnp.bool_(True), new, old)["a"], new["a"])
    np.testing.assert_array_equal(pick(jnp.bool_(False), new, old)["a"], old["a"])
