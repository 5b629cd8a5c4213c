"""The public names: all there, lazily, and not hidden by submodules of the same name."""

import importlib
import subprocess
import sys

import gradmc as gm


def test_every_public_name_can_be_had():
    for name in gm.__all__:
        assert getattr(gm, name) is not None
    assert set(gm.__all__) == {*gm._HOME, "lpdf"}


def test_completion_offers_the_public_names_and_nothing_else():
    assert set(dir(gm)) == {*gm.__all__, "__version__"}


def test_the_package_has_the_version_that_the_command_line_prints():
    shown = subprocess.run([sys.executable, "-m", "gradmc", "--version"], capture_output=True, text=True)
    assert gm.__version__ in shown.stdout


def test_submodules_do_not_hide_functions():
    for module in ("sample", "density", "check", "predict", "optimize"):
        importlib.import_module(f"gradmc.{module}")
        assert callable(getattr(gm, module))


def test_the_package_alone_does_not_import_jax():
    program = "import sys, gradmc, gradmc.cli.main; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
