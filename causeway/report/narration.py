"""What a person sees while a stack moves: one line a fact on standard error, the soak as one line that changes."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from causeway.health.checker import Look
from causeway.model.moves import Place
from causeway.model.verdict import Decision, Verdict
from causeway.model.window import Tally
from causeway.rollout.stack import Event

_MARKS = {
    "moving": ("→", "bold"),
    "previewed": (" ", "dim"),
    "applied": (" ", "dim"),
    "acted": (" ", ""),
    "verdict": ("✓", "green"),
    "traffic": ("↩", "bold red"),
    "settled": ("↩", "red"),
    "compared": (" ", "dim"),
    "recover": ("!", "yellow"),
    "legacy-down": ("!", "bold red"),
}


class Narrator:
    """Prints events; on a terminal the soak's looks replace each other, elsewhere each window is a line."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._looks = 0

    def event(self, event: Event) -> None:
        """One line for an event."""
        mark, style = _MARKS.get(event.kind, (" ", ""))
        if event.kind == "verdict" and not event.text.startswith(Decision.ADVANCE):
            mark, style = "✗", "bold red"
        took = f"  ({event.seconds:.1f} s)" if event.seconds is not None else ""
        self._clear()
        first, *rest = event.text.splitlines()
        self._console.print(Text(f"{mark} {first}", style=style) + Text(took, style="dim"))
        for line in rest[:6]:
            self._console.print(Text(f"  {line}", style="dim"))

    def look(self, place: Place, look: Look, verdict: Verdict) -> None:
        """How the soak goes."""
        self._looks += 1
        text = f"  {place}: {figures(look)}  {verdict.headline}"
        if self._console.is_terminal:
            self._console.print(Text(text[: self._console.width - 1], style="cyan"), end="\r")
        elif self._looks % 10 == 0:
            self._console.print(Text(text))

    def _clear(self) -> None:
        if self._console.is_terminal:
            self._console.print(" " * (self._console.width - 1), end="\r")


def figures(look: Look) -> str:
    """The look's counts in a few words: requests and errors of each package that has traffic."""
    parts = []
    for name, window in look.windows.items():
        if isinstance(window.errors, Tally) and window.errors.total:
            parts.append(f"{name} {window.errors.bad}/{window.errors.total}")
    return " ".join(parts) or "no package traffic"
