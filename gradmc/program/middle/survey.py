"""How a loop uses an array that it carries: which row each iteration stores, and how far back it reads."""

from dataclasses import dataclass

from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var

from gradmc.program import ir
from gradmc.program.middle.affine import Form, Forms


class NoWindow(Exception):
    """The array is not filled in order, or read in another way than a few rows back."""


@dataclass(frozen=True, slots=True)
class Access:
    """One load or store: the form of its first index, and whether it stands in a branch."""

    stores: bool
    index: Form
    guarded: bool


class Survey:
    """The use of one carried array by one loop.

    Attributes:
        start, step: iteration i stores to row start + step * i.
        depth: how many iterations back the loop reads.
        accesses: all loads and stores.
        forms: the loop's integers as affine forms.
    """

    def __init__(self, eqn: JaxprEqn, k: int) -> None:
        body, n = eqn.params["body"], eqn.params["n_consts"]
        self.length: int = eqn.params["length"]
        self.index: Var = body.invars[0]
        self.array: Var = body.invars[1 + n + k]
        self.forms = Forms()
        self.accesses: list[Access] = []
        flow = self._walk(body, {self.array}, guarded=False)
        out = body.outvars[k]
        results = [a for a in body.outvars if isinstance(a, Var) and a in flow]
        if isinstance(out, Literal) or out not in flow or len(results) != 1:
            raise NoWindow
        self.start, self.step = self._written()
        lags = [self.lag(a.index) for a in self.accesses if not a.stores]
        self.depth = max([0, *(lag for lag in lags if lag is not None)])

    def _walk(self, body: Jaxpr, flow: set[Var], guarded: bool) -> set[Var]:
        """All accesses to the array in a body; returns the variables that hold the array."""
        flow = set(flow)
        for eqn in body.eqns:
            self.forms.see(eqn)
            where = [k for k, a in enumerate(eqn.invars) if isinstance(a, Var) and a in flow]
            if eqn.primitive in (ir.load_p, ir.store_p) and where == [0]:
                stores = eqn.primitive is ir.store_p
                first = eqn.invars[2 if stores else 1]
                if first.aval.shape:
                    raise NoWindow
                self.accesses.append(Access(stores, self.forms.of(first), guarded))
                flow |= set(eqn.outvars) if stores else set()
            elif eqn.primitive is ir.if_p:
                flow |= self._walk_if(eqn, where)
            elif eqn.primitive is ir.for_p:
                flow |= self._walk_for(eqn, where, guarded)
            elif where:
                raise NoWindow
        return flow

    def _walk_if(self, eqn: JaxprEqn, where: list[int]) -> set[Var]:
        outs = []
        for name in ("then", "otherwise"):
            side = eqn.params[name]
            for var, atom in zip(side.invars, eqn.invars[1:], strict=True):
                self.forms.name(var, atom)
            inner = self._walk(side, {side.invars[k - 1] for k in where}, True) if where else set()
            outs.append({k for k, a in enumerate(side.outvars) if isinstance(a, Var) and a in inner})
        if outs[0] != outs[1]:
            raise NoWindow
        return {eqn.outvars[k] for k in outs[0]}

    def _walk_for(self, eqn: JaxprEqn, where: list[int], guarded: bool) -> set[Var]:
        if not where:
            return set()
        body, n = eqn.params["body"], eqn.params["n_consts"]
        for var, atom in zip(body.invars[1 : 1 + n], eqn.invars, strict=False):
            self.forms.name(var, atom)
        inner = self._walk(body, {body.invars[1 + k] for k in where}, guarded)
        carried = {k - n for k in where if k >= n}
        outs = {k for k, a in enumerate(body.outvars) if isinstance(a, Var) and a in inner}
        if outs != carried:
            raise NoWindow
        return {eqn.outvars[k] for k in carried}

    def _written(self) -> tuple[int, int]:
        """The row of iteration i is start + step * i."""
        forms = [a.index for a in self.accesses if a.stores]
        if not forms or any(f != forms[0] for f in forms) or set(forms[0].terms) != {self.index}:
            raise NoWindow
        start, step = forms[0].constant, forms[0].terms[self.index]
        size = self.array.aval.shape[0]
        last = start + step * (self.length - 1)
        if not (0 <= start < size and 0 <= last < size):
            raise NoWindow
        return start, step

    def lag(self, form: Form) -> int | None:
        """How many iterations ago a row was stored; None for a row that is not stored before it is read."""
        if not form.terms:
            size = self.array.aval.shape[0]
            row = form.constant + size if form.constant < 0 else form.constant
            steps = (row - self.start) / self.step
            if steps == int(steps) and 0 <= steps < self.length:
                raise NoWindow
            return None
        behind = Form(self.start, {self.index: self.step}).plus(form, -1)
        if behind.terms or behind.constant % self.step:
            raise NoWindow
        lag = behind.constant // self.step
        return None if lag < 0 else lag
