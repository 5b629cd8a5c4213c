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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var, new_jaxpr_eqn, no_effects
from jax.extend.core import primitives as jp

from gradmc.program import ir
from gradmc.program.middle.affine import Form, Forms
from gradmc.program.middle.depends import prune
from gradmc.program.middle.normal import inlined
from gradmc.program.middle.roles import roles


class _NoWindow(Exception):
    """The array is used in another way."""


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
    eqns = [_deeper(eqn) for eqn in eqns]
    body = body.replace(eqns=eqns)
    return prune(body, range(len(body.outvars)))


def _deeper(eqn: JaxprEqn) -> JaxprEqn:
    names = {ir.for_p: ("body",), ir.while_p: ("cond", "body"), ir.if_p: ("then", "otherwise")}.get(eqn.primitive, ())
    if not names:
        return eqn
    return eqn.replace(params=eqn.params | {name: with_windows(eqn.params[name]) for name in names})


@dataclass(frozen=True, slots=True)
class _End:
    """An array after its loop: the row stored last, as the window holds it."""

    place: int
    row: Var

    def load(self, eqn: JaxprEqn) -> list[JaxprEqn]:
        """A load of the last row, or from it, without the array."""
        array, index, *rest = eqn.invars
        if not isinstance(index, Literal) or np.ndim(index.val) or int(index.val) % array.aval.shape[0] != self.place:
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
        array, window = eqn.outvars[k], _Window(eqn, k)
        try:
            first, eqn, last = window.rewrite()
        except _NoWindow:
            continue
        if window.depth:
            ends[array] = _End(window.start + window.step * (window.length - 1), window.newest)
        before, after = [*before, *first], [*last, *after]


def window_depth(eqn: JaxprEqn, k: int) -> int | None:
    """How many iterations back a loop reads the array that it carries in place `k`; None if it has no window."""
    window = _Window(eqn, k)
    try:
        window.rewrite()
    except _NoWindow:
        return None
    return window.depth


def _candidate(eqn: JaxprEqn, tried: set[Any]) -> int | None:
    if eqn.params["length"] < 2:
        return None
    for k, role in enumerate(roles(eqn)):
        out = eqn.outvars[k]
        if role.kind == "ordinary" and out.aval.ndim and out not in tried:
            return k
    return None


@dataclass(frozen=True, slots=True)
class _Access:
    """One load or store: the form of its first index, and whether it stands in a branch."""

    stores: bool
    index: Form
    guarded: bool


