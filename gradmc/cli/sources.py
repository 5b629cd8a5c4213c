"""What a model's draws depend on besides data and configuration: its source, and the packages that it imports.

The source is that of the model's file and of the user's own modules: those that it imports, directly or through others,
and those that lie beside it or below. Modules of installed packages are not the user's own; their versions are noted
instead. Modules go by their names, so that a project can be moved.
"""

import ast
import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import resolve_name
from types import ModuleType
from typing import Any

from gradmc.results.manifest import hash_text

INSTALLED = frozenset({"site-packages", "dist-packages"})
NOT_OWN = frozenset({"gradmc", "__main__", *sys.stdlib_module_names})


@dataclass(frozen=True, slots=True)
class Sources:
    """What a model is made from.

    Args:
        hash: of the model's file and the user's own modules, comments left out.
        versions: versions of the installed packages that these import, by distribution.
    """

    hash: str
    versions: dict[str, str]


def sources(model: Any) -> Sources:
    """What a model, already imported, is made from."""
    found = inspect.getsourcefile(model.fn)
    if found is None:
        return Sources(str(model.source_hash), {})
    file = os.path.realpath(found)
    texts, imported = {"": _text(file)}, set[str]()
    waiting = [(file, sys.modules.get(model.fn.__module__)), *_beside(file)]
    while waiting:
        path, module = waiting.pop()
        texts["" if path == file else _name(module)] = _text(path)
        for name in _imports(path, module):
            other = sys.modules.get(name)
            own = None if other is None else _own_file(other)
            if own is None:
                imported.add(name.partition(".")[0])
            elif own != file and _name(other) not in texts:
                texts[_name(other)] = ""
                waiting.append((own, other))
    parts = [f"{name}\n{text}" for name, text in sorted(texts.items())]
    return Sources(hash_text("\n".join(parts)), _versions(imported - NOT_OWN))


def _beside(file: str) -> Iterator[tuple[str, ModuleType]]:
    """The user's own modules that lie beside a file or below, whoever imported them."""
    directory = os.path.dirname(file) + os.sep
    for module in list(sys.modules.values()):
        own = _own_file(module)
        if own is not None and own != file and own.startswith(directory):
            yield own, module


def _own_file(module: ModuleType | None) -> str | None:
    """The file of a module of the user's own; None where it is not his, or has no file."""
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or _name(module).partition(".")[0] in NOT_OWN:
        return None
    return None if INSTALLED & set(file.split(os.sep)) else os.path.realpath(file)


def _name(module: ModuleType | None) -> str:
    return str(getattr(module, "__name__", ""))


def _imports(file: str, module: ModuleType | None) -> Iterator[str]:
    """The names of all modules that the import statements of a file may import."""
    tree = _tree(file)
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            package = str(getattr(module, "__package__", "") or "")
            try:
                base = resolve_name("." * node.level + (node.module or ""), package)
            except ImportError:
                continue
            yield from _with_parents(base)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _text(file: str) -> str:
    """A source file without comments; a hash of a file that is none."""
    tree = _tree(file)
    if tree is not None:
        return ast.dump(tree)
    try:
        with open(file, "rb") as content:
            return hash_text(content.read().hex())
    except OSError:
        return ""


def _tree(file: str) -> ast.Module | None:
    try:
        with open(file, "rb") as content:
            return ast.parse(content.read()) if file.endswith(".py") else None
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


def _versions(packages: set[str]) -> dict[str, str]:
    """Versions of the distributions that packages come from."""
    homes: Mapping[str, list[str]] | None = None
    found: dict[str, str] = {}
    for package in sorted(packages & sys.modules.keys()):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            homes = packages_distributions() if homes is None else homes
            found |= {name: version(name) for name in homes.get(package, ())}
    return found
