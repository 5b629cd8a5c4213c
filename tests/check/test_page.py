"""The documentation has a section for every code, and every code has a program that gets it."""

from gradmc.check.codes import CODES
from tests.check.page import PAGE, render
from tests.check.zoo import load

ELSEWHERE = {"far-away"}  # shown by the shipped Lotka-Volterra model


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == render(), "run: python -m tests.check.page"


def test_every_code_has_a_section() -> None:
    text = PAGE.read_text()
    assert all(f"\n## {code}\n" in text for code in CODES)


def test_every_code_has_a_program() -> None:
    assert {case.code for case in load()} == set(CODES) - ELSEWHERE
