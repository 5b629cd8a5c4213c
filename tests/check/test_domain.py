"""Advice about supports is proved for every element: to follow it changes no posterior."""

import math
from typing import Any

import numpy as np
import pytest

import gradmc as gm
from gradmc import Circular, Data, Interval, Negative, Ordered, Positive, Real, Simplex
from gradmc.check.domain import too_wide
from gradmc.check.subject import Subject
from gradmc.lpdf import normal

EDGES = np.array([1.0, 2.0, 3.0])


@gm.model
def first_alone(a: Real["k"], *, k: int):
    lp = normal(a, 0.0, 3.0)
    if a[0] < -5 or a[0] > 5:
        lp = -math.inf
    return lp


@gm.model
def each_its_own(a: Real[2]):
    lp = normal(a, 0.0, 3.0)
    if a[0] < -5 or a[0] > 5 or a[1] < -1 or a[1] > 0.25:
        lp = -math.inf
    return lp


@gm.model
def all_the_same(a: Real["k"], *, k: int):
    lp = normal(a, 0.0, 3.0)
    for i in range(k):
        if a[i] < -5 or a[i] > 1 / 3:
            lp = -math.inf
    return lp


@gm.model
def one_of_them_less(a: Real[3]):
    lp = normal(a, 0.0, 3.0)
    for i in range(3):
        if a[i] < 0.0:
            lp = -math.inf
    if a[2] > 1.5:
        lp = -math.inf
    return lp


@gm.model
def above_the_declared_end(a: Interval(-3.0, None)[2]):
    lp = normal(a, 0.0, 3.0)
    if a[0] > 2.0:
        lp = -math.inf
    return lp


@gm.model
def above_an_end_among_the_data(a: Interval("least", None), *, least: float):
    lp = normal(a, 0.0, 3.0)
    if a > 2.0:
        lp = -math.inf
    return lp


@gm.model
def above_an_end_that_moves(b: Real, a: Interval(lambda b: b, None)):
    lp = normal(b, 0.0, 0.5) + normal(a, 0.0, 3.0)
    if a > 4.0:
        lp = -math.inf
    return lp


@gm.model
def above_a_computed_end(a: Interval(lambda least: 2 * least, None), *, least: float):
    lp = normal(a, 0.0, 3.0)
    if a > 4.0:
        lp = -math.inf
    return lp


@gm.model
def above_ends_in_an_array(a: Interval("edges", None)["k"], *, edges: Data["k"]):
    lp = normal(a, 0.0, 3.0)
    for i in range(len(edges)):
        if a[i] > 9.0:
            lp = -math.inf
    return lp


@gm.model
def least_is_positive(c: Ordered[3]):
    lp = normal(c, 0.0, 3.0)
    if c[0] < 0.0:
        lp = -math.inf
    return lp


@gm.model
def both_sides_of_zero(a: Real, b: Real):
    """Dead unless a and b have the same sign: on the line through a point with b > 0, a seems to end at 0."""
    lp = normal(a, 0.0, 2.0) + normal(b, 0.0, 2.0)
    if a * b < 0.0:
        lp = -math.inf
    return lp


@gm.model
def alive_again_far_out(a: Real):
    lp = normal(a, 0.0, 30.0)
    if a > 1.0 and a < 50.0:
        lp = -math.inf
    return lp


@gm.model
def never_all_negative(a: Real[2]):
    """Each element alone is dead below 0, but both together are not."""
    lp = normal(a, 0.0, 2.0)
    if min(a[0], a[1]) < 0.0 and max(a[0], a[1]) > 0.0:
        lp = -math.inf
    return lp


@gm.model
def upper_half(angle: Circular, w: Simplex[3]):
    lp = normal(math.cos(angle), 0.0, 1.0)
    if angle < 0.0 or w[0] < w[1]:
        lp = -math.inf
    return lp


@gm.model
def negative_sums(n: Negative[2]):
    lp = normal(n, 0.0, 1.0)
    if n[0] + n[1] < -1.0:
        lp = -math.inf
    return lp


@gm.model
def positive_where_declared_positive(s: Positive["k"], *, k: int):
    lp = normal(s, 0.0, 3.0)
    for i in range(k):
        if s[i] > 4.0:
            lp = -math.inf
    return lp


def box(theta):
    """A prior as it is written for emcee."""
    m, log_f, scale = theta
    if -5.0 < m < 12.0 and -30.0 < log_f < 1.0 and 0.0 < scale < 2000.0:
        return 0.0
    return -np.inf


def boxed(m, log_f, scale):
    lp = box((m, log_f, scale))
    if not np.isfinite(lp):
        return -np.inf
    return lp - 0.5 * (m - 1.0) ** 2 - 0.5 * (log_f + 1.0) ** 2 - 0.5 * (math.log(scale) - 1.0) ** 2


