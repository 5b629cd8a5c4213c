"""Where code stands that is not the user's: gradmc itself, the standard library, and installed packages."""

import os
import site
import sysconfig
from pathlib import Path

PACKAGE = f"{Path(__file__).resolve().parents[1]}{os.sep}"
LIBRARIES = tuple(
    f"{place}{os.sep}"
    for place in {*site.getsitepackages(), sysconfig.get_paths()["stdlib"], sysconfig.get_paths()["purelib"]}
)
"""Folders, with the separator at the end: another folder may begin with the same name."""
