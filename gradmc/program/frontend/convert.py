"""Compile a function's rewritten syntax tree into a function beside the user's.

The new function shares the original's globals, closure cells and defaults, and has the user's file name and
line numbers, so tracebacks show the user's source. The hooks reach it through one extra closure cell, `__gm`.
Conversion is cached per code object; the original function stays as it is.
"""

import ast
import copy
import functools
from types import CellType, CodeType, FunctionType

from gradmc.errors import ProgramError
from gradmc.program.frontend import source
from gradmc.program.frontend.functionalise import HOOKS, FunctionRewriter
from gradmc.program.frontend.nodes import at
from gradmc.program.frontend.refuse import Refused, program_error

FACTORY = "__gm_factory"
FUNCTION = "__gm_function"
"""The name of a function while it is compiled: its own would hide a global of that name."""

_made: set[CodeType] = set()


def is_converted(code: CodeType) -> bool:
    """Whether a code object came out of `convert` (or lies inside one that did)."""
    return code in _made


def bound_to(fn: FunctionType, hooks: object) -> FunctionType:
    """A converted function with these hooks: one that has outlived the evaluation in which it was made has others."""
    names = fn.__code__.co_freevars
    if HOOKS not in names or fn.__closure__ is None:
        return fn
    k = names.index(HOOKS)
    if fn.__closure__[k].cell_contents is hooks:
        return fn
    closure = (*fn.__closure__[:k], CellType(hooks), *fn.__closure__[k + 1 :])
    return _like(fn, fn.__code__, closure)


def convert(fn: FunctionType, hooks: object) -> FunctionType:
    """The function that does what `fn` does through `hooks`.

    Raises:
        ProgramError: the source cannot be had, or uses what cannot be compiled.
    """
    if is_converted(fn.__code__):
        return bound_to(fn, hooks)
    code = _converted_code(fn.__code__, fn.__code__.co_filename, _Source(fn))
    cells = dict(zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True))
    cells[HOOKS] = CellType(hooks)
    closure = tuple(cells[name] for name in code.co_freevars)
    return _like(fn, code, closure)


def _like(fn: FunctionType, code: CodeType, closure: tuple[CellType, ...]) -> FunctionType:
    """A function with other code and cells."""
    new = FunctionType(code, fn.__globals__, fn.__name__, fn.__defaults__, closure)
    new.__kwdefaults__ = fn.__kwdefaults__
    new.__qualname__ = fn.__qualname__
    new.__module__ = fn.__module__
    return new


class _Source:
    """Carries a function to the cached conversion of its code, without being part of the key."""

    def __init__(self, fn: FunctionType) -> None:
        self.fn = fn

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Source)

    def __hash__(self) -> int:
        return 0


@functools.lru_cache(maxsize=1024)
def _converted_code(original: CodeType, filename: str, of: _Source) -> CodeType:
    """The new code. Equal codes may come from different files, so the name is part of the cache's key."""
    node = copy.deepcopy(source.function_node(of.fn))
    try:
        module = _module(node, original)
    except Refused as refused:
        where = source.location(original, refused.line)
        raise program_error(refused, where) from None
    compiled = compile(module, filename, "exec", dont_inherit=True)
    inner = _named(_named(compiled, FACTORY), FUNCTION)
    inner = _renamed(inner, original.co_name)
    _made.update(source.code_and_inner(inner))
    return inner


def _module(node: source.FunctionNode, original: CodeType) -> ast.Module:
    if isinstance(node, ast.AsyncFunctionDef):
        raise Refused("async", node.lineno)
    if isinstance(node, ast.Lambda):
        node = _as_def(node)
    node.args.defaults = []
    node.args.kw_defaults = [None] * len(node.args.kwonlyargs)
    made = FunctionRewriter(node, owner=_owner(original)).rewrite()
    made.name = FUNCTION
    arguments = [ast.arg(n) for n in (HOOKS, *original.co_freevars)]
    spec = ast.arguments(posonlyargs=[], args=arguments, kwonlyargs=[], kw_defaults=[], defaults=[])
    factory = at(ast.FunctionDef(FACTORY, spec, [made], [], None, None, []), node)
    return ast.Module([factory], [])


def _owner(code: CodeType) -> str:
    """The class whose method a function is, by its qualified name."""
    parts = code.co_qualname.split(".")
    return parts[-2] if len(parts) > 1 and parts[-2] != "<locals>" else ""


def _as_def(node: ast.Lambda) -> ast.FunctionDef:
    body = at(ast.Return(node.body), node.body)
    return at(ast.FunctionDef(FUNCTION, node.args, [body], [], None, None, []), node)


def _named(code: CodeType, name: str) -> CodeType:
    for constant in code.co_consts:
        if isinstance(constant, CodeType) and constant.co_name == name:
            return constant
    raise ProgramError(f"internal: no code {name!r} in {code.co_name!r}")


def _renamed(code: CodeType, name: str) -> CodeType:
    """The code with the user's names in place of the compiler's, for tracebacks: bodies bear their function's."""
    name = name if code.co_name.startswith(HOOKS) else code.co_name
    inner = tuple(_renamed(c, name) if isinstance(c, CodeType) else c for c in code.co_consts)
    return code.replace(co_name=name, co_qualname=name, co_consts=inner)
