"""The machine: its chains are those of the reference; phases; how a run is cut does not matter; cost of tracing."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradmc.adaptation.diagonal import Diagonal
from gradmc.adaptation.schedule import make_schedule
from gradmc.adaptation.step_size import T0, dual_average, initial_step_size
from gradmc.adaptation.warmup import Warmup
from gradmc.adaptation.windowed import Dense, LowRank
from gradmc.kernels.hmc import Hmc
from gradmc.kernels.metric import DenseMetric
from gradmc.kernels.microcanonical import Microcanonical
from gradmc.kernels.nuts import Nuts
from gradmc.kernels.random import chain_key, normal_vector, start_vector
from gradmc.run.machine import FAILED, OWN_STATISTICS, RUN, SEARCH, START, Machine, State
from tests.goodness import assert_uniform
from tests.kernels import nuts_reference
from tests.run.batches import family_machine, fixed_schedule
from tests.targets import DIM, FAMILY, NAMES, Target, exact_draws, family, member, standard_normal

CAPACITY = 64
FACTOR = np.array([[0.9, 0.0, 0.1], [0.5, 0.7, 0.0], [-0.3, 0.2, 0.8]])
ADAPTATIONS = {
    "diagonal": Diagonal(),
    "dense": Dense(),
    "low_rank": LowRank(),
}
KERNELS = {"nuts": Nuts(), "hmc": Hmc(), "microcanonical": Microcanonical()}

type Advance = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("strict")


def compile_machine(machine: Machine) -> Advance:
    return jax.jit(machine.advance, static_argnums=5)


@pytest.fixture(scope="session")
def fixed() -> tuple[Machine, Advance]:
    """NUTS on the family of targets, with a given metric."""
    machine = family_machine(Nuts(), DenseMetric(factor=FACTOR))
    return machine, compile_machine(machine)


@pytest.fixture(scope="session")
def adaptive() -> tuple[Machine, Advance]:
    """NUTS on the family of targets, with the diagonal adaptation."""
    machine = Machine(
        log_density=FAMILY.logdensity,
        kernel=Nuts(),
        adaptation=Warmup(Diagonal()),
        dim=DIM,
        dtype=FAMILY.dtype,
    )
    return machine, compile_machine(machine)


def bits(tree: Any) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


def statistics_of(buffer: Any, kernel: Any = KERNELS["nuts"]) -> dict[str, np.ndarray]:
    table = np.asarray(buffer.statistics)[: int(buffer.filled)]
    return {name: table[:, i] for i, name in enumerate([*OWN_STATISTICS, *kernel.statistics])}


@pytest.mark.parametrize("law", ["normal", "funnel", "wall"])
def test_a_chain_is_that_of_the_reference(
    law: str, fixed: tuple[Machine, Advance], rng: np.random.Generator, seed: int
) -> None:
    """Transition by transition: momenta, directions and decisions come from (seed, chain, transition, leaf)."""
    machine, advance = fixed
    key = chain_key(seed, 3)
    start, step_size, transitions = exact_draws(law, rng, 1)[0], 0.35, 25
    state = machine.initial(key, position=start, step_size=step_size)
    _, buffer = advance(state, fixed_schedule(), member(law), np.int32(transitions), np.int32(10**6), CAPACITY)
    assert int(buffer.filled) == transitions
    draws, statistics = np.asarray(buffer.positions), statistics_of(buffer)
    density = jax.jit(jax.value_and_grad(family))
    reference = nuts_reference.Nuts(
        density=lambda q: tuple(np.asarray(v) for v in density(q, member(law))),
        inverse_mass=FACTOR @ FACTOR.T,
        step_size=step_size,
    )
    plain_key, before = (int(key[0]), int(key[1])), start
    for t in range(transitions):
        whitened = np.asarray(normal_vector(jnp.asarray(key), jnp.uint32(t), DIM, FAMILY.dtype))
        want = reference.transition(
            before,
            np.linalg.solve(FACTOR.T, whitened),
            nuts_reference.counted_directions(plain_key, t),
            nuts_reference.counted_uniforms(plain_key, t),
        )
        got = {name: values[t] for name, values in statistics.items()}
        assert got["tree_depth"] == want.depth
        assert got["n_steps"] == want.n_steps
        assert got["diverging"] == want.diverging
        assert got["step_size"] == step_size
        np.testing.assert_allclose(draws[t], want.draw.q, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(got["lp"], want.draw.log_density, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(got["energy"], want.draw.energy, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(got["acceptance_rate"], want.acceptance_sum / want.n_steps, rtol=1e-6)
        before = draws[t]
    assert int(buffer.ticks) == statistics["n_steps"].sum() + 1  # and the given start, evaluated once


@pytest.mark.parametrize("law", ["normal", "funnel"])
def test_chunks_equal_the_whole_bit_by_bit(
    law: str, adaptive: tuple[Machine, Advance], rng: np.random.Generator, seed: int
) -> None:
    """However a run is cut, by draws or by ticks, in warmup, in the search or within a trajectory."""
    machine, advance = adaptive
    schedule = make_schedule(40, dtype=FAMILY.dtype)
    start, total = machine.initial(chain_key(seed, 0)), 60
    state, buffer = advance(start, schedule, member(law), np.int32(total), np.int32(10**6), CAPACITY)
    whole = (np.asarray(buffer.positions)[:total], np.asarray(buffer.statistics)[:total])

    rows: list[tuple[np.ndarray, np.ndarray]] = []
    ticks, cut, done = 0, start, 0
    while done < total:
        limit = min(int(rng.integers(1, 9)), total - done)
        cut, piece = advance(cut, schedule, member(law), np.int32(limit), np.int32(rng.integers(1, 12)), CAPACITY)
        count = int(piece.filled)
        rows.append((np.asarray(piece.positions)[:count], np.asarray(piece.statistics)[:count]))
        done, ticks = done + count, ticks + int(piece.ticks)
        cut = jax.tree.map(lambda leaf: np.array(leaf), cut)  # as if it had been saved
    pieces = tuple(np.concatenate(column) for column in zip(*rows, strict=True))
    assert bits(pieces) == bits(whole)
    assert bits(cut) == bits(state)
    assert ticks == int(buffer.ticks)


def test_the_room_for_draws_does_not_matter(adaptive: tuple[Machine, Advance], seed: int) -> None:
    machine, advance = adaptive
    schedule = make_schedule(20, dtype=FAMILY.dtype)
    start = machine.initial(chain_key(seed, 0))
    arguments = (start, schedule, member("funnel"), np.int32(30), np.int32(10**6))
    large, small = advance(*arguments, CAPACITY), advance(*arguments, 32)
    assert bits(large[0]) == bits(small[0])
    np.testing.assert_array_equal(large[1].positions[:30], small[1].positions[:30])


def test_no_ticks_change_nothing(adaptive: tuple[Machine, Advance], seed: int) -> None:
    machine, advance = adaptive
    start = machine.initial(chain_key(seed, 0))
    for limit, ticks in ((0, 100), (5, 0)):
        state, buffer = advance(
            start,
            make_schedule(5, dtype=FAMILY.dtype),
            member("normal"),
            np.int32(limit),
            np.int32(ticks),
            CAPACITY,
        )
        assert bits(state) == bits(start)
        assert int(buffer.filled) == int(buffer.ticks) == 0


class TestStart:
    """The starting point."""

    def ticks(self, adaptive: tuple[Machine, Advance], state: State, count: int, **schedule: Any) -> State:
        plan = make_schedule(10, dtype=FAMILY.dtype, **schedule)
        return adaptive[1](state, plan, member("wall"), np.int32(5), np.int32(count), CAPACITY)[0]

    def test_candidates_until_one_is_good(self, adaptive: tuple[Machine, Advance]) -> None:
        """Half of the uniform(-2, 2) candidates have x0 < 0, where the wall's density is no number."""
        attempts = []
        for chain in range(40):
            state = adaptive[0].initial(chain_key(7, chain))
            wanted = next(
                attempt
                for attempt in range(100)
                if (x := np.asarray(start_vector(state.key, jnp.uint32(attempt), DIM, FAMILY.dtype)))[0] > 0
                and x[1] < 1
            )
            after = self.ticks(adaptive, state, wanted + 2)
            assert int(after.chain.phase) == SEARCH
            before = self.ticks(adaptive, state, wanted + 1)
            assert int(before.chain.phase) == START
            np.testing.assert_array_equal(
                after.chain.trajectory.ends.position[0],
                start_vector(state.key, jnp.uint32(wanted), DIM, FAMILY.dtype),
            )
            attempts.append(int(after.chain.attempt))
        assert len(set(attempts)) > 3

    def test_a_given_point_is_taken(self, adaptive: tuple[Machine, Advance], rng: np.random.Generator) -> None:
        given = exact_draws("wall", rng, 1)[0]
        state = self.ticks(adaptive, adaptive[0].initial(chain_key(1, 0), position=given), 1)
        assert int(state.chain.phase) == SEARCH
        np.testing.assert_array_equal(state.chain.trajectory.ends.position[0], given)

    def test_a_bad_given_point_fails_at_once(self, adaptive: tuple[Machine, Advance]) -> None:
        given = np.array([-1.0, 0.0, 0.0])
        state = adaptive[0].initial(chain_key(1, 0), position=given)
        state = self.ticks(adaptive, state, 100, max_attempts=1)
        assert int(state.chain.phase) == FAILED
        assert int(state.chain.attempt) == 1
        np.testing.assert_array_equal(state.chain.trajectory.moving.position, given)

    def test_a_failed_chain_stands_still_at_its_last_candidate(self, seed: int) -> None:
        nowhere = Target(function=lambda x, _: jnp.sum(x) * jnp.nan, dim=2)
        machine = Machine(
            log_density=nowhere.logdensity,
            kernel=Nuts(),
            adaptation=Warmup(Diagonal()),
            dim=2,
            dtype=nowhere.dtype,
        )
        advance = compile_machine(machine)
        schedule = make_schedule(10, max_attempts=7, dtype=nowhere.dtype)
        key = chain_key(seed, 0)
        limits = (np.int32(5), np.int32(1000), CAPACITY)
        state, buffer = advance(machine.initial(key), schedule, (), *limits)
        assert int(state.chain.phase) == FAILED
        assert int(state.chain.attempt) == 7
        assert int(buffer.filled) == 0
        np.testing.assert_array_equal(
            state.chain.trajectory.moving.position, start_vector(key, jnp.uint32(6), 2, nowhere.dtype)
        )
        again, buffer = advance(state, schedule, (), *limits)
        assert int(buffer.ticks) == 0
        assert bits(again) == bits(state)

    def test_a_gradient_that_is_no_number_is_no_start(self) -> None:
        """The density of sqrt(|x|) at 0 is finite and its gradient is not."""
        target = Target(function=lambda x, _: -jnp.sum(jnp.sqrt(jnp.abs(x))), dim=1)
        machine = Machine(
            log_density=target.logdensity,
            kernel=Nuts(),
            adaptation=Warmup(Diagonal()),
            dim=1,
            dtype=target.dtype,
        )
        state = machine.initial(chain_key(0, 0), position=np.zeros(1))
        schedule = make_schedule(10, max_attempts=1, dtype=target.dtype)
        state, _ = compile_machine(machine)(state, schedule, (), np.int32(5), np.int32(50), CAPACITY)
        assert int(state.chain.phase) == FAILED


