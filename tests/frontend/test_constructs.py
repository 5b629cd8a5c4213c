"""Every supported construct compiles to what plain Python gives."""

import pytest

from tests.frontend.constructs import INDEX, Supported, arrays, branches, functions, loops
from tests.frontend.laws import agree

del arrays, branches, functions, loops  # imported for their entries


@pytest.mark.parametrize("entry", INDEX.supported, ids=lambda e: e.fn.__name__)
def test_supported(entry: Supported) -> None:
    agree(entry.fn, entry.args, entry.data, reverse=entry.reverse, differences=entry.differences)
