"""The terms of a density: what is added up to its result, by the user's line, and the program with some terms alone.

From the result the *sum* is followed back: through additions, branches that add on one side, and loops that carry it.
What is added there and is not itself a sum is a *term*, and so is a number other than 0; a `Slot` says where the
program reads it. With 0 in the slots of all other terms, and what nobody needs cut away, a term is a program of its
own, whose gradient can be timed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as jp

from gradmc.errors import SourceLocation
from gradmc.program import ir
from gradmc.program.blame.origin import origin
from gradmc.program.jaxprs import producers
from gradmc.program.middle.depends import prune

ADDITIONS = {"add", "sub", "add_any"}
PASSING = {"neg", "convert_element_type", "copy", "reshape", "squeeze"}


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a term is read: operand `index` of `eqn` (None: the results), in the body at the end of `path`."""

    eqn: JaxprEqn | None
    index: int
    path: tuple[tuple[JaxprEqn, str], ...] = ()

    def within(self, eqn: JaxprEqn, name: str) -> "Slot":
        """The same slot, seen from outside of a body."""
        return replace(self, path=((eqn, name), *self.path))


@dataclass(frozen=True, slots=True)
class Term:
    """All that one line adds.

    Attributes:
        location: the line; None where none is known.
        slots: where it is read.
        times: how often the line runs; None in a `while`.
    """

    location: SourceLocation | None
    slots: tuple[Slot, ...]
    times: int | None


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A term, or an input of the body (`variable`) that is added: where it is read, the line, how often that runs."""

    slot: Slot
    location: SourceLocation | None
    times: int | None = 1
    variable: Var | None = None

    def within(self, eqn: JaxprEqn, name: str) -> "_Leaf":
        return replace(self, slot=self.slot.within(eqn, name))

    def repeated(self, times: int | None) -> "_Leaf":
        return replace(self, times=None if self.times is None or times is None else self.times * times)


def terms(body: Jaxpr) -> list[Term]:
    """The terms of a program's first result, in the order of their lines."""
    found = _Sum(body).follow(body.outvars[0], Slot(None, 0), None)
    by_line: dict[tuple[str, int], list[_Leaf]] = {}
    for leaf in (*found.leaves, *found.inputs):
        key = ("", 0) if leaf.location is None else (leaf.location.file, leaf.location.line)
        by_line.setdefault(key, []).append(leaf)
    return [
        Term(same[0].location, tuple(leaf.slot for leaf in same), same[0].times) for _, same in sorted(by_line.items())
    ]


def alone(body: Jaxpr, term: Term, among: Iterable[Term]) -> Jaxpr:
    """The program with one term, the others 0."""
    kept = set(term.slots)
    others = [slot for other in among for slot in other.slots if slot not in kept]
    return prune(_without(body, others), [0])


type _Reading = tuple[Any, Slot, SourceLocation | None]
"""A value, where it is read, and the line that adds it."""


