"""Short inner loops written out, and small arrays taken apart into their elements.

A loop of a few iterations inside another loop costs more as a loop than as its equations: in a vectorised body it
would add a short innermost axis, in a sequential one a loop of a few steps. Once it is written out its indices
are literals, and so are those of the small arrays it fills (`P[i][j]`, `terms[k]`). Loads from what
was just stored are then the stored values themselves, and an array that a loop carries and touches only at literal
places becomes as many scalars, which the plan can tell apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as jp

from gradmc.program import ir
from gradmc.program.middle.affine import Forms
from gradmc.program.middle.cost import size
from gradmc.program.middle.depends import prune
from gradmc.program.middle.normal import copied, inlined

# Equations up to which an inner loop is written out: compile time grows with each, and beyond about a
# hundred the loop is no slower (measured on 3-state hidden Markov and 5-lag autoregressive models).
SHORT = 100
# Longer ones make good innermost axes whatever their body.
LONGEST = 6
# Elements up to which a carried array is taken apart.
ELEMENTS = 16


def shortened(body: Jaxpr, depth: int = 0) -> Jaxpr:
    """The same jaxpr with short inner loops written out and loads of stored values resolved, at any depth."""
    eqns: list[JaxprEqn] = []
    names: dict[Var, Any] = {}
    for eqn in body.eqns:
        eqn = _inside(eqn.replace(invars=[_named(names, a) for a in eqn.invars]), depth)
        if depth and eqn.primitive is ir.for_p and _short(eqn):
            names |= zip(eqn.outvars, _written_out(eqn, eqns), strict=True)
        elif eqn.primitive is ir.for_p:
            eqns += _taken_apart(eqn)
        else:
            eqns.append(eqn)
    body = body.replace(eqns=eqns, outvars=[_named(names, a) for a in body.outvars])
    body = forwarded(body)
    return prune(body, range(len(body.outvars)))


def _named(names: dict[Var, Any], atom: Any) -> Any:
    return names.get(atom, atom) if isinstance(atom, Var) else atom


def _inside(eqn: JaxprEqn, depth: int) -> JaxprEqn:
    names = {ir.for_p: ("body",), ir.while_p: ("cond", "body"), ir.if_p: ("then", "otherwise")}.get(eqn.primitive, ())
    if not names:
        return eqn
    deeper = depth + (eqn.primitive is not ir.if_p)
    return eqn.replace(params=eqn.params | {name: shortened(eqn.params[name], deeper) for name in names})


def _short(eqn: JaxprEqn) -> bool:
    length = eqn.params["length"]
    return length <= LONGEST and length * size(eqn.params["body"]) <= SHORT


def _written_out(eqn: JaxprEqn, eqns: list[JaxprEqn]) -> list[Any]:
    """Append the iterations of a loop one after the other; returns its results."""
    body, n, m = eqn.params["body"], eqn.params["n_consts"], eqn.params["n_carry"]
    index = body.invars[0].aval
    consts, carry = eqn.invars[:n], list(eqn.invars[n:])
    stacked = []
    for i in range(eqn.params["length"]):
        out = copied(body, [Literal(np.asarray(i, index.dtype), index), *consts, *carry], eqns)
        carry, ys = out[:m], out[m:]
        stacked.append(ys)
    for ys, var in zip(zip(*stacked, strict=True), eqn.outvars[m:], strict=False):
        more, whole = _stack(ys, var.aval.shape)
        eqns += more
        carry.append(whole)
    if not stacked:
        for var in eqn.outvars[m:]:
            carry.append(Literal(np.zeros(var.aval.shape, var.aval.dtype), var.aval))
    return carry


def _stack(atoms: Sequence[Any], shape: Sequence[int]) -> tuple[list[JaxprEqn], Any]:
    return inlined(lambda *x: jnp.stack(x).reshape(shape), atoms)


# --- loads of what was stored ----------------------------------------------------------------------


def forwarded(body: Jaxpr) -> Jaxpr:
    """Loads of what was stored before become the stored values."""
    found = _Stored()
    eqns = []
    for eqn in body.eqns:
        eqn = eqn.replace(invars=[_named(found.names, a) for a in eqn.invars])
        found.forms.see(eqn)
        if eqn.primitive is ir.load_p:
            eqn = eqn.replace(invars=[found.source(eqn.invars[0], eqn.invars[1:]), *eqn.invars[1:]])
            more = found.load(eqn)
            if more is not None:
                eqns += more
                continue
        elif eqn.primitive is ir.store_p:
            eqn = found.store(eqn)
        else:
            found.see(eqn)
        eqns.append(eqn)
    return body.replace(eqns=eqns, outvars=[_named(found.names, a) for a in body.outvars])


class _Stored:
    """What is known about arrays while going through a body.

    stores: the store that made an array
    cells: the elements of an array that was put together from scalars
    names: variables that are other names of something
    """

    def __init__(self) -> None:
        self.forms = Forms()
        self.names: dict[Var, Any] = {}
        self.stores: dict[Any, JaxprEqn] = {}
        self.cells: dict[Any, list[Any]] = {}

    def see(self, eqn: JaxprEqn) -> None:
        """Note arrays made of scalars."""
        if eqn.primitive.name == "stack" and eqn.outvars[0].aval.ndim == 1:
            self.cells[eqn.outvars[0]] = list(eqn.invars)
        elif eqn.primitive is jp.reshape_p and isinstance(eqn.invars[0], Var) and eqn.invars[0] in self.cells:
            self.cells[eqn.outvars[0]] = self.cells[eqn.invars[0]]

    def source(self, array: Any, indices: Sequence[Any]) -> Any:
        """The array before all stores that surely went to other places."""
        while isinstance(array, Var) and array in self.stores:
            last = self.stores[array]
            if _compare(last, indices, self.forms) != "apart":
                return array
            array = last.invars[0]
        return array

    def load(self, eqn: JaxprEqn) -> list[JaxprEqn] | None:
        """Equations in place of a load, if it need not be made; its result gets its name."""
        array, *indices = eqn.invars
        if not isinstance(array, Var):
            return None
        last = self.stores.get(array)
        if last is not None and len(last.invars) - 2 == len(indices) and _compare(last, indices, self.forms) == "same":
            self.names[eqn.outvars[0]] = last.invars[1]
            return []
        place = _literal_place(indices, array.aval.shape)
        if place is not None and array in self.cells:
            self.names[eqn.outvars[0]] = self.cells[array][int(np.ravel_multi_index(place, array.aval.shape))]
            return []
        return self.row(eqn, array, indices)

    def row(self, eqn: JaxprEqn, array: Var, indices: Sequence[Any]) -> list[JaxprEqn] | None:
        """A small row all of whose elements were stored at literal places."""
        shape = array.aval.shape
        head = _literal_place(indices, shape[: len(indices)])
        rest = shape[len(indices) :]
        if head is None or not 0 < prod(rest) <= ELEMENTS:
            return None
        cells: dict[tuple[int, ...], Any] = {}
        while isinstance(array, Var) and array in self.stores and len(cells) < prod(rest):
            store = self.stores[array]
            place = _literal_place(store.invars[2:], shape)
            if place is None:
                return None
            if place[: len(head)] == head:
                cells.setdefault(place[len(head) :], store.invars[1])
            below = store.invars[0]
            if not isinstance(below, Var):
                break
            array = below
        if len(cells) < prod(rest):
            return None
        more, whole = _stack([cells[place] for place in np.ndindex(*rest)], rest)
        for made in more:
            self.see(made)
        self.names[eqn.outvars[0]] = whole
        return more

    def store(self, eqn: JaxprEqn) -> JaxprEqn:
        """Note a store; one that overwrites the store before makes that superfluous."""
        last = self.stores.get(eqn.invars[0]) if isinstance(eqn.invars[0], Var) else None
        same = (
            last is not None
            and len(last.invars) == len(eqn.invars)
            and _compare(last, eqn.invars[2:], self.forms) == "same"
        )
        if last is not None and same:
            eqn = eqn.replace(invars=[last.invars[0], *eqn.invars[1:]])
        self.stores[eqn.outvars[0]] = eqn
        return eqn


def _compare(store: JaxprEqn, indices: Sequence[Any], forms: Forms) -> str:
    """Whether a store went to the place `indices`: "same", "apart" or "unsure"."""
    verdict = "same"
    for a, b, n in zip(store.invars[2:], indices, store.invars[0].aval.shape, strict=False):
        if a.aval.shape or b.aval.shape:
            return "unsure"
        gap = forms.of(a).plus(forms.of(b), -1)
        if not gap.terms and gap.constant % n:
            return "apart"
        if gap.terms or (gap.constant and not _both_literal(a, b)):
            verdict = "unsure"
    return verdict


def _both_literal(a: Any, b: Any) -> bool:
    return isinstance(a, Literal) and isinstance(b, Literal)


# --- arrays as elements ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Parts:
    """A carried array as scalars: those that enter an iteration, those that leave it."""

    position: int
    before: list[Var]
    after: list[Any]


def _taken_apart(eqn: JaxprEqn) -> list[JaxprEqn]:
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
    more, ys = _stacked_again(body, body.outvars[m:], {body.outvars[k]: p for k, p in parts.items()})
    outs = [_named(names, a) for a in (*results, *ys)]
    more = [e.replace(invars=[_named(names, a) for a in e.invars]) for e in more]
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
        place = _literal_place(store.invars[2:], shape)
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


def _literal_place(indices: Sequence[Any], shape: Sequence[int]) -> tuple[int, ...] | None:
    """The place that literal indices mean, if they are as many as the dimensions."""
    if len(indices) != len(shape) or not all(isinstance(i, Literal) and np.ndim(i.val) == 0 for i in indices):
        return None
    place = tuple(int(i.val) + (n if i.val < 0 else 0) for i, n in zip(indices, shape, strict=True))
    return place if all(0 <= i < n for i, n in zip(place, shape, strict=True)) else None


def _touched_only(body: Jaxpr, array: Var, links: list[JaxprEqn], shape: Sequence[int], k: int) -> bool:
    """Whether loads at literal places and the chain of stores are all that reads the array and its versions."""
    versions = {array, *(link.outvars[0] for link in links)}
    for eqn in body.eqns:
        for j, atom in enumerate(eqn.invars):
            if not isinstance(atom, Var) or atom not in versions:
                continue
            load = atom is array and eqn.primitive is ir.load_p and _literal_place(eqn.invars[1:], shape) is not None
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
        more, _ = _stack(finals, shape)
        after += [*more[:-1], more[-1].replace(outvars=[eqn.outvars[k]])]
    return before, operands, outvars, after


def _inside_parts(body: Jaxpr, parts: dict[Var, _Parts]) -> tuple[list[JaxprEqn], dict[Var, Any]]:
    """The equations with loads of elements replaced by the scalars that stand for them."""
    names: dict[Var, Any] = {}
    eqns = []
    for eqn in body.eqns:
        array = eqn.invars[0] if eqn.primitive is ir.load_p else None
        if isinstance(array, Var) and array in parts:
            place = _literal_place(eqn.invars[1:], array.aval.shape)
            assert place is not None
            names[eqn.outvars[0]] = parts[array].before[int(np.ravel_multi_index(place, array.aval.shape))]
        elif not (eqn.primitive is ir.store_p and isinstance(array := eqn.invars[0], Var) and array in parts):
            eqns.append(eqn.replace(invars=[_named(names, a) for a in eqn.invars]))
    return eqns, names


def _stacked_again(body: Jaxpr, ys: Sequence[Any], parts: dict[Any, _Parts]) -> tuple[list[JaxprEqn], list[Any]]:
    """Results that are the whole array, put together from its elements."""
    eqns, out = [], []
    for atom in ys:
        if isinstance(atom, Var) and atom in parts:
            more, atom = _stack(parts[atom].after, atom.aval.shape)
            eqns += more
        out.append(atom)
    return eqns, out
