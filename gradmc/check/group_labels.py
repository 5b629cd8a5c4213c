"""Checks of group labels among the data: used as numbers, negative, or counted from 1."""

import ast
from collections.abc import Iterator
from typing import TypeGuard

import numpy as np

from gradmc.check.codes import finding
from gradmc.check.finding import Finding
from gradmc.check.subject import Subject


def labels(subject: Subject, tree: ast.FunctionDef) -> Iterator[Finding]:
    """Report whole numbers among the data that are no labels as Python counts them."""
    yield from _as_numbers(subject, tree)
    yield from _misnumbered(subject, tree)


def _as_numbers(subject: Subject, tree: ast.FunctionDef) -> Iterator[Finding]:
    """Integers that serve as a subscript in one place and as a factor of a parameter in another.

    Where none comes twice they group nothing: they count time, which may have a trend besides effects.
    """
    whole = {
        name
        for name, value in subject.bound.data.items()
        if isinstance(value, np.ndarray) and value.dtype.kind in "iu" and len(np.unique(value)) < value.size
    }
    parameters = {p.name for p in subject.bound.parameters}
    subscripts = {
        name for node in ast.walk(tree) if isinstance(node, ast.Subscript) for name in roots(node.slice) & whole
    }
    for node in ast.walk(tree):
        if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div)):
            continue
        for side, other in ((node.left, node.right), (node.right, node.left)):
            root = side.value if isinstance(side, ast.Subscript) else side
            names = {n.id for n in ast.walk(other) if isinstance(n, ast.Name)}
            if isinstance(root, ast.Name) and root.id in subscripts and names & parameters:
                yield finding(
                    "index-as-number",
                    f"{root.id} is used as a subscript elsewhere, and here as a number",
                    location=subject.line(node.lineno),
                )


def _misnumbered(subject: Subject, tree: ast.FunctionDef) -> Iterator[Finding]:
    """Labels that pick entries of a parameter, with a negative one among them, or with none at entry 0."""
    shapes = {p.name: p.shape for p in subject.bound.parameters}
    whole = {
        name: value
        for name, value in subject.bound.data.items()
        if isinstance(value, np.ndarray) and value.dtype.kind in "iu" and value.size
    }
    names = _aliases(tree, whole)
    picked: dict[tuple[str, int], list[tuple[ast.Subscript, str | None]]] = {}
    priors = _in_priors(tree, set(subject.bound.data))
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in shapes:
            if node in priors:
                continue
            indices = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            for axis, index in enumerate(indices):
                picked.setdefault((node.value.id, axis), []).append((node, names.get(_base(index))))
    for (name, axis), places in picked.items():
        for node, label in places:
            if label is not None and np.min(whole[label]) < 0:
                yield finding(
                    "negative-label",
                    f"{label} holds {np.min(whole[label])}, which picks an entry of {name} from the end",
                    location=subject.line(node.lineno),
                    parameters=(name,),
                )
        size = shapes[name][axis] if axis < len(shapes[name]) else 0
        used = [whole[label] for _, label in places if label is not None]
        if len(used) == len(places) and min(map(np.min, used)) == 1 and max(map(np.max, used)) == size - 1:
            yield finding(
                "label-from-1",
                f"{' and '.join(sorted({str(label) for _, label in places}))} counts from 1 to {size - 1}: entry 0 of "
                f"{name} is never used",
                location=subject.line(places[0][0].lineno),
                parameters=(name,),
            )


def _in_priors(tree: ast.FunctionDef, data: set[str]) -> set[ast.AST]:
    """What stands in terms that are added without any data, such as `lp += normal(a[i], 0.0, 1.0)`."""
    sizes = {node.args[0] for node in ast.walk(tree) if _is_length(node)}
    data = _made_of(tree, data, sizes)
    terms = [node for node in ast.walk(tree) if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add)]
    return {part for node in terms if not _names(node.value, sizes) & data for part in ast.walk(node.value)}


def _made_of(tree: ast.FunctionDef, data: set[str], sizes: set[ast.expr]) -> set[str]:
    """The data, and names that are set to what is made of them."""
    places = [
        (target, node.value if isinstance(node, ast.Assign) else node.iter)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.For)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    found = data
    for _ in places:
        found = found.union(*(_names(target, sizes) for target, value in places if _names(value, sizes) & found))
    return found


def _names(node: ast.expr, sizes: set[ast.expr]) -> set[str]:
    """The names in an expression, but those whose length alone is asked for."""
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and part not in sizes}


def _is_length(node: ast.AST) -> TypeGuard[ast.Call]:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len" and len(node.args) == 1
    )


def _aliases(tree: ast.FunctionDef, whole: dict[str, np.ndarray]) -> dict[str, str]:
    """What names stand for labels: the data themselves, and names that are set once, to an entry of them."""
    set_to: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            set_to.setdefault(node.id, [])
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            set_to.setdefault(node.targets[0].id, []).append(_base(node.value))
    found = {name: bases[0] for name, bases in set_to.items() if len(bases) == 1 and bases[0] in whole}
    return {name: name for name in whole if name not in set_to} | found


def _base(node: ast.expr) -> str:
    """The array of `g` or `g[i]`; empty for anything else."""
    root = node.value if isinstance(node, ast.Subscript) else node
    return root.id if isinstance(root, ast.Name) else ""


def roots(node: ast.expr) -> set[str]:
    """Names of arrays that a subscript reads an entry of."""
    return {n.value.id for n in ast.walk(node) if isinstance(n, ast.Subscript) and isinstance(n.value, ast.Name)}
