"""Verifications stand beside the journal, and not in it."""

from __future__ import annotations

from causeway.rollout.journal import COLLECTION, history
from causeway.rollout.verified import KEPT, note_verification
from tests.rollout.fakes import T0, MemoryStore, Time


def test_a_verification_is_kept_beside_the_journal_and_not_among_its_moves() -> None:
    """Prevents: the result of a scheduled verification can be read from the archive alone."""
    store = MemoryStore(Time())
    note_verification(store, "prod", {"kind": "backup_verification", "backup": "b1", "equal": True}, T0)
    (path,) = store.documents
    assert path.startswith(f"{COLLECTION}/prod-verified-b1-")
    assert store.documents[path].values == {
        "kind": "backup_verification",
        "backup": "b1",
        "equal": True,
        "stack": "prod",
        "expires_at": T0 + KEPT,
    }
    assert history(store, "prod") == []
