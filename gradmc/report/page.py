"""The page: sections under headings, with style and script inside, and nothing from elsewhere.

The content security policy names the script and the style by their hashes, so that no other script can run even if a
piece of data should look like one.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from gradmc.markup import Html, element, join


@dataclass(frozen=True, slots=True)
class PageSection:
    """A part of the page.

    Args:
        title: its heading.
        anchor: what links call it.
        body: what stands below.
    """

    title: str
    anchor: str
    body: Html


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """A page about a run.

    Attributes:
        html: the page, self-contained.
        title: its title.
    """

    html: str = field(repr=False)
    title: str

    def save(self, path: Path | str) -> Path:
        """Write the page to a file, replacing it in one step, and give its path.

        Raises:
            StorageError: it cannot be written.
        """
        from gradmc.results.files import atomic_write

        path = Path(path)
        atomic_write(path, self.html.encode())
        return path

    def _repr_html_(self) -> str:
        """In a notebook the page stands in a frame of its own."""
        return element(
            "iframe",
            srcdoc=self.html,
            title=self.title,
            sandbox="allow-scripts",
            width="100%",
            height="800",
            loading="lazy",
        )

    def __repr__(self) -> str:
        return f"<Report: {self.title}, {len(self.html.encode()) / 1e6:.2f} MB; save('report.html') writes it>"


def render(title: str, lead: str, sections: Sequence[PageSection]) -> str:
    """The whole page."""
    style, script = (files("gradmc.report").joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    head = [
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name_="color-scheme", content="light dark"),
        element("title", title),
        element("style", Html(style)),
    ]
    links = [element("li", element("a", s.title, href=f"#{s.anchor}")) for s in sections]
    body = [
        element("a", "Skip to the report", href="#main", class_="skip"),
        element("header", element("h1", title), element("p", lead)),
        element("nav", element("ul", *links), aria_label="Sections"),
        element("main", *(_section(s) for s in sections), id="main", tabindex="-1"),
        element("script", Html(script)),
    ]
    return f'<!DOCTYPE html>\n<html lang="en"><head>{join(head)}</head>\n<body>{join(body)}</body></html>\n'


def _section(section: PageSection) -> Html:
    heading = element("h2", section.title, id=f"{section.anchor}-title")
    return element("section", heading, section.body, id=section.anchor, aria_labelledby=f"{section.anchor}-title")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
