"""What the backup commands share on the command line."""

from __future__ import annotations

import click
import pytest

from causeway.cli.backup_options import names


def test_a_list_of_nothing_is_a_mistake_and_not_everything() -> None:
    """Prevents: an empty variable in a script makes `--collections "$ONLY"` mean the whole database."""
    assert names(None) == ()
    assert names(" b, a,,b") == ("a", "b")
    for nothing in ("", ",", " , "):
        with pytest.raises(click.BadParameter, match="names no collection"):
            names(nothing)
