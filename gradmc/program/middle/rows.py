"""A loop with the rows that it reads back as carried values in place of the array.

What an iteration reads of the array is its own row, rows of the window, and rows that are not stored before: those
come from the array as it was. Inner loops and branches get all three as operands.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var

from gradmc.program import ir
from gradmc.program.middle.normal_form import inlined
from gradmc.program.middle.survey import Survey


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Equations before the loop (the window's first rows), the loop, and after it (the array put together).

    newest: the row stored last, after the loop; None without a window
    """

    before: list[JaxprEqn]
    loop: JaxprEqn
    after: list[JaxprEqn]
    newest: Var | None


@dataclass(slots=True)
class _Names:
    """What stands for the variables of a body: rows for versions of the array, aliases for what was loaded."""

    rows: dict[Var, Any]
    aliases: dict[Var, Any] = field(default_factory=dict)

    def __getitem__(self, atom: Any) -> Any:
        if isinstance(atom, Literal):
            return atom
        return self.rows.get(atom, self.aliases.get(atom, atom))

    def holds(self, atom: Any) -> bool:
        """Whether an atom is a version of the array."""
        return isinstance(atom, Var) and atom in self.rows


def rewritten(eqn: JaxprEqn, k: int, survey: Survey) -> Rewritten:
    """The loop without the carried array `k`."""
    n, m, body = eqn.params["n_consts"], eqn.params["n_carry"], eqn.params["body"]
    row = _row_type(survey.array)
    whole, window = Var(survey.array.aval), [Var(row) for _ in range(survey.depth)]
    extras = (whole, *window)
    head, own = inlined(lambda i, x: ir.load(x, i * survey.step + survey.start), [survey.index, whole])
    eqns, names = _replaced(body, {survey.array: own}, extras, survey)

    final = names[body.outvars[k]]
    others = [names[a] for j, a in enumerate(body.outvars) if j != k]
    shifted = [final, *window[:-1]] if window else []
    carried = [v for j, v in enumerate(body.invars[1 + n :]) if j != k]
    new = body.replace(
        invars=[survey.index, *body.invars[1 : 1 + n], whole, *carried, *window],
        outvars=[*others[: m - 1], *shifted, *others[m - 1 :], final],
        eqns=[*head, *eqns],
    )

    init = eqn.invars[n + k]
    before, first = _first_rows(eqn, init, survey)
    stacked = Var(row.update(shape=(survey.length, *row.shape)))
    finals = [Var(row) for _ in window]
    outs = [v for j, v in enumerate(eqn.outvars[:m]) if j != k]
    labels = [w for j, w in enumerate(eqn.params["names"]) if j != k]
    labels += [f"{eqn.params['names'][k]}[{lag} back]" for lag in range(1, survey.depth + 1)]
    loop = eqn.replace(
        invars=[*eqn.invars[:n], init, *(a for j, a in enumerate(eqn.invars[n:]) if j != k), *first],
        outvars=[*outs, *finals, *eqn.outvars[m:], stacked],
        params=eqn.params | {"body": new, "n_consts": n + 1, "n_carry": m - 1 + len(window), "names": tuple(labels)},
    )
    after = _reassembled(init, stacked, eqn.outvars[k], survey)
    return Rewritten(before, loop, after, finals[0] if finals else None)


def _row_type(array: Var) -> Any:
    return array.aval.update(shape=array.aval.shape[1:], weak_type=False)


def _first_rows(eqn: JaxprEqn, init: Any, survey: Survey) -> tuple[list[JaxprEqn], list[Any]]:
    """What the window holds before the first iteration."""
    size = survey.array.aval.shape[0]
    sure = [survey.lag(a.index) for a in survey.accesses if not a.stores and not a.guarded]
    eqns, rows = [], []
    for lag in range(1, survey.depth + 1):
        place = survey.start - survey.step * lag
        if not (-size <= place < size) and not any(s is not None and s >= lag for s in sure):
            # Read only in a branch, which the program does not take where the row would lie beyond the array.
            place = 0
        more, row = inlined(lambda x, place=place: ir.load(x, place, source=eqn.params["source"]), [init])
        eqns += more
        rows.append(row)
    return eqns, rows


