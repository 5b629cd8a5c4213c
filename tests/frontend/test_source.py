"""Where a program's source comes from: files, notebook cells, the REPL, exec; and what happens without it."""

import functools
import importlib.util
import linecache
import math
import os
import subprocess
import sys
import textwrap
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np
import pytest

import gradmc as gm
from gradmc.errors import DeclarationError, ProgramError
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
    """The module of a new file.

    Its bytecode is not kept: for a text of the same length within the same second Python would take the old one.
    """
    path.write_text(textwrap.dedent(text))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)
        spec.loader.exec_module(module)
    return module


def test_exec_with_source_in_linecache() -> None:
    assert value(executed(PROGRAM, "<made by exec>", keep=True)) == pytest.approx(0.5 * X.sum())


def test_exec_without_source_says_what_to_do() -> None:
    fn = executed(PROGRAM, "<lost>", keep=False)
    with pytest.raises(ProgramError, match="the source of program cannot be had") as caught:
        value(fn)
    assert "linecache.cache" in caught.value.remedy


def test_a_name_given_to_two_texts() -> None:
    first = executed(PROGRAM, "<twice>", keep=True)
    assert value(first) == pytest.approx(0.5 * X.sum())
    other = executed(PROGRAM, "<again>", keep=True)
    second = executed(PROGRAM.replace("a * v", "a + v"), "<again>", keep=True)
    assert value(second) == pytest.approx(3.0 + X.sum())
    with pytest.raises(ProgramError, match="cannot be had: the text kept for '<again>' is another"):
        value(other)


IMPORTING = """
def program(a, *, x):
    lp = 0.0
    for v in x:
        lp += math.sqrt(a) * v
    return lp
"""


def test_notebook_cells_by_ipython() -> None:
    shell_module = pytest.importorskip("IPython.core.interactiveshell")
    shell = shell_module.InteractiveShell.instance()
    try:

        def run(text: str) -> Any:
            assert shell.run_cell(textwrap.dedent(text), store_history=True).success
            return shell.user_ns["program"]

        first = run(PROGRAM)
        assert value(first) == pytest.approx(0.5 * X.sum())
        second = run(PROGRAM.replace("a * v", "a + v"))
        assert value(second) == pytest.approx(3.0 + X.sum())
        assert value(first) == pytest.approx(0.5 * X.sum())
        assert value(run("program = lambda a, *, x: sum(a * v for v in x)")) == pytest.approx(0.5 * X.sum())
        assert value(run("import math\n" + textwrap.dedent(IMPORTING))) == pytest.approx(math.sqrt(0.5) * X.sum())
        run("from __future__ import annotations")
        assert value(run(PROGRAM)) == pytest.approx(0.5 * X.sum())
        with pytest.raises(ProgramError, match="'nothing' is not defined") as caught:
            value(run("# a comment\n" + textwrap.dedent(PROGRAM.replace("a * v", "a * nothing"))))
        assert caught.value.location is not None
        assert (caught.value.location.line, caught.value.location.text.strip()) == (6, "lp += a * nothing")
    finally:
        shell_module.InteractiveShell.clear_instance()


INTERACTIVE = [
    "import jax, numpy as np",
    "from gradmc.program.compiler import evaluate",
    *textwrap.dedent(PROGRAM).strip().splitlines(),
    "",
    "print('value', float(evaluate(program, (0.5,), {'x': np.ones(9)})[0]))",
    "",
]
KEEPS_SOURCE = sys.version_info >= (3, 13)


@pytest.mark.parametrize("how", ["-i", "-c"])
def test_without_a_file(how: str) -> None:
    text = "\n".join(INTERACTIVE)
    command = [sys.executable, how, *([text] if how == "-c" else [])]
    done = subprocess.run(command, input="" if how == "-c" else text, text=True, capture_output=True, check=False)
    if KEEPS_SOURCE:
        assert "value 4.5" in done.stdout, done.stderr
    else:
        assert "the source of program cannot be had" in done.stderr
        assert "interactive interpreter of Python 3.13 or later" in done.stderr


