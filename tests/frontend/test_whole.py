"""Whole numbers do not wrap around: data as lists and as arrays give what plain Python gives on lists, or an error."""

import functools
import itertools
import math
import operator
import statistics
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import jax
import numpy as np
import pytest

import gradmc as gm
from gradmc.check import check
from gradmc.errors import DataError, ProgramError
from gradmc.program.compiler import evaluate
from gradmc.program.exact import PlainWhole, exactly, plain_data
from tests.check import AMPLE

POPULATIONS = [8_999_999_999 - 612_345_678 * k for k in range(12)]
COUNTS = [3, 0, 25, 7, 12, 30, 1, 19]
STAMPS = [1_700_000_000_000_000_000 + 7_919_000_017 * k * k for k in range(15)]
INCOMES = [2_500_000_000 + (7_919 * k * k) % 1_000_000_007 for k in range(10_000)]


def powers(a: Any, y: Any) -> Any:
    lp = 0.0
    for i in range(len(y)):
        lp += a * y[i] * y[i] + a * (y[i] ** 3) + y[i] ** 2 * a + a * y[i] * (y[i] - 1) * (y[i] - 2)
    return lp


def spread(a: Any, y: Any) -> Any:
    total, squares = 0, 0
    for v in y:
        total += v
        squares += v * v
    return a * (len(y) * squares - total * total) / len(y) ** 2


def conditional(a: Any, y: Any) -> Any:
    squares = 0
    for v in y:
        squares += v * v if v > 10 * a else v
    return -a * squares


def products(a: Any, y: Any) -> Any:
    product, other = 1, 1
    for v in y:
        product *= v
        if a > 0:
            other *= v
    lp = a * math.log(product) + math.log(other) * a + a * math.log(math.prod(y))
    return lp + math.log(functools.reduce(operator.mul, y)) + math.log(list(itertools.accumulate(y, operator.mul))[-1])