@gm.model
def box_undeclared(m: Real, log_f: Real, scale: Positive):
    return boxed(m, log_f, scale)


@gm.model
def box_declared(m: Interval(-5, 12), log_f: Interval(-30, 1), scale: Interval(0, 2000)):
    return boxed(m, log_f, scale)


def advice(model: gm.Model, data: dict[str, Any]) -> list[str]:
    return [f"{f.message}\n{f.remedy}" for f in too_wide(Subject(gm.density(model, data), seed=1))]


PROVED = [
    (all_the_same, {"k": 3}, ["outside of (-5, 0.3333333333)", 'a: Interval(-5, 0.3333333333)["k"]']),
    (positive_where_declared_positive, {"k": 2}, ['s: Interval(0, 4)["k"]']),
    (above_an_end_among_the_data, {"least": -1.0}, ['a: Interval("least", 2)']),
    (above_ends_in_an_array, {"edges": EDGES}, ['a: Interval("edges", 9)["k"]']),
    (least_is_positive, {}, ["declare it PositiveOrdered", "c: PositiveOrdered[3]"]),
]
BY_ELEMENT = [
    (first_alone, {"k": 3}, ["unless a[0] is in (-5, 5)\n", "a_0: Interval(-5, 5)    # for a[0]"]),
    (
        each_its_own,
        {},
        [
            "unless a[0] is in (-5, 5), a[1] is in (-1, 0.25)",
            "a_low = [-5.0, -1.0] and a_high = [5.0, 0.25]",
            'a: Interval("a_low", "a_high")[2]',
        ],
    ),
    (one_of_them_less, {}, ["a[1] is in (0, inf), a[2] is in (0, 1.5)", "a_1: Positive", "a_2: Interval(0, 1.5)"]),
    (above_the_declared_end, {}, ["a[0] is in (-inf, 2)", "a_0: Interval(-3, 2)", "a_1: Interval(-3, math.inf)"]),
]


@pytest.mark.parametrize(("model", "data", "words"), PROVED + BY_ELEMENT, ids=lambda v: getattr(v, "name", None))
def test_what_is_advised_is_the_support_of_every_element(model: gm.Model, data: dict, words: list[str]) -> None:
    [said] = advice(model, data)
    assert all(word in said for word in words), said
    assert ("declare it" in said) == ((model, data, words) in PROVED)


def test_a_declared_end_that_cannot_be_written_is_kept() -> None:
    [said] = advice(above_a_computed_end, {"least": -1.0})
    assert "declare it" not in said
    assert "keep the end that is declared" in said


@pytest.mark.parametrize(
    "model",
    [above_an_end_that_moves, both_sides_of_zero, alive_again_far_out, never_all_negative, upper_half, negative_sums],
    ids=lambda v: v.name,
)
def test_nothing_is_advised_that_would_change_the_posterior(model: gm.Model) -> None:
    assert advice(model, {}) == []


@pytest.mark.parametrize(
    ("model", "better"),
    [
        (all_the_same, Interval(-5.0, 1 / 3)),
        (positive_where_declared_positive, Interval(0.0, 4.0)),
    ],
    ids=lambda v: getattr(v, "name", None),
)
def test_following_the_advice_changes_no_density(model: gm.Model, better: Any) -> None:
    declared = model.parameters[0].support
    narrowed = type(model.parameters[0])(model.parameters[0].name, better["k"])
    followed = gm.density(type(model)(model.name, model.fn, (narrowed,), model.data, model.doc), {"k": 3})
    density = gm.density(model, {"k": 3})
    assert declared.shape == narrowed.support.shape
    for x in np.random.default_rng(1).normal(0.0, 2.0, (20, 3)):
        values = followed.constrain(x)
        np.testing.assert_allclose(followed.log_density(values), density.log_density(values))
    for value in np.random.default_rng(2).normal(0.0, 6.0, (200, 3)):
        if not followed.log_density({model.parameters[0].name: value}) > -np.inf:
            assert not density.log_density({model.parameters[0].name: value}) > -np.inf


def test_a_box_in_the_density_is_declared_parameter_by_parameter() -> None:
    remedies = [f.remedy for f in gm.check(box_undeclared, fast=True).findings if f.code == "support"]
    declared = ["m: Interval(-5, 12)", "log_f: Interval(-30, 1)", "scale: Interval(0, 2000)"]
    assert [remedy.splitlines()[-1].strip() for remedy in remedies] == declared
    assert "support" not in {f.code for f in gm.check(box_declared, fast=True).findings}
