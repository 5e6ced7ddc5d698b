"""What the journal tells, from records alone."""

from __future__ import annotations

from causeway.model.hold import Hold
from causeway.model.moves import Direction
from causeway.report.story import courses, criteria, sentence
from tests.report.accounts import after, config, record, records


def test_a_course_begins_completes_and_counts_ways_back() -> None:
    reader, writer = courses(config().plan, records())
    assert (reader.began, reader.complete, reader.went_back) == (after(5), after(10), 0)
    assert (writer.began, writer.complete, writer.went_back) == (after(40), None, 1)


def test_a_service_that_went_back_after_completion_is_not_complete() -> None:
    """Prevents the documentation of a migration from calling complete what a breaker has sent back."""
    back = record(7, "high/Writer/50", 50, Direction.HOLD, Hold({"Reader": 0, "Writer": 0}), traffic_moved_s=0.2)
    reader, _ = courses(config().plan, (*records(), back))
    assert (reader.complete, reader.went_back) == (None, 1)
    again = record(8, "high/Writer/50", 60, Direction.RELEASE, Hold({"Writer": 0}))
    assert courses(config().plan, (*records(), back, again))[0].complete == after(60)


def test_retired_is_only_who_stands_there() -> None:
    end = record(7, "deprecation/retire-legacy", 70)
    assert {each.retired for each in courses(config().plan, (*records(), end))} == {after(70)}
    back = record(8, "high/Writer/100", 80, Direction.BACK)
    assert {each.retired for each in courses(config().plan, (*records(), end, back))} == {None}


def test_positions_of_an_earlier_plan_are_passed_over() -> None:
    assert courses(config().plan, (record(1, "gone/Reader/50", 1),))[0].began is None


def test_criteria_say_what_was_measured_and_nothing_else() -> None:
    found = {each.name.split(":")[0]: (each.measured, each.held) for each in criteria(records())}
    assert found == {
        "performance parity": ("4 of 4", True),
        "data integrity": ("4 of 4", True),
        "identical behaviour": ("0 of 0", None),
        "rollback within 120 s": ("0.3 s in 1 rollback", True),
        "rollbacks that led to exactly the inputs kept before": ("1 of 1", True),
    }


def test_a_rollback_that_took_too_long_is_not_held() -> None:
    slow = record(1, "infrastructure", 1, Direction.BACK, traffic_moved_s=121.0, differences=["bucket.location"])
    held = {each.name.split(":")[0]: each.held for each in criteria((slow,))}
    assert held["rollback within 120 s"] is False
    assert held["rollbacks that led to exactly the inputs kept before"] is False


def test_the_whole_story_in_a_line() -> None:
    assert sentence(()) == "Nothing has moved yet."
    assert sentence(records()) == "6 moves since 2025-08-25 12:00:00 UTC, 1 of them took traffic back."
    end = record(7, "deprecation/retire-legacy", 70)
    assert sentence((*records(), end)).endswith(
        "Over since 2025-08-25 13:10:00 UTC: every user is on the packages, and legacy is retired."
    )
