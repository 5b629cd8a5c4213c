"""The derivative of what a loop finds by comparisons (`closing`), by the implicit function theorem.

Bisection ends with ends x that enclose a root of g(x, theta), the expression whose sign it tests; golden section with
ends that enclose a minimum of p(x, theta), of which it compares two values: a root of its slope. After the loop the
ends x get the derivative

    dx/dtheta = -(dg/dtheta) / (dg/dx)

where Newton's step -g / (dg/dx) is no longer than the ends are apart, that is, where they enclose a root; elsewhere
the search has ended at one of the ends it began with, and the ends keep the derivative they have. The values stay as
they are. The least value p(x, theta) of a search for a minimum does not change with x, and needs nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as jp

from gradmc.errors import ProgramError
from gradmc.program import ir
from gradmc.program.blame.origin import origin
from gradmc.program.frontend.closing import Closing
from gradmc.program.frontend.equation import carried_by, roots_of
from gradmc.program.frontend.residual import Root
from gradmc.program.frontend.search import Search, Status

REMEDY = (
    "Compare an expression in the number sought with another, and use the ends after the loop only: they then get "
    "the derivative of the root between them. Or solve by Newton's method: x = x - f(x) / slope(x)."
)


def solved(jaxpr: Jaxpr, parameters: Sequence[bool]) -> Jaxpr:
    """The program in which what loops find by comparisons has the right derivative.

    Args:
        jaxpr: a program whose first result is the log density.
        parameters: which of its inputs are parameters.

    Raises:
        ProgramError: such a loop is of another kind.
    """
    given = [Status(touched=p) for p in parameters]
    search = Search()
    if not search.follow(jaxpr, given)[0].loops:
        return jaxpr
    solver = _Solver(search.found)
    result = solver.attached(jaxpr)
    left = Search(solved=solver.solved, seen=search.seen).follow(jaxpr, given)[0].loops | (
        search.found.keys() - solver.solved.keys()
    )
    if left:
        places = [eqn.params["source"] if "source" in eqn.params else origin(eqn).location for eqn in left]
        raise ProgramError(
            "this loop closes in on a number by comparisons: what it finds depends on parameters, but nothing that it "
            "is computed from does, so its derivative would be wrong",
            location=min(filter(None, places), key=lambda place: place.line, default=None),
            remedy=REMEDY,
        )
    return result


@dataclass(eq=False, slots=True)
class _Solver:
    """Attaches derivatives behind loops; every other equation stays as it is.

    Attributes:
        found: the loops.
        solved: for those whose ends have got their derivatives, which carried values are right after them.
    """

    found: dict[JaxprEqn, Closing]
    solved: dict[JaxprEqn, set[int]] = field(default_factory=dict)

    def attached(self, jaxpr: Jaxpr) -> Jaxpr:
        """The jaxpr with derivatives attached, innermost loops first."""
        eqns = []
        for eqn in jaxpr.eqns:
            names = ("jaxpr",) if eqn.primitive is jp.jit_p else ir.BODIES.get(eqn.primitive, ())
            new = {name: self.attached(eqn.params[name]) for name in names}
            changed = eqn.replace(params={**eqn.params, **new}) if new else eqn
            roots = roots_of(changed, self.found[eqn]) if eqn in self.found else []
            if roots:
                self.solved[eqn] = {k for root in roots for k in (*root.ends, *root.least)}
            eqns += _attached(changed, roots)
        return jaxpr.replace(eqns=eqns)


def _attached(eqn: JaxprEqn, roots: Sequence[Root]) -> list[JaxprEqn]:
    """A loop, and the equations that give its ends their derivatives."""
    if not roots:
        return [eqn]
    n = eqn.params["n_consts"]
    before = [np.asarray(eqn.params["length"] - 1)] if eqn.primitive is ir.for_p else []
    now = list(eqn.outvars)
    moved = [k for root in roots for k in root.ends]
    for k in moved:
        now[k] = Var(eqn.outvars[k].aval)
    carried = now[: carried_by(eqn)]

    def ends(*inputs: Any) -> list[Any]:
        given = iter(inputs)
        values = [np.asarray(v.val, v.val.dtype) if isinstance(v, Literal) else next(given) for v in atoms]
        fixed, start, out = values[:n], values[n : -len(carried)], values[-len(carried) :]
        return [end for root in roots for end in root.attached([*before, *fixed], start, out)]

    atoms = [*eqn.invars, *carried]
    variables = [v for v in atoms if isinstance(v, Var)]
    after = jax.make_jaxpr(ends)(*ir.types([v.aval for v in variables]))
    names: dict[Var, Any] = dict(zip(after.invars, variables, strict=True))
    names |= {v: Literal(np.asarray(c), v.aval) for v, c in zip(after.constvars, after.consts, strict=True)}
    names |= {new: eqn.outvars[k] for k, new in zip(moved, after.outvars, strict=True) if isinstance(new, Var)}

    def named(atom: Any) -> Any:
        return atom if isinstance(atom, Literal) else names.get(atom, atom)

    more = [e.replace(invars=[named(v) for v in e.invars], outvars=[named(v) for v in e.outvars]) for e in after.eqns]
    return [eqn.replace(outvars=now), *more]
