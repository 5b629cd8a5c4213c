"""`while` loops on traced values: sequential, with both modes of differentiation."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn

from gradmc.program import ir
from gradmc.program.middle.emit import RULES, Context, NotVectorisable, run, spread
from gradmc.program.middle.named_axes import Value, traced, union
from gradmc.program.middle.reverse import differentiable_while


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
        return differentiable_while(cond, body, arrays[:split], arrays[split:], eqn.params["max_steps"])

    return spread(loop, [args[k] for k in moving], context, union(args))


RULES[ir.while_p] = _while_rule
