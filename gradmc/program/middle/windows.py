"""Sliding windows: arrays that a loop fills in order and reads a few places behind.

    for t in range(1, T):                          for t in range(1, T):
        x[t] = a * x[t - 1] + e[t]                     row = a * before + e[t]
                                        becomes        before = row
                                                       (row is stacked; x is put together after the loop)

The array is carried by the loop although an iteration needs only the last few rows. When each iteration
stores to one row, given by an affine index, and reads only this row, rows a fixed number of iterations
back, or rows that are not yet written, then the rows read back become carried values of their own (the *window*), and
the plan sees an ordinary recurrence, or none at all. Inner loops that fill a row element by element are
rewritten along, and may then be rewritten themselves, for the row.
"""

from dataclasses import dataclass
from typing import Any

from jax.extend.core import Jaxpr, JaxprEqn, Var, new_jaxpr_eqn, no_effects
from jax.extend.core import primitives as jp

from gradmc.program import ir
from gradmc.program.jaxprs import deeper
from gradmc.program.middle.depends import prune
from gradmc.program.middle.forwarding import literal_place
from gradmc.program.middle.roles import roles
from gradmc.program.middle.rows import rewritten
from gradmc.program.middle.survey import NoWindow, Survey


def with_windows(body: Jaxpr) -> Jaxpr:
    """The same jaxpr, every loop in it that carries such an array rewritten, at any depth."""
    eqns: list[JaxprEqn] = []
    ends: dict[Any, _End] = {}
    for eqn in body.eqns:
        array = eqn.invars[0] if eqn.primitive is ir.load_p else None
        if isinstance(array, Var) and array in ends:
            eqns += ends[array].load(eqn)
        else:
            eqns += _rewritten(eqn, ends) if eqn.primitive is ir.for_p else [eqn]
    eqns = [deeper(eqn, with_windows) for eqn in eqns]
    body = body.replace(eqns=eqns)
    return prune(body, range(len(body.outvars)))


@dataclass(frozen=True, slots=True)
class _End:
    """An array after its loop: the row stored last, as the window holds it."""

    place: int
    row: Var

    def load(self, eqn: JaxprEqn) -> list[JaxprEqn]:
        """A load of the last row, or from it, without the array."""
        array, index, *rest = eqn.invars
        place = literal_place([index], array.aval.shape[:1])
        if place != (self.place,):
            return [eqn]
        if rest:
            return [eqn.replace(invars=[self.row, *rest])]
        return [new_jaxpr_eqn([self.row], list(eqn.outvars), jp.copy_p, {}, no_effects)]


def _rewritten(eqn: JaxprEqn, ends: dict[Any, _End]) -> list[JaxprEqn]:
    """The loop with one array after the other replaced by its window."""
    before: list[JaxprEqn] = []
    after: list[JaxprEqn] = []
    tried: set[Any] = set()
    while True:
        k = _candidate(eqn, tried)
        if k is None:
            return [*before, eqn, *after]
        tried.add(eqn.outvars[k])
        try:
            survey = Survey(eqn, k)
        except NoWindow:
            continue
        array, new = eqn.outvars[k], rewritten(eqn, k, survey)
        if new.newest is not None:
            ends[array] = _End(survey.start + survey.step * (survey.length - 1), new.newest)
        before, eqn, after = [*before, *new.before], new.loop, [*new.after, *after]


def window_depth(eqn: JaxprEqn, k: int) -> int | None:
    """How many iterations back a loop reads the array that it carries in place `k`; None if it has no window."""
    try:
        return Survey(eqn, k).depth
    except NoWindow:
        return None


def _candidate(eqn: JaxprEqn, tried: set[Any]) -> int | None:
    if eqn.params["length"] < 2:
        return None
    for k, role in enumerate(roles(eqn)):
        out = eqn.outvars[k]
        if role.kind == "ordinary" and out.aval.ndim and out not in tried:
            return k
    return None
