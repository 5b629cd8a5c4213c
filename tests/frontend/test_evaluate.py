"""`evaluate` under JAX's transformations, in float32, and where plain Python would raise."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradmc.errors import ProgramError
from gradmc.program.compiler import evaluate
from gradmc.program.returned import log_density
from tests.frontend.constructs import INDEX, Supported, arrays, branches, functions, loops
from tests.frontend.laws import float_arrays

del arrays, branches, functions, loops  # imported for their entries

X = np.array([0.3, -1.2, 0.8, 2.0, -0.5, 1.1])


def program(a, theta, *, x):
    lp = 0.0
    for i in range(len(x)):
        if x[i] > 0:
            lp -= (x[i] - a * theta[i % 2]) ** 2
        else:
            lp += math.log(1 + a * a) * theta[1]
    return lp


def value(a: Any, theta: Any, x: Any = X) -> Any:
    return evaluate(program, (a, theta), {"x": x})[0]


THETA = np.array([0.5, 1.5])


def test_under_jit_grad_vmap_and_jvp(x64: None) -> None:
    want = program(0.7, THETA, x=X)
    assert float(value(0.7, THETA)) == pytest.approx(want, rel=1e-12)
    assert float(jax.jit(value)(0.7, THETA)) == pytest.approx(want, rel=1e-12)
    many = jax.vmap(value, in_axes=(0, None))(jnp.array([0.1, 0.7]), THETA)
    assert np.asarray(many) == pytest.approx([program(0.1, THETA, x=X), want], rel=1e-12)
    gradient = jax.jit(jax.grad(value, argnums=(0, 1)))(0.7, THETA)
    _, slope = jax.jvp(value, (0.7, THETA), (1.0, np.ones(2)))
    assert float(gradient[0] + gradient[1].sum()) == pytest.approx(float(slope), rel=1e-12)
    hessian = jax.hessian(value)(0.7, THETA)
    assert hessian.shape == ()


def test_data_as_arguments(x64: None) -> None:
    def smooth(a, *, x):
        return sum(math.sin(a * v) for v in x)

    fn = jax.jit(lambda a, x: evaluate(smooth, (a,), {"x": x})[0])
    for scale in (1.0, 2.0):
        assert float(fn(0.7, X * scale)) == pytest.approx(smooth(0.7, x=X * scale), rel=1e-12)
    assert fn._cache_size() == 1


def test_in_single_precision() -> None:
    single = value(jnp.float32(0.7), THETA.astype(np.float32))
    assert single.dtype == np.float32
    assert float(single) == pytest.approx(program(0.7, THETA, x=X), rel=1e-5)


@pytest.mark.parametrize("entry", INDEX.supported[::4], ids=lambda e: e.fn.__name__)
def test_constructs_in_single_precision(entry: Supported) -> None:
    with jax.enable_x64(True):
        data = {k: v.copy() if hasattr(v, "copy") else v for k, v in entry.data.items()}
        want = float(log_density(entry.fn(*entry.args, **data)))
    args = tuple(np.asarray(a, np.float32) for a in entry.args)
    got = jax.jit(lambda *p: evaluate(entry.fn, p, entry.data)[0])(*args)
    assert got.dtype == np.float32
    assert float(got) == pytest.approx(want, rel=2e-3, abs=2e-3)


def test_the_callers_data_are_not_changed(x64: None) -> None:
    def changing(a, *, x, names, table):
        x[0] = a
        names.append("more")
        table["key"] = a
        return np.sum(x) * len(names) + table["key"]

    x, names, table = X.copy(), ["one"], {"key": 1.0}
    results = [float(evaluate(changing, (2.0,), {"x": x, "names": names, "table": table})[0]) for _ in range(2)]
    assert results[0] == results[1]
    assert np.array_equal(x, X)
    assert (names, table) == (["one"], {"key": 1.0})


def failing(a, *, x):
    lp = 0.0
    for v in x:
        assert v * a < 5
        lp += a * v
    if a < 0:
        raise ValueError("negative")
    if a > 2:
        assert a < 2.2, "not between"
        lp += a
    return lp


@pytest.mark.parametrize(("a", "fails"), [(0.7, False), (2.1, False), (-0.5, True), (2.3, True), (40.0, True)])
def test_where_plain_python_raises_the_value_is_nan(a: float, fails: bool, x64: None) -> None:
    got = float(jax.jit(lambda v: evaluate(failing, (v,), {"x": X})[0])(a))
    if fails:
        with pytest.raises((AssertionError, ValueError), match=r"negative|not between|"):
            failing(a, x=X)
        assert math.isnan(got)
    else:
        assert got == pytest.approx(failing(a, x=X), rel=1e-12)


def test_plain_assertions_raise_at_the_users_line(x64: None) -> None:
    def checked(a, *, x):
        assert len(x) == 3, f"three values, not {len(x)}"
        return a

    with pytest.raises(ProgramError, match="AssertionError: three values, not 6") as caught:
        evaluate(checked, (1.0,), {"x": X})
    assert caught.value.location is not None
    assert "assert len(x) == 3" in caught.value.location.text


def test_an_except_of_the_program_does_not_catch_the_compiler(x64: None) -> None:
    def catching(a, *, x):
        out = [a]
        lp = 0.0
        for t in range(1, len(x)):
            try:
                out.append(0.5 * out[t - 1] + x[t])
            except (KeyError, TypeError):
                lp += 1000.0
        return sum(out) + lp

    def sized(a):
        try:
            return_value = a * np.ones(int(a)).sum()
        except TypeError:
            return_value = 1000.0
        return return_value

    assert float(evaluate(catching, (1.0,), {"x": X})[0]) == pytest.approx(catching(1.0, x=X), rel=1e-12)
    with pytest.raises(ProgramError, match="needed here as a plain number"):
        jax.jit(lambda a: evaluate(sized, (a,), {})[0])(2.0)


def test_a_number_that_is_no_float_becomes_one(x64: None) -> None:
    assert evaluate(lambda a: 3, (1.0,), {})[0].dtype == np.float64


TOTALS: dict[str, float] = {}


def with_cache(a, *, x):
    if "x" not in TOTALS:
        TOTALS["x"] = float(np.sum(x))
    return a * TOTALS["x"]


def test_a_cache_of_what_depends_on_data_only_may_outlast_evaluations(x64: None) -> None:
    for _ in range(2):
        out, gradient = jax.value_and_grad(lambda a: evaluate(with_cache, (a,), {"x": X})[0])(2.0)
        np.testing.assert_allclose([out, gradient], [2 * X.sum(), X.sum()], rtol=1e-12)


KEPT: dict[str, Any] = {}


def keeps_a_function(a: Any) -> Any:
    lp = 0.0
    if "square" not in KEPT:
        KEPT["square"] = lambda v: [v * v, v][0] if v > 0 else -v
    for k in range(20):
        lp += KEPT["square"](a) / (k + 1)
    return lp


def test_a_function_that_outlives_its_evaluation_works_in_the_next_one(x64: None) -> None:
    KEPT.clear()
    for a in (0.7, -0.4):
        got = float(evaluate(keeps_a_function, (jnp.asarray(a),), {})[0])
        want = sum((a * a if a > 0 else -a) / (k + 1) for k in range(20))
        assert got == pytest.approx(want, rel=1e-12)
    KEPT.clear()


def test_arrays_are_met_in_two_precisions() -> None:
    """JAX remembers in which precision it met an array."""
    for entry in [e for e in INDEX.supported if e.topic == "branches" and float_arrays(e.data)]:
        for wide in (False, True):
            with jax.enable_x64(wide):
                args = [np.asarray(a, float if wide else np.float32) for a in entry.args]
                made = jax.make_jaxpr(lambda *p, e=entry: evaluate(e.fn, p, e.data)[0])(*args)
                assert made.out_avals[0].dtype == args[0].dtype, entry.what
