"""Starting points with named values: those stay, the others are drawn at random, within supports and where finite."""

import numpy as np
import pytest

import gradmc as gm
from gradmc.errors import UsageError
from gradmc.sample import starting_points


@gm.model
def nested(a: gm.Real, b: gm.Interval("a", 3.0), p: gm.Simplex[3], *, impossible: int = 0):
    return -(a**2) - b - (gm.lpdf.normal(p[0], 9.0, 1.0) if not impossible else float("-inf"))


DENSITY = gm.density(nested, {})


def test_what_is_given_stays_and_chains_differ_in_the_rest() -> None:
    points = starting_points(DENSITY, {"a": 1.5}, 3, seed=4)
    assert points is not None
    values = [DENSITY.constrain(point) for point in points]
    assert [value["a"] for value in values] == [1.5] * 3
    assert all(1.5 < value["b"] < 3.0 for value in values)
    assert len({float(value["b"]) for value in values}) == 3
    again = starting_points(DENSITY, {"a": 1.5}, 3, seed=4)
    np.testing.assert_array_equal(points, again)


def test_a_value_outside_its_support_is_refused_and_one_that_depends_on_another_is_tried() -> None:
    point = starting_points(DENSITY, {"b": -1.2}, 1, seed=4)
    assert point is not None
    assert DENSITY.constrain(point[0])["a"] < -1.2
    with pytest.raises(UsageError, match="b = "):
        starting_points(DENSITY, {"b": 4.0}, 1)
    with pytest.raises(UsageError, match="unknown parameters \\['c'\\]"):
        starting_points(DENSITY, {"c": 4.0}, 1)


def test_no_finite_density_is_said() -> None:
    with pytest.raises(UsageError, match="no random values of b, p gave a finite density in 100 tries"):
        starting_points(gm.density(nested, {"impossible": 1}), {"a": 0.0}, 1)
