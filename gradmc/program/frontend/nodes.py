"""Make syntax nodes that stand at the user's line."""

import ast


def at[N: ast.AST](node: N, where: ast.AST) -> N:
    """`node`, and whatever in it has no position yet, at the line and column where `where` begins."""
    line, column = getattr(where, "lineno", 1), getattr(where, "col_offset", 0)
    _place(node, line, column)
    return node


def _place(node: ast.AST, line: int, column: int) -> None:
    if getattr(node, "placed", False):  # trees grow from their leaves: each node is looked at once
        return
    node.placed = True  # type: ignore[attr-defined]
    if "lineno" in node._attributes:
        if hasattr(node, "lineno"):
            line, column = node.lineno, node.col_offset  # type: ignore[attr-defined]
        else:
            node.lineno = node.end_lineno = line  # type: ignore[attr-defined]
            node.col_offset = node.end_col_offset = column  # type: ignore[attr-defined]
    for child in ast.iter_child_nodes(node):
        _place(child, line, column)


def load(name: str) -> ast.Name:
    """A read of a name."""
    return ast.Name(name, ast.Load())


def assign(name: str, value: ast.expr, where: ast.AST) -> ast.stmt:
    """`name = value`, with the position of `where`."""
    return at(ast.Assign([ast.Name(name, ast.Store())], value), where)
