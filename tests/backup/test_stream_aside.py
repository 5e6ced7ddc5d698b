"""Bodies put aside come back as they were, until their block has been taken; a disk that fails is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.backup.stream_aside import Aside
from causeway.backup.stream_block import InMemory
from causeway.errors import Unreachable


@given(st.lists(st.tuples(st.integers(0, 2**62), st.binary(max_size=50_000)), max_size=20), st.randoms())
def test_each_body_comes_back_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, versions: list[tuple[int, bytes]], chance: object
) -> None:
    with Aside(tmp_path_factory.getbasetemp()) as aside:
        for _ in range(2):
            put = [aside.put(InMemory(*version)) for version in versions]
            order = list(range(len(put)))
            chance.shuffle(order)  # type: ignore[attr-defined]
            assert [(put[n].updated, put[n].body) for n in order] == [versions[n] for n in order]
            aside.clear()


def test_what_was_cleared_takes_no_disk_and_has_no_name(tmp_path: Path) -> None:
    with Aside(tmp_path) as aside:
        for _ in range(3):
            version = aside.put(InMemory(1, bytes(1_000_000)))
            assert len(version.body) == 1_000_000
            aside.clear()
        assert os.fstat(aside._file.fileno()).st_size == 0
        with pytest.raises(Unreachable, match="0 of 1000000 bytes"):
            _ = version.body
        assert not list(tmp_path.iterdir()), "a process that is killed leaves nothing behind"


def test_a_disk_that_fails_stops_the_stream_at_its_watermark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unreachable, match="nothing before it is lost"):
        Aside(tmp_path / "gone")
    with Aside(tmp_path) as aside:
        version = aside.put(InMemory(1, b"body"))
        monkeypatch.setattr(os, "pread", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        with pytest.raises(Unreachable, match="Input/output error"):
            _ = version.body
