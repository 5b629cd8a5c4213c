"""The outermost loops of a program, each as a program of its own, with the values that enter it."""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import jax
from jax.extend.core import Jaxpr, Var, jaxpr_as_fun

from gradmc.program import ir
from gradmc.program.middle.depends import prune
from gradmc.program.middle.lowering import lower
from gradmc.program.middle.normal_form import normal


def loops_alone(closed: Jaxpr, inputs: Sequence[Any]) -> Iterator[tuple[Hashable, Jaxpr, list[Any]]]:
    """For each outermost loop: its source, a jaxpr that computes only it, and that jaxpr's inputs.

    What enters a loop is computed by the program up to there; known arrays stay constants of the jaxpr.
    """
    body = normal(closed)
    body = prune(body, range(len(body.outvars)))
    constants = dict(zip(body.constvars, body.consts, strict=True))
    loops = [e for e in body.eqns if e.primitive in (ir.for_p, ir.while_p)]
    wanted = list(dict.fromkeys(a for e in loops for a in e.invars if isinstance(a, Var) and a not in constants))
    before = body.replace(outvars=wanted)
    before = lower(prune(before, range(len(wanted))))
    values = dict(zip(wanted, jax.jit(jaxpr_as_fun(before))(*inputs), strict=True))
    for eqn in loops:
        used = list(dict.fromkeys(a for a in eqn.invars if isinstance(a, Var)))
        consts = [v for v in used if v in constants]
        entering = [v for v in used if v in values]
        alone = body.replace(
            constvars=consts,
            consts=[constants[v] for v in consts],
            invars=entering,
            eqns=[eqn],
            outvars=list(eqn.outvars),
        )
        yield eqn.params["source"], alone, [values[v] for v in entering]
