"""The law of the loop compiler: a compiled program is the plain one, with the right gradient.

`agree(fn, args, data)` checks a program at one point: plain Python's value equals the compiled one, the reverse-mode
gradient equals forward mode along a direction, and both equal central differences of the plain function.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.extend
import numpy as np

from gradmc.errors import ProgramError
from gradmc.program.compiler import ConcreteDataNeeded, trace
from gradmc.program.middle import lower
from gradmc.program.returned import log_density

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
    data_as_arguments: bool = False,
) -> float:
    """Check the law at one point; returns the value. `end` is the middle end.

    With `data_as_arguments` arrays of floats are unknown while compiling, as in a density that samplers use.
    """
    args = tuple(np.asarray(a, float) if np.ndim(a) else float(a) for a in args)

    def plain(*parameters: Any) -> float:
        with jax.enable_x64(True):
            return float(log_density(fn(*map(_copy, parameters), **{k: _copy(v) for k, v in data.items()})))

    want = plain(*args)
    rng = np.random.default_rng(20260101)
    direction = tuple(np.asarray(rng.normal(size=np.shape(a))) for a in args)
    with jax.enable_x64(True):
        arrays = float_arrays(data) if data_as_arguments else {}
        closed, arrays = _staged(fn, args, data, arrays, end)

        def value(inputs: list) -> Any:
            return jax.extend.core.jaxpr_as_fun(closed)(*inputs, *arrays.values())[0]

        def all_of_it(inputs: list) -> tuple:
            out, forward = jax.jvp(value, (inputs,), (list(direction),))
            return out, forward, jax.grad(value)(inputs) if reverse else None

        inputs = [jax.numpy.asarray(a) for a in args]
        program = jax.jit(all_of_it).lower(inputs).compile(compiler_options=QUICK)
        got, forward, gradient = jax.tree.map(np.asarray, program(inputs))
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


def agree_or_refused(
    fn: Callable[..., Any], args: tuple, data: Mapping[str, Any], refusals: Sequence[str], **options: Any
) -> bool:
    """Whether a program obeys the law; False where it is refused in one of these words."""
    try:
        agree(fn, args, data, differences=False, **options)
    except ProgramError as error:
        if not any(words in str(error) for words in refusals):
            raise
        return False
    return True


def float_arrays(data: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Those of the data that a density passes as arguments, if it can."""
    return {k: v for k, v in sorted(data.items()) if isinstance(v, np.ndarray) and v.dtype.kind == "f"}


def _staged(
    fn: Callable[..., Any], args: tuple, data: Mapping[str, Any], arrays: dict[str, Any], end: Callable[[Any], Any]
) -> tuple[Any, dict[str, Any]]:
    """The program as a jaxpr of parameters and arrays, and those of the arrays that need not be known for it."""

    def value(args: tuple, arrays: dict[str, Any]) -> Any:
        traced = trace(fn, args, {k: _copy(v) for k, v in data.items() if k not in arrays} | arrays)
        return jax.extend.core.jaxpr_as_fun(end(traced.jaxpr))(*traced.inputs)[0]

    try:
        return jax.make_jaxpr(value)(args, arrays), arrays
    except ConcreteDataNeeded as needed:
        rest = {k: v for k, v in arrays.items() if k not in needed.names}
        return _staged(fn, args, data, rest, end)


def _copy(value: Any) -> Any:
    """Programs may change their arguments in place."""
    return value.copy() if isinstance(value, np.ndarray | list | dict) else value
