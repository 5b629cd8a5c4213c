"""Modules are imported without searches for garbage, and what they made is old from then on."""

import subprocess
import sys

import pytest

PROGRAM = """
import gc
from gradmc._imports import load
{before}
searches, frozen = [], gc.get_freeze_count()
gc.callbacks.append(lambda phase, about: searches.append(about["generation"]))
load("unittest.mock")
found = len(searches)
assert gc.isenabled() == {searched}
print(len(gc.get_objects(2)), gc.get_freeze_count() - frozen, found)
"""


def told(before: str, searched: bool) -> list[int]:
    program = PROGRAM.format(before=before, searched=searched)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return list(map(int, done.stdout.split()))


def test_what_is_imported_is_old() -> None:
    old, frozen, searches = told("", searched=True)
    assert not searches
    assert old > 5_000
    assert frozen <= 0


@pytest.mark.parametrize(
    ("before", "searched"), [("gc.disable()", False), ("kept = [[] for _ in range(2000)]; gc.freeze()", True)]
)
def test_what_a_program_has_chosen_stays(before: str, searched: bool) -> None:
    old, frozen, _ = told(before, searched)
    assert old < 5_000
    assert abs(frozen) < 100, "what was set aside is so no longer"


THREADS = """
import threading
import arviz_base
from gradmc import _numpyro
together, found = threading.Barrier(8), []
def use():
    together.wait()
    found.append(_numpyro.distributions().Normal.__name__)
threads = [threading.Thread(target=use) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(found))
"""


def test_threads_load_numpyro_at_once() -> None:
    """A stand-in of ArviZ's was found half loaded by all threads but the first."""
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["8"], done.stderr
