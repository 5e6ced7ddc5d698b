"""The guarantee in the docs is held by tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "stream.md"


def test_every_sentence_of_the_guarantee_names_tests_that_exist() -> None:
    page = PAGE.read_text()
    named = set(re.findall(r"`(test_\w+)`", page))
    files = Path(__file__).parent.glob("test_*.py")
    defined = {name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)}
    assert len(named) > 10 and not named - defined


def test_the_guarantee_is_stated_word_for_word() -> None:
    stated = " ".join(PAGE.read_text().replace("\n> ", " ").split())
    for sentence in (
        "Every document state committed up to the **verified watermark** can be restored exactly, to any recorded "
        "watermark.",
        "A requested time is rounded down to a watermark, and the actual time is shown.",
        "Versions overwritten between two watermarks are not kept.",
        "it is always displayed, and an alarm at 5 seconds.",
        "If the database is replaced, or counts go on disagreeing, the backup stops and says so, and nothing of it is "
        "mirrored.",
    ):
        assert sentence in stated
