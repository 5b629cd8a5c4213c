"""The operation that JAX has no derivative of.

Differentiation runs on the traced program, where the user's frames are gone: an error of JAX's says what went wrong,
not on which line. So the program is searched for the first operation on what depends on parameters that fails when it
is differentiated alone, in the bodies of loops and branches too.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as jp

from gradmc.errors import GradmcError, ProgramError
from gradmc.program import ir
from gradmc.program.blame.origin import origin

REMEDY = (
    "Use a function of gradmc.lpdf, jax.numpy or jax.scipy that has a derivative in all that depends on parameters, "
    "give yours one by jax.custom_jvp, or write a loop of your own as plain Python."
)


@contextmanager
def differentiating(equations: Callable[[], Jaxpr], scope: Callable[[], AbstractContextManager[Any]]) -> Iterator[None]:
    """Name the user's line in an error of JAX's own that comes up when a program is differentiated.

    Args:
        equations: returns the program as a jaxpr, a function of its parameters.
        scope: a context in which JAX works in the program's precision.

    Raises:
        ProgramError: JAX has no derivative of something in the program.
    """
    try:
        yield
    except GradmcError:
        raise
    except Exception as error:
        with scope():
            found = undifferentiable(equations())
        if found is None:
            raise
        at = origin(found)
        what = at.called or found.primitive.name
        raise ProgramError(
            f"{what} cannot be differentiated: {str(error).partition('\n')[0]}", location=at.location, remedy=REMEDY
        ) from error


def undifferentiable(jaxpr: Jaxpr) -> JaxprEqn | None:
    """The first operation in a program that has no derivative in what depends on its inputs."""
    found: list[JaxprEqn] = []
    _follow(jaxpr, [True] * len(jaxpr.invars), found)
    return found[0] if found else None


def _follow(jaxpr: Jaxpr, inputs: Sequence[bool], found: list[JaxprEqn]) -> list[bool]:
    """Which results depend on inputs that do, and the operations on the way that have no derivative."""
    env: dict[Var, bool] = dict.fromkeys(jaxpr.constvars, False) | dict(zip(jaxpr.invars, inputs, strict=True))

    def read(atom: Var | Literal) -> bool:
        return isinstance(atom, Var) and env[atom] and _is_real(atom)

    for eqn in jaxpr.eqns:
        moved = [read(v) for v in eqn.invars]
        env |= zip(eqn.outvars, _through(eqn, moved, found), strict=True)
    return [read(v) for v in jaxpr.outvars]


def _through(eqn: JaxprEqn, moved: list[bool], found: list[JaxprEqn]) -> list[bool]:
    match eqn.primitive:
        case ir.if_p:
            sides = [_follow(eqn.params[name], moved[1:], found) for name in ir.BODIES[ir.if_p]]
            return [a or b for a, b in zip(*sides, strict=True)]
        case ir.for_p | ir.while_p:
            n = eqn.params["n_consts"]
            fixed, carry = [*[False] * (eqn.primitive is ir.for_p), *moved[:n]], moved[n:]
            while True:
                out = _follow(eqn.params["body"], [*fixed, *carry], found)
                wider = [a or b for a, b in zip(carry, out, strict=False)]
                if wider == carry:
                    return [*carry, *out[len(carry) :]]
                carry = wider
        case jp.jit_p:
            return _follow(eqn.params["jaxpr"], moved, found)
    if any(moved) and not _has_derivative(eqn, moved):
        found.append(eqn)
    return [any(moved)] * len(eqn.outvars)


def _has_derivative(eqn: JaxprEqn, moved: Sequence[bool]) -> bool:
    avals = ir.types([v.aval for v in eqn.invars])
    real = [k for k, v in enumerate(eqn.outvars) if _is_real(v)]

    def pulled(*values: Any) -> Any:
        def function(*moving: Any) -> list[Any]:
            given = iter(moving)
            operands = [next(given) if m else v for m, v in zip(moved, values, strict=True)]
            out = eqn.primitive.bind(*operands, **eqn.primitive.get_bind_params(eqn.params))
            out = out if eqn.primitive.multiple_results else [out]
            return [out[k] for k in real]

        out, back = jax.vjp(function, *(v for m, v in zip(moved, values, strict=True) if m))
        return back([jnp.ones_like(v) for v in out])

    try:
        jax.eval_shape(pulled, *avals)
    except Exception:  # whatever JAX or a rule of the user's raises
        return False
    return True


def _is_real(atom: Any) -> bool:
    return bool(jnp.issubdtype(atom.aval.dtype, jnp.inexact))
