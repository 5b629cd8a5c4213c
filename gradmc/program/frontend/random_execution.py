"""A jaxpr run once on some numbers, where the others are not known.

What depends on numbers that are not known is not known either, except that decisions are made at random: the side of a
branch, a sign, a truth value used as a number, the index of an element.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as jp

from gradmc.program import ir
from gradmc.program.frontend.flows import has_while
from gradmc.program.middle.folding import ELEMENTWISE, fold_elementwise

UNKNOWN = object()
MOST = 200
"""Iterations of a loop that are made one by one: to compile it takes as long as some hundreds."""


def sampled(jaxpr: Jaxpr, inputs: Sequence[Any], rng: np.random.Generator) -> list[Any]:
    """The results, `UNKNOWN` where they depend on an input that is."""
    env: dict[Var, Any] = dict(zip(jaxpr.constvars, map(np.asarray, jaxpr.consts), strict=True))
    env |= zip(jaxpr.invars, inputs, strict=True)

    def read(atom: Var | Literal) -> Any:
        return np.asarray(atom.val) if isinstance(atom, Literal) else env[atom]

    for eqn in jaxpr.eqns:
        values = [read(v) for v in eqn.invars]
        for k, most in _decisions(eqn):
            atom = eqn.invars[k]
            if values[k] is UNKNOWN and isinstance(atom, Var):
                values[k] = env[atom] = rng.integers(0, most, atom.aval.shape).astype(atom.aval.dtype)  # type: ignore[attr-defined]
        env |= zip(eqn.outvars, _results(eqn, values, rng), strict=True)
    return [read(v) for v in jaxpr.outvars]


def _decisions(eqn: JaxprEqn) -> list[tuple[int, int]]:
    """Operands that decide something, and how many choices each has."""
    aval: Any = eqn.invars[0].aval if eqn.invars else None
    if eqn.primitive in (ir.if_p, jp.select_n_p) or (eqn.primitive is jp.convert_element_type_p and aval.dtype == bool):
        return [(0, 2)]
    return [(k + 1, n) for k, n in enumerate(aval.shape[: len(eqn.invars) - 1])] if eqn.primitive is ir.load_p else []


def _results(eqn: JaxprEqn, values: list[Any], rng: np.random.Generator) -> Sequence[Any]:
    match eqn.primitive:
        case ir.if_p:
            return sampled(eqn.params["then" if values[0] else "otherwise"], values[1:], rng)
        case jp.jit_p:
            return sampled(eqn.params["jaxpr"], values, rng)
        case jp.select_n_p if values[0] is not UNKNOWN:
            return [_selected(values)]
        case jp.sign_p if values[0] is UNKNOWN:
            aval: Any = eqn.outvars[0].aval
            return [rng.choice([-1.0, 1.0], aval.shape).astype(aval.dtype)]
    if any(v is UNKNOWN for v in values) or has_while(eqn):
        return [UNKNOWN] * len(eqn.outvars)
    if eqn.primitive in ELEMENTWISE:
        return [fold_elementwise(eqn, np.broadcast_arrays(*values))]
    if eqn.primitive is ir.load_p:
        return [_loaded(*values)]
    if eqn.primitive is ir.for_p and eqn.params["length"] <= MOST:
        return _iterated(eqn, values, rng)
    with jax.ensure_compile_time_eval():
        out = eqn.primitive.bind(*values, **eqn.primitive.get_bind_params(eqn.params))
    return list(map(np.asarray, out if eqn.primitive.multiple_results else [out]))


def _iterated(eqn: JaxprEqn, values: list[Any], rng: np.random.Generator) -> list[Any]:
    """The results of a loop, iteration by iteration."""
    body, n, m = (eqn.params[name] for name in ("body", "n_consts", "n_carry"))
    carry, rows = values[n:], []
    for i in range(eqn.params["length"]):
        out = sampled(body, [np.asarray(i, body.in_avals[0].dtype), *values[:n], *carry], rng)
        carry = out[:m]
        rows.append(out[m:])
    return [*carry, *(_stacked(v, [row[k] for row in rows]) for k, v in enumerate(eqn.outvars[m:]))]


def _stacked(variable: Var, rows: list[Any]) -> Any:
    if any(row is UNKNOWN for row in rows):
        return UNKNOWN
    aval: Any = variable.aval
    return np.asarray(rows, aval.dtype).reshape(aval.shape)


def _selected(values: list[Any]) -> Any:
    which, *cases = values
    if which.ndim == 0:
        return cases[int(which)]
    if any(c is UNKNOWN for c in cases):
        return UNKNOWN
    return np.choose(which.astype(np.int8), cases)


def _loaded(array: np.ndarray, *indices: np.ndarray) -> Any:
    """An element or row; not known beyond the array."""
    inside = all(-n <= int(i) < n for i, n in zip(indices, array.shape, strict=False))
    return np.asarray(array[tuple(map(int, indices))]) if inside else UNKNOWN
