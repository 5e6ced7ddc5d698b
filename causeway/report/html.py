"""HTML elements from plain values: every text and attribute is escaped, and only elements are taken as they are."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from html import escape

#: Elements that have no end tag (https://html.spec.whatwg.org/multipage/syntax.html#void-elements).
_VOID = frozenset({"meta", "br", "hr"})


class Markup(str):
    """HTML that is finished; any other text is escaped where it is put into an element."""

    __slots__ = ()


def element(tag: str, *content: object, **attributes: object) -> Markup:
    """An element. Content is text, elements, or lists of both; None is left out.

    A trailing underscore of an attribute's name is dropped (`class_`), others become hyphens; None leaves it out.
    """
    named = ((name.rstrip("_").replace("_", "-"), value) for name, value in attributes.items() if value is not None)
    head = "".join(f' {name}="{escape(str(value))}"' for name, value in named)
    return Markup(f"<{tag}{head}>" if tag in _VOID else f"<{tag}{head}>{join(content)}</{tag}>")


def join(content: Iterable[object]) -> Markup:
    """Texts and elements in a row; texts are escaped."""
    return Markup("".join(_one(each) for each in content))


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> Markup:
    """A table that scrolls by itself where the window is too narrow for it."""
    head = element("tr", [element("th", each, scope="col") for each in header])
    body = [element("tr", [element("td", each) for each in row]) for row in rows]
    return element("div", element("table", element("thead", head), element("tbody", body)), class_="wide")


def document(title: str, style: str, *body: object) -> str:
    """A page that stands alone: no script, no request to anywhere, only its own style."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = join(
        [
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=policy),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="color-scheme", content="light dark"),
            element("title", title),
            Markup(f"<style>{style}</style>"),
        ]
    )
    page = element("html", element("head", head), element("body", element("main", *body)), lang="en")
    return f"<!doctype html>\n{page}\n"


def _one(each: object) -> str:
    if each is None:
        return ""
    if isinstance(each, Markup):
        return each
    if isinstance(each, list | tuple):
        return join(each)
    return escape(str(each))
