"""Small products of matrices as a multiplication and a sum.

XLA's CPU backend calls a library for `dot_general`, and a loop with such a call in it is not compiled into one
native function. Up to `LoweringOptions.dot_limit` multiplications the product written out costs less than that
(measured: 0.7 µs against 2.2 µs for the gradient of a 434 x 4 regression; equal at about 4,000; beyond, what is
saved around it still counts up to about 8,000).
"""

from math import prod
from typing import Any

from jax import lax
from jax.extend.core import JaxprEqn
from jax.extend.core import primitives as jp

from gradmc.program.middle.emit import RULES, Context, mapped, spread
from gradmc.program.middle.named_axes import union


def _dot_rule(eqn: JaxprEqn, args: list[Any], context: Context) -> list[Any]:
    axes = union(args)
    numbers = eqn.params["dimension_numbers"]
    contracted = prod(args[0].element[d] for d in numbers[0][0])
    count = prod(a.size for a in axes) * prod(eqn.outvars[0].aval.shape) * contracted
    alike = eqn.params["preferred_element_type"] in (None, args[0].dtype) and args[0].dtype == args[1].dtype
    if count > context.options.dot_limit or not alike:
        return mapped(eqn, args, context)
    return spread(lambda a, b: [multiply_and_sum(a, b, numbers)], args, context, axes)


RULES[jp.dot_general_p] = _dot_rule


def multiply_and_sum(a: Any, b: Any, numbers: Any) -> Any:
    """`lax.dot_general(a, b, numbers)` as a multiplication and a sum over the contracted dimensions."""
    (contract_a, contract_b), (batch_a, batch_b) = numbers
    free_a = [d for d in range(a.ndim) if d not in (*contract_a, *batch_a)]
    free_b = [d for d in range(b.ndim) if d not in (*contract_b, *batch_b)]
    n, fa, fb = len(batch_a), len(free_a), len(free_b)
    shape = (
        *(a.shape[d] for d in batch_a),
        *(a.shape[d] for d in free_a),
        *(b.shape[d] for d in free_b),
        *(a.shape[d] for d in contract_a),
    )
    place_a = dict(zip((*batch_a, *free_a), range(n + fa), strict=True))
    place_a |= {d: n + fa + fb + k for k, d in enumerate(contract_a)}
    place_b = dict(zip(batch_b, range(n), strict=True))
    place_b |= {d: n + fa + k for k, d in enumerate(free_b)} | {d: n + fa + fb + k for k, d in enumerate(contract_b)}
    wide_a = _placed(a, place_a, shape)
    wide_b = _placed(b, place_b, shape)
    return lax.reduce_sum(lax.mul(wide_a, wide_b), tuple(range(n + fa + fb, len(shape))))


def _placed(x: Any, place: dict[int, int], shape: tuple[int, ...]) -> Any:
    """`x` with dimension d at position place[d] of `shape`, repeated along the others."""
    order = sorted(range(x.ndim), key=place.__getitem__)
    x = x if order == list(range(x.ndim)) else lax.transpose(x, order)
    return lax.broadcast_in_dim(x, shape, sorted(place.values()))
