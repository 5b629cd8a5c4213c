"""Rewrite expressions: operators, calls, subscripts, attributes and comprehensions become hooks.

Parts that Python evaluates only sometimes (the right of `and`, the sides of a conditional expression, the
elements of a comprehension) become lambdas. A name that may not be bound is read through `__gm.bound`.
"""

import ast
from collections.abc import Sequence

from gradmc.program.frontend import liveness
from gradmc.program.frontend.nodes import at, load
from gradmc.program.frontend.refuse import refuse

AS_THEY_ARE = frozenset({"super", "locals", "globals", "eval", "exec", "dir"})


def constant(value: object) -> ast.Constant:
    """A constant."""
    return ast.Constant(value)  # type: ignore[arg-type]


def hook(name: str) -> ast.expr:
    """A hook, by name."""
    return ast.Attribute(load("__gm"), name, ast.Load())


def call_hook(name: str, arguments: Sequence[ast.expr], keywords: Sequence[ast.keyword] = ()) -> ast.Call:
    """A call of a hook."""
    return ast.Call(hook(name), list(arguments), list(keywords))


def lambda_of(body: ast.expr, arguments: Sequence[str] = ()) -> ast.Lambda:
    """`lambda arguments: body`."""
    spec = ast.arguments(
        posonlyargs=[], args=[ast.arg(a) for a in arguments], kwonlyargs=[], kw_defaults=[], defaults=[]
    )
    return ast.Lambda(spec, body)


def names_tuple(names: Sequence[str]) -> ast.expr:
    """A tuple of names, as strings."""
    return ast.Tuple([constant(n) for n in names], ast.Load())


