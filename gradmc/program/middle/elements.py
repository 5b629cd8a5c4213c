"""Small carried arrays as scalars: an array touched only at literal places is taken apart into its elements.

The plan can then tell the elements apart (in a Kalman filter the covariance does not depend on the mean), and
a sequential step works on registers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Var

from gradmc.program import ir
from gradmc.program.middle.depends import prune
from gradmc.program.middle.forwarding import literal_place, stack
from gradmc.program.middle.normal_form import inlined, named

ELEMENTS = 16
"""Elements up to which a carried array is taken apart."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """A carried array as scalars: those that enter an iteration, those that leave it."""

    position: int
    before: list[Var]
    after: list[Any]


def taken_apart(eqn: JaxprEqn) -> list[JaxprEqn]:
    """The loop with small carried arrays that are touched only at literal places as scalars."""
    body, n, m = eqn.params["body"], eqn.params["n_consts"], eqn.params["n_carry"]
    parts = {k: p for k in range(m) if (p := _parts(body, body.invars[1 + n + k], k)) is not None}
    if not parts or eqn.params["length"] < 2:
        return [eqn]
    before, operands, outvars, after = _outside(eqn, parts)
    carried, results = [], []
    for k in range(m):
        carried += parts[k].before if k in parts else [body.invars[1 + n + k]]
        results += parts[k].after if k in parts else [body.outvars[k]]
    eqns, names = _inside_parts(body, {body.invars[1 + n + k]: p for k, p in parts.items()})
    ends = {body.outvars[k]: p for k, p in parts.items()}
    more, whole = _stacked_again(body, [*results, *body.outvars[m:]], ends)
    outs = [named(names, a) for a in whole]
    more = [e.replace(invars=[named(names, a) for a in e.invars]) for e in more]
    new = body.replace(invars=[*body.invars[: 1 + n], *carried], outvars=outs, eqns=[*eqns, *more])
    names = []
    for k, name in enumerate(eqn.params["names"]):
        places = np.ndindex(*eqn.outvars[k].aval.shape) if k in parts else ()
        names += [f"{name}[{', '.join(map(str, place))}]" for place in places] if k in parts else [name]
    params = {"body": prune(new, range(len(outs))), "n_carry": len(carried), "names": tuple(names)}
    params = eqn.params | params
    loop = eqn.replace(invars=[*eqn.invars[:n], *operands], outvars=[*outvars, *eqn.outvars[m:]], params=params)
    return [*before, loop, *after]


def _parts(body: Jaxpr, array: Var, k: int) -> _Parts | None:
    """The elements of a carried array before and after an iteration, if it is touched at literal places only."""
    shape = array.aval.shape
    if not shape or not 0 < prod(shape) <= ELEMENTS:
        return None
    made_by = {v: e for e in body.eqns for v in e.outvars}
    after: dict[tuple[int, ...], Any] = {}
    links, current = [], body.outvars[k]
    while isinstance(current, Var) and current in made_by and made_by[current].primitive is ir.store_p:
        store = made_by[current]
        place = literal_place(store.invars[2:], shape)
        if place is None:
            return None
        after.setdefault(place, store.invars[1])
        links.append(store)
        current = store.invars[0]
    before = [Var(array.aval.update(shape=(), weak_type=False)) for _ in range(prod(shape))]
    if current is array:
        after = dict(zip(np.ndindex(*shape), before, strict=True)) | after
    if len(after) != len(before) or not _touched_only(body, array, links, shape, k):
        return None
    return _Parts(k, before, [after[place] for place in np.ndindex(*shape)])


def _touched_only(body: Jaxpr, array: Var, links: list[JaxprEqn], shape: Sequence[int], k: int) -> bool:
    """Whether loads at literal places and the chain of stores are all that reads the array and its versions."""
    versions = {array, *(link.outvars[0] for link in links)}
    for eqn in body.eqns:
        for j, atom in enumerate(eqn.invars):
            if not isinstance(atom, Var) or atom not in versions:
                continue
            load = atom is array and eqn.primitive is ir.load_p and literal_place(eqn.invars[1:], shape) is not None
            if j or not (load or any(eqn is link for link in links)):
                return False
    return all(a is body.outvars[k] or not isinstance(a, Var) or a not in versions for a in body.outvars)


def _outside(eqn: JaxprEqn, parts: dict[int, _Parts]) -> tuple[list[JaxprEqn], list[Any], list[Var], list[JaxprEqn]]:
    """Loads of the elements before the loop, its operands and results, and the arrays put together after it."""
    n, m = eqn.params["n_consts"], eqn.params["n_carry"]
    before, operands, outvars, after = [], [], [], []
    for k in range(m):
        if k not in parts:
            operands.append(eqn.invars[n + k])
            outvars.append(eqn.outvars[k])
            continue
        shape = eqn.outvars[k].aval.shape
        finals = [Var(v.aval) for v in parts[k].before]
        for place in np.ndindex(*shape):
            more, element = inlined(lambda x, place=place: ir.load(x, *place), [eqn.invars[n + k]])
            before += more
            operands.append(element)
        outvars += finals
        more, _ = stack(finals, shape)
        after += [*more[:-1], more[-1].replace(outvars=[eqn.outvars[k]])]
    return before, operands, outvars, after


def _inside_parts(body: Jaxpr, parts: dict[Var, _Parts]) -> tuple[list[JaxprEqn], dict[Var, Any]]:
    """The equations with loads of elements replaced by the scalars that stand for them."""
    names: dict[Var, Any] = {}
    eqns = []
    for eqn in body.eqns:
        array = eqn.invars[0] if eqn.primitive is ir.load_p else None
        if isinstance(array, Var) and array in parts:
            place = literal_place(eqn.invars[1:], array.aval.shape)
            assert place is not None
            names[eqn.outvars[0]] = parts[array].before[int(np.ravel_multi_index(place, array.aval.shape))]
        elif not (eqn.primitive is ir.store_p and isinstance(array := eqn.invars[0], Var) and array in parts):
            eqns.append(eqn.replace(invars=[named(names, a) for a in eqn.invars]))
    return eqns, names


def _stacked_again(body: Jaxpr, ys: Sequence[Any], parts: dict[Any, _Parts]) -> tuple[list[JaxprEqn], list[Any]]:
    """Results that are the whole array, put together from its elements."""
    eqns, out = [], []
    for atom in ys:
        if isinstance(atom, Var) and atom in parts:
            more, atom = stack(parts[atom].after, atom.aval.shape)
            eqns += more
        out.append(atom)
    return eqns, out