def _reassembled(init: Any, stacked: Var, out: Var, survey: Survey) -> list[JaxprEqn]:
    """The array after the loop: a loop that only stores the rows."""

    def put(x: Any, ys: Any) -> Any:
        def store_row(i: Any, x: Any) -> tuple[Any, tuple]:
            return ir.store(x, ir.load(ys, i), i * survey.step + survey.start), ()

        return ir.for_loop(survey.length, store_row, x)[0]

    eqns, _ = inlined(put, [init, stacked])
    last = eqns[-1]
    return [*eqns[:-1], last.replace(outvars=[out, *last.outvars[1:]])]


def _replaced(
    body: Jaxpr, rows: dict[Var, Any], extras: Sequence[Var], survey: Survey
) -> tuple[list[JaxprEqn], _Names]:
    """The equations of a body with the array's versions replaced by rows."""
    names, eqns = _Names(rows), []
    for eqn in body.eqns:
        if not any(map(names.holds, eqn.invars)):
            eqns.append(eqn.replace(invars=[names[a] for a in eqn.invars]))
        elif eqn.primitive is ir.load_p:
            eqns += _load(eqn, names, extras, survey)
        elif eqn.primitive is ir.store_p:
            eqns += _store(eqn, names)
        else:
            eqns.append(_nested(eqn, names, extras, survey))
    return eqns, names


def _load(eqn: JaxprEqn, names: _Names, extras: Sequence[Var], survey: Survey) -> list[JaxprEqn]:
    array, first, *others = eqn.invars
    lag = survey.lag(survey.forms.of(first))
    rest = [names[a] for a in others]
    if lag is None:
        return [eqn.replace(invars=[extras[0], names[first], *rest])]
    row = names[array] if lag == 0 else extras[lag]
    if not rest:
        names.aliases[eqn.outvars[0]] = row
        return []
    return [eqn.replace(invars=[row, *rest])]


def _store(eqn: JaxprEqn, names: _Names) -> list[JaxprEqn]:
    array, value, _, *others = eqn.invars
    row, rest = names[array], [names[a] for a in others]
    if not rest:
        names.rows[eqn.outvars[0]] = names[value]
        return []
    out = Var(row.aval)
    names.rows[eqn.outvars[0]] = out
    return [eqn.replace(invars=[row, names[value], *rest], outvars=[out])]


def _nested(eqn: JaxprEqn, names: _Names, extras: Sequence[Var], survey: Survey) -> JaxprEqn:
    """A branch or an inner loop: rows go in and out where the array did; the window goes in as well."""
    loop = eqn.primitive is ir.for_p
    where = [k for k, a in enumerate(eqn.invars) if names.holds(a)]
    at, shift = (eqn.params["n_consts"], 1) if loop else (len(eqn.invars), -1)
    params = dict(eqn.params)
    rows: set[int] = set()
    for name in ir.BODIES[eqn.primitive]:
        inputs = [k + shift for k in where]
        params[name], rows = _nested_body(params[name], inputs, at + shift, extras, survey)
    if loop:
        params["n_consts"] = at + len(extras)
    outvars = []
    for k, var in enumerate(eqn.outvars):
        outvars.append(Var(_row_type(var)) if k in rows else var)
        if k in rows:
            names.rows[var] = outvars[-1]
    operands = [names[a] for a in eqn.invars]
    return eqn.replace(invars=[*operands[:at], *extras, *operands[at:]], outvars=outvars, params=params)


def _nested_body(
    body: Jaxpr, where: Sequence[int], split: int, extras: Sequence[Var], survey: Survey
) -> tuple[Jaxpr, set[int]]:
    """A body inside, its inputs `where` rows; and which of its results are rows."""
    mine = [Var(e.aval) for e in extras]
    rows = {body.invars[k]: Var(_row_type(body.invars[k])) for k in where}
    invars = [rows.get(v, v) for v in body.invars]
    eqns, names = _replaced(body, dict(rows), mine, survey)
    outs = {k for k, a in enumerate(body.outvars) if names.holds(a)}
    new = body.replace(
        invars=[*invars[:split], *mine, *invars[split:]], outvars=[names[a] for a in body.outvars], eqns=eqns
    )
    return new, outs
