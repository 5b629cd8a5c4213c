"""Find the source text and the syntax tree of a function.

The whole file is parsed (once, cached by content) and the function's node is found by its position, so every
node keeps the line and column of the user's own file. Text comes from `linecache`, which knows files, IPython
cells, the REPL of Python 3.13 and later, and whatever a caller of `exec` has put there. It is trusted only if,
compiled, it gives the function's own code: a file may have changed since it was imported, and many pieces of code
are called `<string>`.
"""

import __future__

import ast
import dis
import functools
import inspect
import linecache
from collections import Counter, defaultdict
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from types import CodeType, FunctionType

from gradmc.errors import ProgramError, SourceLocation

FUTURE = functools.reduce(
    int.__or__, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
)
"""Flags of a code object that say how its text is to be compiled."""

PLAIN_LOADERS = (SourceFileLoader,)
"""Loaders that compile a file as it stands."""

DYNAMIC = "<dynamic-code>"
"""What cloudpickle calls the file of all code that it sends."""

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def function_node(fn: FunctionType) -> FunctionNode:
    """The syntax tree of `fn`, with the positions of the user's file.

    Raises:
        ProgramError: the source cannot be had, or does not belong to this function any more.
    """
    code = fn.__code__
    at = [node for node in _functions(_text(fn)) if _first_line(node) == code.co_firstlineno and _fits(node, code)]
    if len(at) > 1:
        at = [node for node in at if _column_fits(node, code)] or at
    if len(at) != 1:
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


def known_text(fn: FunctionType) -> str | None:
    """The text in which `fn` was defined: as it was read first, or as it is now; None where it cannot be had."""
    name = fn.__code__.co_filename
    text = _lines(fn)
    if not (text and _agrees(text, fn)):
        linecache.checkcache(name)
        text = _lines(fn)
    return text if text and _agrees(text, fn) else None


def _lines(fn: FunctionType) -> str:
    """What stands in the file of `fn`, or an empty text."""
    return "".join(linecache.getlines(fn.__code__.co_filename, fn.__globals__))


def _text(fn: FunctionType) -> str:
    """The text in which `fn` was defined.

    Raises:
        ProgramError: it cannot be had, or is another by now.
    """
    found = known_text(fn)
    if found is not None:
        return found
    name, text = fn.__code__.co_filename, _lines(fn)
    if name == DYNAMIC:
        raise ProgramError(
            f"the source of {fn.__qualname__} did not travel: it was defined inside of a function that was sent to "
            "this process",
            remedy="Declare the model outside of the function that you send: models take their source with them.",
        )
    where = SourceLocation(name, fn.__code__.co_firstlineno, "", fn.__name__)
    if text and not name.startswith("<"):
        raise ProgramError(
            f"the source of {fn.__qualname__} has changed since it was defined",
            location=where,
            remedy="Import or run the file again, so that the function and its source agree. If the file is as it was, "
            "a decorator has rewritten the function's code: leave it off.",
        )
    found = f"the text kept for {name!r} is another" if text else f"there is no text for {name!r}"
    raise ProgramError(
        f"the source of {fn.__qualname__} cannot be had: {found}",
        location=where,
        remedy="The loop compiler reads the program's source. Put the function in a file or a notebook cell, or use "
        "the interactive interpreter of Python 3.13 or later; compile code for exec() with a filename of its own, and "
        "keep its lines: linecache.cache[name] = (len(text), None, text.splitlines(True), name).",
    )


def _agrees(text: str, fn: FunctionType) -> bool:
    """Whether a text, compiled, gives the code of `fn`.

    Modules that come through an import hook (pytest's, beartype's) hold more than their text says; there it is
    enough that every line that is not an assertion does what the text says, among other things.
    """
    code = fn.__code__
    try:
        made = _codes(text, code.co_flags & FUTURE)
    except SyntaxError:
        return False
    if code in made or code in _codes_apart(text, code.co_flags & FUTURE):
        return True
    loader = fn.__globals__.get("__loader__")
    if loader is None or type(loader) in PLAIN_LOADERS:
        return False
    asserted = _asserted(text)
    key = (code.co_name, code.co_firstlineno)
    return any((c.co_name, c.co_firstlineno) == key and _contains(code, c, asserted) for c in made)


@functools.lru_cache(maxsize=64)
def _codes(text: str, flags: int) -> frozenset[CodeType]:
    """The code of all functions in a text."""
    return frozenset(code_and_inner(compile(text, "<text>", "exec", flags, dont_inherit=True)))


@functools.lru_cache(maxsize=64)
def _codes_apart(text: str, flags: int) -> frozenset[CodeType]:
    """The code of all functions in a text whose statements are compiled one by one, as IPython does.

    There `gm.observe(...)` is the call of a method, as of any object; where Python sees in the same text that `gm` is
    imported it is that of a function.
    """
    alone = (ast.Module([node], []) for node in ast.parse(text).body)
    made = (compile(module, "<text>", "exec", flags, dont_inherit=True) for module in alone)
    return frozenset(code for each in made for code in code_and_inner(each))


def code_and_inner(code: CodeType) -> Iterator[CodeType]:
    """A code object and those within."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from code_and_inner(constant)


def _asserted(text: str) -> frozenset[int]:
    """The lines that assertions take up."""
    found = [node for node in ast.walk(_parsed(text)) if isinstance(node, ast.Assert)]
    return frozenset(line for node in found for line in range(node.lineno, (node.end_lineno or node.lineno) + 1))


def _contains(code: CodeType, plain: CodeType, asserted: frozenset[int]) -> bool:
    """Whether `code` does on every line what `plain` does there, lines of assertions aside."""
    more = _operations(code)
    return all(line in asserted or operations <= more[line] for line, operations in _operations(plain).items())


def _operations(code: CodeType) -> dict[int, Counter]:
    """By line, the operations on names and constants, how often each; places of jumps do not count."""
    found: dict[int, Counter] = defaultdict(Counter)
    for part in code_and_inner(code):
        for at in dis.get_instructions(part):
            line = at.positions.lineno if at.positions else None
            if line is not None and at.argrepr and at.opcode not in dis.hasjrel and not isinstance(at.argval, CodeType):
                found[line][at.opname, at.argrepr] += 1
    return found


@functools.lru_cache(maxsize=64)
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


@functools.lru_cache(maxsize=64)
def _functions(text: str) -> tuple[FunctionNode, ...]:
    found = ast.walk(_parsed(text))
    return tuple(node for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))


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
