"""Which variables a block assigns, and which are read after it: backward liveness over structured code.

After `structuring` a function holds only structured statements, so one pass from the last statement to the first
annotates every loop and branch:

    For, While   node.carried   assigned in the body and read by a later iteration (or by the loop's own test)
                 node.after     assigned in the body and read after the loop, but not carried
    If, Try      node.results   assigned on a side and read after the statement
                 node.scratch   read, then assigned on a side, and not read after the statement

A variable that an inner function or lambda captures is live everywhere: the inner function may run at any time.
"""

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

_INNER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def stored(node: ast.AST | Iterable[ast.AST]) -> set[str]:
    """The names that a statement, or a list of statements, binds in its own scope."""
    if not isinstance(node, ast.AST):
        return {name for n in node for name in stored(n)}
    out: set[str] = set()
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Store | ast.Del) else set()
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(a.asname or a.name).split(".")[0] for a in node.names}
    if isinstance(node, ast.Lambda):
        return set()
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        out.add(node.name)
    if isinstance(node, ast.MatchMapping) and node.rest:
        out.add(node.rest)
    if isinstance(node, _COMPREHENSIONS):
        return {n.target.id for n in ast.walk(node) if isinstance(n, ast.NamedExpr)}
    for child in ast.iter_child_nodes(node):
        out |= stored(child)
    return out


def read(node: ast.AST | None) -> set[str]:
    """The names that an expression (or a whole inner function) reads from the scope around it."""
    if node is None:
        return set()
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Load | ast.Del) else set()
    if isinstance(node, _INNER):
        return _free(node) | _outside(node)
    if isinstance(node, _COMPREHENSIONS):
        bound = stored([g.target for g in node.generators])
        first = read(node.generators[0].iter)
        return first | ({n for c in ast.iter_child_nodes(node) for n in read(c)} - bound)
    return {name for child in ast.iter_child_nodes(node) for name in read(child)}


