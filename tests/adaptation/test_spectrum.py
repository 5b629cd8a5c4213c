"""The estimate of the inverse mass matrix: its mathematics, its rounding, and what bad rows do to it."""

import hashlib
import os
import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest

from gradmc.adaptation.spectrum import SHRINKAGE, Spectrum, estimate
from tests.adaptation.covariances import condition_after, random_covariance
from tests.adaptation.feed import normal_pairs


def inner_of(spectrum: Spectrum) -> np.ndarray:
    return np.eye(len(spectrum.scale)) + (spectrum.vectors * (spectrum.values - 1)) @ spectrum.vectors.T


def matrix_of(spectrum: Spectrum) -> np.ndarray:
    return spectrum.scale[:, None] * inner_of(spectrum) * spectrum.scale


def shrunk(rows: np.ndarray) -> np.ndarray:
    centred = rows - rows.mean(axis=0)
    return (centred.T @ centred + SHRINKAGE * np.eye(rows.shape[1])) / (len(rows) + SHRINKAGE)


def reference(draws: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """The geometric mean by dim x dim matrices and LAPACK, with the scale left out."""
    scale = np.sqrt(draws.std(axis=0) / gradients.std(axis=0))
    lower = np.linalg.cholesky(shrunk(gradients * scale))
    middle, turn = np.linalg.eigh(lower.T @ shrunk(draws / scale) @ lower)
    half = np.linalg.solve(lower.T, turn * middle**0.25)
    return half @ half.T


def bent_pairs(rng: np.random.Generator, count: int, dim: int, condition: float) -> tuple[np.ndarray, np.ndarray]:
    """Draws and gradients as of a posterior that is not quite normal."""
    draws, gradients = normal_pairs(rng, count, random_covariance(rng, dim, condition))
    return draws, gradients * (1 + 0.3 * rng.standard_normal((count, dim)))


class TestMathematics:
    """The geometric mean of covariance and inverse information."""

    def test_is_the_covariance_of_a_normal(self, rng: np.random.Generator) -> None:
        """From few draws: gradients of a normal know its covariance exactly, but for the shrinkage."""
        covariance = random_covariance(rng, 4, 1e4)
        spectrum = estimate(*normal_pairs(rng, 60, covariance))
        assert spectrum is not None
        factor = np.linalg.cholesky(matrix_of(spectrum))
        assert condition_after(factor, covariance) < 2

    def test_solves_its_equation(self, rng: np.random.Generator) -> None:
        """S G S = C for the shrunk covariances, which makes S the geometric mean of C and the inverse of G."""
        draws = rng.standard_normal((50, 3)) @ rng.standard_normal((3, 3))
        gradients = rng.standard_normal((50, 3)) @ rng.standard_normal((3, 3))
        spectrum = estimate(draws, gradients)
        assert spectrum is not None
        inner = inner_of(spectrum)
        np.testing.assert_allclose(
            inner @ shrunk(gradients * spectrum.scale) @ inner, shrunk(draws / spectrum.scale), rtol=1e-8, atol=1e-10
        )

    @pytest.mark.parametrize(
        ("count", "dim"),
        [(50, 3), (40, 40), (20, 40), (19, 40), (10, 40), (40, 90), (60, 100), (20, 120), (5, 120), (3, 20)],
    )
    @pytest.mark.parametrize("condition", [1.0, 1e4])
    def test_is_that_of_whole_matrices(self, count: int, dim: int, condition: float, rng: np.random.Generator) -> None:
        """Also where only the span of the rows is worked in."""
        draws, gradients = bent_pairs(rng, count, dim, condition)
        spectrum = estimate(draws, gradients)
        assert spectrum is not None
        expected = reference(draws, gradients)
        np.testing.assert_allclose(inner_of(spectrum), expected, rtol=1e-5, atol=1e-6 * np.max(expected))
        np.testing.assert_allclose(
            spectrum.vectors.T @ spectrum.vectors, np.eye(len(spectrum.values)), atol=1e-12, rtol=0
        )

    @pytest.mark.parametrize(("count", "dim"), [(80, 30), (30, 80)])
    def test_the_farthest_directions_come_first(self, count: int, dim: int, rng: np.random.Generator) -> None:
        draws, gradients = bent_pairs(rng, count, dim, 100.0)
        whole, part = estimate(draws, gradients), estimate(draws, gradients, 5)
        assert whole is not None
        assert part is not None
        far = np.sort(np.abs(np.log(whole.values)))[::-1][:5]
        np.testing.assert_allclose(np.abs(np.log(part.values)), far)
        middle = np.sum(part.vectors * (inner_of(whole) @ part.vectors), axis=0)
        np.testing.assert_allclose(middle, part.values)

    def test_a_normal_at_its_own_scale_has_no_directions(self, rng: np.random.Generator) -> None:
        """However few the draws: covariances of draws and gradients are the same, and what is noise in them."""
        scales = np.geomspace(1e-3, 1e3, 500)
        spectrum = estimate(*normal_pairs(rng, 20, np.diag(scales**2)), 16)
        assert spectrum is not None
        np.testing.assert_allclose(spectrum.scale, scales, rtol=1e-8)
        np.testing.assert_allclose(spectrum.values, 1, rtol=1e-6)

    def test_follows_a_change_of_units(self, rng: np.random.Generator) -> None:
        draws, gradients = normal_pairs(rng, 30, random_covariance(rng, 3, 50.0))
        units = np.array([1e-4, 1.0, 1e3])
        plain, scaled = estimate(draws, gradients), estimate(draws * units, gradients / units)
        assert plain is not None
        assert scaled is not None
        np.testing.assert_allclose(matrix_of(scaled), units[:, None] * matrix_of(plain) * units, rtol=1e-8)

    @pytest.mark.parametrize("condition", [1e2, 1e6, 1e9])
    def test_single_precision_is_good_enough(self, condition: float, rng: np.random.Generator) -> None:
        draws, gradients = normal_pairs(rng, 200, random_covariance(rng, 60, condition))
        spectrum = estimate(draws.astype(np.float32), gradients.astype(np.float32))
        assert spectrum is None or (np.all(np.isfinite(spectrum.values)) and np.all(spectrum.values > 0))


def test_memory_grows_with_the_rows_and_not_with_the_square_of_the_dimension(rng: np.random.Generator) -> None:
    draws = rng.standard_normal((10, 20_000))
    tracemalloc.start()
    try:
        assert estimate(draws, -draws + 0.1 * rng.standard_normal(draws.shape), 16) is not None
        assert tracemalloc.get_traced_memory()[1] < 10 * draws.nbytes  # a matrix of all pairs would take 2,000
    finally:
        tracemalloc.stop()


SHAPES = [(60, 8), (200, 116), (90, 200), (40, 900)]  # (rows, dim)


def fixed_digests() -> list[str]:
    """Of the bits of estimates from rows that are made without BLAS."""
    found = []
    for count, dim in SHAPES:
        rng = np.random.default_rng(dim)
        draws = rng.standard_normal((count, dim))
        draws[:, 1:] += 3 * draws[:, :-1]
        spectrum = estimate(draws, rng.standard_normal((count, dim)) - draws, 16)
        assert spectrum is not None
        bits = b"".join(part.tobytes() for part in (spectrum.scale, spectrum.values, spectrum.vectors))
        found.append(hashlib.sha256(bits).hexdigest())
    return found


class TestRounding:
    """It depends on the rows alone."""

    def test_is_the_same_with_any_number_of_threads(self) -> None:
        script = "from tests.adaptation.test_spectrum import fixed_digests; print(fixed_digests())"
        results = []
        for threads in ("1", "2", "8"):
            limits = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), threads)
            ended = subprocess.run(
                [sys.executable, "-c", script], env={**os.environ, **limits}, capture_output=True, text=True, check=True
            )
            results.append(ended.stdout)
        assert results == [f"{fixed_digests()}\n"] * 3

    def test_is_the_same_while_others_compute(self, rng: np.random.Generator) -> None:
        """Four threads at once, beside two that keep BLAS busy."""
        expected, done, found = fixed_digests(), threading.Event(), []
        matrix = rng.standard_normal((200, 200))

        def spin() -> None:
            while not done.is_set():
                matrix @ matrix

        busy = [threading.Thread(target=spin) for _ in range(2)]
        chains = [threading.Thread(target=lambda: found.extend(fixed_digests() for _ in range(3))) for _ in range(4)]
        for thread in (*busy, *chains):
            thread.start()
        for thread in chains:
            thread.join()
        done.set()
        for thread in busy:
            thread.join()
        assert found == [expected] * 12

    def test_does_not_depend_on_where_the_rows_lie(self, rng: np.random.Generator) -> None:
        """Vector instructions read aligned and unaligned numbers."""
        draws, gradients = bent_pairs(rng, 50, 33, 100.0)
        results = []
        for offset in range(8):
            room = np.empty(draws.size + 8)
            moved = room[offset : offset + draws.size].reshape(draws.shape)
            moved[:] = draws
            spectrum = estimate(moved, gradients)
            assert spectrum is not None
            results.append(spectrum.vectors.tobytes())
        assert len(set(results)) == 1


@pytest.mark.parametrize("unit", [1e-25, 1e25])
def test_scales_are_found_in_any_unit(unit: float, rng: np.random.Generator) -> None:
    draws, gradients = bent_pairs(rng, 60, 4, 10.0)
    plain, scaled = estimate(draws, gradients), estimate(draws * unit, gradients / unit)
    assert plain is not None
    assert scaled is not None
    np.testing.assert_allclose(scaled.scale / unit, plain.scale, rtol=1e-9)
    np.testing.assert_allclose(scaled.values, plain.values, rtol=1e-6)