def stamps(a: Any, y: Any) -> Any:
    lp = 0.0
    for i in range(1, len(y)):
        lp += a * (y[i] - y[i - 1]) + a * ((y[i] + y[i - 1]) // 2 - y[0]) + a * (y[i] % 1_000_003)
    return lp + a * (sum(y) // len(y) - y[0])


def factorials(a: Any, y: Any) -> Any:
    lp = 0.0
    for v in y:
        lp += a * math.log(math.factorial(v)) + math.comb(60, v) * a
        product = 1
        for j in range(1, v + 1):
            product *= j
        lp += a / product + a / (1 << v) + a / 2**v
    return lp


def hashes(a: Any, y: Any) -> Any:
    h, k = 17, 14_695_981_039_346_656_037
    for v in y:
        if a > 0.1:
            h = (h * 1_000_003 + v) % 2_147_483_647
        k = ((k ^ v) * 1_099_511_628_211) % 2**64
    return a * h + a * (k % 1000)


def signs(a: Any, y: Any) -> Any:
    lp = 0.0
    for v in y:
        w = 9 - v
        lp += a * (w // 4) + a * (w % 4) + a * (w // -4) + a * (w % -4) + a * divmod(w, 5)[0] + a * abs(w) - a * -w
    return lp


def digits(a: Any, y: Any) -> Any:
    total = 0
    for v in y:
        n = v
        while n > 0:
            total += n % 10
            n //= 10
    return a * total


def grouped(a: Any, y: Any) -> Any:
    totals = [0, 0, 0]
    for i in range(len(y)):
        totals[i % 3] += y[i] * y[i]
    return a * (totals[0] + totals[1]) + a * totals[2] + a * max(v * v for v in y) + sum([v * v for v in y])


def binomials(a: Any, y: Any) -> Any:
    lp, c = 0.0, 1
    for j in range(60):
        lp += c * a**j
        c = c * (60 - j) // (j + 1)
    for v in y:
        c = 1
        for j in range(v % 20):
            c = c * (40 - j) // (j + 1)
        lp += a * math.log(c)
    return lp


def one_by_one(a: Any, y: Any) -> Any:
    product = Fraction(y[0], 3) * y[1] * y[2]
    return a * (statistics.variance(y) + statistics.pvariance(y) + statistics.stdev(y) + float(product))


CASES: list[tuple[Callable[..., Any], list[int]]] = [
    (powers, POPULATIONS),
    (spread, POPULATIONS),
    (spread, INCOMES),
    (conditional, INCOMES),
    (products, POPULATIONS),
    (stamps, STAMPS),
    (factorials, COUNTS),
    (hashes, COUNTS),
    (signs, COUNTS),
    (digits, POPULATIONS),
    (grouped, POPULATIONS),
    (one_by_one, POPULATIONS),
    (binomials, POPULATIONS),
]


def compiled(fn: Callable[..., Any], a: float, **data: Any) -> float:
    with jax.enable_x64(True):
        return float(jax.jit(lambda p: evaluate(fn, (p,), data)[0])(a))


@pytest.mark.parametrize("kind", [list, np.array])
@pytest.mark.parametrize(("fn", "y"), CASES, ids=lambda v: getattr(v, "__name__", len(v) if isinstance(v, list) else v))
def test_a_program_on_whole_numbers_is_plain_pythons(fn: Any, y: list[int], kind: Any) -> None:
    np.testing.assert_allclose(compiled(fn, 0.7, y=kind(y)), fn(0.7, y), rtol=1e-12)


@pytest.mark.parametrize(
    ("fn", "told"),
    [
        (lambda a, y: a * np.sum(y**2 + y), "8.1e\\+19, which int64 cannot hold"),
        (lambda a, y: a * np.cumsum(y * (y // 9))[-1], "cannot hold"),
        (lambda a, y: a * np.cumprod(y)[-1], "cannot hold"),
        (lambda a, y: a * np.outer(y, y).mean(), "cannot hold"),
        (lambda a, y: a * np.trapezoid(y * 1_000_000_000), "cannot hold"),
    ],
)
def test_an_array_that_numpy_would_wrap_is_refused(fn: Any, told: str) -> None:
    with pytest.raises(ProgramError, match=told):
        compiled(fn, 0.7, y=np.array(POPULATIONS))


def test_a_number_that_numpy_would_wrap_is_exact() -> None:
    y = np.array(POPULATIONS)
    want = sum(v * v for v in POPULATIONS)
    for fn in (
        lambda a, y: a * (y @ y),
        lambda a, y: a * np.dot(y, y),
        lambda a, y: a * np.vdot(y, y),
        lambda a, y: a * np.einsum("i,i->", y, y),
    ):
        np.testing.assert_allclose(compiled(fn, 0.5, y=y), 0.5 * want, rtol=1e-15)
    assert exactly(np.add.reduce, np.array([2**62, 2**62, 1])) == 2**63 + 1
    assert exactly(np.polyval, y, 3000) == functools.reduce(lambda s, v: 3000 * s + v, POPULATIONS)
    assert exactly(np.prod, [2**40, 2**40]) == 2**80
    assert exactly(operator.sub, np.uint8(3), np.uint8(5)) == -2
    assert exactly(operator.mul, np.int32(70_000), np.int32(70_000)) == 4_900_000_000


def test_narrow_integers_within_a_dictionary_do_not_wrap() -> None:
    @gm.model
    def counts(a: gm.Real, *, d: dict):
        lp = -a * a
        for i in range(len(d["y"])):
            lp += a * (d["y"][i] - d["z"][i])
        return lp

    data = {"y": np.array([1, 200, 3], np.uint8), "z": np.array([2, 100, 250], np.uint8)}
    density = gm.density(counts, {"d": data})
    assert float(density.value_and_grad(np.array([0.5]))[0]) == -0.25 + 0.5 * (-1 + 100 - 247)


def test_whole_numbers_beyond_64_bits_among_the_data() -> None:
    @gm.model
    def large(a: gm.Real, *, n, y=(1.0,)):
        return -a * a * (n % 7) + y[0]

    assert float(gm.density(large, {"n": 2**70 + 1}).value_and_grad(np.array([1.0]))[0]) == 1.0 - (2**70 + 1) % 7
    with pytest.raises(DataError, match="does not fit into 64-bit integers"):
        gm.density(large, {"n": 1, "y": [2**70 + 1, 3]})
    with pytest.raises(DataError, match="would be rounded beside floats"):
        gm.density(large, {"n": 1, "y": [2**53 + 1, 0.5]})


def test_single_precision_has_32_bits() -> None:
    @gm.model
    def incomes(mu: gm.Real, *, y):
        lp = 0.0
        for v in y:
            lp -= ((v - mu) / 1e9) ** 2
        return lp

    @gm.model
    def squares(mu: gm.Real, *, y):
        lp = 0.0
        for v in y:
            lp -= mu * mu * (v * v)
        return lp

    with pytest.raises(ProgramError, match="does not fit into the whole numbers of 32 bits"):
        gm.density(incomes, {"y": INCOMES[:50]}, precision="float32")
    density = gm.density(squares, {"y": [70_000 + k for k in range(50)]}, precision="float32")
    want = -sum((70_000 + k) ** 2 for k in range(50))
    np.testing.assert_allclose(float(density.value_and_grad(np.ones(1, np.float32))[0]), want, rtol=1e-5)


def test_check_runs_the_plain_program_on_pythons_whole_numbers() -> None:
    @gm.model
    def sample(mu: gm.Real, *, y):
        lp = -0.5 * mu * mu
        squares = 0
        for i in range(len(y)):
            squares += y[i] * y[i]
        return lp * squares / 1e20

    found = check(sample, {"y": POPULATIONS}, seconds=AMPLE)
    assert "plain-differs" not in {f.code for f in found.findings}
    entry = plain_data({"y": np.array(POPULATIONS)})["y"][0]
    assert type(entry) is int


def test_plain_arrays_of_whole_numbers() -> None:
    y = np.array(POPULATIONS).view(PlainWhole)
    assert sum(v * v for v in y) == y @ y == sum(v * v for v in POPULATIONS)
    assert type(y[1:][0]) is int
    assert (y[::-1] - y)[0] == POPULATIONS[-1] - POPULATIONS[0]
    with pytest.raises(OverflowError, match="int64 cannot hold"):
        y**2
    np.testing.assert_allclose(np.log(y), np.log(POPULATIONS))
    y[0] += 1
    assert y[0] == POPULATIONS[0] + 1
