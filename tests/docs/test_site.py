"""The site is built without a warning, needs nothing from elsewhere, holds every public name, and fits a phone."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import gradmc as gm
from gradmc import lpdf
from gradmc.cli.app import build_app
from gradmc.config.schema import SECTIONS
from tests.browser import CHROMIUM, MISSING, chromium

pytest.importorskip("mkdocs", reason="the site needs the dependency group `docs`")
ROOT = Path(__file__).resolve().parents[2]
LOADED = re.compile(
    r"""<(?:script|img|iframe)[^>]*\ssrc=["']?([^"'\s>]+)|<link[^>]*rel=["']?stylesheet[^>]*href=["']?([^"'\s>]+)"""
)
ELSEWHERE = {"Data", "lpdf"}  # described in docs/models.md and on a page of their own


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the site, built once."""
    directory = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(directory)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    made = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    return directory


def test_nothing_comes_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        for found in LOADED.findall(page.read_text()):
            (address,) = filter(None, found)
            assert not address.startswith(("http", "//")), f"{page.name} loads {address}"


def test_every_public_name_has_its_place(site: Path) -> None:
    text = "".join(page.read_text() for page in (site / "reference").glob("*.html"))
    supports = set(gm._SUPPORTS)
    missing = [
        name for name in gm.__all__ if not re.search(rf">\s*gm\.{name}\s*<", text) and name not in supports | ELSEWHERE
    ]
    assert not missing
    laws = (site / "reference" / "lpdf.html").read_text()
    assert not [name for name in lpdf.__all__ if f'id="{name}"' not in laws and not name[0].isupper()]


def test_commands_and_keys_are_all_there(site: Path) -> None:
    commands = (site / "reference" / "commands.html").read_text()
    for name in build_app([]):
        if not name.startswith("-"):
            assert f'id="gradmc-{name}"' in commands, name
    keys = (site / "reference" / "configuration.html").read_text()
    for section in SECTIONS.values():
        assert not [key for key in section.model_fields if f"<code>{key}</code>" not in keys]


@pytest.mark.skipif(CHROMIUM is None, reason=MISSING)
def test_in_a_browser(site: Path) -> None:
    with chromium() as page:
        for file in sorted(site.rglob("*.html")):
            if file.name == "404.html":
                continue  # its links are those of a server
            for width in (390, 1280):
                page.open(file.as_uri(), width)
                assert page.run("document.documentElement.scrollWidth <= innerWidth"), (file.name, width)
                assert page.errors == [], (file.name, width)
        page.open((site / "index.html").as_uri(), 1280)
        page.run(
            "(i => { i.focus(); i.value = 'funnel'; i.dispatchEvent(new Event('input', {bubbles: true}));"
            " i.dispatchEvent(new KeyboardEvent('keyup', {bubbles: true, key: 'l'})); })"
            "(document.querySelector('.md-search__input'))"
        )
        began = time.monotonic()
        while not (found := page.run("document.querySelectorAll('.md-search-result__item').length")):
            assert time.monotonic() - began < 30, "search finds nothing"
            time.sleep(0.1)
        assert found >= 1
        assert page.errors == []
