"""HMC: the length of a trajectory, Metropolis' rule, divergences and statistics."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gradmc.kernels.hmc import Hmc
from tests.goodness import assert_uniform
from tests.kernels.metrics import make_metric
from tests.kernels.threefry_reference import threefry_2x32
from tests.kernels.transitions import Stepper, Transition
from tests.targets import DIM, family, member

type Run = Callable[..., Transition]

TIME, JITTER, MAX_STEPS = 1.3, 0.4, 12


@pytest.fixture(scope="session")
def run() -> Run:
    return jax.jit(Stepper(Hmc(integration_time=TIME, jitter=JITTER, max_steps=MAX_STEPS)).run)


def length(word: int, step_size: float) -> int:
    factor = 1 + JITTER * (2 * (word + 0.5) / 2**32 - 1)
    return min(max(math.ceil(TIME * factor / step_size), 1), MAX_STEPS)


@pytest.mark.parametrize("law", ["normal", "funnel", "wall"])
def test_equals_plain_metropolis(law: str, rng: np.random.Generator, run: Run) -> None:
    """The textbook's algorithm on momenta p with an inverse mass matrix (Neal 2011, figure 2)."""
    density = jax.jit(jax.value_and_grad(family))
    accepted = rejected = diverged = 0
    for _ in range(40):
        metric, factor = make_metric("dense", rng, DIM)
        step = float(np.exp(rng.uniform(np.log(0.05), np.log(2.5))))
        word, key = int(rng.integers(2**32)), rng.integers(0, 2**32, 2, dtype=np.uint32)
        q, w = np.minimum(np.abs(rng.standard_normal(DIM)), [9, 0.9, 9]), rng.standard_normal(DIM)

        p, inverse_mass = np.linalg.solve(factor.T, w), factor @ factor.T
        value, gradient = density(q, member(law))
        start_energy = 0.5 * p @ inverse_mass @ p - value
        end, error, steps = q, 0.0, 0
        while steps < length(word, step) and error <= 1000:
            p = p + step / 2 * gradient
            end = end + step * inverse_mass @ p
            value, gradient = density(end, member(law))
            p = p + step / 2 * gradient
            error = float(0.5 * p @ inverse_mass @ p - value - start_energy)
            error = error if math.isfinite(error) else math.inf
            steps += 1
        words = threefry_2x32((int(key[0]), int(key[1])), (7, steps - 1))
        accept = np.log((words[0] + 0.5) / 2**32) < -error

        arguments = (q, w, member(law))
        got = run(
            *(jnp.asarray(a) for a in arguments),
            metric,
            jnp.asarray(step),
            jnp.uint32(word),
            jnp.asarray(key),
            jnp.uint32(7),
        )
        assert got.info.n_steps == steps
        assert got.info.diverging == (error > 1000)
        np.testing.assert_allclose(got.draw.position, end if accept else q, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(got.info.energy_error, error if accept else 0.0, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(got.info.acceptance_rate, min(1, math.exp(-max(error, 0))), rtol=1e-6, atol=1e-8)
        size = math.exp(-abs(error))
        np.testing.assert_allclose(got.info.symmetric_acceptance, 2 * size / (1 + size), rtol=1e-6, atol=1e-8)
        accepted, rejected, diverged = accepted + accept, rejected + (not accept), diverged + (error > 1000)
    assert accepted > 5
    assert rejected > 0
    assert diverged > 0 or law == "normal"


def test_lengths_are_jittered_uniformly(rng: np.random.Generator) -> None:
    kernel = Hmc(integration_time=10.0, jitter=0.3, max_steps=10**6)
    words = rng.integers(0, 2**32, 10_000, dtype=np.uint32)
    start = jax.tree.map(jnp.asarray, _point())
    lengths = jax.vmap(lambda word: kernel.start(start, word, jnp.asarray(1e-3)).length)(jnp.asarray(words))
    u = (np.asarray(lengths) - rng.uniform(size=len(words)) - 7000) / 6000  # spread over the step it was rounded to
    assert_uniform(stats.uniform.cdf(u)[:, None])


@pytest.mark.parametrize(("step_size", "steps"), [(100.0, 1), (1e-9, 64), (1.0, 2)])
def test_lengths_are_bounded(step_size: float, steps: int) -> None:
    kernel = Hmc(jitter=0.0, max_steps=64)
    trajectory = kernel.start(_point(), jnp.uint32(5), jnp.asarray(step_size))
    assert trajectory.length == steps
    assert trajectory.length.dtype == jnp.int32


def _point() -> Any:
    from gradmc.kernels.hamiltonian import Point

    x = jnp.zeros(2)
    return Point(position=x, momentum=x, force=x, log_density=jnp.asarray(0.0), gradient=x)
