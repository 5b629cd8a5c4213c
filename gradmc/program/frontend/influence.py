"""Which inputs of a traced program decide its branches and the lengths of its loops.

A branch whose condition depends on data alone has a known side at every index, if the data are known while
compiling: the middle end then splits the loop and computes each side only where it holds. A `while` whose test
depends on data alone has a known length. Data given as arguments hide that. `deciding` finds the conditions that
depend on such data and on nothing else.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_

from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var

from gradmc.program import ir

type Decide = Callable[[int], None]


def deciding(jaxpr: Jaxpr, data: Sequence[int]) -> set[int]:
    """Positions of data inputs on which alone the condition of some branch or `while` depends.

    Args:
        jaxpr: a program.
        data: positions of the inputs that are data; the others are parameters.
    """
    found: set[int] = set()
    masks = [1 << k for k in range(len(jaxpr.invars))]
    parameters = sum(m for k, m in enumerate(masks) if k not in data)

    def decide(mask: int) -> None:
        if mask and not mask & parameters:
            found.update(k for k in data if mask & masks[k])

    _follow(jaxpr, masks, decide)
    return found


def _follow(jaxpr: Jaxpr, inputs: Sequence[int], decide: Decide) -> list[int]:
    """What each result depends on (a bit per input of the program), given what each input does."""
    env: dict[Var, int] = dict.fromkeys(jaxpr.constvars, 0)
    env |= zip(jaxpr.invars, inputs, strict=True)

    def read(atom: Var | Literal) -> int:
        return 0 if isinstance(atom, Literal) else env[atom]

    for eqn in jaxpr.eqns:
        masks = [read(v) for v in eqn.invars]
        env |= zip(eqn.outvars, _through(eqn, masks, decide), strict=True)
    return [read(v) for v in jaxpr.outvars]


def _through(eqn: JaxprEqn, masks: list[int], decide: Decide) -> list[int]:
    match eqn.primitive:
        case ir.if_p:
            decide(masks[0])
            sides = [_follow(eqn.params[name], masks[1:], decide) for name in ("then", "otherwise")]
            return [masks[0] | a | b for a, b in zip(*sides, strict=True)]
        case ir.for_p:
            n = eqn.params["n_consts"]
            return _around(eqn.params["body"], [0, *masks[:n]], masks[n:], decide)
        case ir.while_p:
            n = eqn.params["n_consts"]
            carry = _around(eqn.params["body"], masks[:n], masks[n:], decide)
            (test,) = _follow(eqn.params["cond"], [*masks[:n], *carry], decide)
            decide(test)
            return [test | c for c in carry]
        case _:
            return [reduce(or_, masks, 0)] * len(eqn.outvars)


def _around(body: Jaxpr, consts: list[int], carry: list[int], decide: Decide) -> list[int]:
    """What a loop's results depend on: its body over and over, until nothing is added."""
    while True:
        out = _follow(body, [*consts, *carry], _nothing)
        wider = [a | b for a, b in zip(carry, out, strict=False)]
        if wider == carry:
            return [*carry, *_follow(body, [*consts, *carry], decide)[len(carry) :]]
        carry = wider


def _nothing(mask: int) -> None:
    del mask
