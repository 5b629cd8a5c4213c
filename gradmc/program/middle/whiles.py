"""`while` loops on traced values: sequential, with both modes of differentiation."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, jaxpr_as_fun

from gradmc.program import ir
from gradmc.program.middle.emit import RULES, Context, NotVectorisable, run, spread
from gradmc.program.middle.reverse import differentiable_while
from gradmc.program.middle.values import Value, traced, union


def _while_rule(eqn: JaxprEqn, args: list[Any], context: Context) -> list[Any]:
    if not all(isinstance(a, Value) for a in args):
        raise NotVectorisable
    n = eqn.params["n_consts"]
    fixed = {k: a for k, a in enumerate(args[:n]) if a.known and not a.axes}
    moving = [k for k in range(len(args)) if k not in fixed]

    def lowered(body: Jaxpr, arrays: list[Any]) -> Jaxpr:
        """One of the loop's functions with JAX's own primitives, without its known inputs."""

        def call(*arrays: Any) -> list[Any]:
            inputs = fixed | {k: Value(x) for k, x in zip(moving, arrays, strict=True)}
            return [traced(v) for v in run(body, [inputs[k] for k in range(len(args))], context.inside())]

        return jax.make_jaxpr(call)(*ir.types([jax.typeof(x) for x in arrays]))

    def loop(*arrays: Any) -> list[Any]:
        arrays = tuple(jnp.asarray(x) for x in arrays)
        split = n - len(fixed)
        cond, body = (lowered(eqn.params[name], arrays) for name in ("cond", "body"))
        limit = eqn.params["max_steps"]
        if limit is None:
            return differentiable_while(cond, body, arrays[:split], arrays[split:])
        return _bounded(cond, body, arrays[:split], arrays[split:], limit)

    return spread(loop, [args[k] for k in moving], context, union(args))


def _bounded(cond: Jaxpr, body: Jaxpr, consts: list[Any], init: list[Any], limit: int) -> list[Any]:
    """The loop with a counter that ends it after `limit` iterations."""
    n = len(consts)
    again, step = jaxpr_as_fun(cond), jaxpr_as_fun(body)
    count = jnp.zeros((), np.int32)
    avals = ir.types([jax.typeof(x) for x in (*consts, count, *init)])
    going = jax.make_jaxpr(lambda *a: [(a[n] < limit) & again(*a[:n], *a[n + 1 :])[0]])(*avals)
    counted = jax.make_jaxpr(lambda *a: [a[n] + 1, *step(*a[:n], *a[n + 1 :])])(*avals)
    return differentiable_while(going, counted, consts, [count, *init])[1:]


RULES[ir.while_p] = _while_rule
