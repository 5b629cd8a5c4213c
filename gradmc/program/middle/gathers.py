"""Indexing written with `jax.numpy` at places that are known: slices, and gathers whose transpose is no scatter.

Which element of the operand each element of the result is, is found by doing the same to the numbers of
the elements.
"""

from typing import Any

import numpy as np
from jax import lax
from jax.extend.core import JaxprEqn
from jax.extend.core import primitives as jp

from gradmc.program.middle.emit import RULES, Context, mapped
from gradmc.program.middle.folding import run_now
from gradmc.program.middle.named_axes import Value, union
from gradmc.program.middle.take import GATHER_LIMIT, take


def _gather_rule(eqn: JaxprEqn, args: list[Any], context: Context) -> list[Any]:
    operand, indices = args
    many = int(np.prod(eqn.outvars[0].aval.shape))
    if operand.known or union(args) or not indices.known or not 0 < many <= GATHER_LIMIT:
        return mapped(eqn, args, context)
    params = eqn.params | {"fill_value": -1}
    numbers = np.arange(int(np.prod(operand.element)), dtype=np.int32).reshape(operand.element)
    table = run_now(lambda n, i: jp.gather_p.bind(n, i, **params), [numbers, indices.array])
    if table.min(initial=0) < 0:
        return mapped(eqn, args, context)
    flat = take(operand.array.reshape(-1), table.reshape(-1))
    return [Value(flat.reshape(table.shape))]


def _slice_rule(eqn: JaxprEqn, args: list[Any], context: Context) -> list[Any]:
    operand, *start = args
    if operand.known or union(args) or not all(s.known for s in start):
        return mapped(eqn, args, context)
    sizes = eqn.params["slice_sizes"]
    limits = [n - size for n, size in zip(operand.element, sizes, strict=True)]
    low = [int(np.clip(s.array, 0, limit)) for s, limit in zip(start, limits, strict=True)]
    return [Value(lax.slice(operand.array, low, [k + size for k, size in zip(low, sizes, strict=True)]))]


RULES[jp.gather_p] = _gather_rule
RULES[jp.dynamic_slice_p] = _slice_rule
