"""The commit rule: what is kept is always a state the database was in, whatever order events come in."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from google.cloud.firestore_v1.types import firestore as _firestore
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.backup.listen import Changed, CommitRule, Filter, Gone, Phase, Relisten, Target, decode
from causeway.backup.listen_source import fresh_groups, targets_of
from causeway.backup.stream_block import CONTROL, InMemory, Known, Version
from tests.backup.stream_model import BEGAN, GROUPS, Model, instant, name_of, snapshot

A, B = name_of(0), name_of(1)  # one in each collection
TARGETS = {GROUPS[0]: 1, GROUPS[1]: 2}
NOW = instant(BEGAN)


def version(updated: int) -> Version:
    return InMemory(updated, b"body")


def consistent(after: int = 0) -> Target:
    return Target(Phase.NO_CHANGE, (), b"token", NOW + timedelta(seconds=after))


def listening(known: Known | None = None, fresh: set[str] | None = None) -> CommitRule:
    rule = CommitRule(TARGETS, known or Known(), set(TARGETS) if fresh is None else fresh)
    for target in TARGETS.values():
        rule.feed(Target(Phase.ADD, (target,)))
    return rule


def test_nothing_is_a_block_before_every_target_is_current() -> None:
    rule = listening()
    assert rule.feed(Changed(A, version(1))) is None
    assert rule.feed(Target(Phase.CURRENT, (1,))) is None
    assert rule.feed(consistent()) is None
    rule.feed(Target(Phase.CURRENT, (2,)))
    block = rule.feed(consistent())
    assert block is not None and dict(block.changes) == {A: version(1)} and block.token == b"token"


def test_no_change_of_single_targets_is_no_block() -> None:
    rule = listening()
    rule.feed(Target(Phase.CURRENT))
    assert rule.feed(Target(Phase.NO_CHANGE, (1,), b"t", NOW)) is None
    assert rule.feed(Target(Phase.NO_CHANGE, (), b"t")) is None, "without a read time it says nothing"


def test_reset_discards_what_is_held_and_takes_the_difference() -> None:
    known = Known()
    known.apply({A: version(1), B: version(1)})
    rule = listening(known, fresh=set())
    rule.feed(Target(Phase.CURRENT))
    rule.feed(Changed(A, version(2)))
    rule.feed(Gone(B))
    rule.feed(Target(Phase.RESET, (1,)))
    assert rule.feed(consistent()) is None, "a reset target is not current"
    rule.feed(Target(Phase.CURRENT, (1,)))
    block = rule.feed(consistent())
    assert block is not None and dict(block.changes) == {A: None, B: None}


@pytest.mark.parametrize("way", ["document_delete", "document_remove", "removed_target_ids"])
def test_the_three_ways_to_say_gone_are_one(way: str) -> None:
    response = _firestore.ListenResponse.pb()()
    if way == "removed_target_ids":
        response.document_change.document.name = A
        response.document_change.removed_target_ids.append(1)
    else:
        getattr(response, way).document = A
    assert decode(response.SerializeToString()) == Gone(A)


def test_a_change_that_is_told_twice_after_a_resume_is_told_once() -> None:
    known = Known()
    known.apply({A: version(5)})
    rule = listening(known, fresh=set())
    rule.feed(Target(Phase.CURRENT))
    rule.feed(Changed(A, version(5)))
    rule.feed(Gone(B))
    block = rule.feed(consistent())
    assert block is not None and not block.changes


def test_a_filter_that_disagrees_means_listening_again() -> None:
    known = Known()
    known.apply({A: version(1)})
    rule = listening(known, fresh=set())
    rule.feed(Filter(1, 1))
    rule.feed(Gone(A))
    rule.feed(Filter(1, 0))
    with pytest.raises(Relisten, match="has 1 documents and this stream told of 0"):
        rule.feed(Filter(1, 1))


def test_a_target_the_server_ends_means_listening_again() -> None:
    with pytest.raises(Relisten, match="too old"):
        listening().feed(Target(Phase.REMOVE, (1,), cause="too old"))


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b""])
def test_what_cannot_be_parsed_is_a_dead_channel(data: bytes) -> None:
    with pytest.raises(Relisten):
        decode(data)


def test_only_a_group_of_which_something_is_known_is_resumed() -> None:
    known = Known()
    known.apply({A: version(1)})
    targets = targets_of(GROUPS)
    assert fresh_groups(targets, known, b"t", anew=False) == {GROUPS[1], CONTROL}
    assert fresh_groups(targets, known, b"", anew=False) == set(targets)
    assert fresh_groups(targets, known, b"t", anew=True) == set(targets)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 12))
def test_every_block_leads_to_the_state_at_its_read_time(seed: int, rounds: int) -> None:
    """Any order, coalescing, RESET, reconnect with or without token: never a state the database was not in."""
    rng = random.Random(seed)
    model = Model()
    targets = targets_of(GROUPS)
    known, kept, done = Known(), {}, 0
    since: dict[str, int | None] = {}
    rule: CommitRule | None = None
    for _ in range(rounds):
        for _ in range(rng.randrange(8)):
            name = name_of(rng.randrange(10))
            (model.put(name, rng.randrange(100)) if rng.random() < 0.7 else model.delete(name))
        if rule is None or rng.random() < 0.3:
            fresh = fresh_groups(targets, known, b"t" if done else b"", anew=rng.random() < 0.3)
            rule = CommitRule(targets, known, set(fresh))
            since = {group: None if group in fresh else done for group in targets}
            if not fresh:
                rule.feed(Target(Phase.CURRENT))
            for group in targets.keys() - fresh:
                rule.feed(Target(Phase.CURRENT, (targets[group],)))
        events = snapshot(model, targets, since, rng)
        if rng.random() < 0.2:  # the connection breaks somewhere before the last event
            for event in events[: rng.randrange(len(events))]:
                assert rule.feed(event) is None
            rule = None
            continue
        blocks = [block for event in events if (block := rule.feed(event))]
        assert len(blocks) == 1
        known.apply(blocks[0].changes)
        for name, new in blocks[0].changes.items():
            kept[name] = new
            if new is None:
                del kept[name]
        done = model.clock
        assert kept == model.at(done)
        assert blocks[0].read_time == instant(done)
