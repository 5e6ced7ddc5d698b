"""What is wrong now, told once when it has lasted, again while it lasts, and once when it is over."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from causeway.rollout.notify import Alert, Notifier, Severity

#: Seconds until people are told again of something that lasts.
REMIND = 3600.0


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is wrong. `key` names it from round to round; it is told after it has lasted `after` seconds."""

    key: str
    severity: Severity
    happened: str
    done: str
    todo: str
    after: float = 0.0


@dataclass
class _Raised:
    """A condition that has been seen since, and told last at, monotonic seconds."""

    condition: Condition
    since: float
    told: float | None = None


@dataclass
class Alarms:
    """Turns each round's conditions into alerts."""

    notifier: Notifier
    monotonic: Callable[[], float]
    _raised: dict[str, _Raised] = field(default_factory=dict, init=False)

    def update(self, conditions: Iterable[Condition]) -> list[Condition]:
        """Compares with the round before: what is new or still there, and what is over. Returns what is new."""
        now, current = self.monotonic(), {each.key: each for each in conditions}
        new = [each for key, each in current.items() if key not in self._raised]
        for key in self._raised.keys() - current.keys():
            self._over(self._raised.pop(key))
        for key, condition in current.items():
            raised = self._raised.setdefault(key, _Raised(condition, now))
            raised.condition = condition
            lasted = now - raised.since >= condition.after
            if lasted and (raised.told is None or now - raised.told >= REMIND):
                raised.told = now
                self._send(condition)
        return new

    @property
    def present(self) -> list[Condition]:
        """What is wrong at the moment. Threads may ask while rounds go on."""
        return [each.condition for each in list(self._raised.values())]

    def _send(self, told: Condition) -> None:
        self.notifier.send(Alert(told.severity, told.key, told.happened, told.done, told.todo))

    def _over(self, raised: _Raised) -> None:
        if raised.told is not None:
            over = f"over: {raised.condition.happened}"
            self.notifier.send(Alert(Severity.INFO, f"{raised.condition.key}-over", over, "Nothing.", "Nothing."))
