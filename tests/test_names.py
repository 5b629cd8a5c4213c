"""Names: a file stem or class name means one thing."""

import ast
from collections import Counter
from pathlib import Path

import gradmc

ROOT = Path(gradmc.__file__).parent
SEVERAL = {"__init__", "__main__"}
"""Stems that Python itself gives a meaning in every package."""


def test_no_file_stem_occurs_twice():
    stems = Counter(path.stem for path in ROOT.rglob("*.py"))
    assert sorted(stem for stem, count in stems.items() if count > 1 and stem not in SEVERAL) == []


def test_no_class_name_occurs_twice():
    trees = (ast.parse(path.read_bytes()) for path in ROOT.rglob("*.py"))
    classes = Counter(node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    assert sorted(name for name, count in classes.items() if count > 1) == []
