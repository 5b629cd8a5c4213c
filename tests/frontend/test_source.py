"""Where a program's source comes from: files, notebook cells, the REPL, exec; and what happens without it."""

import importlib.util
import linecache
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np
import pytest

from gradmc.errors import ProgramError
from gradmc.program.compiler import evaluate

PROGRAM = """
    def program(a, *, x):
        lp = 0.0
        for v in x:
            lp += a * v
        return lp
    """
X = np.array([0.3, -1.2, 0.8, 2.0, -0.5, 1.1])


def value(fn: Any, a: float = 0.5, **data: Any) -> float:
    with jax.enable_x64(True):
        return float(evaluate(fn, (a,), {"x": X, **data})[0])


def executed(text: str, name: str, *, keep: bool) -> Any:
    text = textwrap.dedent(text)
    if keep:
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    scope: dict[str, Any] = {"__name__": "somewhere"}
    exec(compile(text, name, "exec"), scope)
    return scope["program"]


def imported(path: Path, text: str) -> ModuleType:
    path.write_text(textwrap.dedent(text))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_exec_with_source_in_linecache() -> None:
    assert value(executed(PROGRAM, "<made by exec>", keep=True)) == pytest.approx(0.5 * X.sum())


def test_exec_without_source_says_what_to_do() -> None:
    fn = executed(PROGRAM, "<lost>", keep=False)
    with pytest.raises(ProgramError, match="the source of program cannot be had") as caught:
        value(fn)
    assert "linecache.cache" in caught.value.remedy


def test_notebook_cells_by_ipython() -> None:
    shell_module = pytest.importorskip("IPython.core.interactiveshell")
    shell = shell_module.InteractiveShell.instance()
    try:
        result = shell.run_cell(textwrap.dedent(PROGRAM), store_history=True)
        assert result.success
        assert value(shell.user_ns["program"]) == pytest.approx(0.5 * X.sum())
        shell.run_cell("second = lambda a, *, x: sum(a * v for v in x)", store_history=True)
        assert value(shell.user_ns["second"]) == pytest.approx(0.5 * X.sum())
    finally:
        shell_module.InteractiveShell.clear_instance()


@pytest.mark.skipif(sys.version_info < (3, 13), reason="the REPL keeps its source from Python 3.13 on")
def test_interactive_session() -> None:
    import subprocess

    lines = [
        "import jax, numpy as np",
        "from gradmc.program.compiler import evaluate",
        *textwrap.dedent(PROGRAM).strip().splitlines(),
        "",
        "print('value', float(evaluate(program, (0.5,), {'x': np.ones(9)})[0]))",
        "",
    ]
    done = subprocess.run([sys.executable, "-i"], input="\n".join(lines), text=True, capture_output=True, check=False)
    assert "value 4.5" in done.stdout, done.stderr


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "changing.py"
    module = imported(path, PROGRAM)
    path.write_text("# a new first line\n" + path.read_text().replace("def program(a", "def program(b"))
    with pytest.raises(ProgramError, match="has changed since it was defined"):
        value(module.program)


def test_functions_are_found_by_position(tmp_path: Path) -> None:
    text = """
        def make(k):
            def program(a, *, x):
                return sum(a * v * k for v in x)
            return program

        if True:
            def program(a, *, x):
                return sum(a * v for v in x)

        def decorated(fn):
            return fn

        @decorated
        @decorated
        def other(a, *, x):
            return a * x[0]

        pair = (lambda a, *, x: a * x[1]), (lambda a, *, x: a * x[2])
        first, second = (lambda a, *, x: a * x[1],
                         lambda a, *, x: a * x[2])
        two, three = make(2), make(3)
        """
    module = imported(tmp_path / "several.py", text)
    assert value(module.program) == pytest.approx(0.5 * X.sum())
    assert value(module.two) == pytest.approx(X.sum())
    assert value(module.three) == pytest.approx(1.5 * X.sum())
    assert value(module.other) == pytest.approx(0.5 * X[0])
    assert [value(f) for f in module.pair] == pytest.approx([0.5 * X[1], 0.5 * X[2]])
    assert value(module.first) == pytest.approx(0.5 * X[1])
    assert value(module.second) == pytest.approx(0.5 * X[2])


def test_the_plain_function_stays_as_it_is(tmp_path: Path) -> None:
    fn = imported(tmp_path / "plain.py", PROGRAM).program
    code = fn.__code__
    value(fn)
    assert fn.__code__ is code
    assert fn(2.0, x=[1.0, 2.0]) == 6.0


def test_globals_closures_and_defaults_are_shared(tmp_path: Path) -> None:
    text = """
        SCALE = 1.0

        def make(k):
            def program(a, b=2.0, *, x, c=1.0):
                return a * b * c * k * SCALE * x[0]
            def set_k(v):
                nonlocal k
                k = v
            return program, set_k

        program, set_k = make(1.0)
        """
    module = imported(tmp_path / "sharing.py", text)
    assert value(module.program) == pytest.approx(X[0])
    module.SCALE = 3.0
    module.set_k(2.0)
    assert value(module.program) == pytest.approx(6 * X[0])
    assert value(module.program, c=0.5) == pytest.approx(3 * X[0])


def test_tracebacks_show_the_users_source(tmp_path: Path) -> None:
    text = """
        def helper(v):
            return 1.0 + undefined_name * v

        def program(a, *, x):
            lp = 0.0
            for v in x:
                if v > a:
                    lp += helper(v)
            return lp
        """
    module = imported(tmp_path / "raising.py", text)
    with pytest.raises(ProgramError, match="NameError: name 'undefined_name' is not defined") as caught:
        value(module.program)
    location = caught.value.location
    assert location is not None
    assert (Path(location.file).name, location.line, location.function) == ("raising.py", 3, "helper")
    assert str(caught.value).splitlines()[1].strip() == "return 1.0 + undefined_name * v"


def test_source_in_tabs_and_other_encodings(tmp_path: Path) -> None:
    path = tmp_path / "tabs.py"
    path.write_bytes(
        "# coding: latin-1\ndef program(\u00e9, *, x):\n\treturn sum(\u00e9 * v for v in x)\n".encode("latin-1")
    )
    spec = importlib.util.spec_from_file_location("tabs", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert value(module.program) == pytest.approx(0.5 * X.sum())
