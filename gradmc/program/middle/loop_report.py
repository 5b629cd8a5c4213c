"""A report on the loops of a program: what the middle end made of each, and why."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

from jax.extend.core import Jaxpr, JaxprEqn

from gradmc.program import ir
from gradmc.program.jaxprs import deeper
from gradmc.program.middle.depends import prune
from gradmc.program.middle.forwarding import forwarded
from gradmc.program.middle.lowering import lower_noting
from gradmc.program.middle.lowering_options import LoweringOptions
from gradmc.program.middle.normal_form import normal
from gradmc.program.middle.plan import plan
from gradmc.program.middle.windows import window_depth

_WORST = ("written out", "vectorised", "chunked", "divided", "sequential")
_OPERATIONS = {
    "add": "a sum",
    "max": "a maximum",
    "min": "a minimum",
    "and": "whether all hold",
    "or": "whether any holds",
    "logaddexp": "a log-sum-exp",
    "store": "an array that the loop fills",
    "store add": "an array whose elements are added to",
}


@dataclass(frozen=True, slots=True)
class Carried:
    """A variable that a loop changes, and what it is: a sum, an array it fills, a recurrence, ..."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class LoopReport:
    """One loop of the source.

    source: where it stands
    depth: how many loops are around it
    length: its iterations; None for a `while` whose number is known only when it runs
    verdict: vectorised, divided (a minimal sequential part between vectorised ones), sequential,
        chunked, written out, or while
    reason: why
    carried: what its carried variables are
    """

    source: Hashable
    depth: int
    length: int | None
    verdict: str
    reason: str
    carried: tuple[Carried, ...]


def report(closed: Jaxpr, options: LoweringOptions | None = None) -> list[LoopReport]:
    """One entry per loop of a program in the loop IR, in the order of the source."""
    notes: dict[Hashable, Any] = {}
    for note in lower_noting(closed, options or LoweringOptions())[1]:
        source = note.loop.params["source"]
        old = notes.get(source)
        if old is None or _WORST.index(note.verdict) > _WORST.index(old.verdict):
            notes[source] = note
    body = normal(closed)
    body = _resolved(prune(body, range(len(body.outvars))))
    return [_report(eqn, depth, notes) for eqn, depth in _loops(body, 0)]


def _resolved(body: Jaxpr) -> Jaxpr:
    """The same with loads of what was just stored resolved, at any depth: `x[i] += v` is then one store."""
    body = forwarded(body.replace(eqns=[deeper(eqn, _resolved) for eqn in body.eqns]))
    return prune(body, range(len(body.outvars)))


def _loops(body: Jaxpr, depth: int) -> Iterator[tuple[JaxprEqn, int]]:
    for eqn in body.eqns:
        loop = eqn.primitive in (ir.for_p, ir.while_p)
        if loop:
            yield eqn, depth
        for name in ("then", "otherwise", "body"):
            if eqn.primitive in ir.PRIMITIVES and name in eqn.params:
                yield from _loops(eqn.params[name], depth + loop)


def _report(eqn: JaxprEqn, depth: int, notes: dict[Hashable, Any]) -> LoopReport:
    source = eqn.params["source"]
    if eqn.primitive is ir.while_p:
        why = "its number of iterations is known only when it runs"
        return LoopReport(source, depth, None, "while", why, ())
    length = eqn.params["length"]
    note = notes.get(source)
    if length == 0:
        verdict, reason = "written out", "it has no iterations"
    elif note is None:
        verdict, reason = "written out", f"it is short: {length} iterations inside another loop"
    else:
        verdict, reason = note.verdict, note.reason
    return LoopReport(source, depth, length, verdict, reason, tuple(_carried(eqn)))


def _carried(eqn: JaxprEqn) -> Iterator[Carried]:
    made = plan(eqn, frozenset())
    for k, (name, role) in enumerate(zip(eqn.params["names"], made.roles, strict=True)):
        name = name or f"value {k + 1}"
        if role.kind in ("accumulator", "stores"):
            yield Carried(name, _OPERATIONS[role.operation])
        elif role.kind == "ordinary":
            yield Carried(name, _ordinary(eqn, k, k in made.delays))


def _ordinary(eqn: JaxprEqn, k: int, delay: bool) -> str:
    depth = window_depth(eqn, k) if eqn.outvars[k].aval.ndim else None
    if depth is not None:
        back = "" if not depth else f" and reads {'one iteration' if depth == 1 else f'up to {depth} iterations'} back"
        return f"an array that the loop fills{back}"
    if eqn.outvars[k].aval.ndim and any(e.primitive is ir.store_p for e in eqn.params["body"].eqns):
        return "an array that the loop fills and reads"
    return "what the iteration before computed" if delay else "a recurrence"
