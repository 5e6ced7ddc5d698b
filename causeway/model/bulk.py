"""Building many small records at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def bulk() -> Iterator[None]:
    """Pause the collector of cycles while records that form none pile up.

    It would walk the whole matrix again and again, and time would grow by half as much again as the matrix does.
    """
    paused = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if paused:
            gc.enable()
