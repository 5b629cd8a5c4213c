"""A branch is real for one chain, and for a batch real as long as no chain takes it; loops of a batch with tables."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradmc.kernels.branching import branch, event, loop, pick, write_row

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


class Counting:
    """A state that grows until its own limit, and a table that takes a row at every second step."""

    @staticmethod
    def unfinished(state: Pair, limit: jax.Array) -> jax.Array:
        return state["n"] < limit

    @staticmethod
    def grown(state: Pair, table: jax.Array, limit: jax.Array, when: jax.Array) -> tuple[Pair, jax.Array]:
        row = write_row(table, state["n"] % table.shape[0], state["x"], when)
        return {**state, "x": state["x"] + limit.astype(state["x"].dtype)}, row

    @staticmethod
    def step(state: Pair, table: jax.Array, limit: jax.Array, when: jax.Array) -> tuple[Pair, jax.Array]:
        state, table = event(when & (state["n"] % 2 == 1), Counting.grown, state, table, limit)
        return {**state, "n": state["n"] + 1}, table

    @staticmethod
    def run(limit: jax.Array, x: jax.Array, table: jax.Array) -> tuple[Pair, jax.Array]:
        return loop(Counting.unfinished, Counting.step, {"n": jnp.int32(0), "x": x}, table, limit)


def counted(limit: int, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    table = np.zeros((4, 2))
    for n in range(limit):
        if n % 2 == 1:
            table[n % 4], x = x, x + limit
    return x, table


def test_a_loop_with_a_table() -> None:
    state, table = jax.jit(Counting.run)(jnp.int32(7), jnp.zeros(2), jnp.zeros((4, 2)))
    want = counted(7, np.zeros(2))
    np.testing.assert_array_equal(state["x"], want[0])
    np.testing.assert_array_equal(table, want[1])


@pytest.mark.parametrize("shared", [False, True])
def test_a_batch_of_loops_equals_its_loops(shared: bool, rng: np.random.Generator) -> None:
    limits, x = np.array([3, 0, 9], np.int32), rng.standard_normal((3, 2))
    if shared:
        limits = np.int32(5)
    state, table = jax.jit(jax.vmap(Counting.run, in_axes=(None if shared else 0, 0, None)))(
        limits, x, jnp.zeros((4, 2))
    )
    for i in range(3):
        want = counted(5 if shared else int(limits[i]), x[i])
        np.testing.assert_allclose(state["x"][i], want[0], rtol=1e-5)
        np.testing.assert_allclose(table[i], want[1], rtol=1e-5)
    np.testing.assert_array_equal(state["n"], np.broadcast_to(limits, 3))


def test_the_tables_of_a_batch_are_not_selected() -> None:
    """Nothing but the write itself makes a new table."""
    run = jax.vmap(Counting.run, in_axes=(0, 0, 0))
    traced = jax.make_jaxpr(run)(jnp.zeros(3, jnp.int32), jnp.zeros((3, 2)), jnp.zeros((3, 4, 2)))
    assert "select_n" in makers(traced.jaxpr, (3, 2))
    assert makers(traced.jaxpr, (3, 4, 2)) <= {"scatter", "cond", "while", "pjit", "jit"}


def makers(jaxpr: Any, shape: tuple[int, ...]) -> set[str]:
    """The primitives, in nested jaxprs too, of which an array of a shape comes."""
    found = set()
    for equation in jaxpr.eqns:
        if any(v.aval.shape == shape for v in equation.outvars):
            found.add(equation.primitive.name)
        for parameter in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda p: hasattr(p, "eqns")):
            inner = getattr(parameter, "jaxpr", parameter)
            if hasattr(inner, "eqns"):
                found |= makers(inner, shape)
    return found
