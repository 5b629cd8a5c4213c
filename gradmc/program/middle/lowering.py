"""Lowering: a jaxpr with IR primitives becomes one with JAX's own, by the passes of one list (`PASSES`)."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.extend.core import primitives as jp

from gradmc.program import ir
from gradmc.program.jaxprs import walk
from gradmc.program.middle import deferred_stores, dots, gathers, if_conversion, loads, unbounded, vectorise  # noqa: F401  (their rules)
from gradmc.program.middle.depends import prune
from gradmc.program.middle.distribute import with_distribution
from gradmc.program.middle.emit import Context, run
from gradmc.program.middle.extremes import with_settled_extremes
from gradmc.program.middle.fusion import with_barriers
from gradmc.program.middle.lowering_options import LoweringOptions
from gradmc.program.middle.named_axes import traced, value_of
from gradmc.program.middle.normal_form import merged, normal
from gradmc.program.middle.notes import Note
from gradmc.program.middle.pieces import with_pieces
from gradmc.program.middle.reciprocal import with_reciprocals
from gradmc.program.middle.shift import with_early_stops, without_shifts
from gradmc.program.middle.shorten import shortened
from gradmc.program.middle.where import with_safe_selections
from gradmc.program.middle.windows import with_windows


def lower(closed: Jaxpr, options: LoweringOptions | None = None) -> Jaxpr:
    """The same function with only JAX's own primitives, scheduled to run fast."""
    return lower_noting(closed, options or LoweringOptions())[0]


def lower_noting(closed: Jaxpr, options: LoweringOptions) -> tuple[Jaxpr, list[Note]]:
    """The lowered function, and what was decided about its loops."""
    notes: list[Note] = []
    *_, (_, lowered) = stages(closed, options, notes)
    return lowered, notes


def _pruned(body: Jaxpr) -> Jaxpr:
    return prune(body, range(len(body.outvars)))


PASSES: tuple[tuple[str, Callable[[Jaxpr], Jaxpr]], ...] = (
    ("normal form", normal),
    ("unused equations dropped", _pruned),
    ("shifts of log-sum-exps as constants", without_shifts),
    ("selections made safe", with_safe_selections),
    ("short loops written out", shortened),
    ("windows of arrays that loops fill", with_windows),
    ("short loops written out, once more", shortened),
    ("equal equations merged", merged),
    ("reciprocals in place of divisions", with_reciprocals),
    ("maxima of constants stopped early", with_early_stops),
    ("inner loops distributed", with_distribution),
)
"""What is done to a program in the loop IR before its loops are scheduled, in this order."""

AFTERWARDS: tuple[tuple[str, Callable[[Jaxpr], Jaxpr]], ...] = (
    ("maxima settled", with_settled_extremes),
    ("unused equations dropped, at the end", _pruned),
    ("vectors taken apart", with_pieces),
    ("long expressions kept apart", with_barriers),
)
"""What is done to the program in JAX's own primitives."""

SCHEDULED = "loops scheduled"


def stages(closed: Jaxpr, options: LoweringOptions, notes: list[Note]) -> Iterator[tuple[str, Jaxpr]]:
    """The program after each pass, with the pass's name; what is decided about its loops goes into `notes`."""
    body = closed
    for name, rewrite in PASSES:
        body = rewrite(body)
        yield name, body
    body = _scheduled(body, Context(options, notes))
    yield SCHEDULED, body
    for name, rewrite in AFTERWARDS:
        body = rewrite(body)
        yield name, body


def _scheduled(body: Jaxpr, context: Context) -> Jaxpr:
    """A program in the loop IR as one in JAX's own primitives."""

    def scheduled(*args: Any) -> list[Any]:
        values = [value_of(a, v.aval) for a, v in zip(args, body.invars, strict=True)]
        return [traced(v) for v in run(body, values, context)]

    return jax.make_jaxpr(scheduled)(*ir.types(body.in_avals))


PLAIN = {
    ir.for_p: ir.for_plain,
    ir.while_p: ir.while_plain,
    ir.if_p: ir.if_plain,
    ir.load_p: ir.load_plain,
    ir.store_p: ir.store_plain,
}


def lower_plain(closed: Jaxpr) -> Jaxpr:
    """The same function, every IR primitive by its plain meaning: what `lower` must equal."""
    return jax.make_jaxpr(plain(closed))(*ir.types(closed.in_avals))


def plain(closed: Jaxpr) -> Callable[..., Sequence[Any]]:
    """The function of a jaxpr, every IR primitive by its plain meaning, at any depth."""

    def run_plain(*args: Any) -> list[Any]:
        env: dict[Var, Any] = dict(zip(closed.constvars, closed.consts, strict=True))
        env |= zip(closed.invars, args, strict=True)
        for eqn in closed.eqns:
            values = [v.val if isinstance(v, Literal) else env[v] for v in eqn.invars]
            env |= zip(eqn.outvars, _apply(eqn, values), strict=True)
        return [v.val if isinstance(v, Literal) else env[v] for v in closed.outvars]

    return run_plain


def _apply(eqn: JaxprEqn, values: Sequence[Any]) -> Sequence[Any]:
    if eqn.primitive in PLAIN:
        out = PLAIN[eqn.primitive](*values, **eqn.params, run=plain)
    elif eqn.primitive is jp.jit_p and holds_ir(eqn.params["jaxpr"]):
        out = plain(eqn.params["jaxpr"])(*values)
    else:
        out = eqn.primitive.bind(*values, **eqn.primitive.get_bind_params(eqn.params))
    return out if eqn.primitive.multiple_results else [out]


def holds_ir(closed: Jaxpr) -> bool:
    """Whether IR primitives occur in a jaxpr, at any depth."""
    return any(eqn.primitive in ir.PRIMITIVES for eqn in walk(closed))
