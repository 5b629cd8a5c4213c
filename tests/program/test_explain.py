"""`explain` shows the source with a note at each loop."""

from math import exp, log

import numpy as np
import pytest

import gradmc as gm
from gradmc.errors import UsageError
from gradmc.program.explain import explain


@gm.model
def volatility(omega: gm.Positive, b: gm.UnitInterval, *, y: gm.Data["T"]):
    """A model with two loops."""
    h = 1.0
    lp = 0.0
    for t in range(1, len(y)):
        h = omega + 0.1 * y[t - 1] ** 2 + b * h
        lp += -0.5 * log(h) - 0.5 * y[t] ** 2 / h
    for k in range(20):
        lp += -exp(omega * k / 20)
    return lp


DATA = {"y": np.linspace(-1, 1, 50)}


def test_notes_stand_at_their_loops():
    told = explain(volatility, DATA, measure=False)
    text = str(told).splitlines()
    assert text[0] == "volatility: 2 loops"
    first = next(k for k, line in enumerate(text) if "for t in" in line)
    assert "49 iterations, divided: h: each iteration needs the one before" in text[first + 1]
    assert "h: a recurrence" in "".join(text[first : first + 4])
    assert "lp: a sum" in "".join(text[first : first + 4])
    second = next(k for k, line in enumerate(text) if "for k in" in line)
    assert "20 iterations, vectorised: no iteration needs the result of another" in text[second + 1]
    assert [loop.verdict for loop in told.loops] == ["divided", "vectorised"]
    assert repr(told) == str(told)


@gm.model
def names(a: gm.Real, *, x: gm.Data["n"], table):
    """Loops that Python runs."""
    lp = 0.0
    for key in table:
        lp += a * table[key]
    total = 0.0
    for v in range(10):
        total += v
    for v in range(len(x)):
        lp += a * total * x[v]
    return lp


def test_loops_run_by_python_are_told():
    told = explain(names, {"x": np.ones(9), "table": {"u": 1.0, "v": 2.0}}, measure=False)
    text = str(told).splitlines()
    assert text[0] == "names: 3 loops"
    first = next(k for k, line in enumerate(text) if "for key in" in line)
    assert "2 iterations, run by Python: its items (of a dict) have no common form" in text[first + 1]
    second = next(k for k, line in enumerate(text) if "range(10)" in line)
    assert "10 iterations, run by Python: depends on data only, so it is run while compiling" in text[second + 1]


def test_every_stage_is_printed():
    told = explain(volatility, DATA, measure=False, stages=True)
    names = [name for name, _ in told.stages]
    assert names[0] == "normal form"
    assert "loops scheduled" in names
    assert "for[" in told.stages[0][1]
    assert "scan[" in told.stages[-1][1]
    assert str(told).count("\n--- ") == len(names)
    assert str(told).startswith(told.text)


def test_costs_are_measured():
    told = explain(volatility, DATA)
    assert told.total is not None
    assert told.total > 0
    assert len(told.costs) == 2
    assert all(cost > 0 for cost in told.costs.values())
    assert "µs for value and gradient" in str(told)


def test_only_models_are_explained():
    with pytest.raises(UsageError, match=r"expected a model declared by @gm\.model, got function"):
        explain(lambda: 0, {})
