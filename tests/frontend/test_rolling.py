"""Which loops are traced once, how often a body is traced, and what is said when a loop is unrolled."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from gradmc.program import ir
from gradmc.program.compiler import ConcreteDataNeeded, UnrolledLoopWarning, evaluate, trace
from gradmc.program.frontend import rolling, unrolling


def garch(mu, omega, alpha, beta, *, y):
    h = omega / (1 - alpha - beta)
    lp = 0.0
    for t in range(len(y)):
        if t > 0:
            h = omega + alpha * (y[t - 1] - mu) ** 2 + beta * h
        lp += -0.5 * math.log(h) - 0.5 * (y[t] - mu) ** 2 / h
    return lp


def forward(p, m, *, y):
    states = 3
    alpha = np.zeros(states)
    for t in range(len(y)):
        new = np.zeros(states)
        for j in range(states):
            total = 0.0
            for k in range(states):
                total += math.exp(alpha[k]) * (p if j == k else (1 - p) / 2)
            new[j] = math.log(total) - 0.5 * (y[t] - m * j) ** 2
        alpha = new
    return np.logaddexp.reduce(alpha)


def gaussian_process(scale, *, x):
    n = len(x)
    cov = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            cov[i, j] = math.exp(-((x[i] - x[j]) ** 2) / scale)
        cov[i, i] += 0.1
    return np.linalg.slogdet(cov)[1]


def listed(a, b, *, y):
    h = [a]
    for t in range(1, len(y)):
        h.append(a + b * h[t - 1] + y[t])
    return sum(v * v for v in h)


def triangle(a, *, x):
    lp = 0.0
    for i in range(len(x)):
        for j in range(i):
            lp += a * x[i] * x[j]
    return lp


def counter(a, *, x):
    i, lp = 0, 0.0
    while i < len(x):
        lp += a * x[i]
        i += 1
    return lp


def filtered(a, *, y):
    P = [[a, 0.0], [0.0, 1.0]]
    lp = 0.0
    for t in range(len(y)):
        N = [[0.0, 0.0], [0.0, 0.0]]
        for i in range(2):
            for j in range(2):
                for k in range(2):
                    N[i][j] += 0.3 * P[i][k] * P[k][j]
        for i in range(2):
            for j in range(2):
                P[i][j] = N[i][j] - a * N[i][0]
        lp += y[t] * P[0][0]
    return lp


PROGRAMS: list[tuple[Callable[..., Any], tuple, str]] = [
    (garch, (0.1, 0.2, 0.3, 0.4), "y"),
    (forward, (0.8, 0.5), "y"),
    (gaussian_process, (0.7,), "x"),
    (listed, (0.7, 0.2), "y"),
    (triangle, (0.7,), "x"),
    (counter, (0.7,), "x"),
]


def traced(fn: Callable[..., Any], args: tuple, **data: Any) -> Any:
    with jax.enable_x64(True):
        return trace(fn, args, data)


def equations(jaxpr: Any) -> int:
    inner = (p for e in jaxpr.eqns for p in e.params.values() if isinstance(p, type(jaxpr)))
    return len(jaxpr.eqns) + sum(map(equations, inner))


@pytest.mark.parametrize(("fn", "args", "name"), PROGRAMS, ids=lambda v: getattr(v, "__name__", ""))
def test_the_program_does_not_grow_with_the_data(fn: Callable[..., Any], args: tuple, name: str) -> None:
    short, long = (traced(fn, args, **{name: np.linspace(0.1, 1.0, n)}) for n in (20, 200))
    assert equations(short.jaxpr) == equations(long.jaxpr)
    assert any(e.primitive is ir.for_p for e in long.jaxpr.eqns)
    assert all(loop.why == unrolling.SHORT for loop in long.python_loops)


@pytest.mark.parametrize(
    ("fn", "args", "name", "most"),
    [(*p, most) for p, most in zip([*PROGRAMS, (filtered, (0.7,), "y")], (1, 2, 2, 3, 2, 2, 4), strict=True)],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_bodies_are_traced_once(
    fn: Callable[..., Any], args: tuple, name: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One trial per loop statement; a list that is read while it grows, and a counted while, take one more."""
    trials = []
    original = rolling.Trial.__init__

    def counted(self: Any, *a: Any) -> None:
        trials.append(self)
        original(self, *a)

    monkeypatch.setattr(rolling.Trial, "__init__", counted)
    traced(fn, args, **{name: np.linspace(0.1, 1.0, 50)})
    assert len(trials) == most


def many_kinds(a, *, items):
    lp = 0.0
    for item in items:
        lp += a * item["u"]
    return lp


def many_functions(a, *, functions):
    lp = 0.0
    for f in functions:
        lp += f(a)
    return lp


