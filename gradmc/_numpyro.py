"""numpyro, imported at its first use: it costs 0.3 s, and a command that only prints help does not need it.

`arviz_base` puts a lazy stand-in for `numpyro` into `sys.modules`. Importing a submodule through the stand-in leaves
`numpyro.distributions` without some of its own submodules, so the stand-in is loaded first, by one thread: another
would find it half loaded.

In a notebook numpyro's progress bar complains that ipywidgets is missing. gradmc never shows that bar, so its users
need not read about it.
"""

import functools
import sys
import threading
import warnings
from types import ModuleType

_LOADING = threading.RLock()


def load() -> ModuleType:
    """Return the fully loaded `numpyro`."""
    with _LOADING:
        return _load()


@functools.cache
def _load() -> ModuleType:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")
        import numpyro

        numpyro.__version__  # noqa: B018 - any attribute makes a lazy stand-in load the package
        import numpyro.distributions

    _complete(numpyro.distributions)
    return numpyro


def _complete(package: ModuleType) -> None:
    """Give a package those of its submodules that it was left without, by whoever came before."""
    for name, module in list(sys.modules.items()):
        parent, _, last = name.rpartition(".")
        if parent == package.__name__ and not hasattr(package, last):
            setattr(package, last, module)


def distributions() -> ModuleType:
    """Return `numpyro.distributions`."""
    return load().distributions