class Expressions:
    """Rewrites expressions.

    Args:
        guarded: the names whose reads must be checked.
        owner: the class that they stand in, whose private names (`__x`) bear its name.
    """

    def __init__(self, guarded: frozenset[str], owner: str = "") -> None:
        self.guarded = guarded
        self.owner = owner

    def attribute(self, name: str) -> ast.Constant:
        """The name of an attribute, as Python looks it up."""
        private = self.owner and name.startswith("__") and not name.endswith("__")
        return constant(f"_{self.owner.lstrip('_')}{name}" if private else name)

    def __call__(self, node: ast.expr) -> ast.expr:
        """The rewritten expression, at the same position."""
        return at(self._rewrite(node), node)

    def later(self, node: ast.expr, arguments: Sequence[str] = ()) -> ast.expr:
        """The expression as a lambda, since it may not be evaluated."""
        walrus = [n for n in ast.walk(node) if isinstance(n, ast.NamedExpr)]
        if walrus:
            refuse("walrus", walrus[0])
        return at(lambda_of(self(node), arguments), node)

    def index(self, node: ast.expr) -> ast.expr:
        """What stands between the brackets of a subscript."""
        if isinstance(node, ast.Tuple):
            return at(ast.Tuple([self.index(e) for e in node.elts], ast.Load()), node)
        if isinstance(node, ast.Slice):
            parts = [self(p) if p else constant(None) for p in (node.lower, node.upper, node.step)]
            return at(call_hook("slice_", parts), node)
        return self(node)

    def _rewrite(self, node: ast.expr) -> ast.expr:
        match node:
            case ast.Name():
                if node.id in self.guarded and isinstance(node.ctx, ast.Load):
                    return call_hook("bound", [node])
                return node
            case ast.BinOp():
                return call_hook("binary", [constant(type(node.op).__name__), self(node.left), self(node.right)])
            case ast.UnaryOp(op=ast.Not()):
                return call_hook("not_", [self(node.operand)])
            case ast.UnaryOp():
                return call_hook("unary", [constant(type(node.op).__name__), self(node.operand)])
            case ast.BoolOp():
                name = "and_" if isinstance(node.op, ast.And) else "or_"
                first, *others = node.values
                return call_hook(name, [self(first), *(self.later(v) for v in others)])
            case ast.Compare():
                return self._compare(node)
            case ast.IfExp():
                return call_hook("choose", [self(node.test), self.later(node.body), self.later(node.orelse)])
            case ast.Subscript():
                return call_hook("load", [self(node.value), self.index(node.slice)])
            case ast.Attribute():
                return call_hook("attribute", [self(node.value), self.attribute(node.attr)])
            case ast.Call():
                return self._call(node)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                return self._comprehension(node)
            case ast.Lambda():
                return self._lambda(node)
            case ast.JoinedStr():
                return call_hook("joined", [self(part) for part in node.values])
            case ast.FormattedValue():
                conversion = constant("" if node.conversion < 0 else chr(node.conversion))
                spec = self(node.format_spec) if node.format_spec else constant("")
                return call_hook("formatted", [self(node.value), conversion, spec])
            case ast.Dict():
                pairs = zip(node.keys, node.values, strict=True)
                items = [[self(k), self(v)] if k else [self(v)] for k, v in pairs]
                return call_hook("display", [at(ast.Tuple(item, ast.Load()), node) for item in items])
            case ast.List(ctx=ast.Load()):
                return call_hook("made", [self._children(node)])
            case ast.Await():
                return refuse("async", node)
            case ast.Starred():
                return ast.Starred(call_hook("iterate", [self(node.value)]), node.ctx)
            case _:
                return self._children(node)

    def _children(self, node: ast.expr) -> ast.expr:
        """Displays, f-strings, yields and constants: the node itself, over rewritten parts."""
        fields = {}
        for name, value in ast.iter_fields(node):
            if isinstance(value, ast.expr):
                value = self(value)
            elif isinstance(value, list):
                value = [self(v) if isinstance(v, ast.expr) else v for v in value]
            fields[name] = value
        return type(node)(**fields)

    def _compare(self, node: ast.Compare) -> ast.expr:
        operators = [constant(type(op).__name__) for op in node.ops]
        if len(operators) == 1:
            return call_hook("compare", [operators[0], self(node.left), self(node.comparators[0])])
        first, *others = node.comparators
        rest = [x for op, c in zip(operators[1:], others, strict=True) for x in (op, self.later(c))]
        return call_hook("chain", [operators[0], self(node.left), self(first), *rest])

    def _call(self, node: ast.Call) -> ast.expr:
        if isinstance(node.func, ast.Name) and node.func.id in AS_THEY_ARE:
            return self._children(node)
        arguments = [self(a) for a in node.args]
        keywords = [ast.keyword(k.arg, self(k.value) if k.arg else self._mapping(k.value)) for k in node.keywords]
        if isinstance(node.func, ast.Attribute):
            owner = self(node.func.value)
            return call_hook("method", [owner, self.attribute(node.func.attr), *arguments], keywords)
        return call_hook("call", [self(node.func), *arguments], keywords)

    def _mapping(self, node: ast.expr) -> ast.expr:
        """What stands behind `**`."""
        return at(call_hook("mapping", [self(node)]), node)

    def _lambda(self, node: ast.Lambda) -> ast.expr:
        own = liveness.parameters(node.args)
        inner = Expressions(self.guarded - own, self.owner)
        spec = node.args
        arguments = ast.arguments(
            posonlyargs=spec.posonlyargs,
            args=spec.args,
            vararg=spec.vararg,
            kwonlyargs=spec.kwonlyargs,
            kw_defaults=[self(d) if d else None for d in spec.kw_defaults],
            kwarg=spec.kwarg,
            defaults=[self(d) for d in spec.defaults],
        )
        return ast.Lambda(arguments, call_hook("returned", [inner(node.body)]))

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> ast.expr:
        kind = type(node).__name__
        inner: ast.expr | None = None
        bound: set[str] = set().union(*(liveness.stored(g.target) for g in node.generators))
        within = Expressions(self.guarded - bound, self.owner)
        if not isinstance(node, ast.GeneratorExp):
            _refuse_late_binding(node, bound)
        for depth in reversed(range(len(node.generators))):
            g = node.generators[depth]
            if g.is_async:
                refuse("async", node)
            pattern, names = _pattern(g.target)
            scope = within if depth else self
            if inner is None and isinstance(node, ast.DictComp):
                inner = within.later(ast.copy_location(ast.Tuple([node.key, node.value], ast.Load()), node), names)
            elif inner is None:
                inner = within.later(node.elt, names)  # type: ignore[union-attr]
            else:
                inner = at(lambda_of(inner, names), node)
            test = _all(g.ifs)
            condition = within.later(test, names) if test else constant(None)
            size = sum(isinstance(n, ast.expr) for n in ast.walk(node))
            inner = call_hook("generate", [scope(g.iter), constant(pattern), condition, inner, constant(size)])
        assert inner is not None
        return call_hook("comprehension", [constant(kind), inner])


def _refuse_late_binding(node: ast.ListComp | ast.SetComp | ast.DictComp, bound: set[str]) -> None:
    """Refuse lambdas that are kept, and read what the comprehension binds."""
    kept = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
    while kept:
        element = kept.pop()
        if isinstance(element, ast.Tuple | ast.List):
            kept += element.elts
        if isinstance(element, ast.Lambda):
            read = {n.id for n in ast.walk(element.body) if isinstance(n, ast.Name)}
            if (bound - liveness.parameters(element.args)) & read:
                refuse("lambda in comprehension", element)


def _all(tests: Sequence[ast.expr]) -> ast.expr | None:
    if not tests:
        return None
    return tests[0] if len(tests) == 1 else at(ast.BoolOp(ast.And(), list(tests)), tests[0])


def _pattern(target: ast.expr) -> tuple[object, list[str]]:
    """How an item is taken apart (None: not at all; a tuple: into these parts) and the names in order."""
    if isinstance(target, ast.Name):
        return None, [target.id]
    if isinstance(target, ast.Tuple | ast.List):
        parts, names = [], []
        for e in target.elts:
            part, more = _pattern(e)
            parts.append(part)
            names += more
        return tuple(parts), names
    return refuse("comprehension target", target)
