"""A fork of a process that has used JAX is told so; one that was made before works."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys, warnings
warnings.simplefilter("ignore")
import gradmc as gm

@gm.model
def normal(x: gm.Real):
    return -0.5 * x**2

if sys.argv[1] == "after":
    gm.density(normal)([0.5])
if sys.argv[1] == "after JAX alone":
    import jax.numpy
    jax.numpy.arange(3).sum().block_until_ready()
child = os.fork()
if child == 0:
    try:
        gm.density(normal)([0.5])
    except gm.errors.UsageError as error:
        os._exit(3 if "spawn" in str(error) else 4)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="no fork on this system")
@pytest.mark.parametrize(("when", "code"), [("before", 0), ("after", 3), ("after JAX alone", 3)])
def test_a_fork(when: str, code: int, tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM.replace("import gradmc as gm", "import gradmc as gm, gradmc.errors", 1))
    result = subprocess.run([sys.executable, path, when], capture_output=True, text=True, timeout=120, check=True)
    assert result.stdout.strip() == str(code)