def test_unrolling_warns_with_line_and_reason() -> None:
    functions = [math.sin, math.cos] * (unrolling.QUIET // 2 + 3)
    line = many_functions.__code__.co_firstlineno + 2
    with pytest.warns(UnrolledLoopWarning) as caught:
        value = evaluate(many_functions, (0.5,), {"functions": functions})[0]
    assert float(value) == pytest.approx(many_functions(0.5, functions=functions))
    (warning,) = caught
    assert str(warning.message).startswith(f"{__file__}:{line}: this loop is unrolled, since one of several functions")
    assert (warning.filename, warning.lineno) == (__file__, line)


def test_few_iterations_do_not_warn_but_are_told() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loops = traced(many_kinds, (0.5,), items=[{"u": 1.0}, {"u": 2.0}]).python_loops
    (loop,) = loops
    assert loop.trips == 2
    assert loop.why == "it runs over a list of few items"
    assert loop.source.line == many_kinds.__code__.co_firstlineno + 2


def run_lengths(hazard, spread, *, y):
    """Change points as the data come (Adams & MacKay 2007): the lists have one item more in each iteration."""
    weights, means, lp = [1.0], [0.0], 0.0
    for v in y:
        likely = [math.exp(-0.5 * ((v - m) / spread) ** 2) / spread for m in means]
        growth = [w * p * (1 - hazard) for w, p in zip(weights, likely, strict=True)]
        change = sum(w * p * hazard for w, p in zip(weights, likely, strict=True))
        weights = [change, *growth]
        total = sum(weights)
        lp += math.log(total)
        weights = [w / total for w in weights]
        means = [0.0] + [0.7 * m + 0.3 * v for m in means]
    return lp


@pytest.mark.filterwarnings("ignore::gradmc.program.compiler.UnrolledLoopWarning")
def test_lists_that_are_short_only_at_first_do_not_count_for_every_iteration() -> None:
    y = [float(v) for v in np.random.default_rng(20260101).normal(size=30)]
    value = evaluate(run_lengths, (0.1, 1.2), {"y": y})[0]
    assert float(value) == pytest.approx(run_lengths(0.1, 1.2, y=y))


def by_name(a, *, x):
    table = {0: 1.0, 1: 2.0, 2: 3.0}
    lp = 0.0
    for i in range(len(x)):
        lp += a * table[i % 3] * x[i]
    return lp


def lists_by_name(a, *, x):
    latest, lp = {}, 0.0
    for i in range(len(x)):
        latest[i % 3] = [a, x[i]]
        lp += latest[i % 3][0]
    return lp


def lists_of_two_lengths(a, *, x):
    latest, lp = {}, 0.0
    for i in range(len(x)):
        latest[i % 3], latest[(i + 1) % 3] = [a, x[i]], [a]
        lp += latest[i % 3][0]
    return lp


def test_an_index_that_data_decide_needs_no_number() -> None:
    assert float(evaluate(by_name, (0.5,), {"x": np.ones(40)})[0]) == 39.5
    assert float(evaluate(lists_by_name, (0.5,), {"x": np.ones(40)})[0]) == 20.0


def test_an_index_needed_as_a_number_is_told() -> None:
    with pytest.warns(UnrolledLoopWarning, match="since a dict is stored into by a key that changes, and holds things"):
        assert float(evaluate(lists_of_two_lengths, (0.5,), {"x": np.ones(40)})[0]) == 20.0


def decided_by_data(a, *, x, y):
    lp = 0.0
    for i in range(len(x)):
        if x[i] > 0:
            lp += a * y[i]
    return lp


def decided_by_both(a, *, x, y):
    lp = 0.0
    for i in range(len(x)):
        if x[i] > a:
            lp += a * y[i]
    return lp


def sized_by_data(a, *, x, y):
    return a * np.sum(y[: int(x[0])])


def needs(fn: Callable[..., Any]) -> frozenset[str]:
    x = np.array([1.0, -1.0, 2.0])
    try:
        jax.jit(lambda u, v: evaluate(fn, (0.5,), {"x": u, "y": v})[0])(x, x)
    except ConcreteDataNeeded as needed:
        return needed.names
    return frozenset()


def test_data_that_alone_decide_are_asked_for() -> None:
    assert needs(decided_by_data) == {"x"}
    assert needs(decided_by_both) == frozenset()
    assert "x" in needs(sized_by_data)


def data_loops(a, *, group):
    counts = np.zeros(3, dtype=int)
    for g in group:
        counts[g] += 1
    return a * len(np.zeros(counts[0]))


@pytest.mark.parametrize("n", [30, 3 * rolling.IN_PYTHON])
def test_loops_over_data_give_plain_values(n: int) -> None:
    group = np.arange(n) % 3
    with jax.enable_x64(True):
        assert float(evaluate(data_loops, (2.0,), {"group": group})[0]) == 2.0 * n / 3


def unlike_items(p: float, x: np.ndarray) -> float:
    """The list cannot hold its items as arrays, which shows only when the loop has been traced."""
    out: list = [p]
    total = 0.0
    for i in range(6):
        out.append((p, 1.0))
        for e in x:
            total += p * e
        out.append(x[i])
    return total + out[2]


def test_a_loop_that_goes_to_python_begins_where_it_began() -> None:
    x = np.array([0.3, -0.2, 0.5, 0.1, 0.7, -0.9])
    with jax.enable_x64(True), warnings.catch_warnings():
        warnings.simplefilter("ignore", UnrolledLoopWarning)
        value = jax.jit(lambda p: evaluate(unlike_items, (p,), {"x": x})[0])(0.3)
    np.testing.assert_allclose(value, unlike_items(0.3, x), rtol=1e-12)