def test_the_search_crosses_the_target(adaptive: tuple[Machine, Advance], rng: np.random.Generator) -> None:
    """It ends between two step sizes, a factor of two apart, on either side of the target acceptance."""
    machine, advance = adaptive
    for chain, target in enumerate((0.6, 0.8, 0.95, 0.8)):
        given = exact_draws("funnel", rng, 1)[0]
        state = machine.initial(chain_key(2, chain), position=given)
        schedule = make_schedule(10, target_accept=target, dtype=FAMILY.dtype)
        history = []
        while int(state.chain.phase) != RUN:
            searching = int(state.chain.phase) == SEARCH
            before = state
            state, _ = advance(state, schedule, member("funnel"), np.int32(5), np.int32(1), CAPACITY)
            if searching:
                history.append(float(before.chain.adapted.step.value))
        assert len(history) >= 2
        factors = np.diff(np.log2(history))
        np.testing.assert_allclose(factors, factors[0], atol=1e-12)
        np.testing.assert_allclose(abs(factors[0]), 1, atol=1e-12)
        assert float(state.chain.adapted.step.value) == history[-1]


def test_a_given_step_size_is_not_searched_for(adaptive: tuple[Machine, Advance]) -> None:
    machine, advance = adaptive
    state = machine.initial(chain_key(0, 0), position=np.array([0.1, 0.2, 0.3]), step_size=0.123)
    schedule = make_schedule(0, search=False, dtype=FAMILY.dtype)
    state, buffer = advance(state, schedule, member("normal"), np.int32(8), np.int32(10**5), CAPACITY)
    np.testing.assert_array_equal(statistics_of(buffer)["step_size"], np.full(8, 0.123))