class _Window:
    """The rewriting of one carried array of one loop."""

    def __init__(self, eqn: JaxprEqn, k: int) -> None:
        self.eqn, self.k = eqn, k
        self.body, self.n, self.m = eqn.params["body"], eqn.params["n_consts"], eqn.params["n_carry"]
        self.length = eqn.params["length"]
        self.index = self.body.invars[0]
        self.array = self.body.invars[1 + self.n + k]
        self.forms = Forms()
        self.accesses: list[_Access] = []
        self.depth = 0

    def rewrite(self) -> tuple[list[JaxprEqn], JaxprEqn, list[JaxprEqn]]:
        """Equations before the loop (the window's first rows), the loop, and after it (the array)."""
        flow = self._survey(self.body, {self.array}, False)
        out = self.body.outvars[self.k]
        if isinstance(out, Literal) or out not in flow or sum(a in flow for a in _vars(self.body.outvars)) != 1:
            raise _NoWindow
        self.start, self.step = self._written()
        lags = [self._lag(a) for a in self.accesses if not a.stores]
        self.depth = max([0, *(lag for lag in lags if lag is not None)])
        return self._built()

    # --- survey -------------------------------------------------------------------------------

    def _survey(self, body: Jaxpr, flow: set[Var], guarded: bool) -> set[Var]:
        """All accesses to the array in a body; returns the variables that hold the array."""
        flow = set(flow)
        for eqn in body.eqns:
            self.forms.see(eqn)
            where = [k for k, a in enumerate(eqn.invars) if isinstance(a, Var) and a in flow]
            if eqn.primitive in (ir.load_p, ir.store_p) and where == [0]:
                stores = eqn.primitive is ir.store_p
                first = eqn.invars[2 if stores else 1]
                if first.aval.shape:
                    raise _NoWindow
                self.accesses.append(_Access(stores, self.forms.of(first), guarded))
                flow |= set(eqn.outvars) if stores else set()
            elif eqn.primitive is ir.if_p:
                flow |= self._survey_if(eqn, where)
            elif eqn.primitive is ir.for_p:
                flow |= self._survey_for(eqn, where, guarded)
            elif where:
                raise _NoWindow
        return flow

    def _survey_if(self, eqn: JaxprEqn, where: list[int]) -> set[Var]:
        outs = []
        for name in ("then", "otherwise"):
            side = eqn.params[name]
            for var, atom in zip(side.invars, eqn.invars[1:], strict=True):
                self.forms.name(var, atom)
            inner = self._survey(side, {side.invars[k - 1] for k in where}, True) if where else set()
            outs.append({k for k, a in enumerate(side.outvars) if isinstance(a, Var) and a in inner})
        if outs[0] != outs[1]:
            raise _NoWindow
        return {eqn.outvars[k] for k in outs[0]}

    def _survey_for(self, eqn: JaxprEqn, where: list[int], guarded: bool) -> set[Var]:
        if not where:
            return set()
        body, n = eqn.params["body"], eqn.params["n_consts"]
        for var, atom in zip(body.invars[1 : 1 + n], eqn.invars, strict=False):
            self.forms.name(var, atom)
        inner = self._survey(body, {body.invars[1 + k] for k in where}, guarded)
        carried = {k - n for k in where if k >= n}
        outs = {k for k, a in enumerate(body.outvars) if isinstance(a, Var) and a in inner}
        if outs != carried:
            raise _NoWindow
        return {eqn.outvars[k] for k in carried}

    # --- which rows -----------------------------------------------------------------------------

    def _written(self) -> tuple[int, int]:
        """The row of iteration i is start + step * i."""
        forms = [a.index for a in self.accesses if a.stores]
        if not forms or any(f != forms[0] for f in forms) or set(forms[0].terms) != {self.index}:
            raise _NoWindow
        start, step = forms[0].constant, forms[0].terms[self.index]
        size = self.array.aval.shape[0]
        last = start + step * (self.length - 1)
        if not (0 <= start < size and 0 <= last < size):
            raise _NoWindow
        return start, step

    def _lag(self, access: _Access) -> int | None:
        """How many iterations ago the row was stored; None for a row that is not stored before it is read."""
        form = access.index
        if not form.terms:
            size = self.array.aval.shape[0]
            row = form.constant + size if form.constant < 0 else form.constant
            steps = (row - self.start) / self.step
            if steps == int(steps) and 0 <= steps < self.length:
                raise _NoWindow
            return None
        behind = Form(self.start, {self.index: self.step}).plus(form, -1)
        if behind.terms or behind.constant % self.step:
            raise _NoWindow
        lag = behind.constant // self.step
        return None if lag < 0 else lag

    # --- the new loop ---------------------------------------------------------------------------

    def _built(self) -> tuple[list[JaxprEqn], JaxprEqn, list[JaxprEqn]]:
        row_aval = self.array.aval.update(shape=self.array.aval.shape[1:], weak_type=False)
        whole, window = Var(self.array.aval), [Var(row_aval) for _ in range(self.depth)]
        extras = (whole, *window)
        head, row = self._row_at(whole, row_aval)
        eqns, rows = self._replaced(self.body, {self.array: row}, {}, extras)
        final = rows[self.body.outvars[self.k]]
        others = [a for j, a in enumerate(self.body.outvars) if j != self.k]
        carry_out, ys = others[: self.m - 1], others[self.m - 1 :]
        shifted = [final, *window[:-1]] if window else []
        invars = [self.index, *self.body.invars[1 : 1 + self.n], whole]
        invars += [v for j, v in enumerate(self.body.invars[1 + self.n :]) if j != self.k] + window
        outvars = [self._resolve(a) for a in carry_out] + shifted + [self._resolve(a) for a in ys] + [final]
        body = self.body.replace(invars=invars, outvars=outvars, eqns=[*head, *eqns])

        init = self.eqn.invars[self.n + self.k]
        before, first_rows = self._first_rows(init, row_aval)
        operands = [*self.eqn.invars[: self.n], init]
        operands += [a for j, a in enumerate(self.eqn.invars[self.n :]) if j != self.k] + first_rows
        stacked = Var(row_aval.update(shape=(self.length, *row_aval.shape)))
        outs = self.eqn.outvars
        outvars = [v for j, v in enumerate(outs[: self.m]) if j != self.k]
        finals = [Var(row_aval) for _ in window]
        self.newest = finals[0] if finals else stacked
        outvars += [*finals, *outs[self.m :], stacked]
        n_carry = self.m - 1 + len(window)
        name = self.eqn.params["names"][self.k]
        names = [w for j, w in enumerate(self.eqn.params["names"]) if j != self.k]
        names += [f"{name}[{lag} back]" for lag in range(1, self.depth + 1)]
        params = self.eqn.params | {"body": body, "n_consts": self.n + 1, "n_carry": n_carry, "names": tuple(names)}
        loop = self.eqn.replace(invars=operands, outvars=outvars, params=params)
        return before, loop, self._reassembled(init, stacked, outs[self.k])

    def _row_at(self, whole: Var, row_aval: Any) -> tuple[list[JaxprEqn], Var]:
        """The row of this iteration as it was before the loop."""

        def row(i: Any, x: Any) -> Any:
            return ir.load(x, i * self.step + self.start)

        return inlined(row, [self.index, whole])

    def _first_rows(self, init: Any, row_aval: Any) -> tuple[list[JaxprEqn], list[Any]]:
        """What the window holds before the first iteration."""
        size = self.array.aval.shape[0]
        sure = {self._lag(a) for a in self.accesses if not a.stores and not a.guarded}
        eqns, rows = [], []
        for lag in range(1, self.depth + 1):
            place = self.start - self.step * lag
            if not (-size <= place < size) and not any(s is not None and s >= lag for s in sure):
                place = 0
            more, row = inlined(lambda x, place=place: ir.load(x, place, source=self.eqn.params["source"]), [init])
            eqns += more
            rows.append(row)
        return eqns, rows

    def _reassembled(self, init: Any, stacked: Var, out: Var) -> list[JaxprEqn]:
        """The array after the loop: a loop that only stores the rows."""

        def put(x: Any, ys: Any) -> Any:
            def store_row(i: Any, x: Any) -> tuple[Any, tuple]:
                return ir.store(x, ir.load(ys, i), i * self.step + self.start), ()

            return ir.for_loop(self.length, store_row, x)[0]

        eqns, result = inlined(put, [init, stacked])
        last = eqns[-1]
        assert last.outvars[0] is result
        return [*eqns[:-1], last.replace(outvars=[out, *last.outvars[1:]])]

    def _replaced(
        self, body: Jaxpr, rows: dict[Var, Any], alias: dict[Var, Any], extras: Sequence[Var]
    ) -> tuple[list[JaxprEqn], "_Rows"]:
        """The equations of a body with the array's variables replaced by rows."""
        held, eqns = _Rows(rows, alias), []
        for eqn in body.eqns:
            if not any(isinstance(a, Var) and a in held.held for a in eqn.invars):
                eqns.append(eqn.replace(invars=[held[a] for a in eqn.invars]))
            elif eqn.primitive is ir.load_p:
                eqns += self._load(eqn, held, extras)
            elif eqn.primitive is ir.store_p:
                eqns += self._store(eqn, held)
            else:
                eqns.append(self._nested(eqn, held, extras))
        self._last = held
        return eqns, held

    def _resolve(self, atom: Any) -> Any:
        return self._last[atom]

    def _load(self, eqn: JaxprEqn, rows: "_Rows", extras: Sequence[Var]) -> list[JaxprEqn]:
        lag = self._lag(_Access(False, self.forms.of(eqn.invars[1]), False))
        rest = [rows[a] for a in eqn.invars[2:]]
        if lag is None:
            return [eqn.replace(invars=[extras[0], rows[eqn.invars[1]], *rest])]
        row = rows.held[eqn.invars[0]] if lag == 0 else extras[lag]
        if not rest:
            rows.alias[eqn.outvars[0]] = row
            return []
        return [eqn.replace(invars=[row, *rest])]

    def _store(self, eqn: JaxprEqn, rows: "_Rows") -> list[JaxprEqn]:
        row, rest = rows.held[eqn.invars[0]], [rows[a] for a in eqn.invars[3:]]
        if not rest:
            rows.held[eqn.outvars[0]] = rows[eqn.invars[1]]
            return []
        out = Var(row.aval)
        rows.held[eqn.outvars[0]] = out
        return [eqn.replace(invars=[row, rows[eqn.invars[1]], *rest], outvars=[out])]

    def _nested(self, eqn: JaxprEqn, rows: "_Rows", extras: Sequence[Var]) -> JaxprEqn:
        """A branch or an inner loop: rows go in and out where the array did; the window goes in as well."""
        loop = eqn.primitive is ir.for_p
        where = [k for k, a in enumerate(eqn.invars) if isinstance(a, Var) and a in rows.held]
        at = eqn.params["n_consts"] if loop else len(eqn.invars)
        operands = [rows.held[a] if k in where else rows[a] for k, a in enumerate(eqn.invars)]
        names = ("body",) if loop else ("then", "otherwise")
        params = dict(eqn.params)
        for name in names:
            params[name] = self._nested_body(params[name], where, 1 if loop else -1, at, extras)
        if loop:
            params["n_consts"] = at + len(extras)
        outvars = []
        for k, var in enumerate(eqn.outvars):
            aval = params[names[0]].outvars[k].aval
            held = aval.shape != var.aval.shape and k in self._last_outs
            outvars.append(Var(aval) if held else var)
            if held:
                rows.held[var] = outvars[-1]
        return eqn.replace(invars=[*operands[:at], *extras, *operands[at:]], outvars=outvars, params=params)

    def _nested_body(self, body: Jaxpr, where: list[int], shift: int, at: int, extras: Sequence[Var]) -> Jaxpr:
        mine = [Var(e.aval) for e in extras]
        held = {body.invars[k + shift]: Var(extras_row(extras, body.invars[k + shift])) for k in where}
        eqns, rows = self._replaced(body, dict(held), {}, mine)
        self._last_outs = {k for k, a in enumerate(body.outvars) if isinstance(a, Var) and a in rows.held}
        invars = [held.get(v, v) for v in body.invars]
        split = at + shift
        return body.replace(
            invars=[*invars[:split], *mine, *invars[split:]], outvars=[rows[a] for a in body.outvars], eqns=eqns
        )


def extras_row(extras: Sequence[Var], array: Var) -> Any:
    """The type of a row of the array."""
    return array.aval.update(shape=array.aval.shape[1:], weak_type=False)


class _Rows:
    """What stands for the variables of the old body: rows for the array, aliases for what was loaded."""

    def __init__(self, held: dict[Var, Any], alias: dict[Var, Any]) -> None:
        self.held, self.alias = held, alias

    def __getitem__(self, atom: Any) -> Any:
        if isinstance(atom, Literal):
            return atom
        return self.held.get(atom, self.alias.get(atom, atom))


def _vars(atoms: Sequence[Any]) -> list[Var]:
    return [a for a in atoms if isinstance(a, Var)]
