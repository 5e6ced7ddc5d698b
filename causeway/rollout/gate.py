"""Whether a move is legal here and now: what `model.moves` asks for, read from config, control and journal.

The program's hook, the runner and the policy pack all come through here.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from causeway.config import Config
from causeway.errors import CausewayError
from causeway.model.certificate import Certificate, certify
from causeway.model.moves import Circumstances, Move, Place, Standing, judge
from causeway.rollout import control as controls
from causeway.rollout import journal as journals
from causeway.rollout.journal import Record, State
from causeway.rollout.store import Store

#: How many records are looked through for the one by which the present place was reached.
_RECENT = 20


@dataclass(frozen=True)
class Gate:
    """Judges moves of one stack. `store` opens the database only when something must be read from it."""

    config: Config
    store: Callable[[], Store]
    now: Callable[[], datetime.datetime]

    @property
    def certificate(self) -> Certificate:
        """The certificate of the config's matrix."""
        return certify(self.config.matrix)

    def judge(self, here: Standing | None, there: Place, reason: str | None = None) -> Move:
        """The move to `there`. Raises MoveRefused where it is not legal, ConfigError on an unknown position."""
        return judge(self.config.plan, here, there, self._circumstances(here, there, reason))

    def _circumstances(self, here: Standing | None, there: Place, reason: str | None) -> Circumstances:
        certificate = self.certificate
        present = here.place if here else None
        unreadable, override, unjudged = None, None, None
        if present is not None and self._rises(here, there):
            try:
                store = self.store()
                found = controls.read(store, self.config.stack)
                override = (found.override_why or "no reason given") if found.override else None
                unjudged = self._unjudged(journals.history(store, self.config.stack, _RECENT), present)
            except CausewayError as error:
                unreadable = error.fact
        return Circumstances(
            reason=reason,
            unreadable=unreadable,
            unjudged=unjudged,
            override=override,
            frozen=self.frozen(),
            blocked=tuple(str(exposure) for exposure in certificate.blocked(there.position)),
            no_return=certificate.crossed(there.position, present.position) if present else (),
        )

    def _rises(self, here: Standing | None, there: Place) -> bool:
        """Whether the move could put anybody on a package: going back needs nothing that has to be read."""
        plan = self.config.plan
        if here is None or here.place.position not in plan:
            return True
        return plan[there.position].index > plan[here.place.position].index or any(
            weight > here.weights.get(name, 0) for name, weight in plan.at(there.position, there.hold).weights.items()
        )

    def frozen(self) -> str | None:
        """Why nothing moves forward now, by the calendar."""
        now = self.now()
        window = next((each for each in self.config.freeze if each.start <= now < each.end), None)
        return f"{window.why} (until {window.end:%Y-%m-%d %H:%M %Z})" if window else None

    def _unjudged(self, records: list[Record], place: Place) -> str | None:
        accepted = next((each for each in self.config.accepted_positions if each.position == place.position), None)
        if accepted is not None and accepted.expires >= self.now().date():
            return None
        return unjudged(records, place)


def unjudged(records: list[Record], place: Place) -> str | None:
    """What a place lacks for going on from it, by the journal, newest record first; None when it lacks nothing."""
    reached = next((each for each in records if each.reached), None)
    if reached is None or reached.there != place:
        return "the journal has no record of it"
    if reached.state is not State.DONE:
        return f"its record {reached.seq} is at `{reached.state}`"
    if reached.verdict != "ADVANCE":
        return f"the verdict was {reached.verdict or 'never given'}"
    return None
