"""Keep an application's data: snapshot, stream, archive format, restore, verify, service state.

This room knows Firestore and storage; it does not know what a rollout is.
"""