class _Sum:
    """What a sum in one body consists of: leaves, and the inputs of the body that it passes on."""

    def __init__(self, body: Jaxpr) -> None:
        self.body = body
        self.made_by = producers(body)
        self.leaves: list[_Leaf] = []
        self.inputs: list[_Leaf] = []

    def follow(self, atom: Any, slot: Slot, line: SourceLocation | None) -> "_Sum":
        """Follow a sum back to its terms; one that is read twice is followed once."""
        todo: list[_Reading] = [(atom, slot, line)]
        sums: set[Var] = set()
        inputs = set(self.body.invars)
        while todo:
            atom, slot, line = todo.pop()
            if isinstance(atom, Literal):
                if np.any(atom.val) and not np.any(np.isnan(atom.val)):  # NaN marks what has failed
                    self.leaves.append(_Leaf(slot, line or (_line(slot.eqn) if slot.eqn else None)))
                continue
            if atom in sums:
                continue
            if atom not in self.made_by:
                if atom in inputs:
                    self.inputs.append(_Leaf(slot, line, variable=atom))
                continue
            parts = self._parts(atom, line)
            if parts is None:
                self.leaves.append(_Leaf(slot, line or _line(self.made_by[atom][0])))
            else:
                sums.add(atom)
                todo += parts
        return self

    def _parts(self, atom: Var, line: SourceLocation | None) -> list[_Reading] | None:
        """What is added up to a value; None if it is no sum."""
        eqn, k = self.made_by[atom]
        name = eqn.primitive.name
        if atom.aval.ndim:  # pyright: ignore[reportAttributeAccessIssue]
            return None
        if name in ADDITIONS:
            here = _line(eqn) or line
            first, second = eqn.invars
            return [(first, Slot(eqn, 0), self._own(first, here)), (second, Slot(eqn, 1), here)]
        if name in PASSING and not eqn.invars[0].aval.ndim:
            return [(eqn.invars[0], Slot(eqn, 0), line)]
        if name == "select_n" or (eqn.primitive is jp.jit_p and eqn.params["name"] == "_where"):
            return [(side, Slot(eqn, j), line) for j, side in enumerate(eqn.invars) if j]
        if eqn.primitive in (ir.if_p, ir.for_p, ir.while_p):
            return self._entering(eqn, k, line)
        return None

    def _own(self, atom: Any, here: SourceLocation | None) -> SourceLocation | None:
        """The line of the first operand of an addition: where it was made, if that was in the same function."""
        made = _line(self.made_by[atom][0]) if isinstance(atom, Var) and atom in self.made_by else None
        return made if made is not None and here is not None and made.function == here.function else here

    def _entering(self, eqn: JaxprEqn, k: int, line: SourceLocation | None) -> list[_Reading] | None:
        """The sum that enters a loop that carries it or a branch that passes it on, whose own terms become leaves."""
        branch = eqn.primitive is ir.if_p
        names = ("then", "otherwise") if branch else ("body",)
        bodies = [eqn.params[name] for name in names]
        sides = [_Sum(body).follow(body.outvars[k], Slot(None, k), line if branch else None) for body in bodies]
        passed = self._passed(eqn, sides, k)
        if passed is None:
            return None
        times = 1 if branch else eqn.params.get("length")
        for side, name in zip(sides, names, strict=True):
            kept = [leaf for leaf in side.inputs if _operand(eqn, name, leaf.variable) not in passed]
            for leaf in (*side.leaves, *kept):
                self.leaves.append(replace(leaf.within(eqn, name).repeated(times), variable=None))
        return [(eqn.invars[j], Slot(eqn, j), self._own(eqn.invars[j], line)) for j in sorted(passed)]

    def _passed(self, eqn: JaxprEqn, sides: Sequence["_Sum"], k: int) -> set[int] | None:
        """The operands through which a sum enters that is passed on, once on every side."""
        if eqn.primitive is not ir.if_p:
            operand = eqn.params["n_consts"] + k
            once = [leaf for leaf in sides[0].inputs if _operand(eqn, "body", leaf.variable) == operand]
            return {operand} if operand < len(eqn.invars) and len(once) == 1 else None
        entering = [
            {_operand(eqn, name, leaf.variable) for leaf in side.inputs}
            for name, side in zip(("then", "otherwise"), sides, strict=True)
        ]
        for atom in eqn.invars[1:]:
            through = {j for j, other in enumerate(eqn.invars) if j and other is atom}
            if atom in self.made_by and all(through & operands for operands in entering):
                return through
        return None


def _line(eqn: JaxprEqn) -> SourceLocation | None:
    return origin(eqn).location


def _operand(eqn: JaxprEqn, name: str, variable: Var | None) -> int:
    """The operand that enters a body as an input; -1 for a loop's counter."""
    position = eqn.params[name].invars.index(variable)
    return position + 1 if eqn.primitive is ir.if_p else position - (eqn.primitive is ir.for_p)


def _without(body: Jaxpr, slots: Sequence[Slot]) -> Jaxpr:
    """The same with 0 in some slots."""
    here: dict[JaxprEqn | None, set[int]] = {}
    inside: dict[JaxprEqn, dict[str, list[Slot]]] = {}
    for slot in slots:
        if not slot.path:
            here.setdefault(slot.eqn, set()).add(slot.index)
        else:
            (eqn, name), *path = slot.path
            inside.setdefault(eqn, {}).setdefault(name, []).append(replace(slot, path=tuple(path)))
    eqns = []
    for eqn in body.eqns:
        new = eqn
        if eqn in here:
            new = new.replace(invars=_zeroed(eqn.invars, here[eqn]))
        if eqn in inside:
            changed = {name: _without(eqn.params[name], deeper) for name, deeper in inside[eqn].items()}
            new = new.replace(params=eqn.params | changed)
        eqns.append(new)
    return body.replace(eqns=eqns, outvars=_zeroed(body.outvars, here.get(None, set())))


def _zeroed(atoms: Sequence[Any], positions: set[int]) -> list[Any]:
    return [Literal(np.zeros((), a.aval.dtype), a.aval) if j in positions else a for j, a in enumerate(atoms)]
