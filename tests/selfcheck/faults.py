"""Programs, and what a faulty compiler would make of them."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import gradmc as gm
from gradmc import Positive, Real
from gradmc.lpdf import normal
from gradmc.program import compiler
from gradmc.program.model import Model


@contextmanager
def miscompiled(model: Model, wrong: Callable[..., Any]) -> Iterator[None]:
    """The compiler takes one function for another; plain Python does not."""
    trace = compiler.trace

    def faulty(fn: Any, *args: Any, **options: Any) -> Any:
        return trace(wrong if fn is model.fn else fn, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "trace", faulty)
        yield


def piece(x):  # noqa: RET503
    y = 0.5 * x * x
    if y < 100:
        return 3.0 - x


@gm.model
def last_if_without_else(x: Real):
    lp = normal(x, 0.0, 1.0)
    lp += piece(x)  # <-- as the compiler has it: the side that is missing, 0.0
    return lp


def missing_side_is_zero(x):
    return normal(x, 0.0, 1.0) + 0.0


@gm.model
def product_of_counts(x: Real, *, counts):
    product = 1
    for count in counts:
        product = product * count  # <-- beyond 64 bits
    return normal(x, 1e-24 * product, 1.0)


def product_in_64_bits(x, *, counts):
    return normal(x, 1e-24 * jnp.prod(jnp.asarray(counts)), 1.0)


@gm.model
def imaginary_root(x: Real):
    return normal(abs(np.emath.sqrt(x * x - 9.0)), 0.0, 1.0)


@gm.model
def logarithm(x: Positive):
    lp = -x
    lp += gm.observe("y", -((math.log(x) - 0.3) ** 2))
    return lp


@gm.model
def reading(x: Real, *, low):
    if x > low:
        raise ValueError("out of the range of the instrument")
    return normal(x, 0.0, 1.0)


def reading_of_anything(x, *, low):
    return normal(x, low, 1.0)


@gm.model
def returns_nothing(x: Real):
    normal(x, 0.0, 1.0)


@gm.model
def equilibrium(scale: Positive, a: Positive):
    low, high = 0.0, 10.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        below = middle * middle < a
        low, high = np.where(below, middle, low), np.where(below, high, middle)  # <-- a derivative of 0
    return normal(scale, 2.0, 1.0) + normal(low, 1.0, 1.0)


@gm.model
def half_rough(x: Real):
    lp = normal(x, 0.0, 1.0)
    if x > 0.0:
        lp += math.sqrt(x - x)  # <-- 0 times infinity
    return lp


def stopped(x):
    return normal(x, 0.0, 1.0) - lax.stop_gradient(x) ** 2


@gm.model
def never_ends(x: Real):
    n = 0
    while n < 1_000:
        n = n - 1
    return normal(x, n, 1.0)


def ends(x):
    return normal(x, 0.0, 1.0)
