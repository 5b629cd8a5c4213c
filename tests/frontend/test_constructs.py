"""Every supported construct compiles to what plain Python gives."""

import pytest

from tests.frontend.constructs import INDEX, Supported, arrays, branches, functions, loops
from tests.frontend.laws import agree, float_arrays

del arrays, branches, functions, loops  # imported for their entries


WITH_ARRAYS = [e for e in INDEX.supported if float_arrays(e.data)]


@pytest.mark.parametrize("entry", INDEX.supported, ids=lambda e: e.fn.__name__)
def test_supported(entry: Supported) -> None:
    agree(entry.fn, entry.args, entry.data, reverse=entry.reverse, differences=entry.differences)


@pytest.mark.parametrize("entry", WITH_ARRAYS, ids=lambda e: e.fn.__name__)
def test_supported_on_data_that_are_unknown_while_compiling(entry: Supported) -> None:
    agree(entry.fn, entry.args, entry.data, reverse=entry.reverse, differences=False, data_as_arguments=True)
