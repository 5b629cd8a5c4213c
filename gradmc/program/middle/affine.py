"""Index arithmetic as affine forms: constant + sum of coefficient * variable, over integer variables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jax.extend.core import JaxprEqn, Literal, Var
from jax.extend.core import primitives as jp


@dataclass(frozen=True, slots=True)
class Form:
    """constant + sum over `terms` of coefficient * variable; variables that are no sums stand for themselves."""

    constant: int = 0
    terms: Mapping[Var, int] = field(default_factory=dict)

    def plus(self, other: "Form", times: int = 1) -> "Form":
        """This form plus `times` times another."""
        terms = dict(self.terms)
        for var, coefficient in other.terms.items():
            terms[var] = terms.get(var, 0) + times * coefficient
        return Form(self.constant + times * other.constant, {v: c for v, c in terms.items() if c})

    def times(self, factor: int) -> "Form":
        """This form times a constant."""
        return Form().plus(self, factor) if factor else Form()


class Forms:
    """The forms of the integer variables seen so far; bodies of inner loops and branches add theirs."""

    def __init__(self) -> None:
        self._known: dict[Var, Form] = {}

    def of(self, atom: Any) -> Form:
        """The form of an atom."""
        if isinstance(atom, Literal):
            return Form(int(np.asarray(atom.val)))
        return self._known.get(atom, Form(0, {atom: 1}))

    def name(self, var: Var, atom: Any) -> None:
        """`var` is the same number as `atom` (an input of a body and its operand)."""
        if _scalar_integer(var) and _scalar_integer(atom):
            self._known[var] = self.of(atom)

    def see(self, eqn: JaxprEqn) -> None:
        """Take note of an equation."""
        if len(eqn.outvars) != 1 or not all(map(_scalar_integer, (*eqn.invars, *eqn.outvars))):
            return
        form = self._result(eqn)
        if form is not None:
            self._known[eqn.outvars[0]] = form

    def _result(self, eqn: JaxprEqn) -> Form | None:
        forms = [self.of(a) for a in eqn.invars]
        if eqn.primitive is jp.add_p:
            return forms[0].plus(forms[1])
        if eqn.primitive is jp.sub_p:
            return forms[0].plus(forms[1], -1)
        if eqn.primitive is jp.neg_p:
            return forms[0].times(-1)
        if eqn.primitive is jp.convert_element_type_p:
            return forms[0]
        if eqn.primitive is jp.mul_p and not forms[0].terms:
            return forms[1].times(forms[0].constant)
        if eqn.primitive is jp.mul_p and not forms[1].terms:
            return forms[0].times(forms[1].constant)
        return None


def _scalar_integer(atom: Any) -> bool:
    return atom.aval.shape == () and np.issubdtype(atom.aval.dtype, np.integer)