def test_a_given_step_size_begins_the_dual_averaging(adaptive: tuple[Machine, Advance]) -> None:
    machine, advance = adaptive
    state = machine.initial(chain_key(0, 0), position=np.array([0.1, 0.2, 0.3]), step_size=0.123)
    schedule = make_schedule(20, search=False, dtype=FAMILY.dtype)
    _, buffer = advance(state, schedule, member("normal"), np.int32(20), np.int32(10**5), CAPACITY)
    got = statistics_of(buffer)
    assert got["step_size"][0] == 0.123
    expected = dual_average(
        initial_step_size(jnp.asarray(0.123)),
        jnp.asarray(got["acceptance_rate"][0]),
        jnp.asarray(schedule.target_accept),
        jnp.asarray(True),
    )
    np.testing.assert_allclose(got["step_size"][1], expected.value, rtol=1e-12)
    assert np.all(np.isfinite(got["step_size"]) & (got["step_size"] > 0))


def test_the_acceptance_that_the_step_size_adapts_to(seed: int) -> None:
    """Plain in the early and the last phase, symmetric between; read off the running mean of dual averaging."""
    machine = dataclasses.replace(family_machine(Hmc(), None), adaptation=Warmup(Diagonal()))
    advance, schedule = compile_machine(machine), make_schedule(60, dtype=FAMILY.dtype)
    state, compared = machine.initial(chain_key(seed, 0)), [0, 0]
    for t in range(60):
        before = state
        state, buffer = advance(state, schedule, member("normal"), np.int32(1), np.int32(10**5), CAPACITY)
        old, new = before.chain.adapted.step, state.chain.adapted.step
        if float(new.count) != float(old.count) + 1:  # a search went before
            continue
        weight = 1 / (float(new.count) + T0)
        used = 0.8 - (float(new.error_mean) - (1 - weight) * float(old.error_mean)) / weight
        got = {name: values[0] for name, values in statistics_of(buffer, machine.kernel).items()}
        size = np.exp(-abs(got["energy_error"]))
        if t < schedule.early_end or t >= schedule.final_start:
            assert used == pytest.approx(got["acceptance_rate"], abs=1e-9)
            compared[0] += 1
        elif got["energy_error"] != 0:  # accepted
            assert used == pytest.approx(2 * size / (1 + size), abs=1e-9)
            compared[1] += 1
    assert min(compared) > 3


