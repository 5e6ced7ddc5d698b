"""The standing watch over what is served: a soak without an end, at every place, that only asks about harm."""

from __future__ import annotations

from dataclasses import dataclass, field

from causeway.errors import CausewayError
from causeway.health.checker import Look
from causeway.model.moves import Standing
from causeway.model.soak import Soak
from causeway.model.verdict import Decision, Verdict
from causeway.rollout.soaking import not_in_force
from causeway.rollout.stack import Stack

#: Seconds between two looks at whether baselines were recorded anew.
_RENEW = 60.0


@dataclass
class Watch:
    """All services with users on their package, from the time their place was reached until another one is.

    Nothing here has to be shown to be safe, so that the verdict never advances anything. A baseline that was recorded
    anew, or has become stale, begins it anew: a service whose response time was not judged is judged from then on.
    """

    stack: Stack
    _soak: Soak | None = field(default=None, init=False)
    _about: Standing | None = field(default=None, init=False)
    _window: float = field(default=0.0, init=False)
    _renewed: float = field(default=0.0, init=False)

    def observe(self, served: Standing, look: Look) -> Verdict:
        """Adds a look and says what it has led to."""
        now = self.stack.clock.monotonic()
        if self._soak is None or served != self._about or self._compares_with_others(self._soak, now):
            # What is counted in this look came, in part, before the place was reached.
            self._soak, self._about, self._window, self._renewed = self._begin(served), served, now, now
            return self._soak.verdict()
        rules = self.stack.config
        closes = now - self._window >= rules.soak.interval
        self._window = now if closes else self._window
        silent = not_in_force(rules, served.place) if served.place.position in rules.plan else frozenset()
        checks = [check for check in look.checks if check.name not in silent]
        self._soak = self._soak.observe(look.windows.values(), checks, closes)
        return self._soak.verdict()

    def again(self) -> None:
        """Forget what was seen: only what comes now counts."""
        self._soak = None

    def _compares_with_others(self, soak: Soak, now: float) -> bool:
        """Whether there are other baselines than it began with. Harm that is shown stands, whatever it was shown by."""
        if now - self._renewed < _RENEW or harmed(soak.verdict()):
            return False
        self._renewed = now
        try:
            return dict(self.stack.baselines()) != soak.baselines
        except CausewayError:
            return False  # what was read last still counts

    def _begin(self, served: Standing) -> Soak:
        config = self.stack.config
        watched = [name for name, weight in served.weights.items() if weight > 0]
        baselines = self.stack.comparable(served.place)
        return Soak.begin(watched, config.guardrails, config.soak, baselines, moving=())


def harmed(verdict: Verdict | None) -> bool:
    """Whether the evidence asks for a rollback."""
    return verdict is not None and verdict.decision is Decision.ROLL_BACK
