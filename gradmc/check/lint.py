"""Checks by reading the source: a Jacobian written by hand, counts that are not whole, labels that are no labels."""

import ast
import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np

from gradmc.check.codes import finding
from gradmc.check.finding import Finding
from gradmc.check.group_labels import labels, roots
from gradmc.check.subject import Subject

BOUNDED = ("Positive", "Negative", "UnitInterval", "Interval", "PositiveOrdered", "Simplex")
COUNTS = ("gradmc.lpdf.counts", "gradmc.lpdf.categories")
CONTINUOUS = {"dirichlet"}


def reading(subject: Subject) -> Iterator[Finding]:
    """Report what the source shows."""
    if subject.tree is None:
        return
    yield from _jacobians(subject, subject.tree)
    yield from _fractions(subject, subject.tree)
    yield from labels(subject, subject.tree)


def _jacobians(subject: Subject, tree: ast.FunctionDef) -> Iterator[Finding]:
    """A line that adds nothing but logarithms of constrained parameters, once for each entry."""
    bounded = {p.name for p in subject.bound.parameters if p.support.label.startswith(BOUNDED)}
    for node, loops in _unconditional(tree.body):
        added = _added(node)
        if added is None:
            continue
        terms = _terms(added)
        read = [root for root in (_log_of(term, bounded) for term in terms) if root is not None]
        if len(read) == len(terms) and all(_once_per_entry(root, loops) for root in read):
            names = tuple(sorted({n.id for root in read for n in ast.walk(root) if isinstance(n, ast.Name)} & bounded))
            told = " and ".join(names)
            yield finding(
                "hand-jacobian",
                f"log({told}) is added on a line of its own: is it the Jacobian of log({told})?",
                location=subject.line(node.lineno),
                parameters=names,
            )


def _unconditional(
    body: list[ast.stmt], loops: frozenset[str] = frozenset()
) -> Iterator[tuple[ast.stmt, frozenset[str]]]:
    """Statements that no condition guards, each with the variables of the `for` loops around it."""
    for node in body:
        yield node, loops
        if isinstance(node, ast.For):
            targets = {n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)}
            yield from _unconditional(node.body, loops | targets)


def _once_per_entry(root: ast.expr, loops: frozenset[str]) -> bool:
    """Whether loops over `loops` read each entry of the parameter once; `p[label[i]]` is a likelihood instead."""
    if isinstance(root, ast.Subscript):
        indices = root.slice.elts if isinstance(root.slice, ast.Tuple) else [root.slice]
        return {n.id for n in indices if isinstance(n, ast.Name)} >= loops and not roots(root.slice)
    return not loops


def _added(node: ast.AST) -> ast.expr | None:
    """The right side of `lp += ...` or of `lp = lp + ...`."""
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
        return node.value
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp) and isinstance(node.value.op, ast.Add):
        (target, *_), left = node.targets, node.value.left
        if isinstance(target, ast.Name) and isinstance(left, ast.Name) and left.id == target.id:
            return node.value.right
    return None


def _terms(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [*_terms(node.left), *_terms(node.right)]
    return [node]


def _log_of(node: ast.expr, names: set[str]) -> ast.expr | None:
    """What `log(p)`, `log(p[k])`, `sum(log(p))`, `log1p(-p)`, `log(1 - p)` read of a parameter; else None."""
    if not isinstance(node, ast.Call):
        return None
    called = _last(node.func)
    if called == "sum" and isinstance(node.func, ast.Attribute) and not node.args:
        return _log_of(node.func.value, names)
    if len(node.args) != 1:
        return None
    if called == "sum":
        return _log_of(node.args[0], names)
    inner = node.args[0]
    if called == "log1p" and isinstance(inner, ast.UnaryOp):
        inner = inner.operand
    elif called == "log" and isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Sub):
        inner = inner.right if isinstance(inner.left, ast.Constant) else inner
    elif called not in ("log", "log1p"):
        return None
    root = inner.value if isinstance(inner, ast.Subscript) else inner
    return inner if isinstance(root, ast.Name) and root.id in names else None


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _fractions(subject: Subject, tree: ast.FunctionDef) -> Iterator[Finding]:
    """A log mass of counts at data that are not whole numbers."""
    data = {
        name: value
        for name, value in subject.bound.data.items()
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and np.any(value != np.round(value))
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        root = node.args[0].value if isinstance(node.args[0], ast.Subscript) else node.args[0]
        if isinstance(root, ast.Name) and root.id in data and _is_mass(_resolved(subject, node.func)):
            bad = data[root.id][data[root.id] != np.round(data[root.id])][0]
            yield finding(
                "fractional-count",
                f"{_last(node.func)} is a law of whole numbers, but {root.id} holds {bad:g}",
                location=subject.line(node.lineno),
            )


def _is_mass(function: Any) -> bool:
    return getattr(function, "__module__", "") in COUNTS and getattr(function, "__name__", "") not in CONTINUOUS


def _resolved(subject: Subject, node: ast.expr) -> Any:
    """What a name or a dotted name in the program stands for."""
    if isinstance(node, ast.Name):
        scope = inspect.getclosurevars(subject.bound.model.fn)
        return scope.nonlocals.get(node.id, scope.globals.get(node.id))
    if isinstance(node, ast.Attribute):
        owner = _resolved(subject, node.value)
        return getattr(owner, node.attr, None) if owner is not None else None
    return None
