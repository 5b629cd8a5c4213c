"""The law of the loop compiler: a compiled program is the plain one, with the right gradient.

`agree(fn, args, data)` checks a program at one point: plain Python's value equals the compiled one, the reverse-mode
gradient equals forward mode along a direction, and both equal central differences of the plain function.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.extend
import numpy as np

from gradmc.program.compiler import trace
from gradmc.program.middle import lower

VALUE = 1e-12
FORWARD = 1e-9
DIFFERENCES = 2e-5
STEP = 1e-6
QUICK = {"xla_backend_optimization_level": 0}
"""Compile fast: these programs run once."""


def agree(
    fn: Callable[..., Any],
    args: tuple,
    data: Mapping[str, Any],
    *,
    reverse: bool = True,
    differences: bool = True,
    end: Callable[[Any], Any] = lower,
) -> float:
    """Check the law at one point; returns the value. `end` is the middle end."""
    args = tuple(np.asarray(a, float) if np.ndim(a) else float(a) for a in args)

    def plain(*parameters: Any) -> float:
        with jax.enable_x64(True):
            return float(fn(*map(_copy, parameters), **{k: _copy(v) for k, v in data.items()}))

    want = plain(*args)
    rng = np.random.default_rng(20260101)
    direction = tuple(np.asarray(rng.normal(size=np.shape(a))) for a in args)
    with jax.enable_x64(True):
        traced = trace(fn, args, {k: _copy(v) for k, v in data.items()})
        function = jax.extend.core.jaxpr_as_fun(end(traced.jaxpr))

        def value(inputs: list) -> Any:
            return function(*inputs)[0]

        def all_of_it(inputs: list) -> tuple:
            out, forward = jax.jvp(value, (inputs,), (list(direction),))
            return out, forward, jax.grad(value)(inputs) if reverse else None

        program = jax.jit(all_of_it).lower(traced.inputs).compile(compiler_options=QUICK)
        got, forward, gradient = jax.tree.map(np.asarray, program(traced.inputs))
    np.testing.assert_allclose(float(got), want, rtol=VALUE, atol=VALUE, err_msg=fn.__name__)
    if gradient is not None:
        along = sum(float(np.sum(g * d)) for g, d in zip(gradient, direction, strict=True))
        np.testing.assert_allclose(along, float(forward), rtol=FORWARD, atol=FORWARD, err_msg=fn.__name__)
        assert all(np.all(np.isfinite(g)) for g in gradient), fn.__name__
    if differences:
        up, down = (plain(*(a + s * d for a, d in zip(args, direction, strict=True))) for s in (STEP, -STEP))
        slope = (up - down) / (2 * STEP)
        np.testing.assert_allclose(float(forward), slope, rtol=DIFFERENCES, atol=DIFFERENCES, err_msg=fn.__name__)
    return want


def _copy(value: Any) -> Any:
    """Programs may change their arguments in place."""
    return value.copy() if isinstance(value, np.ndarray | list | dict) else value
