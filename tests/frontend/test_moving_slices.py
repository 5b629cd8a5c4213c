"""Slices whose length changes along a loop, `y[:t]`: traced once however long the loop, and parts of their arrays."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradmc.program.compiler import evaluate
from tests.frontend.laws import agree

RNG = np.random.default_rng(20260101)
TIMES = np.cumsum(RNG.exponential(size=210))
Y = RNG.normal(size=210)
M = RNG.normal(size=(210, 3))
FEW = 7
"""Iterations of a loop that may have to be unrolled."""


def excitation(mu, jump, decay, *, y, m):
    """Events that excite later ones: sums over all events so far, in four ways."""
    lp = 0.0
    for i, t in enumerate(TIMES):
        past = TIMES[:i]
        faded = np.exp(-decay * (t - past))
        lp += math.log(mu + jump * np.sum(faded))
        lp += math.log(mu + jump * sum(math.exp(-decay * (t - u)) for u in past))
        lp += math.log(mu + jump * sum([math.exp(-decay * (t - TIMES[j])) for j in range(i)]))
        lp += 0.1 * np.dot(y[:i], faded) + 0.1 * (m[:i, 1] * faded).sum() + 0.1 * faded @ y[1 : i + 1]
    return lp


def windows(a, b, c, *, y, m):
    """Windows that are shorter where the data begin: their elements, length, mean, spread, maximum and reverse."""
    lp = 0.0
    for t in range(1, len(y)):
        w = y[max(0, t - 5) : t]
        lp += a * len(w) + b * w.size * w.shape[0] + c * w[-1] * w[0]
        lp += np.mean(w * a) + np.var(w * b) + np.max(w * c) + w.min() + np.sum(w * w[::-1]) * a
        for j in range(len(w)):
            lp += 0.1 * w[j] * a**j
        for j, (u, v) in enumerate(zip(w, reversed(w), strict=True)):
            lp += 0.1 * u * v * b**j
        if np.any(w > 2.0) and not np.all(w > -2.0):
            lp += a * b
    return lp


def renewal(a, b, c, *, y, m):
    """What was stored before, weighed by how long ago it was: a state that depends on all states before."""
    weights = 0.5 ** np.arange(1, 60)
    cases = np.zeros(60)
    cases[0] = a
    lp = 0.0
    for t in range(1, 60):
        cases[t] = b * np.sum(cases[:t] * weights[:t][::-1]) + c
        lp -= (y[t] - np.mean(cases[: t + 1])) ** 2
    return lp


def ends(a, b, c, *, y, m):
    """Ends that are negative, beyond the array, or both move; steps; slices that are empty now and then."""
    lp = 0.0
    for t in range(60):
        lp += np.sum(a * y[-t:]) + np.sum(b * y[t:]) + np.sum(c * y[:-t]) + np.sum(a * y[t : 2 * t])
        lp += np.sum(b * y[: 5 * t : 2]) + np.sum(c * y[t + 180 :: 3]) + np.sum((a - y[t - 3 : t + 1]) ** 2)
    return lp


def singular(a, b, c, *, y, m):
    """Functions that are infinite where nothing is selected: they are computed of nothing there."""
    lp = 0.0
    for i, t in enumerate(TIMES):
        lp += math.log(a + np.sum((t - TIMES[:i]) ** -b) + np.sum(np.sqrt(c * np.log(1.0 + c * (t - TIMES[:i])))))
        if i > 0:
            lp += np.mean(np.log(a * TIMES[:i])) + np.max(c * y[:i])
    return lp


def listed(a, b, c, *, y, m):
    """Slices of lists are lists: joined by +, copied, appended to."""
    values, grown = [v * a for v in y], [a]
    lp = 0.0
    for t in range(3, 203):
        near, far = values[t - 3 : t], values[:t]
        lp += sum(near + values[t - 2 : t]) * b + len(near + near) + sum(far) / len(far)
        far.append(c)
        lp += 0.1 * far[-1] * far[0] * len(far) + max(grown[-2:]) + sum(grown[-4:])
        grown.append(b * grown[-1] + y[t] * c)
    return lp


@pytest.mark.parametrize("program", [excitation, windows, renewal, ends, singular, listed], ids=lambda p: p.__name__)
def test_they_are_traced_once(program: Callable[..., Any]) -> None:
    agree(program, (0.4, 0.6, 1.3), {"y": Y, "m": M})


def stored_meanwhile(a, b):
    h, total = np.ones(9), 0.0
    for t in range(1, FEW):
        part = h[:t]
        h[0] = h[0] * a + b
        total += np.sum(part) * t
    return total


def stored_in_a_branch(a, b):
    h, total = np.ones(9), 0.0
    for t in range(1, FEW):
        part = h[:t]
        if a * t > 2.0:
            h[0] = h[0] + b
        total += np.sum(part) * a
    return total


def stored_while_it_runs_over_them(a, b):
    h, total = np.ones(9), 0.0
    for t in range(1, FEW):
        for u in h[:t]:
            h[t] = h[t] + a * u
            h[0] = h[0] * b
        total += h[t]
    return total


def stored_by_way_of_another_view(a, b):
    h, total = np.ones(12), 0.0
    tail = h[2:]
    for t in range(1, FEW):
        part = tail[:t]
        h[3] = h[3] * a + t
        total += np.sum(part * b)
    return total


def changed_in_place(a, b):
    h, total = np.ones(9), 0.0
    for t in range(1, FEW):
        part = h[:t]
        part += a
        part *= b
        h[:t] -= 0.1 * a
        total += h[0] + h[t]
    return total


def stored_through_it(a, b):
    h, total = np.ones(9), 0.0
    for t in range(1, FEW):
        part = h[:t]
        part[0] = a * t
        total += h[0] * b
    return total


def kept_for_the_next_iteration(a, b):
    y, total = np.linspace(0.0, 1.0, 9), 0.0
    part = y[:1]
    for t in range(2, FEW):
        total += np.sum(part * a)
        part = y[:t]
    return total + np.sum(part) * b


def of_different_lengths(a, b):
    y, total = np.linspace(0.0, 1.0, 9), 0.0
    for t in range(2, FEW):
        total += np.sum(y[:t] * y[1 : t + 1]) * a + np.sum((y[1:t] - b * y[: t - 1]) ** 2)
    return total


def list_changed_meanwhile(a, b):
    values, total = [a] * 9, 0.0
    for t in range(2, FEW):
        part = values[:t]
        values[0] = values[0] * b + t
        total += sum(part)
        part[0] = 7.0
        total += values[0] * sum(part)
    return total


ALIASES = [
    stored_meanwhile,
    stored_in_a_branch,
    stored_while_it_runs_over_them,
    stored_by_way_of_another_view,
    changed_in_place,
    stored_through_it,
    kept_for_the_next_iteration,
    of_different_lengths,
    list_changed_meanwhile,
]


@pytest.mark.parametrize("program", ALIASES, ids=lambda program: program.__name__)
def test_a_slice_is_a_part_of_its_array(program: Callable[..., Any], x64: None) -> None:
    for a, b in ((0.7, 1.2), (-0.3, 0.4)):
        assert float(evaluate(program, (a, b), {})[0]) == pytest.approx(program(a, b), rel=1e-12)


def test_the_maximum_of_nothing_fails() -> None:
    def highest(a, *, y):
        total = 0.0
        for t in range(len(y)):
            total += np.max(a * y[:t])
        return total

    def handled(a, *, y):
        total = 0.0
        for t in range(len(y)):
            try:
                total += np.max(a * y[:t])
            except ValueError:
                total += a
        return total

    y = Y[:9]
    with pytest.raises(ValueError, match="zero-size array"):
        highest(2.0, y=y)
    assert math.isnan(evaluate(highest, (2.0,), {"y": y})[0])
    agree(handled, (2.0,), {"y": y})
