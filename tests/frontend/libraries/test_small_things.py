"""Calls of numpy and scipy with options, lists and tuples as people write them: values and shapes are the library's."""

import math

import jax
import numpy as np
import pytest
from jax.extend.core import jaxpr_as_fun
from scipy import interpolate, linalg, ndimage, signal, special, stats

from gradmc.errors import ProgramError
from gradmc.program.compiler import trace

Z = np.linspace(0.1, 1.0, 12)
WHOLE = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8], np.int32)

# Of p = 0.3, q = 1.5, a vector v and a matrix m that depend on them.
CALLS = {
    "np.transpose of a list": lambda p, q, v, m: np.transpose([[p, q], [q, 1]]),
    "np.atleast_2d of a tuple": lambda p, q, v, m: np.atleast_2d((p, q)),
    "np.take of a list": lambda p, q, v, m: v.take([0, 2, -1]),
    "np.take along an axis": lambda p, q, v, m: m.take([0, 2], axis=1),
    "np.choose": lambda p, q, v, m: np.choose([0, 1, 0], [[1, 2, 3], v[:3]]),
    "array.choose": lambda p, q, v, m: np.array([0, 1, 1]).choose([[1, 2, 3], v[:3]]),
    "np.extract": lambda p, q, v, m: np.extract(Z > 0.5, v),
    "np.compress": lambda p, q, v, m: np.compress([True, False, True, True], m, axis=1),
    "np.fromiter": lambda p, q, v, m: np.fromiter((p * w for w in Z), float, count=5),
    "windows": lambda p, q, v, m: np.lib.stride_tricks.sliding_window_view(v, 3),
    "windows of two axes": lambda p, q, v, m: np.lib.stride_tricks.sliding_window_view(m, (2, 2)),
    "windows along an axis": lambda p, q, v, m: np.lib.stride_tricks.sliding_window_view(m, 2, axis=0),
    "whole numbers of 32 bits": lambda p, q, v, m: (v * 10).astype(np.int32) / 3,
    "math.remainder": lambda p, q, v, m: math.remainder(q, p + 0.1),
    "float.is_integer": lambda p, q, v, m: float(q.is_integer()) + float((2 * q).is_integer()),
    "zscore": lambda p, q, v, m: stats.zscore(m, axis=1, ddof=1),
    "skew": lambda p, q, v, m: stats.skew(v, bias=False),
    "skew of all": lambda p, q, v, m: stats.skew(m, axis=None),
    "kurtosis": lambda p, q, v, m: stats.kurtosis(m),
    "kurtosis, unbiased": lambda p, q, v, m: stats.kurtosis(v, bias=False, fisher=False),
    "gmean": lambda p, q, v, m: stats.gmean(m, axis=1, weights=[1, 2, 3, 4]),
    "hmean": lambda p, q, v, m: stats.hmean(v + 3),
    "entropy": lambda p, q, v, m: stats.entropy(m),
    "entropy of two": lambda p, q, v, m: stats.entropy([p, 1 - p], [0.5, 0.5], base=2),
    "iqr": lambda p, q, v, m: stats.iqr(m, axis=0),
    "a normal with one variance": lambda p, q, v, m: stats.multivariate_normal.logpdf(np.zeros((3, 2)), [p, q], q),
    "linalg.solve of a list": lambda p, q, v, m: linalg.solve(m, [1.0, 2, 3, 4]),
    "linalg.inv of lists": lambda p, q, v, m: linalg.inv([[p, 1.0], [0, q]]),
    "block_diag of lists": lambda p, q, v, m: linalg.block_diag([[p, q]], [[1.0]], p),
    "companion of a list": lambda p, q, v, m: linalg.companion([1.0, p, q]),
    "signal.convolve of a list": lambda p, q, v, m: signal.convolve(v, [1, 2], mode="valid"),
    "sobel": lambda p, q, v, m: ndimage.sobel(m),
    "prewitt": lambda p, q, v, m: ndimage.prewitt(m, axis=0, mode="constant"),
    "interp1d, cubic": lambda p, q, v, m: interpolate.interp1d(Z, Z**2, kind="cubic")(p),
    "interp1d, quadratic": lambda p, q, v, m: interpolate.interp1d(Z, Z**2, kind="quadratic")([p, 0.5]),
    "interp1d of columns": lambda p, q, v, m: interpolate.interp1d(Z, np.outer(Z, [1.0, 2.0]), "cubic", axis=0)(p),
    "sph_harm_y outside": lambda p, q, v, m: special.sph_harm_y(1, 2, p, q).real,
    "special.round": lambda p, q, v, m: special.round(q * 3),
    "legendre": lambda p, q, v, m: special.legendre(3)(p),
    "chebyt": lambda p, q, v, m: special.chebyt(4)(v),
}


