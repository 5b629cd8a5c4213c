"""docs/loops.md lists what the index lists."""

from pathlib import Path

from gradmc.program.frontend import loops, unrolling
from tests.frontend.constructs import INDEX, arrays, branches, functions, refusals
from tests.frontend.constructs import loops as loop_programs

del arrays, branches, functions, refusals, loop_programs  # imported for their entries

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "loops.md").read_text()


def test_the_page_lists_the_index() -> None:
    compiles, refused = PAGE.split("## What compiles")[1].split("## What is refused")
    listed = [line[2:] for line in compiles.splitlines() if line.startswith("- ")]
    assert listed == [entry.what for entry in INDEX.supported]
    rows = [line.split(" | ")[0][2:] for line in refused.splitlines() if line.startswith("| ")][1:]
    assert rows == [entry.what for entry in INDEX.refused]
    assert all(entry.message in refused for entry in INDEX.refused)


def test_entries_are_told_apart() -> None:
    names = [entry.what for entry in [*INDEX.supported, *INDEX.refused]]
    assert len(set(names)) == len(names)


def test_the_page_tells_the_limits() -> None:
    assert f"at most {loops.SHORT} iterations" in PAGE
    assert f"Beyond {unrolling.QUIET}" in PAGE.replace("\n", " ")
    assert f"beyond {unrolling.LIMIT} it is an error" in PAGE
