"""The versions of Python and gradmc that run here, without importing anything heavy."""

import sys
from importlib.metadata import PackageNotFoundError, version


def library_version() -> str:
    """The version of gradmc."""
    try:
        return version("gradmc")
    except PackageNotFoundError:
        return "unknown"


def python_version() -> str:
    """The version of Python as far as compiled code depends on it: "3.12"."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"
