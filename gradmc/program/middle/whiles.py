"""`while` loops on traced values."""

from collections.abc import Callable, Sequence
from typing import Any

from jax.extend.core import Jaxpr, JaxprEqn

from gradmc.program import ir
from gradmc.program.middle.emit import RULES, Context, NotVectorisable, run, spread
from gradmc.program.middle.values import Value, traced, union


def _while_rule(eqn: JaxprEqn, args: list[Any], context: Context) -> list[Any]:
    if not all(isinstance(a, Value) for a in args):
        raise NotVectorisable
    n = eqn.params["n_consts"]
    fixed = {k: a for k, a in enumerate(args[:n]) if a.known and not a.axes}
    moving = [a for k, a in enumerate(args) if k not in fixed]

    def emitted(body: Jaxpr) -> Callable[..., Sequence[Any]]:
        def call(*arrays: Any) -> list[Any]:
            inputs = [fixed.get(k, Value(x)) for k, x in enumerate(arrays)]
            return [traced(v) for v in run(body, inputs, context.inside())]

        return call

    def loop(*arrays: Any) -> list[Any]:
        rest = iter(arrays)
        inputs = [fixed[k].array if k in fixed else next(rest) for k in range(len(args))]
        return ir.while_plain(*inputs, **eqn.params, run=emitted)

    return spread(loop, moving, context, union(moving))


RULES[ir.while_p] = _while_rule
