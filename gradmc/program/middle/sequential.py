"""A whole loop as one `scan`, as it stands: when vectorising is switched off, or all else fails."""

from typing import Any

from jax.extend.core import Jaxpr, JaxprEqn

from gradmc.program import ir
from gradmc.program.middle.emit import Context, NotVectorisable, run, spread
from gradmc.program.middle.named_axes import Value, traced, union


def sequential(eqn: JaxprEqn, args: list[Any], context: Context) -> list[Any]:
    """The whole loop as one `scan`."""
    if not all(isinstance(a, Value) for a in args):
        raise NotVectorisable
    n = eqn.params["n_consts"]
    moving = [a for a in args if not a.known or a.axes]
    inner = context.inside()

    def lowered(body: Jaxpr) -> Any:
        def call(i: Any, *arrays: Any) -> list[Any]:
            consts = [a if a.known and not a.axes else Value(x) for a, x in zip(args[:n], arrays, strict=False)]
            carry = [Value(x) for x in arrays[n:]]
            return [traced(v) for v in run(body, [Value(i), *consts, *carry], inner)]

        return call

    def loop(*arrays: Any) -> list[Any]:
        rest = iter(arrays)
        full = [a.array if a.known and not a.axes else next(rest) for a in args]
        return ir.for_plain(*full, **eqn.params, run=lowered)

    return spread(loop, moving, context, union(args))
