"""Remove break, continue and early return: only structured `if`, `for` and `while` remain.

`if c: ...; continue` followed by more statements becomes `if c: ... else: <those statements>`. Where that
does not do, a jump sets a flag and what follows runs under `if not flag`. Loops carry `node.stop`, the names of
the flags that end them. Flags that nobody reads are dropped later, because they are not live.

Names of the compiler begin with `__gm_`; the value of an early `return` is `__gm_value`.
"""

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

from gradmc.program.frontend.matching import as_branches
from gradmc.program.frontend.nodes import assign, at, load
from gradmc.program.frontend.refuse import refuse

VALUE = "__gm_value"
ITEM = "__gm_item"
RETURNED = "__gm_returned"


@dataclass
class _Scope:
    """What the jumps of the block at hand mean."""

    returns: bool
    break_flag: str = ""
    continue_flag: str = ""
    in_loop: bool = False
    counter: list[int] = field(default_factory=lambda: [0])

    def inner_loop(self) -> "_Scope":
        self.counter[0] += 1
        k = self.counter[0]
        return _Scope(self.returns, f"__gm_break_{k}", f"__gm_continue_{k}", True, self.counter)


def remove_jumps(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """The body of a function without break, continue and return, except one `return` as its last statement."""
    body = list(body)
    early = any(_jumps(s, ast.Return) for s in body[:-1]) or (
        not isinstance(body[-1], ast.Return) and _jumps(body[-1], ast.Return)
    )
    scope = _Scope(returns=early)
    if not early:
        return _block(body, scope)
    first = body[0]
    if not _ends(body):
        body.append(at(ast.Return(ast.Constant(None)), body[-1]))
    unbound = ast.Call(ast.Attribute(load("__gm"), "unbound", ast.Load()), [ast.Constant(VALUE)], [])
    head = [assign(VALUE, unbound, first), assign(RETURNED, ast.Constant(False), first)]
    tail = at(ast.Return(load(VALUE)), body[-1])
    return [*head, *_block(body, scope), tail]


def _jumps(node: ast.AST, *kinds: type[ast.AST]) -> bool:
    """Whether a jump of one of these kinds can leave `node`."""
    if isinstance(node, kinds):
        return True
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        return False
    if isinstance(node, ast.For | ast.While | ast.AsyncFor):
        inner = ast.Return in kinds and any(_jumps(s, ast.Return) for s in node.body)
        return inner or any(_jumps(s, *kinds) for s in node.orelse)
    if isinstance(node, ast.expr):
        return False
    return any(_jumps(child, *kinds) for child in ast.iter_child_nodes(node)) if kinds else False


_ALL = (ast.Break, ast.Continue, ast.Return)


def _any_jump(node: ast.AST) -> bool:
    return _jumps(node, *_ALL)


def _ends(stmts: Sequence[ast.stmt]) -> bool:
    """Whether control never falls off the end of the block."""
    for s in stmts:
        if isinstance(s, ast.Break | ast.Continue | ast.Return | ast.Raise):
            return True
        if isinstance(s, ast.If) and s.orelse and _ends(s.body) and _ends(s.orelse):
            return True
        if isinstance(s, ast.With) and _ends(s.body):
            return True
        if isinstance(s, ast.Try) and s.handlers and _ends([*s.body, *s.orelse]) and _all_end(s.handlers):
            return True
        if isinstance(s, ast.While) and _endless(s):
            return True
    return False


def _all_end(handlers: Sequence[ast.ExceptHandler]) -> bool:
    return all(_ends(h.body) for h in handlers)


def _endless(s: ast.While) -> bool:
    """Whether a loop ends by `return` only: `while True` without a break."""
    return isinstance(s.test, ast.Constant) and bool(s.test.value) and not any(_jumps(b, ast.Break) for b in s.body)


def _block(stmts: Sequence[ast.stmt], scope: _Scope) -> list[ast.stmt]:
    out: list[ast.stmt] = []
    for k, s in enumerate(stmts):
        rest = list(stmts[k + 1 :])
        if isinstance(s, ast.Return) and scope.returns:
            value = s.value or ast.Constant(None)
            out.append(assign(VALUE, value, s))
            out.append(assign(RETURNED, ast.Constant(True), s))
            return out
        if isinstance(s, ast.Break):
            out.append(assign(scope.break_flag, ast.Constant(True), s))
            return out
        if isinstance(s, ast.Continue):
            out.append(assign(scope.continue_flag, ast.Constant(True), s))
            return out
        if isinstance(s, ast.With) and (suppressing := _suppressing(s)) is not None:
            return [*out, *_block([suppressing, *rest], scope)]
        if isinstance(s, ast.Match) and (chain := as_branches(s)) is not None:
            return [*out, *_block([*chain, *rest], scope)]
        if isinstance(s, ast.If) and _any_jump(s):
            return [*out, *_branch(s, rest, scope)]
        if isinstance(s, ast.Try) and s.handlers:
            new, rest = _try(s, rest, scope)
            out.append(new)
            if not rest:
                return out
            if _any_jump(s):
                return [*out, *_guarded(s, rest, scope)]
            continue
        out += _lowered(s, scope)
        if rest and _any_jump(s):
            return [*out, *_guarded(s, rest, scope)]
    return out


def _lowered(s: ast.stmt, scope: _Scope) -> list[ast.stmt]:
    """A statement that is no jump, nor an `if` with jumps."""
    match s:
        case ast.For() | ast.While():
            return _loop(s, scope)
        case ast.If():
            return [_if(s, _block(s.body, scope), _block(s.orelse, scope))]
        case ast.With():
            return [_replace(s, body=_block(s.body, scope))]
        case ast.AsyncFor() | ast.AsyncWith():
            refuse("async", s)
        case ast.TryStar() if _any_jump(s):
            refuse("jump in try", s)
        case ast.Match() if _any_jump(s):
            refuse("jump in match", s)
        case ast.Try() | ast.TryStar():
            handlers = [_replace(h, body=_block(h.body, scope)) for h in s.handlers]
            parts = {name: _block(getattr(s, name), scope) for name in ("body", "orelse", "finalbody")}
            return [_replace(s, handlers=handlers, **parts)]
        case ast.Match():
            return [_replace(s, cases=[_replace(c, body=_block(c.body, scope)) for c in s.cases])]
    return [s]


def _branch(s: ast.If, rest: list[ast.stmt], scope: _Scope) -> list[ast.stmt]:
    """An `if` with jumps, and the statements after it."""
    if _ends(s.body):
        return [_if(s, _block(s.body, scope), _block([*s.orelse, *rest], scope))]
    if _ends(s.orelse):
        return [_if(s, _block([*s.body, *rest], scope), _block(s.orelse, scope))]
    new = _if(s, _block(s.body, scope), _block(s.orelse, scope))
    return [new, *_guarded(s, rest, scope)] if rest else [new]


def _suppressing(s: ast.With) -> ast.Try | None:
    """`with contextlib.suppress(...)` as the `try` that it is; None for other statements."""
    call = s.items[0].context_expr
    if len(s.items) > 1 or s.items[0].optional_vars or not isinstance(call, ast.Call) or call.keywords:
        return None
    if getattr(call.func, "attr", getattr(call.func, "id", "")) != "suppress":
        return None
    kinds = ast.Call(ast.Attribute(load("__gm"), "suppressed", ast.Load()), [call.func, *call.args], [])
    return at(ast.Try(s.body, [ast.ExceptHandler(kinds, None, [ast.Pass()])], [], []), s)


def _try(s: ast.Try, rest: list[ast.stmt], scope: _Scope) -> tuple[ast.Try, list[ast.stmt]]:
    """A `try` with handlers, and the statements that are left to come after it.

    If all handlers end what they stand in, what comes after is part of the `else`.
    """
    if any(map(_any_jump, s.finalbody)):
        refuse("jump in try", s)
    ends = _all_end(s.handlers)
    moved = rest if ends and not s.finalbody else []
    orelse = [*s.orelse, *moved]
    body = at(ast.If(at(ast.Constant(True), s), s.body, []), s)
    after = _guarded(body, orelse, scope) if orelse else []
    handlers = [_replace(h, body=_block(h.body, scope)) for h in s.handlers]
    new = _replace(s, body=_block(s.body, scope), handlers=handlers, orelse=after, finalbody=_block(s.finalbody, scope))
    new.ends = ends  # type: ignore[attr-defined]
    return new, [] if moved else rest


def _guarded(s: ast.stmt, rest: list[ast.stmt], scope: _Scope) -> list[ast.stmt]:
    """`rest`, for the case that `s` did not jump."""
    flags = []
    if _jumps(s, ast.Break):
        flags.append(scope.break_flag)
    if _jumps(s, ast.Continue):
        flags.append(scope.continue_flag)
    if scope.returns and _jumps(s, ast.Return):
        flags.append(RETURNED)
    body = _block(rest, scope)
    if not flags or not body:
        return body
    return [at(ast.If(_none_of(flags), body, []), rest[0])]


def _none_of(flags: Sequence[str]) -> ast.expr:
    names: list[ast.expr] = [load(f) for f in flags]
    return ast.UnaryOp(ast.Not(), names[0] if len(names) == 1 else ast.BoolOp(ast.Or(), names))


def _if(s: ast.If, body: list[ast.stmt], orelse: list[ast.stmt]) -> ast.If:
    return at(ast.If(s.test, body or [at(ast.Pass(), s)], orelse), s)


def _replace[S: ast.AST](s: S, **fields: object) -> S:
    new = type(s)(**{**{f: getattr(s, f) for f in s._fields}, **fields})
    return ast.copy_location(new, s)


def _loop(s: ast.For | ast.While, scope: _Scope) -> list[ast.stmt]:
    """A loop, its flags set before it and its `else` after it."""
    inner = scope.inner_loop()
    breaks = any(_jumps(b, ast.Break) for b in s.body)
    continues = any(_jumps(b, ast.Continue) for b in s.body)
    returns = scope.returns and any(_jumps(b, ast.Return) for b in s.body)
    if isinstance(s, ast.While) and any(isinstance(n, ast.NamedExpr) for n in ast.walk(s.test)):
        if any(_jumps(b, ast.Break, ast.Continue) for b in s.orelse):
            refuse("walrus", s.test)
        away = [*s.orelse, at(ast.Break(), s)]
        leave = at(ast.If(at(ast.UnaryOp(ast.Not(), s.test), s), away, []), s.test)
        return _loop(_replace(s, test=at(ast.Constant(True), s), body=[leave, *s.body], orelse=[]), scope)
    body = _block(s.body, inner)
    if continues:
        body = [assign(inner.continue_flag, ast.Constant(False), s), *body]
    stop = [f for f, used in ((inner.break_flag, breaks), (RETURNED, returns)) if used]
    if stop and isinstance(s, ast.For):
        item = f"{ITEM}_{s.lineno}_{s.col_offset}"
        goes_on = at(ast.If(_none_of(stop), [at(ast.Assign([s.target], load(item)), s), *body], []), s)
        goes_on.first = True  # type: ignore[attr-defined]
        body = [goes_on]
        s = _replace(s, target=at(ast.Name(item, ast.Store()), s))
    new = _replace(s, body=body or [at(ast.Pass(), s)], orelse=[])
    if stop and isinstance(s, ast.While):
        new.test = at(ast.BoolOp(ast.And(), [_none_of(stop), s.test]), s)  # type: ignore[union-attr]
    new.stop = stop  # type: ignore[attr-defined]
    before = [assign(inner.break_flag, ast.Constant(False), s)] if breaks else []
    after = _block(s.orelse, scope)
    if after and stop:
        after = [at(ast.If(_none_of(stop), after, []), s)]
    return [*before, new, *after]
