"""A copy of a program in which every assignment is watched: what plain Python computes, line by line.

`watched` rewrites the source so that a callable sees the value of every assignment and return; the user's lines stay as
they are.
"""

import ast
import copy
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, Protocol

from gradmc.errors import ProgramError
from gradmc.program.frontend.source import function_node

HOOK = "__gradmc_watch__"


class Watcher(Protocol):
    """Sees each assignment: the line, the target, the value, the loop variables around it; returns the value."""

    def __call__(self, line: int, target: str, value: Any, loops: Mapping[str, Any]) -> Any:
        """Look at a value."""
        ...


class _Instrument(ast.NodeTransformer):
    """Inserts a check after every assignment to a name or an entry, and around every returned value."""

    def __init__(self) -> None:
        self.loops: list[str] = []

    def visit_For(self, node: ast.For) -> ast.For:
        inner = [n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)]
        self.loops.extend(inner)
        self.generic_visit(node)
        del self.loops[len(self.loops) - len(inner) :]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        outer, self.loops = self.loops, []
        self.generic_visit(node)
        self.loops = outer
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        return node

    def visit_Assign(self, node: ast.Assign) -> Any:
        return self._after(node, node.targets[0], node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        return self._after(node, node.target, node.value)

    def visit_Return(self, node: ast.Return) -> ast.Return:
        if node.value is not None:
            node.value = self._hook(node.lineno, "return", node.value)
        return node

    def _after(self, node: ast.stmt, target: ast.expr, value: ast.expr) -> Any:
        on_purpose = any(getattr(n, "attr", getattr(n, "id", "")) in ("inf", "nan", "infty") for n in ast.walk(value))
        if on_purpose or not isinstance(target, (ast.Name, ast.Subscript)):
            return node
        text = ast.unparse(target)
        load = ast.parse(text, mode="eval").body
        return [node, ast.Expr(self._hook(node.lineno, text, load))]

    def _hook(self, line: int, target: str, value: ast.expr) -> ast.Call:
        loops = ast.Dict(
            [ast.Constant(n) for n in self.loops],
            [ast.Name(n, ast.Load()) for n in self.loops],
        )
        return ast.Call(
            ast.Name(HOOK, ast.Load()),
            [ast.Constant(line), ast.Constant(target), value, loops],
            [],
        )


def watched(fn: Callable[..., Any], watch: Watcher) -> Callable[..., Any] | None:
    """Return the function with every assignment watched, or None where its source cannot be had."""
    if not isinstance(fn, FunctionType):
        return None
    try:
        definition = copy.deepcopy(function_node(fn))
    except ProgramError:
        return None
    if not isinstance(definition, ast.FunctionDef):
        return None
    definition.decorator_list = []
    _strip(definition.args)
    _Instrument().visit(definition)
    free = fn.__code__.co_freevars
    maker = ast.parse(f"def make({', '.join(free)}):\n    pass").body[0]
    assert isinstance(maker, ast.FunctionDef)
    maker.body = [definition, ast.Return(ast.Name(definition.name, ast.Load()))]
    module = ast.fix_missing_locations(ast.Module([maker], []))
    scope = {**fn.__globals__, HOOK: watch}
    exec(compile(module, fn.__code__.co_filename, "exec"), scope)
    try:
        cells = [cell.cell_contents for cell in fn.__closure__ or ()]
    except ValueError:  # a name of the enclosing function that is not assigned yet
        return None
    made = scope["make"](*cells)
    made.__defaults__, made.__kwdefaults__ = fn.__defaults__, fn.__kwdefaults__
    return made


def _strip(arguments: ast.arguments) -> None:
    """Remove annotations and defaults: they are evaluated already, in their own scope."""
    for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
        argument.annotation = None
    arguments.defaults = []
    arguments.kw_defaults = [None] * len(arguments.kwonlyargs)
