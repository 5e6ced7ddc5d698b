"""The verdict about a soak: advance, hold or roll back, with its reasons and their arithmetic in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from causeway.model.guardrails import Pace


class Decision(StrEnum):
    """What the evidence allows, from best to worst. Missing data is `HOLD`, never success."""

    ADVANCE = "ADVANCE"
    HOLD = "HOLD"
    ROLL_BACK = "ROLL_BACK"

    @property
    def rank(self) -> int:
        return list(Decision).index(self)


class Cause(StrEnum):
    """Why a reason says what it says; stable, for alerts and scripts."""

    SAFE = "safe"
    HARM = "harm"
    WARNING = "warning"
    MISSING = "missing"
    EARLY = "early"  # not enough evidence yet
    FAILED = "failed"  # a functionality, integration or data integrity check


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that was judged. `source` is the guardrail or category, `service` None for the whole stack.

    `pace` and `level` (1 service, 2 phase, 3 complete) are set where the decision is `ROLL_BACK`; `more_requests` is
    how many more requests, all of them good, the judgement needs at least, where that can be said.
    """

    decision: Decision
    cause: Cause
    source: str
    text: str
    service: str | None = None
    pace: Pace | None = None
    level: int | None = None
    more_requests: int | None = None

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Reason:
        """The reason as a verdict's `as_dict` has it."""
        return cls(
            decision=Decision(values["decision"]),
            cause=Cause(values["cause"]),
            source=values["source"],
            text=values["text"],
            service=values["service"],
            pace=Pace(values["pace"]) if values["pace"] else None,
            level=values["level"],
            more_requests=values["more_requests"],
        )

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Verdict:
    """The worst over all guardrails and categories. `reasons` has every judgement made, the worst first."""

    decision: Decision
    reasons: tuple[Reason, ...]

    @classmethod
    def of(cls, reasons: Iterable[Reason]) -> Verdict:
        """The verdict these reasons lead to. No reason at all is `HOLD`: silence never advances."""
        ordered = tuple(sorted(reasons, key=lambda reason: -reason.decision.rank))
        if not ordered:
            ordered = (Reason(Decision.HOLD, Cause.MISSING, "soak", "nothing was measured"),)
        return cls(ordered[0].decision, ordered)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Verdict:
        """The verdict of which `as_dict` has told."""
        return cls(Decision(values["decision"]), tuple(Reason.parse(each) for each in values["reasons"]))

    @property
    def decisive(self) -> tuple[Reason, ...]:
        """The reasons that say what the verdict says."""
        return tuple(reason for reason in self.reasons if reason.decision is self.decision)

    @property
    def pace(self) -> Pace | None:
        """How to go back: at once if any reason asks for it; None unless rolling back."""
        paces = {reason.pace for reason in self.decisive}
        return next((pace for pace in (Pace.IMMEDIATE, Pace.GRACEFUL) if pace in paces), None)

    @property
    def level(self) -> int | None:
        """The suggested level: the highest asked for, and the phase once two services are harmed; None if staying."""
        if self.decision is not Decision.ROLL_BACK:
            return None
        return max(2 if len(self.services) > 1 else 1, *(reason.level or 1 for reason in self.decisive), 1)

    @property
    def services(self) -> tuple[str, ...]:
        """The services that the decisive reasons name, in order."""
        return tuple(dict.fromkeys(reason.service for reason in self.decisive if reason.service is not None))

    @property
    def more_requests(self) -> int | None:
        """The most that any holding reason still needs; None where nothing can be said or nothing is needed."""
        return max((reason.more_requests for reason in self.decisive if reason.more_requests), default=None)

    def __str__(self) -> str:
        return "\n".join([self.headline, *(f"  {reason.text}" for reason in self.decisive)])

    @property
    def headline(self) -> str:
        """One line: the decision, and how far and fast to go back or what is still needed."""
        if self.decision is Decision.ROLL_BACK:
            return f"{self.decision} at level {self.level}, {self.pace}"
        if self.decision is Decision.HOLD and self.more_requests:
            return f"{self.decision}: at least {self.more_requests:,} more requests needed"
        return str(self.decision)

    def as_dict(self) -> dict[str, Any]:
        """For `--json` and the journal."""
        return {
            "decision": str(self.decision),
            "pace": self.pace and str(self.pace),
            "level": self.level,
            "services": list(self.services),
            "more_requests": self.more_requests,
            "reasons": [
                {
                    "decision": str(reason.decision),
                    "cause": str(reason.cause),
                    "source": reason.source,
                    "service": reason.service,
                    "pace": reason.pace and str(reason.pace),
                    "level": reason.level,
                    "more_requests": reason.more_requests,
                    "text": reason.text,
                }
                for reason in self.reasons
            ],
        }
