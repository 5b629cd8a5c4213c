"""HTML that escapes by default: a plain text becomes text, whatever it holds; only `Html` is taken as it is."""

import base64
import html
from collections.abc import Iterable, Sequence

from gradmc.printable import printable


class Html(str):
    """A piece of HTML, made by the functions of this file."""

    __slots__ = ()


def escape(content: object) -> Html:
    """A value as HTML: pieces of HTML stay, everything else is text, without control characters."""
    return content if isinstance(content, Html) else Html(html.escape(printable(str(content)), quote=True))


def join(pieces: Iterable[object]) -> Html:
    """Pieces one after the other."""
    return Html("".join(escape(piece) for piece in pieces))


def element(name: str, /, *content: object, **attributes: object) -> Html:
    """An element.

    Args:
        name: of the element.
        *content: texts, which are escaped, and pieces of HTML.
        **attributes: their values are escaped; `class_` and `for_` stand for the words that Python has taken, `_` for a
            hyphen; None leaves one out, True gives it no value.
    """
    words = [name]
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            words.append(key)
        elif value is not None:
            words.append(f'{key}="{escape(value)}"')
    opening = f"<{' '.join(words)}>"
    return Html(opening if name in ("img", "meta", "input") else f"{opening}{join(content)}</{name}>")


def paragraph(*content: object) -> Html:
    """A paragraph."""
    return element("p", *content)


def table(head: Sequence[object], rows: Iterable[Sequence[object]], caption: str) -> Html:
    """A table that scrolls by itself where the page is too narrow; the first column names the rows."""
    top = element("tr", *(element("th", cell, scope="col") for cell in head))
    body = [
        element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:])) for row in rows
    ]
    whole = element(
        "table", element("caption", caption), element("thead", top), element("tbody", *body), class_="plain"
    )
    return scrolling(whole, caption)


def scrolling(content: Html, label: str) -> Html:
    """A box that scrolls sideways, by keyboard too."""
    return element("div", content, class_="scroll", tabindex="0", role="region", aria_label=label)


def facts(pairs: Iterable[tuple[str, object]]) -> Html:
    """Names and values, one below the other."""
    return element(
        "dl", *(element("div", element("dt", name), element("dd", value)) for name, value in pairs), class_="facts"
    )


def picture(content: bytes, kind: str, alt: str, caption: object = "") -> Html:
    """A picture that is part of the page.

    Args:
        content: the file.
        kind: its type, `image/png` or `image/svg+xml`.
        alt: what it shows, in words.
        caption: stands below it.
    """
    data = base64.b64encode(content).decode("ascii")
    image = element("img", src=f"data:{kind};base64,{data}", alt=alt, loading="lazy", decoding="async")
    return element("figure", image, *([element("figcaption", caption)] if caption else []))
