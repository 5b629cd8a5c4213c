"""The terms of a density: what is added up to its result, by the user's line, and the program with some terms alone.

From the result the *sum* is followed back: through additions, branches that add on one side, and loops that carry it.
What is added there and is not itself a sum is a *term*; a `Slot` says where the program reads it. With 0 in the slots
of all other terms, and what nobody needs cut away, a term is a program of its own, whose gradient can be timed.
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
from gradmc.program.middle.depends import producers, prune

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


@dataclass(frozen=True, slots=True)
class _Sum:
    """What a sum consists of: leaves, and the inputs of the body that it passes on."""

    leaves: tuple[_Leaf, ...] = ()
    inputs: tuple[_Leaf, ...] = ()

    def __add__(self, other: "_Sum") -> "_Sum":
        return _Sum(self.leaves + other.leaves, self.inputs + other.inputs)


def terms(body: Jaxpr) -> list[Term]:
    """The terms of a program's first result, in the order of their lines."""
    found = _sum(body, body.outvars[0], Slot(None, 0), None, producers(body))
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


def _sum(
    body: Jaxpr, atom: Any, slot: Slot, line: SourceLocation | None, made_by: dict[Var, tuple[JaxprEqn, int]]
) -> _Sum:
    """What `atom`, read in `slot` and added on `line`, consists of."""
    if isinstance(atom, Literal):
        return _Sum()
    if atom not in made_by:
        return _Sum(inputs=(_Leaf(slot, line, variable=atom),)) if atom in body.invars else _Sum()
    eqn, k = made_by[atom]
    name = eqn.primitive.name
    if atom.aval.ndim == 0:
        if name in ADDITIONS:
            here = _line(eqn) or line
            first = _sum(body, eqn.invars[0], Slot(eqn, 0), _own(body, eqn.invars[0], here, made_by), made_by)
            return first + _sum(body, eqn.invars[1], Slot(eqn, 1), here, made_by)
        if name in PASSING and np.ndim(eqn.invars[0].aval) == 0:
            return _sum(body, eqn.invars[0], Slot(eqn, 0), line, made_by)
        if name == "select_n" or (eqn.primitive is jp.jit_p and eqn.params["name"] == "_where"):
            sides = (_sum(body, a, Slot(eqn, j), line, made_by) for j, a in enumerate(eqn.invars) if j)
            return sum(sides, _Sum())
        inner = _inner(body, eqn, k, line, made_by)
        if inner is not None:
            return inner
    return _Sum((_Leaf(slot, line or _line(eqn)),))


def _line(eqn: JaxprEqn) -> SourceLocation | None:
    return origin(eqn).location


def _own(body: Jaxpr, atom: Any, here: SourceLocation | None, made_by: dict) -> SourceLocation | None:
    """The line of the first operand of an addition: where it was made, if that was in the same function."""
    made = _line(made_by[atom][0]) if isinstance(atom, Var) and atom in made_by else None
    return made if made is not None and here is not None and made.function == here.function else here


def _inner(body: Jaxpr, eqn: JaxprEqn, k: int, line: SourceLocation | None, made_by: dict) -> _Sum | None:
    """The sum that a loop carries, or that a branch passes on; None if it does neither."""
    if eqn.primitive is ir.if_p:
        names, times = ("then", "otherwise"), 1
    elif eqn.primitive in (ir.for_p, ir.while_p):
        names, times = ("body",), eqn.params.get("length")
    else:
        return None
    sides = [_side(eqn, name, k, line) for name in names]
    passed = _passed(eqn, sides, k, made_by)
    if passed is None:
        return None
    leaves = [leaf for side in sides for leaf in side.leaves]
    for side, name in zip(sides, names, strict=True):
        leaves += [leaf for leaf in side.inputs if _operand(eqn, name, leaf.variable) not in passed]
    found = _Sum(tuple(replace(leaf.repeated(times), variable=None) for leaf in leaves))
    for operand in passed:
        outer = _own(body, eqn.invars[operand], line, made_by)
        found += _sum(body, eqn.invars[operand], Slot(eqn, operand), outer, made_by)
    return found


def _side(eqn: JaxprEqn, name: str, k: int, line: SourceLocation | None) -> _Sum:
    inner = eqn.params[name]
    found = _sum(inner, inner.outvars[k], Slot(None, k), line if eqn.primitive is ir.if_p else None, producers(inner))
    leaves, inputs = (tuple(leaf.within(eqn, name) for leaf in group) for group in (found.leaves, found.inputs))
    return _Sum(leaves, inputs)


def _passed(eqn: JaxprEqn, sides: Sequence[_Sum], k: int, made_by: dict) -> set[int] | None:
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
        if atom in made_by and all(through & operands for operands in entering):
            return through
    return None


def _operand(eqn: JaxprEqn, name: str, variable: Var | None) -> int:
    """The operand that enters a body as an input; -1 for a loop's counter."""
    position = eqn.params[name].invars.index(variable)
    return position + 1 if eqn.primitive is ir.if_p else position - (eqn.primitive is ir.for_p)


def _without(body: Jaxpr, slots: Sequence[Slot]) -> Jaxpr:
    """The same with 0 in some slots."""
    eqns = []
    for eqn in body.eqns:
        here = {slot.index for slot in slots if not slot.path and slot.eqn is eqn}
        if here:
            eqn = eqn.replace(invars=[_zero(a) if j in here else a for j, a in enumerate(eqn.invars)])
        original = body.eqns[len(eqns)]
        inner: dict[str, list[Slot]] = {}
        for slot in slots:
            if slot.path and slot.path[0][0] is original:
                inner.setdefault(slot.path[0][1], []).append(replace(slot, path=slot.path[1:]))
        changed = {name: _without(eqn.params[name], deeper) for name, deeper in inner.items()}
        eqns.append(eqn.replace(params=eqn.params | changed) if changed else eqn)
    gone = {slot.index for slot in slots if not slot.path and slot.eqn is None}
    outvars = [_zero(a) if j in gone else a for j, a in enumerate(body.outvars)]
    return body.replace(eqns=eqns, outvars=outvars)


def _zero(atom: Any) -> Literal:
    return Literal(np.zeros((), atom.aval.dtype), atom.aval)
