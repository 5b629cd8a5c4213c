"""Rewrite a function so that every loop, branch and operation goes through the compiler's hooks.

A loop or branch becomes inner functions that share their variables with the function around them by
`nonlocal`, and one call of a hook:

    for x in xs: body        def body(item): nonlocal a, b; x = item; ...
                             def state(*v): nonlocal a, b; ...        reads, or sets, the variables
                             __gm.for_(xs, body, state, ("a",), ("b",), stop, stores, size)

so that Python's own cells hold the variables, in plain iteration as well as while a body is being traced.
Operators, calls, subscripts and attributes become calls of hooks (`expressions`). Every node keeps the user's
line and column.
"""

import ast
from collections.abc import Iterable, Sequence

from gradmc.program.frontend import liveness, scanning
from gradmc.program.frontend.expressions import Expressions, call_hook, constant, lambda_of, names_tuple
from gradmc.program.frontend.nodes import assign, at, load
from gradmc.program.frontend.refuse import refuse
from gradmc.program.frontend.structuring import remove_jumps

HOOKS = "__gm"


class FunctionRewriter:
    """Rewrites one function: its statements, and the inner functions in them.

    Args:
        node: the function (not changed: the statements must be a copy).
        guarded: names of the scopes around it that may be unbound when read.
        owner: the class whose method it is, or is part of.
    """

    def __init__(
        self,
        node: ast.FunctionDef,
        guarded: frozenset[str] = frozenset(),
        owner: str = "",
    ) -> None:
        self.node = node
        self.generator = scanning.is_generator(node)
        self.body = node.body if self.generator else remove_jumps(node.body)
        self.parameters = liveness.parameters(node.args)
        self.shared = liveness.declared(self.body, ast.Nonlocal)
        if liveness.declared(self.body, ast.Global) & liveness.stored(self.body):
            refuse("global", next(n for n in liveness.own_nodes(self.body) if isinstance(n, ast.Global)))
        captured = frozenset(liveness.captured(self.body) | self.shared)
        liveness.Liveness(captured).block(self.body, set())
        self.captured = captured
        own = liveness.stored(self.body) | self.parameters
        self.owned = sorted(liveness.changed_inside(self.body) & own - self.shared)
        states = {n for s in ast.walk(ast.Module(self.body, [])) for n in scanning.shared_by(s)} - self.parameters
        deleted = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Del)}
        self.guarded = frozenset((guarded - own) | (states - self.shared) | deleted)
        self.expressions = Expressions(self.guarded, owner)
        self.count = 0

    def rewrite(self) -> ast.FunctionDef:
        """The new function, without decorators."""
        body = self.scope(self.body, keep=self.shared | self.parameters)
        if self.owned:
            body.insert(0, at(ast.Expr(call_hook("owns", [lambda_of(load(n)) for n in self.owned])), self.body[0]))
        return at(
            ast.FunctionDef(self.node.name, self.arguments(self.node.args), body, [], None, None, []),
            self.node,
        )

    def arguments(self, spec: ast.arguments) -> ast.arguments:
        """The signature without annotations; defaults are rewritten."""

        def bare(a: ast.arg) -> ast.arg:
            return ast.copy_location(ast.arg(a.arg), a)

        new = self.expressions
        return ast.arguments(
            posonlyargs=[bare(a) for a in spec.posonlyargs],
            args=[bare(a) for a in spec.args],
            vararg=bare(spec.vararg) if spec.vararg else None,
            kwonlyargs=[bare(a) for a in spec.kwonlyargs],
            kw_defaults=[new(d) if d else None for d in spec.kw_defaults],
            kwarg=bare(spec.kwarg) if spec.kwarg else None,
            defaults=[new(d) for d in spec.defaults],
        )

    def fresh(self, what: str) -> str:
        """A new name of the compiler."""
        self.count += 1
        return f"{HOOKS}_{what}_{self.count}"

    # --- scopes ----------------------------------------------------------------------------------

    def scope(
        self,
        stmts: Sequence[ast.stmt],
        keep: Iterable[str],
        head: Sequence[ast.stmt] = (),
        shared: Sequence[ast.stmt] = (),
    ) -> list[ast.stmt]:
        """The statements of a function (the user's, or one made from a body).

        `keep` are the names that belong to a scope around it, or are parameters. The others that loops and
        branches share with their bodies are bound first, to a value that says that they are not set yet; `head` sets
        some of them. Without statements, names are shared as `shared` would share them.
        """
        stmts_here = stmts or shared
        mine = sorted(scanning.shared_below(stmts_here) - set(keep))
        where = stmts_here[0]
        first = [assign(name, call_hook("unbound", [constant(name)]), where) for name in mine]
        return [*first, *head, *self.block(stmts)]

    def block(self, stmts: Sequence[ast.stmt]) -> list[ast.stmt]:
        """Rewrite statements, in the scope at hand."""
        return [new for s in stmts for new in self.statement(s)]

    def inner(
        self, what: str, arguments: list[str], head: list[ast.stmt], stmts: list[ast.stmt], state: set[str]
    ) -> tuple[str, ast.FunctionDef]:
        """A body as a function of its own, its state shared with the scope around it."""
        name = self.fresh(what)
        where = stmts[0]
        body = self.scope(stmts, state | set(arguments), head)
        return name, _define(name, arguments, body, state, where)

    def state(self, names: Sequence[str], where: ast.stmt) -> tuple[ast.expr, list[ast.stmt]]:
        """A function that reads the variables (called without arguments) or sets them."""
        if not names:
            return constant(None), []
        name = self.fresh("state")
        every = ast.Tuple([ast.Name(n, ast.Store()) for n in names], ast.Store())
        setting = ast.If(load("__gm_v"), [ast.Assign([every], load("__gm_v"))], [])
        result = ast.Return(ast.Tuple([load(n) for n in names], ast.Load()))
        define = _define(name, [], [setting, result], set(names), where, vararg="__gm_v")
        return load(name), [define]

    # --- statements ------------------------------------------------------------------------------

    def statement(self, s: ast.stmt) -> list[ast.stmt]:
        """Rewrite one statement."""
        made = self._statement(s)
        shared = sorted(liveness.stored(s) & self.shared)
        if shared:
            made.insert(0, ast.Expr(call_hook("sets", [lambda_of(load(n)) for n in shared])))
        return [at(m, s) for m in made]

    def _statement(self, s: ast.stmt) -> list[ast.stmt]:
        new = self.expressions
        match s:
            case ast.For():
                return self._plain_for(s) if self.generator and scanning.yields(s) else self._for(s)
            case ast.While():
                return self._plain_while(s) if self.generator and scanning.yields(s) else self._while(s)
            case ast.If():
                return self._plain_if(s) if self.generator and scanning.yields(s) else self._if(s)
            case ast.Assign():
                return self._assign(s)
            case ast.AnnAssign():
                if s.value is None:
                    return [ast.Pass()]
                return self._store(s.target, new(s.value))
            case ast.AugAssign():
                return self._augmented(s)
            case ast.Expr():
                return [ast.Expr(new(s.value))]
            case ast.Return():
                return [ast.Return(call_hook("returned", [new(s.value)]) if s.value else None)]
            case ast.Assert():
                message = lambda_of(new(s.msg)) if s.msg else constant(None)
                return [ast.Expr(call_hook("assert_", [new(s.test), message]))]
            case ast.Raise():
                if s.exc is None:
                    return [s]
                exc = call_hook("raised", [new(s.exc)])
                return [ast.Raise(exc, new(s.cause) if s.cause else None)]
            case ast.Delete():
                return [d for t in s.targets for d in self._delete(t)]
            case ast.FunctionDef():
                return self._function(s)
            case ast.With():
                items = [ast.withitem(call_hook("managed", [new(i.context_expr)]), i.optional_vars) for i in s.items]
                return [ast.With(items, self.block(s.body))]
            case ast.Try() | ast.TryStar():
                return self._try(s)
            case ast.Match():
                cases = [
                    ast.match_case(c.pattern, new(c.guard) if c.guard else None, self.block(c.body)) for c in s.cases
                ]
                return [ast.Match(call_hook("subject", [new(s.subject)]), cases)]
            case ast.AsyncFunctionDef() | ast.AsyncFor() | ast.AsyncWith():
                return refuse("async", s)
            case ast.ClassDef():
                return refuse("class", s)
            case _:  # pass, import, nonlocal, global (read only)
                return [s]

    def _try(self, s: ast.Try | ast.TryStar) -> list[ast.stmt]:
        """A `try`: its body, handlers and `else` are functions; its `finally` stays Python's."""
        if not s.handlers:
            return [ast.Try(self.block(s.body), [], [], self.block(s.finalbody))]
        if isinstance(s, ast.TryStar) or (self.generator and scanning.yields(s)):
            return self._plain_try(s)
        results, scratch = sorted(s.results), sorted(s.scratch)  # type: ignore[attr-defined]
        names = [*results, *scratch]
        state, define = self.state(names, s)
        body = self.fresh("try")
        made: list[ast.stmt] = [_define(body, [], self._stepped(s.body, set(names)), set(names), s.body[0])]
        handlers: list[ast.expr] = []
        for h in s.handlers:
            error = self.fresh("error")
            head = [assign(h.name, load(error), h.body[0])] if h.name else []
            name, define_handler = self.inner("handler", [error], head, h.body, set(names))
            made.append(define_handler)
            kind = lambda_of(self.expressions(h.type)) if h.type else constant(None)
            handlers.append(ast.Tuple([kind, load(name)], ast.Load()))
        other: ast.expr = constant(None)
        if s.orelse:
            name, define_else = self.inner("else", [], [], s.orelse, set(names))
            other = load(name)
            made.append(define_else)
        arguments = [load(body), ast.Tuple(handlers, ast.Load()), other, state, names_tuple(names)]
        arguments += [constant(len(results)), constant(getattr(s, "ends", False))]
        call: list[ast.stmt] = [ast.Expr(call_hook("try_", arguments))]
        if s.finalbody:
            call = [ast.Try(call, [], [], self.block(s.finalbody))]
        return [*made, *define, *call]

    def _stepped(self, stmts: Sequence[ast.stmt], state: set[str]) -> list[ast.stmt]:
        """The statements of the body of a `try`, with a note before each."""
        body = self.scope(stmts[:0], keep=state, shared=stmts)
        for s in stmts:
            simple = constant(scanning.is_simple(s))
            body += [at(ast.Expr(call_hook("step", [], [ast.keyword("simple", simple)])), s), *self.statement(s)]
        return body

    def _plain_try(self, s: ast.Try | ast.TryStar) -> list[ast.stmt]:
        """A `try` around a `yield`; its handlers are asked what they catch, its body is watched if that needs it."""
        body = self.block(s.body)
        caught = scanning.waits_for(s.handlers)
        if caught:
            before = self.fresh("before")
            watched = call_hook("attempted", [load(before), constant(caught)])
            body = [assign(before, call_hook("attempt", []), s), *body, at(ast.Expr(watched), s)]
        handlers = [
            ast.ExceptHandler(call_hook("catching", [h.type] if h.type else []), h.name, self.block(h.body))
            for h in s.handlers
        ]
        return [type(s)(body, handlers, self.block(s.orelse), self.block(s.finalbody))]

    def _assign(self, s: ast.Assign) -> list[ast.stmt]:
        value = self.expressions(s.value)
        if len(s.targets) == 1:
            return self._store(s.targets[0], value)
        name = self.fresh("value")
        return [assign(name, value, s), *(m for t in s.targets for m in self._store(t, load(name)))]

    def _store(self, target: ast.expr, value: ast.expr) -> list[ast.stmt]:
        """`target = value`."""
        new = self.expressions
        match target:
            case ast.Name():
                return [ast.Assign([target], value)]
            case ast.Subscript():
                return [ast.Expr(call_hook("store", [new(target.value), new.index(target.slice), value]))]
            case ast.Attribute():
                return [ast.Expr(call_hook("set_attribute", [new(target.value), new.attribute(target.attr), value]))]
            case ast.Tuple() | ast.List():
                return self._unpack(target, value)
            case _:
                raise AssertionError(ast.dump(target))

    def _unpack(self, target: ast.Tuple | ast.List, value: ast.expr) -> list[ast.stmt]:
        before = after = 0
        starred = False
        for e in target.elts:
            if isinstance(e, ast.Starred):
                starred = True
            elif starred:
                after += 1
            else:
                before += 1
        shape = [constant(before), constant(after if starred else None)]
        unpacked = call_hook("unpack", [value, *shape])
        elements = [e.value if isinstance(e, ast.Starred) else e for e in target.elts]
        if all(isinstance(e, ast.Name) for e in elements):
            return [ast.Assign([ast.Tuple(elements, ast.Store())], unpacked)]
        temporaries = [e.id if isinstance(e, ast.Name) else self.fresh("part") for e in elements]
        places = ast.Tuple([ast.Name(t, ast.Store()) for t in temporaries], ast.Store())
        out: list[ast.stmt] = [ast.Assign([places], unpacked)]
        for e, t in zip(elements, temporaries, strict=True):
            if not isinstance(e, ast.Name):
                out += self._store(e, load(t))
        return out

    def _augmented(self, s: ast.AugAssign) -> list[ast.stmt]:
        new = self.expressions
        op, value = constant(type(s.op).__name__), new(s.value)
        match s.target:
            case ast.Name():
                target = ast.Name(s.target.id, ast.Store())
                return [ast.Assign([target], call_hook("inplace", [op, new(at(load(target.id), s)), value]))]
            case ast.Subscript():
                place = [new(s.target.value), new.index(s.target.slice)]
                return [ast.Expr(call_hook("store_inplace", [op, *place, value]))]
            case ast.Attribute():
                owner = self.fresh("owner")
                attribute = new.attribute(s.target.attr)
                was = call_hook("attribute", [load(owner), attribute])
                now = call_hook("inplace", [op, was, value])
                return [
                    assign(owner, new(s.target.value), s),
                    ast.Expr(call_hook("set_attribute", [load(owner), attribute, now])),
                ]
            case _:
                raise AssertionError(ast.dump(s))

    def _delete(self, target: ast.expr) -> list[ast.stmt]:
        new = self.expressions
        match target:
            case ast.Name():
                return [assign(target.id, call_hook("unbound", [constant(target.id)]), target)]
            case ast.Subscript():
                return [ast.Expr(call_hook("delete_item", [new(target.value), new.index(target.slice)]))]
            case ast.Attribute():
                return [ast.Expr(call_hook("delete_attribute", [new(target.value), new.attribute(target.attr)]))]
            case ast.Tuple() | ast.List():
                return [d for t in target.elts for d in self._delete(t)]
            case _:
                raise AssertionError(ast.dump(target))

    def _function(self, s: ast.FunctionDef) -> list[ast.stmt]:
        made = FunctionRewriter(s, self.guarded, self.expressions.owner).rewrite()
        made.args = self.arguments(s.args)
        value: ast.expr = load(s.name)
        if not s.decorator_list:
            return [made]
        for d in reversed(s.decorator_list):
            value = call_hook("call", [self.expressions(d), value])
        return [made, assign(s.name, value, s)]

    # --- loops and branches ----------------------------------------------------------------------

    def _for(self, s: ast.For) -> list[ast.stmt]:
        new = self.expressions
        carried, after = sorted(s.carried), sorted(s.after)  # type: ignore[attr-defined]
        item = self.fresh("item")
        target = [at(m, s) for m in self._store(s.target, load(item))]
        name, body = self.inner("body", [item], target, s.body, {*carried, *after})
        state, define = self.state([*carried, *after], s)
        arguments = [
            new(s.iter),
            load(name),
            state,
            names_tuple(carried),
            names_tuple(after),
            *self._loop_facts(s, set(liveness.stored(s.target))),
        ]
        return [body, *define, ast.Expr(call_hook("for_", arguments))]

    def _while(self, s: ast.While) -> list[ast.stmt]:
        carried, after = sorted(s.carried), sorted(s.after)  # type: ignore[attr-defined]
        name, body = self.inner("body", [], [], s.body, {*carried, *after})
        state, define = self.state([*carried, *after], s)
        arguments = [
            lambda_of(self.expressions(s.test)),
            load(name),
            state,
            names_tuple(carried),
            names_tuple(after),
            *self._loop_facts(s, set()),
        ]
        return [body, *define, ast.Expr(call_hook("while_", arguments))]

    def _loop_facts(self, s: ast.For | ast.While, target: set[str]) -> list[ast.expr]:
        """When to stop early, which values the body stores into, and how large the body is."""
        stop = getattr(s, "stop", ())
        flags: list[ast.expr] = [load(f) for f in stop]
        test = flags[0] if len(flags) == 1 else ast.BoolOp(ast.Or(), flags)
        ended = lambda_of(test if len(flags) == 1 else self.expressions(at(test, s))) if flags else constant(None)
        inside = liveness.stored(s.body) | target
        augmented = sorted(scanning.augmented(s.body) - target)
        names = sorted(scanning.mutated(s.body) - inside)
        stores = ast.Tuple([lambda_of(load(n)) for n in names], ast.Load())
        size = sum(isinstance(n, ast.expr) for b in s.body for n in ast.walk(b))
        nested = any(isinstance(n, ast.For | ast.While) for b in s.body for n in ast.walk(b))
        return [ended, stores, names_tuple(augmented), constant(-size if nested else size)]

    def _if(self, s: ast.If) -> list[ast.stmt]:
        results, scratch = sorted(s.results), sorted(s.scratch)  # type: ignore[attr-defined]
        names = [*results, *scratch]
        state, define = self.state(names, s)
        then, then_body = self.inner("then", [], [], s.body, set(names))
        made: list[ast.stmt] = [then_body]
        other: ast.expr = constant(None)
        if s.orelse:
            name, body = self.inner("else", [], [], s.orelse, set(names))
            other = load(name)
            made.append(body)
        first = constant(getattr(s, "first", False))
        arguments = [self.expressions(s.test), load(then), other, state, names_tuple(results), first]
        return [*made, *define, ast.Expr(call_hook("if_", arguments))]

    # --- generators: their own loops stay Python's -----------------------------------------------

    def _plain_for(self, s: ast.For) -> list[ast.stmt]:
        item = self.fresh("item")
        target = self._store(s.target, load(item))
        iterable = call_hook("iterate", [self.expressions(s.iter)])
        body = [*target, *self.block(s.body)]
        return [ast.For(ast.Name(item, ast.Store()), iterable, body, self.block(s.orelse))]

    def _plain_while(self, s: ast.While) -> list[ast.stmt]:
        return [ast.While(call_hook("truth", [self.expressions(s.test)]), self.block(s.body), self.block(s.orelse))]

    def _plain_if(self, s: ast.If) -> list[ast.stmt]:
        return [ast.If(call_hook("truth", [self.expressions(s.test)]), self.block(s.body), self.block(s.orelse))]


def _define(
    name: str, arguments: list[str], body: list[ast.stmt], shared: set[str], where: ast.stmt, vararg: str = ""
) -> ast.FunctionDef:
    head: list[ast.stmt] = [ast.Nonlocal(sorted(shared))] if shared else []
    spec = ast.arguments(
        posonlyargs=[],
        args=[ast.arg(a) for a in arguments],
        vararg=ast.arg(vararg) if vararg else None,
        kwonlyargs=[],
        kw_defaults=[],
        kwarg=None,
        defaults=[],
    )
    return at(ast.FunctionDef(name, spec, [*head, *body], [], None, None, []), where)