def weighed(value):
    """A number that tells values and shapes apart."""
    array = np.asarray(value) if not hasattr(value, "shape") else value
    return np.sum(array * np.cos(np.arange(array.size)).reshape(array.shape)) + 10.0 * array.ndim + sum(array.shape)


@pytest.mark.parametrize("name", CALLS)
def test_value_and_shape(name):
    def program(p, q):
        v, m = p * Z + q * np.sin(9 * Z), np.outer(Z[:4], [p, q, 1.0, 2.0]) + np.eye(4) * 3
        return weighed(CALLS[name](p, q, v, m)) + 0.0 * p

    assert traced(program, 0.3, 1.5) == pytest.approx(float(program(0.3, 1.5)), rel=1e-9)


def traced(program, *args):
    with jax.enable_x64(True):
        found = trace(program, args, {})
        return float(jaxpr_as_fun(found.jaxpr)(*found.inputs)[0])


def test_small_whole_numbers_from_outside_lose_no_digits():
    """JAX divides 32-bit whole numbers in single precision."""

    def program(p, q):
        total = 0.0
        for i in range(1, len(WHOLE)):
            total += (WHOLE[i] - WHOLE[i - 1]) / 7 * p + np.log1p(WHOLE[i]) / 3 * q
        return total

    assert traced(program, 0.3, 1.5) == pytest.approx(float(program(0.3, 1.5)), rel=1e-14)


PRECISE = {
    "mean": lambda b, v: np.mean(b),
    "a method": lambda b, v: b.mean(),
    "var": lambda b, v: b.var(ddof=1),
    "std": lambda b, v: np.std(b),
    "norm": lambda b, v: np.linalg.norm(b),
    "of two": lambda b, v: np.logical_and(b, v > 0.2).mean(),
    "of one": lambda b, v: np.sqrt((v[0] > 0.2) + 2) / 3,
    "nanmean": lambda b, v: np.nanmean(b),
    "np.int32": lambda b, v: np.int32(v[3] * 30) / 7,
    "a division": lambda b, v: np.sum(b / 3) + b[3] / 7,
}


@pytest.mark.parametrize("name", PRECISE)
def test_truth_values_lose_no_digits(name):
    """JAX's mean of truth values is of single precision."""

    def program(p, q):
        v = p * Z + q * np.sin(9 * Z)
        return PRECISE[name](v > 0.5, v) + 0.0 * p

    assert traced(program, 0.3, 1.5) == pytest.approx(float(program(0.3, 1.5)), rel=1e-14)


def test_single_precision_that_is_asked_for_stays():
    def program(p, q):
        return np.sum((p * Z).astype(np.float32)) + 0.0 * q

    with jax.enable_x64(True):
        found = trace(program, (0.3, 1.5), {})
    assert "f32[12]" in str(found.jaxpr)


def test_a_choice_outside_raises_as_in_numpy():
    with pytest.raises(ProgramError, match="invalid entry in choice array"):
        traced(lambda p, q: np.sum(np.choose([0, 3], [[p, q], [q, p]])), 0.3, 1.5)
