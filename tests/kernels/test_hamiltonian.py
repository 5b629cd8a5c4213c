"""The laws of the leapfrog step: reversible, volume-preserving, of second order; and the energy."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradmc.kernels.hamiltonian import Point, energy, leapfrog
from tests.kernels.metrics import KINDS, make_metric
from tests.targets import DIM, family, member

LAWS = ("normal", "funnel")

type Flow = Callable[[Point, jax.Array, Any, jax.Array, int], Point]


value_and_grad = jax.jit(jax.value_and_grad(family))


def value_and_gradient(law: jax.Array) -> Callable[[jax.Array], tuple[jax.Array, jax.Array]]:
    return lambda x: value_and_grad(x, law)


def point_at(x: jax.Array, momentum: jax.Array, law: jax.Array, metric: Any) -> Point:
    log_density, gradient = value_and_gradient(law)(x)
    force = metric.pull(gradient)
    return Point(position=x, momentum=momentum, force=force, log_density=log_density, gradient=gradient)


def flow(point: Point, law: jax.Array, metric: Any, step_size: jax.Array, steps: int) -> Point:
    """So many leapfrog steps."""
    return jax.lax.fori_loop(0, steps, lambda _, p: leapfrog(value_and_gradient(law), metric, p, step_size), point)


@pytest.fixture(scope="session")
def compiled_flow() -> Flow:
    return jax.jit(flow)


@pytest.fixture(scope="session")
def compiled_jacobian() -> Callable[..., jax.Array]:
    """The Jacobian matrix of three leapfrog steps as a map of phase space."""

    def phase_map(z: jax.Array, law: jax.Array, metric: Any) -> jax.Array:
        end = flow(point_at(z[:DIM], z[DIM:], law, metric), law, metric, jnp.asarray(0.1), 3)
        return jnp.concatenate([end.position, end.momentum])

    return jax.jit(jax.jacfwd(phase_map))


def random_point(rng: np.random.Generator, law: str, metric: Any) -> Point:
    x, momentum = (jnp.asarray(np.clip(rng.standard_normal(DIM), -2, 2)) for _ in range(2))
    return point_at(x, momentum, jnp.asarray(member(law)), metric)


def test_one_step_as_written_in_the_books(rng: np.random.Generator) -> None:
    """With the mass matrix M = (F F')^-1: p += e/2 g; q += e M^-1 p; p += e/2 g (Neal 2011, eq. 2.28-2.30)."""
    metric, factor = make_metric("dense", rng, DIM)
    law, step = jnp.asarray(member("funnel")), 0.3
    point = random_point(rng, "funnel", metric)
    p = np.linalg.solve(factor.T, point.momentum) + step / 2 * np.asarray(point.gradient)
    q = np.asarray(point.position) + step * factor @ factor.T @ p
    p = p + step / 2 * np.asarray(value_and_grad(jnp.asarray(q), law)[1])
    moved = leapfrog(value_and_gradient(law), metric, point, jnp.asarray(step))
    np.testing.assert_allclose(moved.position, q, rtol=1e-12)
    np.testing.assert_allclose(np.linalg.solve(factor.T, moved.momentum), p, rtol=1e-11)
    np.testing.assert_allclose(moved.log_density, value_and_grad(moved.position, law)[0], rtol=1e-12)
    np.testing.assert_allclose(energy(moved), 0.5 * p @ factor @ factor.T @ p - float(moved.log_density), rtol=1e-11)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("kind", KINDS)
def test_is_reversible(kind: str, law: str, rng: np.random.Generator, compiled_flow: Flow) -> None:
    metric, _ = make_metric(kind, rng, DIM)
    start, number = random_point(rng, law, metric), jnp.asarray(member(law))
    end = compiled_flow(start, number, metric, jnp.asarray(0.05), 20)
    assert float(jnp.max(jnp.abs(end.position - start.position))) > 1e-3
    back = compiled_flow(end, number, metric, jnp.asarray(-0.05), 20)
    np.testing.assert_allclose(back.position, start.position, atol=1e-12)
    np.testing.assert_allclose(back.momentum, start.momentum, atol=1e-12)
    turned = dataclasses.replace(end, momentum=-end.momentum)
    back = compiled_flow(turned, number, metric, jnp.asarray(0.05), 20)
    np.testing.assert_allclose(back.position, start.position, atol=1e-12)
    np.testing.assert_allclose(-back.momentum, start.momentum, atol=1e-12)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("kind", KINDS)
def test_preserves_volume(
    kind: str, law: str, rng: np.random.Generator, compiled_jacobian: Callable[..., jax.Array]
) -> None:
    metric, _ = make_metric(kind, rng, DIM)
    z = jnp.asarray(np.clip(rng.standard_normal(2 * DIM), -2, 2))
    jacobian = compiled_jacobian(z, jnp.asarray(member(law)), metric)
    assert not np.allclose(jacobian, np.eye(2 * DIM), atol=0.01)
    np.testing.assert_allclose(abs(np.linalg.det(jacobian)), 1.0, rtol=1e-11)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("kind", KINDS)
def test_energy_error_is_of_second_order(kind: str, law: str, rng: np.random.Generator, compiled_flow: Flow) -> None:
    """Over a fixed time, half the step size leaves a quarter of the error, in energy and in position."""
    metric, _ = make_metric(kind, rng, DIM)
    start, number = random_point(rng, law, metric), jnp.asarray(member(law))

    def ends(step: float) -> Point:
        return compiled_flow(start, number, metric, jnp.asarray(step), round(0.48 / step))

    exact = ends(0.000125)
    points = [ends(step) for step in (0.004, 0.002, 0.001)]
    for of in (lambda p: p.position, lambda p: p.momentum):
        errors = [float(np.linalg.norm(of(p) - of(exact))) for p in points]
        for coarse, fine in itertools.pairwise(errors):
            assert 3.7 < coarse / fine < 4.4
    energies = np.array([abs(float(energy(p) - energy(start))) for p in points])
    if energies[0] > 1e-3 * 0.004**2:  # unless its leading term happens to vanish
        assert np.all((energies[:-1] / energies[1:] > 3.0) & (energies[:-1] / energies[1:] < 5.5))


def test_energy_is_not_finite_where_the_density_is_not() -> None:
    for log_density in (-jnp.inf, jnp.nan):
        point = Point(
            position=jnp.zeros(2),
            momentum=jnp.ones(2),
            force=jnp.zeros(2),
            log_density=jnp.asarray(log_density),
            gradient=jnp.zeros(2),
        )
        assert not np.isfinite(energy(point))
