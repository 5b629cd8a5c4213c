"""Marks collect along loops, as plain Python's do in call order."""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from gradmc.errors import ProgramError
from gradmc.program.compiler import evaluate
from gradmc.program.marks import collecting, observe, record

X = np.array([0.3, -1.2, 0.8, 2.0, -0.5, 1.1])
SEEN = np.array([True, False, True, True, False, True])
M = np.arange(24.0).reshape(6, 4) / 10


def rolled(a, *, x):
    lp = record("twice", 2 * a)
    for i in range(len(x)):
        lp += observe("y", a * x[i])
        record("square", a * a * i)
    return lp


def nested(a, *, m):
    lp = 0.0
    for i in range(6):
        record("row", a * i)
        for j in range(4):
            lp += observe("y", a * m[i, j])
        for j in range(2):
            observe("short", a * m[i, j])
    return lp


def unrolled(a, *, m):
    lp = 0.0
    for name in ["u", "v"]:
        for i in range(6):
            lp += observe("y", a * m[i, len(name)])
    return lp


def both_sides(a, *, x, seen):
    lp = 0.0
    for i in range(len(x)):
        if seen[i]:
            lp += observe("y", a * x[i])
        else:
            lp += observe("y", a)
    return lp


def on_data(a, *, x, seen):
    lp = 0.0
    for i in range(len(x)):
        if seen[i]:
            lp += observe("y", a * x[i])
            if x[i] > 0.5:
                observe("large", a)
    return lp


def triangle(a, *, x):
    lp = 0.0
    for i in range(len(x)):
        for j in range(i):
            lp += observe("y", a * x[i] * x[j])
    return lp


def several(a, *, x):
    lp = 0.0
    for v in x:
        lp += observe("y", a * v) + observe("y", a * a * v)
    return lp


def vector(a, *, x):
    for _ in range(10):
        record("v", a * x)
    return math.exp(a)


SHAPES: list[tuple[Callable[..., Any], dict[str, Any], dict[str, tuple[int, ...]]]] = [
    (rolled, {"x": X}, {"twice": (), "y": (6,), "square": (6,)}),
    (nested, {"m": M}, {"row": (6,), "y": (6, 4), "short": (6, 2)}),
    (unrolled, {"m": M}, {"y": (2, 6)}),
    (both_sides, {"x": X, "seen": SEEN}, {"y": (6,)}),
    (on_data, {"x": X, "seen": SEEN}, {"y": (4,), "large": (3,)}),
    (triangle, {"x": X}, {"y": (15,)}),
    (several, {"x": X}, {"y": (6, 2)}),
    (vector, {"x": X}, {"v": (10, 6)}),
]


@pytest.mark.parametrize(("fn", "data", "shapes"), SHAPES, ids=lambda v: getattr(v, "__name__", ""))
def test_marks_are_those_of_plain_python(
    fn: Callable[..., Any], data: dict[str, Any], shapes: dict[str, tuple[int, ...]]
) -> None:
    with collecting() as plain:
        fn(0.7, **data)
    with jax.enable_x64(True):
        value, made = evaluate(fn, (0.7,), data, collect=True)
        without, nothing = evaluate(fn, (0.7,), data)
    assert {**made.observe, **made.record}.keys() == shapes.keys()
    for group in ("observe", "record"):
        for name, values in getattr(made, group).items():
            assert values.shape == shapes[name], name
            np.testing.assert_allclose(np.ravel(values), np.ravel(getattr(plain, group)[name]), rtol=1e-12)
    assert not nothing.observe
    assert not nothing.record
    np.testing.assert_allclose(value, without, rtol=1e-14)


def varying(a, *, x):
    lp = 0.0
    for v in x:
        if a * v > 0.2:
            lp += observe("y", a * v)
    return lp


def test_terms_must_not_come_and_go_with_parameters() -> None:
    with (
        jax.enable_x64(True),
        pytest.raises(ProgramError, match="the number of terms would change from draw to draw"),
    ):
        evaluate(varying, (0.7,), {"x": X}, collect=True)


def test_marks_cost_nothing_when_nobody_listens() -> None:
    from gradmc.program.compiler import trace

    with jax.enable_x64(True):
        jaxpr = trace(rolled, (0.7,), {"x": X}).jaxpr
    (loop,) = (e for e in jaxpr.eqns if e.primitive.name == "for")
    assert len(loop.outvars) == 1


def test_a_list_of_arrays_of_different_shapes_is_refused() -> None:
    def program(a):
        record("rows", [np.zeros(2) + a, np.zeros(3) + a])
        return a

    with pytest.raises(ProgramError, match=r"a marked list holds arrays of different shapes: \(2,\) and \(3,\)"):
        evaluate(program, (0.5,), {}, collect=True)


def test_a_list_of_lists_is_a_matrix() -> None:
    def program(a):
        record("rows", [[a, 1.0], [2.0, 3.0 * a]])
        return a

    _, made = evaluate(program, (0.5,), {}, collect=True)
    np.testing.assert_allclose(made.record["rows"], [[0.5, 1.0], [2.0, 1.5]])
