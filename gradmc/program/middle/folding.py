"""Computing now what does not depend on parameters.

Index arithmetic, predicates on data and constants are folded with NumPy while the program is compiled. What
NumPy lacks and what is worth it (integer and Boolean results, and special functions) is run by JAX, once.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import JaxprEqn
from jax.extend.core import primitives as jp

from gradmc.program.middle.guard import guard_p

# A table larger than this is computed by the program instead of being kept as a constant of it.
LARGEST = 4_000_000

ELEMENTWISE = frozenset(
    getattr(jp, name + "_p")
    for name in [
        "abs",
        "acos",
        "acosh",
        "add",
        "and",
        "asin",
        "asinh",
        "atan",
        "atan2",
        "atanh",
        "bessel_i0e",
        "bessel_i1e",
        "cbrt",
        "ceil",
        "convert_element_type",
        "copy",
        "cos",
        "cosh",
        "digamma",
        "div",
        "eq",
        "erf",
        "erfc",
        "erf_inv",
        "exp",
        "exp2",
        "expm1",
        "floor",
        "ge",
        "gt",
        "igamma",
        "igamma_grad_a",
        "igammac",
        "integer_pow",
        "is_finite",
        "le",
        "lgamma",
        "log",
        "log1p",
        "log2",
        "logistic",
        "lt",
        "max",
        "min",
        "mul",
        "ne",
        "neg",
        "nextafter",
        "not",
        "one_minus_square",
        "or",
        "polygamma",
        "population_count",
        "pow",
        "regularized_incomplete_beta",
        "rem",
        "round",
        "rsqrt",
        "select_n",
        "shift_left",
        "shift_right_arithmetic",
        "shift_right_logical",
        "sign",
        "sin",
        "sinh",
        "sqrt",
        "square",
        "stop_gradient",
        "sub",
        "tan",
        "tanh",
        "xor",
        "zeta",
    ]
    if hasattr(jp, name + "_p")
) | {guard_p}

# Floating-point functions cheap enough to leave to the program, or exact in NumPy.
_NUMPY: dict[Any, Callable[..., Any]] = {
    guard_p: lambda x, keep: x,
    jp.abs_p: np.abs,
    jp.add_p: np.add,
    jp.and_p: np.bitwise_and,
    jp.ceil_p: np.ceil,
    jp.copy_p: np.asarray,
    jp.eq_p: np.equal,
    jp.exp_p: np.exp,
    jp.expm1_p: np.expm1,
    jp.floor_p: np.floor,
    jp.ge_p: np.greater_equal,
    jp.gt_p: np.greater,
    jp.is_finite_p: np.isfinite,
    jp.le_p: np.less_equal,
    jp.log_p: np.log,
    jp.log1p_p: np.log1p,
    jp.lt_p: np.less,
    jp.max_p: np.maximum,
    jp.min_p: np.minimum,
    jp.mul_p: np.multiply,
    jp.ne_p: np.not_equal,
    jp.neg_p: np.negative,
    jp.not_p: np.invert,
    jp.or_p: np.bitwise_or,
    jp.pow_p: np.power,
    jp.rem_p: np.fmod,
    jp.sign_p: np.sign,
    jp.sqrt_p: np.sqrt,
    jp.square_p: np.square,
    jp.stop_gradient_p: np.asarray,
    jp.sub_p: np.subtract,
    jp.xor_p: np.bitwise_xor,
    jp.div_p: lambda a, b: np.divide(a, b) if np.issubdtype(a.dtype, np.inexact) else _whole(a, b),
    jp.select_n_p: lambda which, *cases: np.choose(which.astype(np.int8), cases),
    jp.integer_pow_p: lambda a, y: a**y,
    jp.convert_element_type_p: lambda a, new_dtype, **_: a.astype(new_dtype),
}


_STRUCTURAL: dict[str, Callable[..., Any]] = {
    "stack": lambda arrays, p: np.stack(arrays, p["axis"]),
    "concatenate": lambda arrays, p: np.concatenate(arrays, p["dimension"]),
    "reshape": lambda arrays, p: arrays[0].reshape(p["new_sizes"]) if p["dimensions"] is None else None,
    "squeeze": lambda arrays, p: np.squeeze(arrays[0], tuple(p["dimensions"])),
    "transpose": lambda arrays, p: np.transpose(arrays[0], p["permutation"]),
    "rev": lambda arrays, p: np.flip(arrays[0], p["dimensions"]),
    "broadcast_in_dim": lambda arrays, p: _broadcast(arrays[0], p["shape"], p["broadcast_dimensions"]),
    "iota": lambda arrays, p: _iota(p["dtype"], p["shape"], p["dimension"]),
    "slice": lambda arrays, p: arrays[0][
        tuple(
            slice(a, b, s)
            for a, b, s in zip(
                p["start_indices"], p["limit_indices"], p["strides"] or [1] * arrays[0].ndim, strict=True
            )
        )
    ],
}


def fold_structural(eqn: JaxprEqn, arrays: Sequence[np.ndarray]) -> np.ndarray | None:
    """The result of an equation that only moves known numbers about, or None."""
    rule = _STRUCTURAL.get(eqn.primitive.name)
    if rule is None or prod(eqn.outvars[0].aval.shape) > LARGEST:
        return None
    out = rule(arrays, eqn.params)
    return None if out is None else np.asarray(out, eqn.outvars[0].aval.dtype)


def _broadcast(x: np.ndarray, shape: Sequence[int], dims: Sequence[int]) -> np.ndarray:
    return np.broadcast_to(np.expand_dims(x, [k for k in range(len(shape)) if k not in dims]), shape)


def _iota(dtype: Any, shape: Sequence[int], dimension: int) -> np.ndarray:
    line = np.arange(shape[dimension], dtype=dtype)
    return _broadcast(line, shape, (dimension,))


def _whole(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Integer division that rounds towards zero, as XLA's."""
    safe = np.where(b == 0, 1, b)
    quotient = np.abs(a) // np.abs(safe)
    return np.where(b == 0, -1, np.where((a < 0) ^ (b < 0), -quotient, quotient)).astype(a.dtype)


def fold_elementwise(eqn: JaxprEqn, arrays: Sequence[np.ndarray]) -> np.ndarray | None:
    """The result of an elementwise equation on known arrays of one shape, or None if it is better left."""
    if arrays and arrays[0].size > LARGEST:
        return None
    rule = _NUMPY.get(eqn.primitive)
    if rule is None:
        return run_now(lambda *a: eqn.primitive.bind(*a, **eqn.params), arrays)
    with np.errstate(all="ignore"):
        return np.asarray(rule(*arrays, **_parameters(eqn)), eqn.outvars[0].aval.dtype)


def _parameters(eqn: JaxprEqn) -> dict[str, Any]:
    return eqn.params if eqn.primitive in (jp.integer_pow_p, jp.convert_element_type_p) else {}


def run_now(fn: Callable[..., Any], arrays: Sequence[np.ndarray]) -> Any:
    """Run a function of JAX on known arrays while the program is being compiled."""
    with jax.ensure_compile_time_eval():
        return jax.tree.map(np.asarray, fn(*map(jnp.asarray, arrays)))


def uniform(array: np.ndarray) -> bool:
    """Whether all entries are one and the same (NaN counts as different)."""
    return array.size > 0 and bool((array == array.flat[0]).all())
