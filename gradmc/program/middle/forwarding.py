"""Loads of what was stored before: the stored value in place of the load.

Going through the equations of a body, it is known which store made each version of an array. A load from a
place that was surely stored to is that value; one from a place that surely was not looks at the version before.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as jp

from gradmc.program import ir
from gradmc.program.middle.affine import Forms
from gradmc.program.middle.normal_form import inlined, named

ROW = 16
"""Elements up to which a row is put together from stores to its elements."""


def forwarded(body: Jaxpr) -> Jaxpr:
    """Loads of what was stored before become the stored values."""
    found = _Stored()
    eqns = []
    for eqn in body.eqns:
        eqn = eqn.replace(invars=[named(found.names, a) for a in eqn.invars])
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
    return body.replace(eqns=eqns, outvars=[named(found.names, a) for a in body.outvars])


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
        place = literal_place(indices, array.aval.shape)
        if place is not None and array in self.cells:
            self.names[eqn.outvars[0]] = self.cells[array][int(np.ravel_multi_index(place, array.aval.shape))]
            return []
        return self.row(eqn, array, indices)

    def row(self, eqn: JaxprEqn, array: Var, indices: Sequence[Any]) -> list[JaxprEqn] | None:
        """A small row all of whose elements were stored at literal places."""
        shape = array.aval.shape
        head = literal_place(indices, shape[: len(indices)])
        rest = shape[len(indices) :]
        if head is None or not 0 < prod(rest) <= ROW:
            return None
        cells: dict[tuple[int, ...], Any] = {}
        while isinstance(array, Var) and array in self.stores and len(cells) < prod(rest):
            store = self.stores[array]
            place = literal_place(store.invars[2:], shape)
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
        more, whole = stack([cells[place] for place in np.ndindex(*rest)], rest)
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


def literal_place(indices: Sequence[Any], shape: Sequence[int]) -> tuple[int, ...] | None:
    """The place that literal indices mean, if they are as many as the dimensions."""
    if len(indices) != len(shape) or not all(isinstance(i, Literal) and np.ndim(i.val) == 0 for i in indices):
        return None
    place = tuple(int(i.val) + (n if i.val < 0 else 0) for i, n in zip(indices, shape, strict=True))
    return place if all(0 <= i < n for i, n in zip(place, shape, strict=True)) else None


def stack(atoms: Sequence[Any], shape: Sequence[int]) -> tuple[list[JaxprEqn], Any]:
    """Equations that put scalars together to an array, and the array."""
    return inlined(lambda *x: jnp.stack(x).reshape(shape), atoms)
