"""What a loop that closes in on a number searches: the equation that its comparisons test, solved for the ends.

The comparison `f(mid, theta) > 0` is cut out of the body as a function of the body's inputs and the ends. A product
or a sign is tested for one factor; of a value that is kept from an earlier iteration, `f(c)`, it is known how it was
computed then; a comparison of two values of one function, f(c) < f(d), searches a root of its slope.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var, jaxpr_as_fun
from jax.extend.core import primitives as jp

from gradmc.program import ir
from gradmc.program.frontend import control
from gradmc.program.frontend.closing import SEED, Closing, Sought
from gradmc.program.frontend.flows import Flow, has_while, inside, is_real
from gradmc.program.frontend.residual import Root, along
from gradmc.program.jaxprs import walk

DRAWS = 5
PRECISE, LOOSE = 0.4, 0.3
"""How near to a root, and to a minimum, a search can come: this power of the precision of numbers."""


def roots_of(eqn: JaxprEqn, found: Closing) -> list[Root]:
    """What a loop searches, if for each number that it closes in on a comparison tells it; else none."""
    if eqn.primitive is jp.scan_p:
        return []
    roots = [_root(_Equation(eqn.params["body"], carried_by(eqn), sought, found.flows)) for sought in found.sought]
    return [] if None in roots else [root for root in roots if root is not None]


def carried_by(eqn: JaxprEqn) -> int:
    """How many values a loop carries."""
    return len(eqn.invars) - eqn.params["n_consts"]


def _root(equation: "_Equation") -> Root | None:
    last = {jp.eq_p, jp.ne_p}
    for test in sorted(equation.sought.tests, key=lambda t: t.primitive in last):
        root = equation.root(test)
        if root is not None:
            return root
    return None


@dataclass(eq=False, slots=True)
class _Equation:
    """Reads off the comparisons of a body what is sought.

    Attributes:
        body: the body of the loop.
        count: how many values it carries.
        sought: their ends, steps and comparisons.
        flows: what the variables of the body are computed from.
        made: the equation that computes a variable.
        alias: what stands for an input of a branch or call outside of it.
        slices: the parts of the body that compute values.
    """

    body: Jaxpr
    count: int
    sought: Sought
    flows: dict[Var, Flow]
    made: dict[Var, JaxprEqn] = field(init=False)
    alias: dict[Var, Var | Literal] = field(init=False)
    slices: dict[Var, Jaxpr] = field(default_factory=dict)

    def __post_init__(self) -> None:
        eqns = list(walk(self.body, inside))
        self.made = {v: e for e in eqns for v in e.outvars}
        self.alias = {}
        for eqn in eqns:
            operands = eqn.invars[1:] if eqn.primitive is ir.if_p else eqn.invars
            for inner in inside(eqn):
                self.alias |= zip(inner.invars, operands, strict=True)

    @property
    def first(self) -> int:
        """How many inputs come before the carried ones."""
        return len(self.body.invars) - self.count

    def root(self, test: JaxprEqn) -> Root | None:
        """What a comparison says, if it is one of the ends with what depends on parameters, and of nothing else."""
        ends, steps = self.sought.ends, self.sought.steps
        sides = [list(self._computed(v)) for v in self._sides(test)]
        atoms = [v for side in sides for v in side]
        flows = reduce(or_, (self.flows.get(v, Flow()) for v in atoms if isinstance(v, Var)), Flow())
        shapes = [ir.types(self.body.out_avals)[k].shape for k in ends]
        shape = np.broadcast_shapes(*(v.aval.shape for v in atoms))
        if not all(sides) or not all(map(self._is_known, atoms)):
            return None
        if not flows.outside or not flows.data & set(ends) or any(s != shape for s in shapes):
            return None
        one, other = sides[0][0], sides[1][0]
        alone = any(isinstance(v, Literal) or not self.flows[v].data for v in (one, other))
        if not self._is_separate([one, other], alone=alone):
            return None
        if not self._is_one(sides[0]) or not self._is_one(sides[1]):
            return None
        if not self._is_one([one, other]):
            root = Root(ends, steps, lambda fixed, e: self._at(one, fixed, e) - self._at(other, fixed, e), PRECISE)
        else:
            least = tuple(k for k in range(self.count) if k not in {*ends, *steps} and self._holds(k, one))
            root = Root(ends, steps, lambda fixed, e: along(lambda x: self._at(one, fixed, x), e), LOOSE, least)
        return root if self._has_slope(root) else None

    def _sides(self, test: JaxprEqn) -> list[Any]:
        """What is compared: for a sign, or signs that are equal or not, with zero."""
        sides = [self._factor(v) for v in test.invars]
        aval = self.body.out_avals[self.sought.ends[0]]
        zero = Literal(np.zeros((), aval.dtype), aval.update(shape=()))  # type: ignore[attr-defined]
        if test.primitive is jp.sign_p:
            return [*sides, zero]
        signs = test.primitive in (jp.eq_p, jp.ne_p) and all(
            a is not b for a, b in zip(sides, test.invars, strict=True)
        )
        return [sides[0], zero] if signs else sides

    def _factor(self, atom: Any) -> Any:
        """Of a product (`f(lo) * f(mid)`) or a sign, the factor whose sign is tested."""
        own = {*self.sought.ends, *self.sought.steps}
        while isinstance(atom, Var) and atom in self.made and self.made[atom].primitive in (jp.mul_p, jp.sign_p):
            flows = [(v, self.flows[v]) for v in self.made[atom].invars if isinstance(v, Var)]
            tested = [v for v, f in flows if f.outside and f.data and f.data <= own]
            foreign = any(f.data - own for v, f in flows if v not in tested)
            if not tested or not (len(tested) == 2 or foreign or self.made[atom].primitive is jp.sign_p):
                return atom
            atom = tested[-1]
        return atom

    def _computed(self, atom: Any) -> Iterator[Any]:
        """How a value is computed: from the ends, or one of several ways where it is kept or chosen."""
        seen, todo = set[Var](), [atom]
        while todo:
            atom = todo.pop()
            if isinstance(atom, Literal) or self._is_known(atom):
                yield atom
            elif atom not in seen:
                seen.add(atom)
                chosen = self._chosen(atom)
                if not chosen:
                    yield atom
                todo += reversed(chosen)

    def _chosen(self, atom: Var) -> list[Any]:
        """The values of which this is one: that of an earlier iteration, those of the sides of a branch."""
        if atom in self.alias:
            return [self.alias[atom]]
        if atom in self.body.invars[self.first :]:
            return [self.body.outvars[self.body.invars.index(atom) - self.first]]
        eqn = self.made.get(atom)
        if eqn is None:
            return []
        if eqn.primitive is jp.select_n_p:
            return list(eqn.invars[1:])
        return [inner.outvars[eqn.outvars.index(atom)] for inner in inside(eqn)]

    def _is_known(self, atom: Var | Literal) -> bool:
        """Whether a value is computed from the ends and the steps, and from nothing else that is carried."""
        if isinstance(atom, Literal):
            return True
        used = control._inputs(self._slice(atom), self._slice(atom).outvars)
        return {k - self.first for k in used if k >= self.first} <= {*self.sought.ends, *self.sought.steps}

    def _holds(self, k: int, value: Any) -> bool:
        """Whether a carried value is always one of the function's, of which another value is given."""
        variable = self.body.invars[self.first + k]
        if not is_real(variable) or variable.aval.shape != value.aval.shape:  # type: ignore[attr-defined]
            return False
        computed = list(self._computed(variable))
        return bool(computed) and all(map(self._is_known, computed)) and self._is_one([value, *computed])

    def _at(self, atom: Any, fixed: Sequence[Any], values: Sequence[Any]) -> Any:
        """A value, for these ends (and the steps, which stand behind the fixed inputs)."""
        if isinstance(atom, Literal):
            return jnp.asarray(atom.val)
        inputs, steps = fixed[: self.first], fixed[self.first :]
        given = dict(zip((*self.sought.ends, *self.sought.steps), (*values, *steps), strict=True))
        others = ir.types([v.aval for v in self.body.invars[self.first :]])
        carry = [given[k] if k in given else np.zeros(t.shape, t.dtype) for k, t in enumerate(others)]
        return jaxpr_as_fun(self._slice(atom))(*inputs, *carry)[0]

    def _slice(self, atom: Var) -> Jaxpr:
        """The part of the body that computes a value, which may stand in a branch."""

        def value(*inputs: Any) -> list[Any]:
            env: dict[Var, Any] = {}
            _evaluate(self.body, inputs, env)
            return [env[atom]]

        if atom not in self.slices:
            whole = jax.make_jaxpr(value)(*ir.types(self.body.in_avals))
            self.slices[atom] = control._prune(whole, whole.outvars)
        return self.slices[atom]

    def _is_one(self, atoms: Sequence[Any]) -> bool:
        """Whether these are values of one function: they agree where the ends meet and the steps are 0."""
        if len(atoms) == 1:
            return True
        if self._may_not_end():
            return False
        agree: list[bool] = []
        with jax.ensure_compile_time_eval():
            for fixed, same, apart in self._points():
                values, others = ([np.asarray(self._at(v, fixed, e)) for v in atoms] for e in (same, apart))
                together, spread = (max(np.max(np.abs(v - vs[0])) for v in vs[1:]) for vs in (values, others))
                if np.isfinite(together) and np.isfinite(spread):
                    agree.append(bool(together <= 1e-9 * (spread + np.max(np.abs(values[0])))))
        return bool(agree) and all(agree)

    def _is_separate(self, atoms: Sequence[Any], *, alone: bool) -> bool:
        """Whether each element of these depends on one element of the ends only: `alone` if one has no ends at all."""
        aval: Any = self.body.invars[self.first + self.sought.ends[0]].aval
        if self._may_not_end():
            return alone and not aval.shape
        if not aval.shape:
            return True
        unit = np.zeros(aval.shape, aval.dtype)
        unit.flat[0] = 1.0
        with jax.ensure_compile_time_eval():
            for fixed, same, _ in self._points():
                for atom in atoms:
                    moved = jax.jvp(
                        lambda *e, atom=atom, fixed=fixed: self._at(atom, fixed, e),
                        tuple(same),
                        tuple(unit for _ in same),
                    )[1]
                    if np.any(np.ravel(moved)[1:]):
                        return False
        return True

    def _has_slope(self, root: Root) -> bool:
        """Whether a residual changes with the ends, which that of |x - theta| does not."""
        if self._may_not_end():
            return True
        with jax.ensure_compile_time_eval():
            for fixed, same, _ in self._points():
                if np.any(np.asarray(along(lambda e, fixed=fixed: root.residual(fixed, e), same)) != 0):
                    return True
        return False

    def _may_not_end(self) -> bool:
        """Whether it may not end on random numbers."""
        return any(map(has_while, walk(self.body, inside)))

    def _points(self) -> Iterator[tuple[list[Any], list[Any], list[Any]]]:
        """Random numbers for what is fixed, for ends that meet and for ends that do not; the steps are 0."""
        rng = np.random.default_rng(SEED)
        inputs = ir.types([v.aval for v in self.body.invars])
        steps = [np.zeros(inputs[self.first + k].shape, inputs[self.first + k].dtype) for k in self.sought.steps]
        ends = [inputs[self.first + k] for k in self.sought.ends]
        for _ in range(DRAWS):
            fixed = [*(rng.uniform(0.3, 0.9, t.shape).astype(t.dtype) for t in inputs[: self.first]), *steps]
            x = rng.uniform(0.3, 0.9, ends[0].shape)
            yield fixed, [x.astype(t.dtype) for t in ends], [(x + 0.1 * k).astype(t.dtype) for k, t in enumerate(ends)]


def _evaluate(jaxpr: Jaxpr, inputs: Sequence[Any], env: dict[Var, Any]) -> list[Any]:
    """Evaluate a jaxpr and all sides of its branches, and keep every value."""
    env |= zip(jaxpr.constvars, jaxpr.consts, strict=True)
    env |= zip(jaxpr.invars, inputs, strict=True)
    for eqn in jaxpr.eqns:
        values = [v.val if isinstance(v, Literal) else env[v] for v in eqn.invars]
        if eqn.primitive is jp.jit_p:
            out = _evaluate(eqn.params["jaxpr"], values, env)
        else:
            out = eqn.primitive.bind(*values, **eqn.primitive.get_bind_params(eqn.params))
            out = out if eqn.primitive.multiple_results else [out]
        if eqn.primitive is ir.if_p:
            for side in inside(eqn):
                _evaluate(side, values[1:], env)
        env |= zip(eqn.outvars, out, strict=True)
    return [v.val if isinstance(v, Literal) else env[v] for v in jaxpr.outvars]
