"""Whole numbers that may leave the machine's integers are computed in floating point instead of wrapping around.

Python's whole numbers have no limit. A number that `whole` finds floating is one of float64 here (float32 in single
precision), and so is all that is made of it: then `v * v` and a sum of it over a thousand incomes has 16 digits.
What needs all digits is refused, with the line: the difference and the order of two numbers that are both rounded, a
remainder, bits. A program none of whose numbers can leave 64 bits stays as it is.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var, new_jaxpr_eqn, no_effects
from jax.extend.core import primitives as jp

from gradmc.errors import ProgramError
from gradmc.program import ir
from gradmc.program.blame.origin import is_users, origin
from gradmc.program.middle.whole import (
    ON_FLOATS,
    SUMS,
    IntervalInterpreter,
    Known,
    Whole,
    counts,
    exact,
    interval,
    read,
    values,
)

COMPARISONS = frozenset(["eq", "ne", "lt", "le", "gt", "ge"])


def widened(jaxpr: Jaxpr, inputs: Sequence[Any] = ()) -> Jaxpr:
    """The same function, none of whose whole numbers wraps around.

    Args:
        jaxpr: a traced program in the loop IR.
        inputs: what is known of its inputs: values or tracers; by default nothing.

    Raises:
        ProgramError: a number that may be rounded is needed to its last digit.
    """
    given = [interval(v) for v in inputs] or [None] * len(jaxpr.invars)
    flow = IntervalInterpreter()
    flow.run(jaxpr, given)
    return _Rewriting(flow).body(jaxpr, given)[0] if flow.found else jaxpr


class _Rewriting:
    """Rewrites jaxprs, from the intervals of their inputs."""

    def __init__(self, flow: IntervalInterpreter) -> None:
        self.flow = flow
        self.called: list[Any] = []
        self.dtype = np.dtype(jax.dtypes.canonicalize_dtype(float))
        self.exact = exact(self.dtype)

    def body(self, jaxpr: Jaxpr, given: Sequence[Known], floating: Sequence[bool] = ()) -> tuple[Jaxpr, list[Known]]:
        """A jaxpr, and the intervals of its results; those marked as floating become floats in any case."""
        env = self.flow.begin(jaxpr, given)
        names: dict[Var, Any] = {}
        eqns: list[JaxprEqn] = []
        for v, g in zip(jaxpr.invars, given, strict=True):
            if _floats(g):
                names[v] = self._float_var(v)
        for eqn in jaxpr.eqns:
            known = [read(env, a) for a in eqn.invars]
            out = self.flow.equation(eqn, known)
            eqns += self._equation(eqn, known, out, names)
            env |= zip(eqn.outvars, out, strict=True)
        results = [read(env, a) for a in jaxpr.outvars]
        atoms = []
        for k, (atom, result) in enumerate(zip(jaxpr.outvars, results, strict=True)):
            wanted = k < len(floating) and floating[k]
            atoms.append(self._as_float(atom, result, names, eqns) if wanted else _named(atom, names))
        invars = [names.get(v, v) for v in jaxpr.invars]
        return jaxpr.replace(invars=invars, outvars=atoms, eqns=eqns), results

    def _equation(
        self, eqn: JaxprEqn, given: Sequence[Known], out: Sequence[Known], names: dict[Var, Any]
    ) -> list[JaxprEqn]:
        """An equation, rewritten for floating operands and results."""
        made: list[JaxprEqn] = []
        if eqn.primitive in RULES:
            return [*made, *RULES[eqn.primitive](self, eqn, given, out, names)]
        if not any(map(_floats, (*given, *out))):
            return [eqn]
        name = eqn.primitive.name
        if name == "convert_element_type":
            return self._convert(eqn, out, names)
        if name == "shift_left" and not eqn.outvars[0].aval.shape:
            return self._shifted(eqn, given, names)
        at = values(eqn)
        if name in COMPARISONS:
            self._require_comparable(eqn, given)
        elif any(map(_floats, out)):
            if name not in ON_FLOATS:
                self._refuse(eqn, given)
            if name in SUMS:
                self._require_same_sign(eqn, [given[k] for k in at])
        else:
            return self._on_whole(eqn, given, names)
        atoms = list(eqn.invars)
        for k, (atom, g) in enumerate(zip(eqn.invars, given, strict=True)):
            if k in at and counts(atom.aval):
                atoms[k] = self._as_float(atom, g, names, made)
            elif _floats(g):
                atoms[k] = self._as_whole(atom, names, made)
        for v in eqn.outvars:
            if counts(v.aval):
                names[v] = self._float_var(v)
        params = eqn.params
        if name == "dot_general":
            params = {**params, "preferred_element_type": self.dtype}
        return [*made, eqn.replace(invars=atoms, outvars=[names.get(v, v) for v in eqn.outvars], params=params)]

    def _convert(self, eqn: JaxprEqn, out: Sequence[Known], names: dict[Var, Any]) -> list[JaxprEqn]:
        """A conversion: to another kind of whole number a floating one stays what it is."""
        (var,) = eqn.outvars
        if not counts(var.aval):
            return [eqn.replace(invars=[_named(eqn.invars[0], names)])]
        names[var] = _named(eqn.invars[0], names)
        return []

    def _shifted(self, eqn: JaxprEqn, given: Sequence[Known], names: dict[Var, Any]) -> list[JaxprEqn]:
        """`a << b` as `a * 2.0**b`."""
        made: list[JaxprEqn] = []
        a, b = (self._as_float(atom, g, names, made) for atom, g in zip(eqn.invars, given, strict=True))
        power, result = Var(b.aval), self._float_var(eqn.outvars[0])
        names[eqn.outvars[0]] = result
        two = Literal(np.asarray(2.0, self.dtype), b.aval)
        made.append(new_jaxpr_eqn([two, b], [power], jp.pow_p, {}, no_effects, eqn.source_info))
        made.append(new_jaxpr_eqn([a, power], [result], jp.mul_p, {}, no_effects, eqn.source_info))
        return made

    def _on_whole(self, eqn: JaxprEqn, given: Sequence[Any], names: dict[Var, Any]) -> list[JaxprEqn]:
        """An equation that takes whole numbers only: a place in an array, or what cannot have been rounded."""
        made: list[JaxprEqn] = []
        at = values(eqn)
        atoms = list(eqn.invars)
        for k, g in enumerate(given):
            if _floats(g):
                if k in at and g.size > self.exact:
                    self._refuse(eqn, given)
                atoms[k] = self._as_whole(eqn.invars[k], names, made)
        return [*made, eqn.replace(invars=atoms)]

    # --- what needs all digits ---------------------------------------------------------------------

    def _require_same_sign(self, eqn: JaxprEqn, terms: Sequence[Any]) -> None:
        """Refuse sums in which the leading digits of two rounded numbers may cancel."""
        if eqn.primitive.name == "dot_general":
            low, high = _products(terms)
            mixed, rounded = low < 0 < high, max(-low, high) > self.exact
        elif len(terms) == 1:
            mixed, rounded = terms[0].low < 0 < terms[0].high, terms[0].size > self.exact
        else:
            a, b = terms
            low, high = (-b.high, -b.low) if eqn.primitive is jp.sub_p else (b.low, b.high)
            mixed = not ((a.low >= 0 and low >= 0) or (a.high <= 0 and high <= 0))
            rounded = a.size > self.exact and b.size > self.exact
        if mixed and rounded:
            self._refuse(eqn, terms, "the leading digits of their difference may cancel")

    def _require_comparable(self, eqn: JaxprEqn, given: Sequence[Any]) -> None:
        a, b = given
        apart = a and b and (a.high < b.low or b.high < a.low)
        if a and b and min(a.size, b.size) > self.exact and not apart:
            self._refuse(eqn, given, "which of them is larger may not be told")

    def _refuse(self, eqn: JaxprEqn, given: Sequence[Known], why: str = "") -> None:
        largest = max(g.size for g in given if g is not None)
        bits = np.dtype(jax.dtypes.canonicalize_dtype(int)).itemsize * 8
        told = "without bound" if largest.bit_length() > 1000 else f"up to {largest:.2g}"
        raise ProgramError(
            f"whole numbers may exceed {bits} bits here ({told}); rounded, "
            f"{why or f'{WORDS.get(eqn.primitive.name, eqn.primitive.name)} would be wrong'}",
            location=self.called[-1] if self.called else origin(eqn).location,
            remedy=f"If {self.dtype.itemsize * 2} digits are enough, compute with floats from the start: float(v), "
            "x.astype(float). Else keep the numbers smaller: subtract a reference value, or take the remainder sooner.",
        )

    # --- conversions -------------------------------------------------------------------------------

    def _float_var(self, var: Var) -> Var:
        return Var(var.aval.update(dtype=self.dtype, weak_type=False))

    def _as_float(self, atom: Any, known: Known, names: dict[Var, Any], made: list[JaxprEqn]) -> Any:
        if _floats(known):
            return _named(atom, names)
        return self._converted(atom, self.dtype, made)

    def _as_whole(self, atom: Any, names: dict[Var, Any], made: list[JaxprEqn]) -> Any:
        return self._converted(_named(atom, names), atom.aval.dtype, made)

    def _converted(self, atom: Any, dtype: Any, made: list[JaxprEqn]) -> Any:
        new = Var(atom.aval.update(dtype=np.dtype(dtype), weak_type=False))
        params = {"new_dtype": np.dtype(dtype), "weak_type": False, "sharding": None}
        made.append(new_jaxpr_eqn([atom], [new], jp.convert_element_type_p, params, no_effects))
        return new

    # --- loops, branches and functions ---------------------------------------------------------------

    def _results(self, eqn: JaxprEqn, out: Sequence[Known], names: dict[Var, Any]) -> list[Var]:
        for v, o in zip(eqn.outvars, out, strict=True):
            if _floats(o):
                names[v] = self._float_var(v)
        return [names.get(v, v) for v in eqn.outvars]

    def jit(self, eqn: JaxprEqn, given: Sequence[Known], out: Sequence[Known], names: dict[Var, Any]) -> list[JaxprEqn]:
        """A function of JAX's: its equations, where it holds floating numbers."""
        inside = eqn.params["jaxpr"]
        outer = None if self.called or is_users(inside) else origin(eqn).location
        self.called += [outer] if outer else []
        body, _ = self.body(inside, given)
        self.called = self.called[: len(self.called) - bool(outer)]
        atoms = [_named(a, names) for a in eqn.invars]
        return [eqn.replace(invars=atoms, outvars=self._results(eqn, out, names), params={**eqn.params, "jaxpr": body})]

    def if_(self, eqn: JaxprEqn, given: Sequence[Known], out: Sequence[Known], names: dict[Var, Any]) -> list[JaxprEqn]:
        """A branch whose sides return alike."""
        floating = list(map(_floats, out))
        sides = {side: self.body(eqn.params[side], given[1:], floating)[0] for side in ir.BODIES[ir.if_p]}
        atoms = [_named(a, names) for a in eqn.invars]
        return [eqn.replace(invars=atoms, outvars=self._results(eqn, out, names), params={**eqn.params, **sides})]

    def loop(
        self, eqn: JaxprEqn, given: Sequence[Known], out: Sequence[Known], names: dict[Var, Any]
    ) -> list[JaxprEqn]:
        """A loop that carries floating numbers as floats from the start."""
        made: list[JaxprEqn] = []
        n = eqn.params["n_consts"]
        carry = self.flow.carried(eqn, given)
        floating = list(map(_floats, carry))
        inside = [*self.flow.outside(eqn, given), *carry]
        bodies = {
            part: self.body(eqn.params[part], inside, floating if part == "body" else ())[0]
            for part in ir.BODIES[eqn.primitive]
        }
        atoms = [_named(a, names) for a in eqn.invars]
        for k, wanted in enumerate(floating):
            if wanted:
                atoms[n + k] = self._as_float(eqn.invars[n + k], given[n + k], names, made)
        new = eqn.replace(invars=atoms, outvars=self._results(eqn, out, names), params={**eqn.params, **bodies})
        return [*made, new]


RULES = {jp.jit_p: _Rewriting.jit, ir.if_p: _Rewriting.if_, ir.for_p: _Rewriting.loop, ir.while_p: _Rewriting.loop}

WORDS = {
    "rem": "their remainder",
    "div": "their quotient",
    "and": "their bits",
    "or": "their bits",
    "xor": "their bits",
    "not": "their bits",
    "shift_left": "their bits",
    "shift_right_arithmetic": "their bits",
    "sort": "their order",
}


def _floats(known: Known) -> bool:
    return known is not None and known.floating


def _named(atom: Any, names: dict[Var, Any]) -> Any:
    return names.get(atom, atom) if isinstance(atom, Var) else atom


def _products(terms: Sequence[Whole]) -> tuple[int, int]:
    a, b = terms
    found = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    return min(found), max(found)