@pytest.mark.skipif(
    not KEEPS_SOURCE or sys.platform == "win32", reason="the coloured REPL, on a terminal, from 3.13 on"
)
def test_interactive_terminal() -> None:
    import pty

    ours, its = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    done = subprocess.Popen([sys.executable, "-q"], stdin=its, stdout=its, stderr=its, env=environment)
    os.close(its)
    seen = ""
    try:
        while ">>> " not in seen:
            seen += os.read(ours, 65536).decode()
        pasted = "\n".join(INTERACTIVE)
        os.write(ours, f"\x1b[200~{pasted}\x1b[201~\nexit()\n".encode())
        while "value 4.5" not in seen and "Error" not in seen:
            seen += os.read(ours, 65536).decode()
    finally:
        done.kill()
        done.wait()
        os.close(ours)
    assert "value 4.5" in seen


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "changing.py"
    module = imported(path, PROGRAM)
    path.write_text("# a new first line\n" + path.read_text().replace("def program(a", "def program(b"))
    with pytest.raises(ProgramError, match="has changed since it was defined"):
        value(module.program)


def test_a_changed_body_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "changing_inside.py"
    program = imported(path, PROGRAM).program
    path.write_text(path.read_text().replace("a * v", "a - v"))
    with pytest.raises(ProgramError, match="has changed since it was defined"):
        value(program)
    assert value(imported(path, path.read_text()).program) == pytest.approx(3.0 - X.sum())


def test_the_same_text_in_two_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        module = imported(tmp_path / f"{name}.py", PROGRAM.replace("a * v", "a * nothing"))
        with pytest.raises(ProgramError, match="'nothing' is not defined") as caught:
            value(module.program)
        assert caught.value.location is not None
        assert Path(caught.value.location.file).name == f"{name}.py"


def asserting(a, *, x):
    assert a > 0, f"a is {a}"
    lp = 0.0
    for v in x:
        assert v < 10.0
        lp += a * v
    return lp


def test_a_module_that_pytest_rewrites() -> None:
    assert "@py_assert" in " ".join(asserting.__code__.co_varnames)
    assert value(asserting) == pytest.approx(0.5 * X.sum())


@pytest.mark.parametrize(("change", "same"), [("a * v", True), ("a - v", False), ("a * v * v", False)])
def test_import_hooks_may_add_but_not_change(tmp_path: Path, change: str, same: bool) -> None:
    class Hook(SourceFileLoader):
        def source_to_code(self, data: Any, path: Any, *, _optimize: int = -1) -> Any:
            text = bytes(data).decode()
            return compile(text.replace("    lp = 0.0\n", "    lp = 0.0; print(end='')\n"), path, "exec")

    path = tmp_path / "hooked.py"
    path.write_text(textwrap.dedent(PROGRAM))
    loader = Hook("hooked", str(path))
    spec = importlib.util.spec_from_loader("hooked", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    path.write_text(path.read_text().replace("a * v", change))
    if same:
        assert value(module.program) == pytest.approx(0.5 * X.sum())
    else:
        with pytest.raises(ProgramError, match="has changed since it was defined"):
            value(module.program)


class Holder:
    k = 2.0

    def method(self, a, *, x):
        return sum(a * v * self.k for v in x)

    @staticmethod
    def static(a, *, x):
        return sum(a * v for v in x)

    @classmethod
    def of_class(cls, a, *, x):
        return sum(a * v * cls.k for v in x)


def doubled(fn: Any) -> Any:
    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return 2.0 * fn(*args, **kwargs)

    return wrapper


@doubled
def decorated(a, *, x):
    return sum(a * v for v in x)


@pytest.mark.parametrize(
    ("fn", "times"),
    [(Holder().method, 2), (Holder.static, 1), (Holder.of_class, 2), (decorated, 2), (doubled(decorated), 4)],
)
def test_methods_and_decorators(fn: Any, times: float) -> None:
    assert value(fn) == pytest.approx(0.5 * times * X.sum())


@pytest.mark.parametrize(
    "thing", [functools.partial(decorated, 1.0), Holder().method, functools.lru_cache(decorated), Holder, len]
)
def test_a_model_is_a_function(thing: Any) -> None:
    with pytest.raises(DeclarationError, match=r"expects a plain function, got .* write a function that calls it"):
        gm.model(thing)


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
