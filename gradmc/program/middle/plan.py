"""The plan of one loop: which carried values are recurrences, and what must run inside their `scan`.

Carried values that are neither invariant, accumulators nor stores depend on each other from one iteration to
the next. The strongly connected sets of that graph are the recurrences (*groups*); a value outside of
any is a *delay*, a copy of what another iteration computed. What lies on a path from a group's carried values to
their next values is the minimal body of its `scan`; everything before goes into a vectorised prelude,
everything after runs vectorised on the stacked results (loop fission).
"""

from dataclasses import dataclass

from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var

from gradmc.program.jaxprs import producers
from gradmc.program.middle.depends import needed, operands, restrict
from gradmc.program.middle.roles import Role, roles


@dataclass(frozen=True, slots=True)
class Group:
    """A recurrence.

    members: positions of its carried values
    steps: the equations of the minimal sequential body
    externals: what these read that the group does not compute
    exports: what the rest of the loop reads of it, one value per iteration
    """

    members: tuple[int, ...]
    steps: tuple[JaxprEqn, ...]
    externals: tuple[Var, ...]
    exports: tuple[Var, ...]


@dataclass(frozen=True, slots=True)
class LoopPlan:
    """roles of the carried values, the recurrences, the delays, and the variables needed outside of the groups."""

    roles: tuple[Role, ...]
    groups: tuple[Group, ...]
    delays: tuple[int, ...]
    vectorised: frozenset[Var]


def plan(eqn: JaxprEqn, demoted: frozenset[int]) -> LoopPlan:
    """Plan a `for`; carried values in `demoted` count as ordinary whatever they look like."""
    body, n, m = eqn.params["body"], eqn.params["n_consts"], eqn.params["n_carry"]
    carried = body.invars[1 + n :]
    found = [Role("ordinary") if k in demoted else r for k, r in enumerate(roles(eqn))]
    ordinary = [k for k in range(m) if found[k].kind == "ordinary"]
    reach = _reach(body, {carried[k]: 1 << k for k in ordinary})

    def reached(atom: object) -> int:
        return 0 if isinstance(atom, Literal) else reach.get(atom, 0)

    depends = _closure({k: reached(body.outvars[k]) for k in ordinary})
    sets = dict.fromkeys(
        tuple(j for j in ordinary if depends[k] >> j & 1 and depends[j] >> k & 1)
        for k in ordinary
        if depends[k] >> k & 1
    )
    insides = {s: _inside(body, s, reach) for s in sets}
    grouped = {k for s in sets for k in s}
    delays = tuple(k for k in ordinary if k not in grouped)

    sequential = {v for inside in insides.values() for v in inside} | {carried[k] for k in grouped}
    steps = {s: _steps(body, inside) for s, inside in insides.items()}
    externals = {
        s: tuple(dict.fromkeys(a for e in steps[s] for a in e.invars if _free(a, insides[s], s, carried))) for s in sets
    }
    wanted = [a for k, a in enumerate(body.outvars) if k >= m or (found[k].kind != "invariant" and k not in grouped)]
    wanted += [v for s in sets for v in externals[s]]
    demand = _demand(body, wanted, sequential)
    groups = tuple(
        Group(s, steps[s], externals[s], tuple(v for v in (*insides[s], *(carried[k] for k in s)) if v in demand))
        for s in sets
    )
    return LoopPlan(tuple(found), groups, delays, frozenset(demand - sequential))


def _reach(body: Jaxpr, start: dict[Var, int]) -> dict[Var, int]:
    """For each variable, as bits, the ordinary carried values on which it depends within one iteration."""
    reach = dict(start)
    for eqn in body.eqns:
        for k, var in enumerate(eqn.outvars):
            bits = 0
            for atom in operands(eqn, k):
                bits |= 0 if isinstance(atom, Literal) else reach.get(atom, 0)
            if bits:
                reach[var] = bits
    return reach


def _closure(edges: dict[int, int]) -> dict[int, int]:
    """Transitive closure of a graph given by bit sets."""
    closure = dict(edges)
    for via in edges:
        for k in edges:
            if closure[k] >> via & 1:
                closure[k] |= closure[via]
    return closure


def _inside(body: Jaxpr, members: tuple[int, ...], reach: dict[Var, int]) -> tuple[Var, ...]:
    """Variables on a path from the group's carried values to their next values, in order."""
    mask = sum(1 << k for k in members)
    wanted = needed(body, [body.outvars[k] for k in members])
    return tuple(v for e in body.eqns for v in e.outvars if v in wanted and reach.get(v, 0) & mask)


def _steps(body: Jaxpr, inside: tuple[Var, ...]) -> tuple[JaxprEqn, ...]:
    members = set(inside)
    steps = []
    for eqn in body.eqns:
        outs = [k for k, v in enumerate(eqn.outvars) if v in members]
        if outs:
            steps.append(restrict(eqn, outs))
    return tuple(steps)


def _free(atom: object, inside: tuple[Var, ...], members: tuple[int, ...], carried: list[Var]) -> bool:
    return not isinstance(atom, Literal) and atom not in inside and atom not in [carried[k] for k in members]


def _demand(body: Jaxpr, wanted: list, sequential: set[Var]) -> set[Var]:
    """Variables that the vectorised parts of the loop read, those that a group computes among them."""
    made_by = producers(body)
    demand: set[Var] = set()
    todo = [a for a in wanted if not isinstance(a, Literal)]
    while todo:
        var = todo.pop()
        if var in demand:
            continue
        demand.add(var)
        if var in made_by and var not in sequential:
            eqn, k = made_by[var]
            todo += [a for a in operands(eqn, k) if not isinstance(a, Literal)]
    return demand
