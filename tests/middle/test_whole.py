"""Intervals hold what they stand for, and a program in which no number can leave its type stays as it is."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxpr_as_fun

from gradmc.program import ir
from gradmc.program.middle.whole import HUGE, IntervalInterpreter, Whole
from gradmc.program.middle.widen import widened

OPERATIONS: list[Callable[..., Any]] = [
    lambda x, y: x + y,
    lambda x, y: x - y,
    lambda x, y: x * y,
    lambda x, y: x // y,
    lambda x, y: x % y,
    lambda x, y: x & y,
    lambda x, y: x | y,
    lambda x, y: x ^ y,
    lambda x, y: ~x,
    lambda x, y: -x,
    lambda x, y: abs(x),
    lambda x, y: jnp.sign(x),
    lambda x, y: x**3,
    lambda x, y: x**2,
    lambda x, y: x << (abs(y) % 8),
    lambda x, y: x >> (abs(y) % 8),
    lambda x, y: jnp.maximum(x, y) - jnp.minimum(x, y),
    lambda x, y: jnp.where(x > y, x, 3),
    lambda x, y: jnp.sum(x),
    lambda x, y: jnp.cumsum(x),
    lambda x, y: jnp.prod(x),
    lambda x, y: jnp.cumprod(x),
    lambda x, y: x @ y,
    lambda x, y: jnp.argmax(x),
    lambda x, y: jnp.sort(x),
    lambda x, y: jnp.sum(x > y),
    lambda x, y: x.at[1].add(y[0]),
    lambda x, y: ir.for_loop(6, lambda i, s: (s + x[0] * i, s), 0)[1],
    lambda x, y: ir.for_loop(6, lambda i, s: ((s * 31 + x[1]) % 97, s), 0)[1],
    lambda x, y: ir.for_loop(6, lambda i, s: ((s[0] + i, s[1] + s[0] * y[0]), s[1]), (0, 0))[1],
    lambda x, y: ir.for_loop(6, lambda i, s: (s * -3 + 1, s), x[0])[1],
    lambda x, y: ir.for_loop(6, lambda i, s: (s - jnp.abs(x[2]), s), x[0])[1],
    lambda x, y: ir.while_loop(lambda s: s < 40, lambda s: s + jnp.abs(x[0]) + 1, x[1]),
    lambda x, y: ir.cond(x[0] > y[0], lambda: x[1] * y[1], lambda: -x[2]),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=range(len(OPERATIONS)))
def test_an_interval_holds_every_value(operation: Callable[..., Any]) -> None:
    rng = np.random.default_rng(20261128)
    for low, high in ((-9, 9), (0, 12), (3, 7), (-20, -4)):
        with jax.enable_x64(True):
            x, y = (rng.integers(low, high, endpoint=True, size=4) for _ in range(2))
            y[y == 0] = 1
            jaxpr = jax.make_jaxpr(operation)(x, y)
            found = IntervalInterpreter().run(jaxpr, [Whole(low, high), Whole(low, high)])
            for value, number in zip(jaxpr_as_fun(jaxpr)(x, y), found, strict=True):
                assert number is not None
                assert number.low <= int(np.min(value)) <= int(np.max(value)) <= number.high


def test_the_bounds_of_a_sum_and_of_a_counter_are_tight() -> None:
    with jax.enable_x64(True):
        jaxpr = jax.make_jaxpr(lambda x: ir.for_loop(1000, lambda i, s: (s + x[i % 3], i), 0))(np.arange(3))
    total, index = IntervalInterpreter().run(jaxpr, [Whole(0, 5)])
    assert (total.low, index.low, index.high) == (0, 0, 999)
    assert 5000 <= total.high <= 5020


def test_what_grows_faster_is_unbounded() -> None:
    with jax.enable_x64(True):
        jaxpr = jax.make_jaxpr(lambda x: ir.for_loop(1000, lambda i, s: (s * x, None), 2)[0])(3)
    flow = IntervalInterpreter()
    (power,) = flow.run(jaxpr, [Whole(3, 3)])
    assert power == Whole(2, HUGE, floating=True)
    assert flow.found


def test_a_short_loop_is_followed() -> None:
    with jax.enable_x64(True):
        jaxpr = jax.make_jaxpr(lambda x: ir.for_loop(20, lambda i, s: (s * x, None), 2)[0])(3)
    assert IntervalInterpreter().run(jaxpr, [Whole(3, 3)]) == [Whole(2, 2 * 3**20)]


def test_a_program_within_64_bits_stays_as_it_is() -> None:
    with jax.enable_x64(True):
        jaxpr = jax.make_jaxpr(lambda x: ir.for_loop(30, lambda i, s: (s + x[i % 3] ** 2, None), 0)[0])(np.arange(3))
        assert widened(jaxpr, [np.array([3, 2, 2**28])]) is jaxpr
        assert widened(jaxpr, [np.array([3, 2, 2**32])]) is not jaxpr
