"""The report says of each loop what was made of it, and why."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxpr_as_fun

from gradmc.program import ir
from gradmc.program.middle import LoweringOptions, lower, report
from tests.middle.programs import PROGRAMS, Y

P = np.array([0.7, 0.4, 0.9, 1.3])
VERDICTS = {
    "linear_regression": ["vectorised"],
    "garch": ["divided"],
    "item_response": ["vectorised", "written out"],
    "upper_triangle": ["vectorised", "vectorised"],
    "product": ["divided"],
    "vector_state": ["divided"],
    "autoregression_inner": ["vectorised", "written out"],
    "many_series": ["vectorised", "divided"],
    "while_inside": ["vectorised", "while"],
    "previous_values": ["vectorised"],
}


def of(program, **options):
    with jax.enable_x64(True):
        return report(jax.make_jaxpr(program)(jnp.asarray(P)), LoweringOptions(**options))


@pytest.mark.parametrize("name", VERDICTS)
def test_verdicts(name):
    assert [r.verdict for r in of(with_lines(PROGRAMS[name]))] == VERDICTS[name]


def with_lines(program):
    """The program, its loops told apart by a source."""

    def numbered(p, monkeypatch=pytest.MonkeyPatch):
        lines, plain = itertools.count(1), ir.for_loop
        with monkeypatch.context() as patch:
            patch.setattr(ir, "for_loop", lambda *args: plain(*args, source=f"line {next(lines)}"))
            return program(p)

    return numbered


def test_what_is_carried():
    def program(p):
        def body(t, c):
            total, high, x, filled, before, h = c
            h = jnp.tanh(p[0] * h + before)
            x = ir.store(x, 0.5 * ir.load(x, t) + h, t + 1)
            filled = ir.store(filled, h, t)
            return (total + h, jnp.maximum(high, h), x, filled, ir.load(Y, t), h), ()

        init = (0.0, -jnp.inf, jnp.zeros(7), jnp.zeros(6), 0.0, p[1])
        names = ("total", "high", "x", "filled", "before", "h")
        total, high, x, filled, *_ = ir.for_loop(6, body, init, source="model.py:3", names=names)[0]
        return total + high + jnp.sum(x) + jnp.sum(filled)

    (loop,) = of(program)
    assert (loop.source, loop.depth, loop.length, loop.verdict) == ("model.py:3", 0, 6, "divided")
    assert loop.reason.startswith("h, x[1 back]: each iteration needs the one before")
    assert {c.name: c.kind for c in loop.carried} == {
        "total": "a sum",
        "high": "a maximum",
        "x": "an array that the loop fills and reads one iteration back",
        "filled": "an array that the loop fills",
        "before": "what the iteration before computed",
        "h": "a recurrence",
    }


def test_reasons():
    def long(p):
        return ir.for_loop(7, lambda i, c: (c + jnp.sin(p[0] * i), ()), 0.0, source="a")[0]

    assert of(long, memory_limit=1)[0].verdict == "chunked"
    assert of(long, vectorise=False)[0].reason == "vectorising is switched off"
    empty = of(lambda p: ir.for_loop(0, lambda i, c: (c + p[0], ()), p[1], source="a")[0])
    assert empty[0].reason == "it has no iterations"


@pytest.mark.parametrize(
    ("name", "found"), [("log_sum_exp_by_hand", True), ("log_sum_exp_by_loops", True), ("not_a_log_sum_exp", False)]
)
def test_shifts_are_found(name, found):
    with jax.enable_x64(True):
        lowered = lower(jax.make_jaxpr(PROGRAMS[name])(jnp.asarray(P)))
        assert any(e.primitive.name == "stop_gradient" for e in lowered.eqns) == found


def test_the_derivative_of_a_shift_is_not_written():
    """The rule for the derivative of a maximum compares its operands."""
    with jax.enable_x64(True):
        lowered = jaxpr_as_fun(lower(jax.make_jaxpr(PROGRAMS["log_sum_exp_by_hand"])(jnp.asarray(P))))
        gradient = str(jax.make_jaxpr(jax.grad(lambda p: lowered(p)[0]))(jnp.asarray(P)))
    assert " max " in gradient
    assert " eq " not in gradient
