"""What an application imports to follow a stack: decisions, routing, and the helpers of the strategies.

    follower = Follower(FirestoreSource("prod"))
    follower.start()
    follower.decide("CVAnalyzer", {"targetingKey": user}).version

Reference: docs/reference/flags.md.
"""

from causeway.client.firestore import FirestoreSource
from causeway.client.follow import Follower, Source
from causeway.client.provider import CausewayProvider, decided
from causeway.client.routing import Routing, carry, packages, routed, version
from causeway.client.view import Context, Decision, Documents, Reason, View

__all__ = [
    "CausewayProvider",
    "Context",
    "Decision",
    "Documents",
    "FirestoreSource",
    "Follower",
    "Reason",
    "Routing",
    "Source",
    "View",
    "carry",
    "decided",
    "packages",
    "routed",
    "version",
]