def test_after_warmup_nothing_adapts(adaptive: tuple[Machine, Advance], seed: int) -> None:
    machine, advance = adaptive
    schedule = make_schedule(20, dtype=FAMILY.dtype)
    state, _ = advance(
        machine.initial(chain_key(seed, 0)),
        schedule,
        member("normal"),
        np.int32(20),
        np.int32(10**6),
        CAPACITY,
    )
    tuned = state.chain.adapted
    later, buffer = advance(state, schedule, member("normal"), np.int32(30), np.int32(10**6), CAPACITY)
    assert bits(later.chain.adapted) == bits(tuned)
    assert len(set(statistics_of(buffer)["step_size"])) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("adaptation", ADAPTATIONS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_traces_without_promotion(kernel: str, adaptation: str, dtype: type) -> None:
    """Under strict promotion of dtypes and ranks (see `strict`), and no float64 slips into float32."""
    machine = Machine(
        log_density=standard_normal,
        kernel=KERNELS[kernel],
        adaptation=Warmup(ADAPTATIONS[adaptation]),
        dim=3,
        dtype=np.dtype(dtype),
    )
    state = machine.initial(chain_key(0, 0))
    assert {np.asarray(leaf).dtype.name for leaf in jax.tree.leaves(state)} <= {
        np.dtype(dtype).name,
        "int32",
        "uint32",
        "bool",
    }
    limits = (np.int32(5), np.int32(100))
    schedule = make_schedule(10, dtype=np.dtype(dtype))
    traced = jax.make_jaxpr(machine.advance, static_argnums=5)(state, schedule, (), *limits, CAPACITY)
    floats = {
        var.aval.dtype
        for equation in equations(traced.jaxpr)
        for var in equation.outvars
        if jnp.issubdtype(var.aval.dtype, jnp.floating)
        and not var.aval.weak_type  # a Python number, which takes the dtype of what it meets
    }
    assert floats == {np.dtype(dtype)}


def equations(jaxpr: Any) -> Iterator[Any]:
    """Equations of a jaxpr and all that it calls."""
    for equation in jaxpr.eqns:
        yield equation
        for parameter in equation.params.values():
            for inner in parameter if isinstance(parameter, tuple | list) else (parameter,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from equations(inner)


@pytest.mark.parametrize(("adaptation", "limit"), [("diagonal", 1450), ("dense", 1400), ("low_rank", 1600)])
def test_the_tick_stays_small(adaptation: str, limit: int) -> None:
    """Equations cost compile time; the bound is what was measured, and a tenth."""
    machine = Machine(
        log_density=standard_normal,
        kernel=Nuts(),
        adaptation=Warmup(ADAPTATIONS[adaptation]),
        dim=3,
        dtype=FAMILY.dtype,
    )
    traced = jax.make_jaxpr(machine.advance, static_argnums=5)(
        machine.initial(chain_key(0, 0)),
        make_schedule(10, dtype=FAMILY.dtype),
        (),
        np.int32(5),
        np.int32(100),
        CAPACITY,
    )
    assert sum(1 for _ in equations(traced.jaxpr)) < limit


def test_the_density_is_traced_once() -> None:
    calls = []

    def density(x: jax.Array, arguments: Any) -> jax.Array:
        calls.append(1)
        return standard_normal(x, arguments)

    machine = Machine(log_density=density, kernel=Nuts(), adaptation=Warmup(Diagonal()), dim=3, dtype=FAMILY.dtype)
    state, advance = machine.initial(chain_key(0, 0)), compile_machine(machine)
    limits = (np.int32(5), np.int32(100), CAPACITY)
    advance(state, make_schedule(10, dtype=FAMILY.dtype), (), *limits)
    assert len(calls) == 1
    other = machine.initial(chain_key(5, 2), position=np.ones(3), step_size=0.3)
    for schedule in (
        make_schedule(1000, target_accept=0.95, dtype=FAMILY.dtype),
        make_schedule(0, search=False, max_attempts=1, dtype=FAMILY.dtype),
    ):
        advance(other, schedule, (), np.int32(9), np.int32(30), CAPACITY)
    assert len(calls) == 1, "warmup, seed, start and target acceptance must be data"


def test_starts_are_uniform_over_chains(adaptive: tuple[Machine, Advance]) -> None:
    first = [
        np.asarray(start_vector(jnp.asarray(chain_key(3, chain)), jnp.uint32(0), DIM, FAMILY.dtype))
        for chain in range(500)
    ]
    assert_uniform((np.array(first) + 2) / 4)


def test_the_family_is_what_the_tests_think() -> None:
    assert NAMES[int(member("wall"))] == "wall"
    assert not np.isfinite(family(jnp.array([-1.0, 0.0, 0.0]), member("wall")))
    assert dataclasses.is_dataclass(Machine)
