"""What `functionalise` has to know about statements before it rewrites them."""

import ast
from collections.abc import Sequence

from gradmc.program.frontend import liveness


def shared_by(s: ast.AST) -> set[str]:
    """The names that a loop or branch shares with the scope around it."""
    if isinstance(s, ast.For | ast.While):
        return getattr(s, "carried", set()) | getattr(s, "after", set())
    if isinstance(s, ast.If | ast.Try | ast.TryStar):
        return getattr(s, "results", set()) | getattr(s, "scratch", set())
    return set()


def shared_below(stmts: Sequence[ast.stmt]) -> set[str]:
    """What the loops and branches that stand directly in this scope share with it."""
    out: set[str] = set()
    for s in stmts:
        match s:
            case ast.For() | ast.While() | ast.If():
                out |= shared_by(s)
            case ast.With():
                out |= shared_below(s.body)
            case ast.Try() if s.handlers and not yields(s):
                out |= shared_by(s) | shared_below(s.finalbody)
            case ast.Try() | ast.TryStar():
                out |= shared_below([*s.body, *s.orelse, *s.finalbody])
                out |= shared_below([b for h in s.handlers for b in h.body])
            case ast.Match():
                out |= shared_below([b for c in s.cases for b in c.body])
            case _:
                pass
    return out


def mutated(stmts: Sequence[ast.stmt]) -> set[str]:
    """Names into which the statements store by subscript (`x[i] = v`, `x[i] += v`, `x[i][j] = v`)."""
    out: set[str] = set()
    for n in liveness.own_nodes(stmts):
        targets: list[ast.expr] = []
        if isinstance(n, ast.Assign):
            targets = n.targets
        elif isinstance(n, ast.AugAssign):
            targets = [n.target]
        for t in targets:
            for part in t.elts if isinstance(t, ast.Tuple | ast.List) else [t]:
                base = part
                while isinstance(base, ast.Subscript):
                    base = base.value
                if isinstance(base, ast.Name) and base is not part:
                    out.add(base.id)
    return out


def augmented(stmts: Sequence[ast.stmt]) -> set[str]:
    """Names that the statements assign by `x += v` and the like, and in no other way."""
    nodes = list(liveness.own_nodes(stmts))
    targets = [n.target for n in nodes if isinstance(n, ast.AugAssign)]
    names = {t.id for t in targets if isinstance(t, ast.Name)}
    apart = {id(t) for t in targets}
    return names - {
        n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store) and id(n) not in apart
    }


def is_simple(s: ast.stmt) -> bool:
    """Whether a statement changes variables, if any, only after it has computed everything."""
    compound = isinstance(s, ast.For | ast.While | ast.If | ast.With | ast.Try | ast.TryStar | ast.Match)
    return not compound and not any(isinstance(n, ast.NamedExpr) for n in ast.walk(s))


def yields(node: ast.AST) -> bool:
    """Whether a statement of a generator yields."""
    return any(isinstance(n, ast.Yield | ast.YieldFrom) for n in liveness.own_nodes([node]))


def is_generator(node: ast.FunctionDef) -> bool:
    """Whether a function is a generator."""
    return any(yields(s) for s in node.body)


OF_NUMBERS = frozenset(
    ["ZeroDivisionError", "OverflowError", "FloatingPointError", "ArithmeticError", "ValueError", "LinAlgError"]
)
OF_PLACES = frozenset(["IndexError", "LookupError"])
OF_ANYTHING = frozenset(["Exception", "BaseException", ""])


def waits_for(handlers: Sequence[ast.ExceptHandler]) -> tuple[str, ...]:
    """The names of the exceptions that are caught; an empty one for a bare `except`."""
    found: list[str] = []
    for h in handlers:
        kinds = h.type.elts if isinstance(h.type, ast.Tuple) else [h.type]
        found += [getattr(k, "attr", getattr(k, "id", "")) for k in kinds]
    return tuple(found)
