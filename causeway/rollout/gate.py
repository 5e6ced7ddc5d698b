"""Whether a move is legal here and now: what `model.moves` asks for, read from config, control and journal.

The program's hook, the runner and the policy pack all come through here.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile

from causeway.config import Config
from causeway.errors import CausewayError
from causeway.model.certificate import Certificate, certify
from causeway.model.moves import Circumstances, Move, Place, Standing, judge
from causeway.rollout import control as controls
from causeway.rollout import journal as journals
from causeway.rollout.journal import Record, State
from causeway.rollout.store import Store


@dataclass(frozen=True)
class Gate:
    """Judges moves of one stack. `store` opens the database only when something must be read from it."""

    config: Config
    store: Callable[[], Store]
    now: Callable[[], datetime.datetime]

    @cached_property
    def certificate(self) -> Certificate:
        """The certificate of the config's matrix."""
        return certify(self.config.matrix, self.config.plan)

    def judge(self, here: Standing | None, there: Place, reason: str | None = None) -> Move:
        """The move to `there`. Raises MoveRefused where it is not legal, ConfigError on an unknown position."""
        return judge(self.config.plan, here, there, self._circumstances(here, there, reason))

    def _circumstances(self, here: Standing | None, there: Place, reason: str | None) -> Circumstances:
        certificate = self.certificate
        present = here.place if here else None
        unreadable, override, maintenance, unjudged = None, None, None, None
        records: list[Record] = []
        if present is not None:
            try:
                store = self.store()
                found = controls.read(store, self.config.stack)
                override = (found.override_why or "no reason given") if found.override else None
                maintenance = found.maintenance
                records = journals.history(store, self.config.stack)
                unjudged = self.unjudged(records, present)
            except CausewayError as error:
                unreadable = error.fact
        return Circumstances(
            reason=reason,
            seed=self.config.seed,
            unreadable=unreadable,
            unjudged=unjudged,
            override=override,
            maintenance=maintenance,
            frozen=self.frozen(),
            blocked=tuple(str(exposure) for exposure in certificate.blocked(there.position)),
            no_return=self.crossed(records, here, there) if here else (),
        )

    def crossed(self, records: list[Record], here: Standing, there: Place) -> tuple[str, ...]:
        """The services whose point of no return a move to `there` would go back over.

        By what the journal and the applied flag set know: today's config may be an older one, which has not
        acknowledged yet, or a newer one, which calls the places of then by other names.
        """
        plan = self.config.plan
        if records and records[0].facts.get("restored") and not records[0].state.ended:
            return ()  # level 4 is under way: what only the package understands is gone already
        since_restore = list(takewhile(lambda record: not record.facts.get("restored"), records))
        stood = [place.position for place in (here.place, *(each.there for each in since_restore if each.reached))]
        furthest = max((plan[name] for name in stood if name in plan), key=lambda place: place.index, default=None)
        written = dict(plan.at(furthest.name).weights) if furthest else {}
        for name, weight in (*here.weights.items(), *(had for each in since_restore for had in _had(each))):
            written[name] = max(weight, written.get(name, 0))
        acknowledged = here.acknowledged.union(*(each.facts.get("acknowledged", ()) for each in since_restore))
        crossed = self.certificate.crossed(written, plan.at(there.position, there.hold).weights, acknowledged)
        return tuple(dict.fromkeys(each.service for each in crossed))

    def frozen(self) -> str | None:
        """Why nothing moves forward now, by the calendar."""
        now = self.now()
        window = next((each for each in self.config.freeze if each.start <= now < each.end), None)
        return f"{window.why} (until {window.end:%Y-%m-%d %H:%M %Z})" if window else None

    def unjudged(self, records: list[Record], place: Place) -> str | None:
        """What a place lacks for going on: its verdict, unless it is accepted by name; its actions in any case."""
        lacking, today = unjudged(records, place), self.now().date()
        if not any(
            each.position == place.position and each.expires >= today for each in self.config.accepted_positions
        ):
            return lacking
        to_do = self.config.plan.performs(self.config.plan[place.position])
        return "its actions are not done" if lacking and to_do and not _acted(records, place) else None


def _had(record: Record) -> Iterator[tuple[str, int]]:
    """The weights that a move began and, if it was applied, ended with."""
    for name, (old, new) in record.facts.get("weights", {}).items():
        yield name, max(old, new) if record.reached else old


def _acted(records: list[Record], place: Place) -> bool:
    """Whether the actions of a place were done when the stack last came there."""
    reached = next((each for each in records if each.reached), None)
    return reached is not None and reached.there == place and any(e["state"] == State.ACTED for e in reached.history)


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
