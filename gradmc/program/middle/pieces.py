"""Arrays of which a program reads most elements one by one: taken apart once.

The derivative of `x[3]` is an array of zeros with one entry, so that of a program that reads n elements is a sum of n
arrays of n entries. Taken apart by one `split`, the array's derivative is one concatenation.

    a = x[0:1]                     a, b, c = split(x)
    b = x[1:2]         becomes
    c = x[2:3]
"""

import itertools
from collections.abc import Sequence

import jax
from jax import lax
from jax.extend.core import Jaxpr, JaxprEqn, Var
from jax.extend.core import primitives as jp

from gradmc.program.jaxprs import everywhere

FEW = 8
"""Elements that are read one by one, up to which the sum is as good."""
SHARE = 0.25
"""Of an array's elements, so many must be read."""


def with_pieces(body: Jaxpr) -> Jaxpr:
    """The same jaxpr, such arrays taken apart, at any depth."""
    places: dict[Var, dict[int, Var]] = {}
    for eqn in body.eqns:
        if (start := _element(eqn)) is not None:
            places.setdefault(eqn.invars[0], {}).setdefault(start, Var(eqn.outvars[0].aval))
    apart = {v for v, read in places.items() if len(read) > max(FEW, SHARE * v.aval.shape[0])}
    eqns: list[JaxprEqn] = []
    begun: set[Var] = set()
    renamed: dict[Var, Var] = {}
    for eqn in body.eqns:
        start = _element(eqn)
        if start is not None and eqn.invars[0] in apart:
            array = eqn.invars[0]
            if array not in begun:
                begun.add(array)
                eqns.append(_split(array, places[array]))
            renamed[eqn.outvars[0]] = places[array][start]
        else:
            invars = [renamed.get(v, v) if isinstance(v, Var) else v for v in eqn.invars]
            eqns.append(everywhere(eqn.replace(invars=invars), with_pieces))
    return body.replace(eqns=eqns, outvars=[renamed.get(v, v) if isinstance(v, Var) else v for v in body.outvars])


def _element(eqn: JaxprEqn) -> int | None:
    """The place of the one element that an equation reads of a vector, if that is what it does."""
    if eqn.primitive is not jp.slice_p or not isinstance(eqn.invars[0], Var) or eqn.invars[0].aval.ndim != 1:
        return None
    return eqn.params["start_indices"][0] if eqn.outvars[0].aval.shape == (1,) else None


def _split(array: Var, read: dict[int, Var]) -> JaxprEqn:
    """The equation that takes an array apart: the elements read, and what lies between them."""
    ends = sorted({0, array.aval.shape[0], *read, *(k + 1 for k in read)})
    sizes = [b - a for a, b in itertools.pairwise(ends)]
    (eqn,) = jax.make_jaxpr(lambda x: lax.split(x, sizes))(array.aval).eqns
    return eqn.replace(invars=[array], outvars=_outputs(ends, read, eqn.outvars))


def _outputs(ends: Sequence[int], read: dict[int, Var], blank: Sequence[Var]) -> list[Var]:
    return [read.get(start, Var(v.aval)) for start, v in zip(ends, blank, strict=False)]
