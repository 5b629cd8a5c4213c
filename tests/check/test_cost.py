"""What the report says about cost."""

import inspect

import numpy as np

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.lpdf import half_normal, normal
from tests.check import AMPLE
from tests.check.zoo import Y


@gm.model
def walk(level: Real["n"], scale: Positive, *, y: Data["n"]):
    lp = half_normal(scale, 1.0)  # term
    for t in range(1, len(y)):
        lp += normal(level[t], 0.9 * level[t - 1], scale)  # term
        lp += gm.observe("y", normal(y[t], level[t], 1.0))  # term
    for k in range(2):
        lp += 0.1 * normal(level[k], 0.0, 1.0)  # term
    return lp


DATA = {"y": np.resize(Y, 40)}


def marked():
    lines, first = inspect.getsourcelines(walk.fn)
    return [first + k for k, line in enumerate(lines) if line.rstrip().endswith("# term")]


def test_every_term_and_every_loop_has_its_cost() -> None:
    report = gm.check(walk, DATA, chains=3, transitions=500, seconds=AMPLE)
    costs = report.costs
    assert costs["gradient_seconds"] > 0
    assert costs["gradient_bytes"] > 0
    assert [row["line"] for row in costs["terms"]] == marked()
    assert [row["times"] for row in costs["terms"][:3]] == [1, 39, 39]
    assert all(0 < row["seconds"] < 1e-3 for row in costs["terms"])
    assert all(row["bytes"] >= 0 for row in costs["terms"])
    compiled, unrolled = costs["loops"]
    assert (compiled["iterations"], compiled["verdict"]) == (39, "vectorised")
    assert (unrolled["iterations"], unrolled["verdict"]) == (2, "run by Python")
    assert all(loop["reason"] for loop in costs["loops"])
    low, high = costs["run_seconds"]
    assert low == 7 * 3 * 500 * costs["gradient_seconds"]
    assert high == 9 * low
    text = str(report)
    assert "3 chains of 500 transitions would take" in text
    assert f"line {marked()[2]}, 39 times: " in text
    assert 'lp += gm.observe("y", normal(y[t], level[t], 1.0))' in text
    assert "39 x vectorised: no iteration needs the result of another" in text
    assert report.as_json()["costs"]["terms"] == costs["terms"]


def test_fast_leaves_out_the_terms() -> None:
    report = gm.check(walk, DATA, fast=True)
    assert report.costs["terms"] == []
    assert report.costs["gradient_seconds"] > 0
    assert len(report.costs["loops"]) == 2
