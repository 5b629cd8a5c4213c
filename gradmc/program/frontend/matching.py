"""`match` with patterns of literals, names and wildcards, written as `if` and `elif`.

Such a `match` works on traced numbers, and may hold jumps. One with patterns of structure (sequences, mappings,
classes) stays Python's, and looks at plain values only.
"""

import ast
from collections.abc import Sequence

from gradmc.program.frontend.nodes import assign, at, load

SUBJECT = "__gm_subject"


def as_branches(s: ast.Match) -> list[ast.stmt] | None:
    """The statements that do the same; None if a pattern looks at structure."""
    name = f"{SUBJECT}_{s.lineno}_{s.col_offset}"
    cases = _cases(s.cases, name)
    return None if cases is None else [assign(name, s.subject, s), *cases]


def _cases(cases: Sequence[ast.match_case], subject: str) -> list[ast.stmt] | None:
    if not cases:
        return []
    first, *others = cases
    rest = _cases(others, subject)
    test = _test(first.pattern, subject)
    if rest is None or test is None:
        return None
    name = first.pattern.name if isinstance(first.pattern, ast.MatchAs) else None
    where = first.body[0]
    before = [assign(name, load(subject), where)] if name else []
    if first.guard is not None:
        test = ast.BoolOp(ast.And(), [test, first.guard]) if not _always(test) else first.guard
    if _always(test):
        return [*before, *first.body]
    if name and first.guard is not None:
        return [*before, at(ast.If(test, first.body, rest), where)]
    return [at(ast.If(test, [*before, *first.body], rest), where)]


def _always(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and test.value is True


def _test(pattern: ast.pattern, subject: str) -> ast.expr | None:
    match pattern:
        case ast.MatchValue(value=value):
            return ast.Compare(load(subject), [ast.Eq()], [value])
        case ast.MatchSingleton(value=value):
            return ast.Compare(load(subject), [ast.Is()], [ast.Constant(value)])
        case ast.MatchAs(pattern=None):
            return ast.Constant(True)
        case ast.MatchOr(patterns=patterns):
            tests = [_test(p, subject) for p in patterns]
            return None if None in tests else ast.BoolOp(ast.Or(), [t for t in tests if t is not None])
        case _:
            return None
