"""Find the source text and the syntax tree of a function.

The whole file is parsed (once, cached by content) and the function's node is found by its position, so every
node keeps the line and column of the user's own file. Text comes from `linecache`, which knows files, IPython
cells, the REPL of Python 3.13 and later, and whatever a caller of `exec` has put there.
"""

import ast
import functools
import inspect
import linecache
from collections.abc import Iterator
from types import CodeType, FunctionType

from gradmc.errors import ProgramError, SourceLocation

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def function_node(fn: FunctionType) -> FunctionNode:
    """The syntax tree of `fn`, with the positions of the user's file.

    Raises:
        ProgramError: the source cannot be had, or does not belong to this function any more.
    """
    code = fn.__code__
    tree = _parsed(_text(fn))
    at = [node for node in _functions(tree) if _first_line(node) == code.co_firstlineno and _fits(node, code)]
    if len(at) > 1:
        at = [node for node in at if _column_fits(node, code)] or at
    if not at:
        raise ProgramError(
            f"the source of {fn.__qualname__} has changed since it was defined",
            location=SourceLocation(code.co_filename, code.co_firstlineno, "", fn.__name__),
            remedy="Import or run the file again, so that the function and its source agree.",
        )
    if len(at) > 1:
        raise ProgramError(
            f"line {code.co_firstlineno} holds several functions that cannot be told apart",
            location=location(code, code.co_firstlineno),
            remedy="Write each lambda on a line of its own.",
        )
    return at[0]


def location(code: CodeType, line: int | None) -> SourceLocation:
    """Where `line` of the user's code object stands, with its text."""
    line = line or code.co_firstlineno
    text = linecache.getline(code.co_filename, line)
    return SourceLocation(code.co_filename, line, text.rstrip("\n"), code.co_name)


def _text(fn: FunctionType) -> str:
    name = fn.__code__.co_filename
    linecache.checkcache(name)
    lines = linecache.getlines(name, fn.__globals__)
    if not lines:
        lines = _module_lines(fn)
    if not lines:
        raise ProgramError(
            f"the source of {fn.__qualname__} cannot be had: there is no text for {name!r}",
            location=SourceLocation(name, fn.__code__.co_firstlineno, "", fn.__name__),
            remedy="The loop compiler reads the program's source. Put the function in a file or a notebook cell; "
            "for code made by exec(), compile it with a filename and put its lines into linecache.cache.",
        )
    return "".join(lines)


def _module_lines(fn: FunctionType) -> list[str]:
    try:
        return inspect.findsource(fn)[0]
    except (OSError, TypeError):
        return []


@functools.lru_cache(maxsize=64)
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


def _functions(tree: ast.AST) -> Iterator[FunctionNode]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node


def _first_line(node: FunctionNode) -> int:
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(d.lineno for d in decorators)])


def _fits(node: FunctionNode, code: CodeType) -> bool:
    name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
    spec = node.args
    arguments = [a.arg for a in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)]
    if spec.vararg:
        arguments.append(spec.vararg.arg)
    if spec.kwarg:
        arguments.append(spec.kwarg.arg)
    flags = bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    count = code.co_argcount + code.co_kwonlyargcount + flags
    return name == code.co_name and tuple(arguments) == code.co_varnames[:count]


def _column_fits(node: FunctionNode, code: CodeType) -> bool:
    """Whether the body of `node` begins where the code's first instruction with a column stands."""
    body = node.body if isinstance(node, ast.Lambda) else node.body[0]
    inside = [p for p in code.co_positions() if p[0] is not None and p[2] is not None and p[3]]
    first, last = (body.lineno, body.col_offset), (body.end_lineno, body.end_col_offset)
    spots = [(line, column) for line, _, column, _ in inside if line is not None and column is not None]
    own = [s for s in spots if first <= s < last]
    return bool(own) and len(own) >= len(spots) - 1
