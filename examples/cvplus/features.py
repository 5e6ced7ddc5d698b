"""The application's decisions: evaluated in process through OpenFeature, over what a follower knows."""

from __future__ import annotations

from openfeature import api

from causeway.client import CausewayProvider, Context, Follower, View, decided


class Features:
    """Makes causeway OpenFeature's provider, and asks it. The provider starts and stops the follower."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        api.set_provider_and_wait(CausewayProvider(follower))
        self._client = api.get_client("cvplus")

    @property
    def view(self) -> View:
        """What is known of the flags now: modes, stages and epochs, which are no decisions."""
        return self._follower.view

    def packages(self, context: Context) -> frozenset[str]:
        """The services a context gets from their packages."""
        return decided(self._client, context)

    def fresh(self) -> bool:
        """Whether somebody watches the stack."""
        return self._follower.fresh()

    def close(self) -> None:
        """Ends it."""
        api.shutdown()
