"""Soaking a place: look, judge, and go on looking until the evidence says what to do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from causeway.config import Config
from causeway.health.checker import Look
from causeway.health.probing import category_of, names_of
from causeway.model.matrix import Version
from causeway.model.moves import Place
from causeway.model.observation import CompareProbe, HttpProbe, ParityProbe, ProbeSpec
from causeway.model.plan import LAST
from causeway.model.soak import Soak
from causeway.model.verdict import Cause, Decision, Reason, Verdict
from causeway.rollout.stack import Stack

#: From this action of the dual write on, both sides hold the same.
FILLED = "backfill"


class Observer(Protocol):
    """What looks at the running application (`causeway.health.checker.Checker`)."""

    def begin(self) -> None:
        """From now on every probe is due."""

    def skip(self, weights: Mapping[str, int]) -> None:
        """Begin, and let the next look tell of nothing that happened until now."""

    def look(self, weights: Mapping[str, int]) -> Look:
        """What happened since the look before."""


@dataclass(frozen=True, slots=True)
class Soaked:
    """How a soak ended: its verdict, and what was seen on the way."""

    verdict: Verdict
    looks: int
    seconds: float
    began_again: int = 0


#: Called after each look with what was seen and the verdict so far; true ends the soak (somebody took over).
OnLook = Callable[[Look, Verdict], bool]


def begin(stack: Stack, place: Place, baselines: Mapping[str, float], moving: frozenset[str]) -> Soak:
    """A soak of every service that has users on its package; `moving` ones must be shown to be safe."""
    weights = stack.config.plan.at(place.position, place.hold).weights
    watched = [name for name, weight in weights.items() if weight > 0]
    return Soak.begin(
        watched, stack.config.guardrails, stack.config.soak, baselines, [name for name in watched if name in moving]
    )


def soak(
    stack: Stack,
    place: Place,
    observer: Observer,
    baselines: Mapping[str, float],
    moving: frozenset[str],
    *,
    confirmed: str = "",
    on_look: OnLook = lambda look, verdict: False,
) -> Soaked:
    """Look at a place at every scrape until it may advance, must roll back, or the soak's timeout has passed.

    `confirmed` says what was done at the place besides moving traffic; it is judged by the checks alone where no
    package has users yet. Nothing advances before each probe has been made in this soak. A HOLD is returned
    after the timeout: not enough evidence, nothing wrong shown.
    """
    config, clock = stack.config, stack.clock
    weights = config.plan.at(place.position, place.hold).weights
    every = min(config.metrics.every if config.metrics else config.soak.interval, config.soak.interval)
    state = begin(stack, place, baselines, moving)
    silent = not_in_force(config, place)
    began = window = clock.monotonic()
    observer.skip(weights)  # what came before the move is not evidence about it
    again, windows = 0, 0
    while True:
        clock.sleep(every)
        look, now = observer.look(weights), clock.monotonic()
        closes = now - window >= config.soak.interval
        checks = [check for check in look.checks if check.name not in silent]
        following = state.observe(look.windows.values(), checks, closes)
        if following.began_again != state.began_again:
            again += 1
            observer.begin()
        state, windows = following, windows + closes
        window = now if closes else window
        verdict = _verdict(state, windows, config.soak.checks, confirmed, _unmade(state, config.probes, silent))
        if on_look(look, verdict) or verdict.decision is not Decision.HOLD or now - began > config.soak_timeout:
            return Soaked(verdict, state.looks, now - began, again)


def not_in_force(config: Config, place: Place) -> frozenset[str]:
    """Names of checks that mean nothing here: parity while a dual write is not filled or has ended, and what asks a
    legacy that is retired.
    """
    plan, here = config.plan, config.plan[place.position]

    def filled(service: str) -> bool:
        acts = [each for each in plan if service in each.services and each.action == FILLED]
        return bool(acts) and acts[0].index <= here.index and here.name != LAST

    def means_nothing(probe: ProbeSpec) -> Sequence[str]:
        match probe:
            case ParityProbe():
                return () if filled(probe.service) else names_of(probe)
            case CompareProbe() if here.name == LAST:
                return names_of(probe)
            case HttpProbe() if here.name == LAST:
                return [name for name in names_of(probe) if name.endswith(f"@{Version.LEGACY}")]
        return ()

    return frozenset(name for probe in config.probes for name in means_nothing(probe))


def _unmade(state: Soak, probes: Iterable[ProbeSpec], silent: Collection[str]) -> Iterator[Reason]:
    """Probes that have not said anything in this soak yet: their silence is no success."""
    for probe in probes:
        category = category_of(probe)
        for name in names_of(probe):
            if name not in silent and not state.said(category, name, probe.service):
                text = f"{category.words} check {name} of {probe.service}: not made yet since the soak began"
                yield Reason(Decision.HOLD, Cause.EARLY, category, text, probe.service)


def _verdict(state: Soak, windows: int, checks: int, confirmed: str, unmade: Iterable[Reason]) -> Verdict:
    """The soak's verdict, and that it has been watched for as long as a soak takes, whoever uses a package yet."""
    judged = state.verdict()
    decision, cause = (Decision.ADVANCE, Cause.SAFE) if windows >= checks else (Decision.HOLD, Cause.EARLY)
    watched = Reason(decision, cause, "actions", f"{confirmed}; watched for {windows} of {checks} windows")
    found = judged.reasons if state.services else _nobody_to_send_back(judged)
    return Verdict.of([*found, *unmade, watched])


def _nobody_to_send_back(judged: Verdict) -> tuple[Reason, ...]:
    """Without users on a package, what failed holds: there is no traffic that could go back."""
    failed = judged.reasons if judged.decision is Decision.ROLL_BACK else ()
    return tuple(
        replace(each, decision=Decision.HOLD, pace=None, level=None) if each.decision is Decision.ROLL_BACK else each
        for each in failed
    )
