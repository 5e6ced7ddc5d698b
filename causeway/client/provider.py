"""OpenFeature over a follower: https://openfeature.dev/specification/sections/providers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import TypeMismatchError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType
from openfeature.flag_evaluation import Reason as FeatureReason
from openfeature.provider import AbstractProvider, Metadata

from causeway.client.follow import Follower
from causeway.client.view import TARGETING_KEY, Context, Reason
from causeway.model.matrix import Version

_REASONS = {
    Reason.SPLIT: FeatureReason.SPLIT,
    Reason.STALE: FeatureReason.STALE,
    Reason.MISSING: FeatureReason.DEFAULT,
}


#: An object flag besides the services' own: all services on package, as a sorted list, decided by one flag set.
#: Asked one by one, the services of one request could be decided by two.
PACKAGES = "causeway.packages"


class CausewayProvider(AbstractProvider):
    """A flag per service: as a string its version, as a boolean whether that is the package. And `PACKAGES`.

    The default given by the caller is never used: a flag that is missing or cannot be had means legacy.
    The parameters' names are OpenFeature's; under others its client would swallow the error and return the default.
    """

    def __init__(self, follower: Follower) -> None:
        super().__init__()
        self._follower = follower

    def get_metadata(self) -> Metadata:
        return Metadata(name="causeway")

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        self._follower.start()

    def shutdown(self) -> None:
        self._follower.stop()

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        version, reason = self._decide(flag_key, evaluation_context)
        return FlagResolutionDetails(version.value, variant=version.value, reason=reason)

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        version, reason = self._decide(flag_key, evaluation_context)
        return FlagResolutionDetails(version is Version.PACKAGE, variant=version.value, reason=reason)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        raise _mismatch(flag_key)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        raise _mismatch(flag_key)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        if flag_key != PACKAGES:
            raise _mismatch(flag_key)
        found: Sequence[FlagValueType] = sorted(self._follower.packages(context_of(evaluation_context)))
        return FlagResolutionDetails(found, reason=FeatureReason.SPLIT)

    def _decide(self, service: str, given: EvaluationContext | None) -> tuple[Version, FeatureReason]:
        decision = self._follower.decide(service, context_of(given))
        return decision.version, _REASONS[decision.reason]


def context_of(given: EvaluationContext | None) -> Context:
    """OpenFeature's context as one mapping."""
    return {} if given is None else {**given.attributes, TARGETING_KEY: given.targeting_key}


def decided(client: OpenFeatureClient, context: Context) -> frozenset[str]:
    """The services a context gets from their packages, asked through OpenFeature: what `Routing` decides by."""
    key = context.get(TARGETING_KEY)
    attributes: dict[str, Any] = {name: value for name, value in context.items() if name != TARGETING_KEY}
    asked = EvaluationContext(key if isinstance(key, str) else None, attributes)
    return frozenset(map(str, client.get_object_value(PACKAGES, [], asked)))


def _mismatch(flag_key: str) -> TypeMismatchError:
    return TypeMismatchError(f"{flag_key} is a service: ask for a string (its version) or a boolean (package or not)")
