"""What every kernel counts."""

import jax.numpy as jnp
import numpy as np
import pytest

from gradmc.kernels.hamiltonian import Point
from gradmc.kernels.kernel import Tally, count, draw_at, new_tally, summarise


def counted(start: float, energies: list[float], dtype: type = np.float64) -> Tally:
    tally = new_tally(jnp.asarray(start, dtype))
    for value in energies:
        tally, _ = count(tally, jnp.asarray(value, dtype), 1000.0)
    return tally


def test_means_of_both_acceptances() -> None:
    errors = np.array([0.5, -0.7, 0.0, 3.0])
    tally = counted(2.0, list(2.0 + errors))
    size = np.exp(-np.abs(errors))
    assert tally.n_steps == 4
    np.testing.assert_allclose(tally.acceptance_sum, np.sum(np.minimum(1, np.exp(-errors))))
    np.testing.assert_allclose(tally.symmetric_sum, np.sum(2 * size / (1 + size)))
    np.testing.assert_allclose(tally.max_energy_error, 3.0)
    assert not tally.diverging


def test_the_largest_energy_error_keeps_its_sign() -> None:
    assert counted(0.0, [1.0, -4.0, 2.0]).max_energy_error == -4.0


@pytest.mark.parametrize("energy", [np.nan, np.inf, -np.inf, 1001.0])
def test_divergences(energy: float) -> None:
    """An energy that is not finite, -inf included, diverges and has no weight."""
    tally = counted(0.0, [0.1, energy, 0.1])
    assert tally.diverging
    np.testing.assert_allclose(tally.acceptance_sum, 2 * np.exp(-0.1))
    _, error = count(new_tally(jnp.asarray(0.0)), jnp.asarray(energy), 1000.0)
    assert error == (1001.0 if np.isfinite(energy) else np.inf)


def test_a_gain_of_energy_never_diverges() -> None:
    assert not counted(2000.0, [0.0]).diverging


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_are_kept(dtype: type) -> None:
    tally = counted(0.0, [1.0, np.nan], dtype)
    x = jnp.zeros(2, dtype)
    point = Point(position=x, momentum=x, force=x, log_density=jnp.asarray(0, dtype), gradient=x)
    info = summarise(tally, draw_at(point, jnp.asarray(1, dtype)))
    for name in ("energy", "acceptance_rate", "symmetric_acceptance", "energy_error", "max_energy_error"):
        assert getattr(info, name).dtype == dtype, name
    assert info.n_steps.dtype == jnp.int32
    assert info.diverging.dtype == jnp.bool_


def test_a_trajectory_without_steps_has_no_division_by_zero() -> None:
    x = jnp.zeros(1)
    point = Point(position=x, momentum=x, force=x, log_density=jnp.asarray(0.0), gradient=x)
    info = summarise(new_tally(jnp.asarray(0.0)), draw_at(point, jnp.asarray(0.0)))
    assert info.acceptance_rate == 0
