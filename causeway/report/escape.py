"""Text from config, made harmless in the languages that reports are written in."""

from __future__ import annotations

#: What Markdown, its tables, HTML and the mentions of a forge give a meaning to.
_MARKUP = frozenset("\\`*_{}[]()#+!|~$<>&@")
_PLAIN_IN_MERMAID = frozenset(" .,:-_/+%→✓✗?()'")


def markdown(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no mention, one line, safe in a table."""
    return "".join(f"&#{ord(c)};" if c in _MARKUP else c for c in " ".join(text.split()))


def mermaid(text: str) -> str:
    """Text for a quoted Mermaid label, with Mermaid's own entity codes (https://mermaid.js.org, Entity codes)."""
    return "".join(c if c.isalnum() or c in _PLAIN_IN_MERMAID else f"#{ord(c)};" for c in " ".join(text.split()))
