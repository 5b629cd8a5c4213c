"""The source of a model is that of the user's own modules, and of nothing else."""

import importlib
import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gradmc.cli.sources import Sources, sources
from gradmc.config.target import load_model

MODEL = """
import gradmc as gm
import vendored
import other.deep
from other import near
from scipy import special

@gm.model
def line(mu: gm.Real):
    def lazily():
        import late
    return -mu**2 * vendored.ONE * other.deep.ONE * near.ONE
"""
FILES = {
    "model.py": MODEL,
    "beside.py": "ONE = 1.0\n",
    ".venv/lib/python3.12/site-packages/vendored.py": "ONE = 1.0\n",
    "lib/other/__init__.py": "",
    "lib/other/deep.py": "import json\nfrom .far import ONE\n",
    "lib/other/far.py": "ONE = 1.0\n",
    "lib/other/near.py": "ONE = 1.0\n",
    "lib/unused.py": "ONE = 1.0\n",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A model whose modules lie in three places: a library of the user's, an environment, and beside it."""
    for name, text in FILES.items():
        path = tmp_path / name if name.startswith("lib") else tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for place in ("lib", "project/.venv/lib/python3.12/site-packages", "project"):
        monkeypatch.syspath_prepend(tmp_path / place)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("vendored", "other", "unused", "beside", "gradmc_model_model"):
            del sys.modules[name]


def made(project: Path) -> Sources:
    for name in [name for name in sys.modules if name.partition(".")[0] in ("vendored", "other", "beside")]:
        del sys.modules[name]
    importlib.invalidate_caches()
    model: Any = load_model(f"{project}/project/model.py:line")
    return sources(model)


@pytest.mark.parametrize("name", ["project/model.py", "lib/other/deep.py", "lib/other/far.py", "lib/other/near.py"])
def test_a_change_of_the_users_own_modules_counts(project: Path, name: str) -> None:
    before = made(project).hash
    file = project / name
    text = file.read_text()
    file.write_text(text + "\n# a comment\n")
    assert made(project).hash == before
    file.write_text(text + "\nTWO = 2.0\n")
    assert made(project).hash != before


@pytest.mark.parametrize("name", ["project/.venv/lib/python3.12/site-packages/vendored.py", "lib/unused.py"])
def test_a_change_of_other_modules_does_not_count(project: Path, name: str) -> None:
    before = made(project).hash
    (project / name).write_text("ONE = 1.0\nTWO = 2.0\n")
    assert made(project).hash == before


def test_a_module_beside_the_model_counts_whoever_imported_it(project: Path) -> None:
    before = made(project).hash
    model = load_model(f"{project}/project/model.py:line")
    importlib.import_module("beside")
    assert sources(model).hash != before


def test_a_project_that_is_moved_keeps_its_hash(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = made(project).hash
    (project / "project").rename(project / "moved")
    monkeypatch.syspath_prepend(project / "moved/.venv/lib/python3.12/site-packages")
    for name in [name for name in sys.modules if name.partition(".")[0] in ("vendored", "other")]:
        del sys.modules[name]
    importlib.invalidate_caches()
    assert sources(load_model(f"{project}/moved/model.py:line")).hash == before


def test_versions_of_packages_are_noted(project: Path) -> None:
    assert made(project).versions == {"scipy": importlib.metadata.version("scipy")}
