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
    "lacking": ("!", "yellow"),
    "legacy-down": ("!", "bold red"),
}


#: How many reasons of a verdict that holds or goes back are shown; the journal has all of them.
_SHOWN = 6
#: Without a terminal, every so many looks are a line.
_EVERY = 10


class Narrator:
    """Prints events; on a terminal the soak's looks replace each other, elsewhere each window is a line."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._soft = not self._console.is_terminal  # a log's line is as long as it is
        self._looks = 0

    def event(self, event: Event) -> None:
        """One line for an event."""
        mark, style = _MARKS.get(event.kind, (" ", ""))
        if event.kind == "verdict" and not event.text.startswith(Decision.ADVANCE):
            mark, style = "✗", "bold red"
        took = f"  ({event.seconds:.1f} s)" if event.seconds is not None else ""
        self._clear()
        first, *rest = event.text.splitlines()
        self._console.print(Text(f"{mark} {first}", style=style) + Text(took, style="dim"), soft_wrap=self._soft)
        for line in [] if mark == "✓" else rest[:_SHOWN]:
            self._console.print(Text(f"  {line.strip()}", style="dim"), soft_wrap=self._soft)

    def look(self, place: Place, look: Look, verdict: Verdict) -> None:
        """How the soak goes."""
        self._looks += 1
        text = f"  {figures(look)}  {verdict.headline}"
        if self._console.is_terminal:
            self._console.print(Text(text[: self._console.width - 1], style="cyan"), end="\r")
        elif self._looks % _EVERY == 0:
            self._console.print(Text(text), soft_wrap=True)

    def _clear(self) -> None:
        if self._console.is_terminal:
            self._console.print(" " * (self._console.width - 1), end="\r")


def figures(look: Look) -> str:
    """The look's counts in a few words: failed and all requests of the packages, and where they failed."""
    seen = {name: each.errors for name, each in look.windows.items() if isinstance(each.errors, Tally)}
    total, bad = sum(each.total for each in seen.values()), sum(each.bad for each in seen.values())
    where = ", ".join(f"{name} {each.bad} of {each.total}" for name, each in seen.items() if each.bad)
    return f"{bad} of {total} package requests failed" + (f" ({where})" if where else "")