def _outside(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> set[str]:
    """What is read when an inner function is defined: defaults and decorators."""
    spec = node.args
    now = [*spec.defaults, *(d for d in spec.kw_defaults if d), *getattr(node, "decorator_list", [])]
    return {name for n in now for name in read(n)}


def _free(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> set[str]:
    """The free names of an inner function: read or declared nonlocal in it, not its own."""
    body: Sequence[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else node.body
    shared = declared(body, ast.Nonlocal)
    own = (stored(body) | parameters(node.args)) - shared
    reads = {name for n in body for name in _reads_inside(n)}
    return (reads | shared) - own


def _reads_inside(node: ast.AST) -> set[str]:
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        return {node.target.id} | read(node.value)
    if isinstance(node, ast.stmt) and not isinstance(node, _INNER):
        return {name for c in ast.iter_child_nodes(node) for name in _reads_inside(c)}
    return read(node)


def parameters(spec: ast.arguments) -> set[str]:
    """The names of a function's parameters."""
    every = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, spec.vararg, spec.kwarg]
    return {a.arg for a in every if a}


def own_nodes(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every node of a function's own scope: inner functions are yielded but not entered."""
    todo = list(body)
    for node in todo:
        yield node
        if not isinstance(node, (*_INNER, ast.ClassDef)):
            todo += ast.iter_child_nodes(node)


def declared(body: Iterable[ast.AST], kind: type[ast.Nonlocal] | type[ast.Global]) -> set[str]:
    """The names declared `nonlocal` (or `global`) in a function's own scope."""
    return {name for n in own_nodes(body) if isinstance(n, kind) for name in n.names}


def captured(body: Sequence[ast.stmt]) -> set[str]:
    """The names that inner functions and lambdas of this scope read or change."""
    return {name for n in own_nodes(body) if isinstance(n, _INNER) for name in _free(n)}


def changed_inside(body: Sequence[ast.stmt]) -> set[str]:
    """The names of this scope that inner functions assign (they declare them `nonlocal`)."""
    inner = [n for n in own_nodes(body) if isinstance(n, ast.FunctionDef)]
    return {name for f in inner for n in ast.walk(f) if isinstance(n, ast.Nonlocal) for name in n.names}


def _bound_and_read(s: ast.stmt) -> tuple[set[str], set[str]]:
    """The names that a statement surely binds anew, and those that it needs."""
    match s:
        case ast.FunctionDef():
            return {s.name}, read(s)
        case ast.AugAssign():
            return set(), _reads_inside(s) | read(s.target)
        case ast.Delete():
            return set(), read(s)
        case _:
            return stored(s), read(s)


@dataclass(frozen=True)
class Liveness:
    """Annotates the statements of one function.

    Args:
        always: names that are live everywhere.
        simple: for statements without others in them, which names they bind and read (a loop's are met many times).
    """

    always: frozenset[str]
    simple: dict[ast.stmt, tuple[set[str], set[str]]] = field(default_factory=dict)

    def block(self, stmts: Sequence[ast.stmt], after: set[str]) -> set[str]:
        """Annotate a block, given what is live after it; returns what is live before it."""
        live = set(after) | self.always
        for s in reversed(stmts):
            live = self.statement(s, live) | self.always
        return live

    def statement(self, s: ast.stmt, live: set[str]) -> set[str]:
        """Annotate a statement; returns what is live before it."""
        match s:
            case ast.For():
                return self._for(s, live)
            case ast.While():
                return self._while(s, live)
            case ast.If():
                inside = self.block(s.body, live) | self.block(s.orelse, live)
                assigned = stored([*s.body, *s.orelse])
                s.results = assigned & live  # type: ignore[attr-defined]
                s.scratch = (assigned & inside) - live  # type: ignore[attr-defined]
                return read(s.test) | inside
            case ast.With():
                inside = self.block(s.body, live)
                for item in reversed(s.items):
                    targets = stored(item.optional_vars) if item.optional_vars else set()
                    inside = (inside - targets) | read(item.context_expr)
                return inside
            case ast.Try() | ast.TryStar():
                return self._try(s, live)
            case ast.Match():
                inside = set()
                for case in s.cases:
                    inside |= self.block(case.body, live) | read(case.guard) | read(case.pattern)
                return inside | read(s.subject)
            case _:
                if s not in self.simple:
                    self.simple[s] = _bound_and_read(s)
                bound, needed = self.simple[s]
                return (live - bound) | needed

    def _for(self, s: ast.For, live: set[str]) -> set[str]:
        target = stored(s.target)
        head = live | set(getattr(s, "stop", ()))
        while not (first := self.block(s.body, head) - target) <= head:
            head = head | first
        self._annotate(s, stored(s.body) | target, first | set(getattr(s, "stop", ())), live)
        return head | read(s.iter) | read(s.target)

    def _while(self, s: ast.While, live: set[str]) -> set[str]:
        head = live | read(s.test) | set(getattr(s, "stop", ()))
        while not (first := self.block(s.body, head)) <= head:
            head = head | first
        self._annotate(s, stored(s.body), first | read(s.test) | set(getattr(s, "stop", ())), live)
        return head

    def _annotate(self, s: ast.For | ast.While, assigned: set[str], inner: set[str], live: set[str]) -> None:
        carried = assigned & inner
        s.carried = carried  # type: ignore[attr-defined]
        s.after = (assigned & live) - carried  # type: ignore[attr-defined]

    def _try(self, s: ast.Try | ast.TryStar, live: set[str]) -> set[str]:
        last = self.block(s.finalbody, live)
        handlers = set()
        for h in s.handlers:
            handlers |= self.block(h.body, last) | read(h.type)
        within = Liveness(self.always | handlers | last, self.simple)
        other = within.block(s.orelse, last)
        inside = within.block(s.body, other)
        assigned = stored([*s.body, *s.handlers, *s.orelse])
        s.results = assigned & last  # type: ignore[attr-defined]
        s.scratch = (assigned & (inside | other | handlers)) - last  # type: ignore[attr-defined]
        return inside
