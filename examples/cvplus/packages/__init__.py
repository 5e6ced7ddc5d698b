"""The seven packages, one module each, as the migration wants them."""

from collections.abc import Callable
from typing import Protocol

from examples.cvplus.mesh import Caller, Method
from examples.cvplus.packages.action_orchestrator import ActionOrchestrator
from examples.cvplus.packages.cache_manager import CacheManager
from examples.cvplus.packages.circuit_breaker_core import CircuitBreakerCore
from examples.cvplus.packages.cv_analyzer import CVAnalyzer
from examples.cvplus.packages.improvement_orchestrator import ImprovementOrchestrator
from examples.cvplus.packages.recommendation_generator import RecommendationGenerator
from examples.cvplus.packages.recommendation_orchestrator import RecommendationOrchestrator
from examples.cvplus.resources import Resources


class Package(Protocol):
    """What a package offers to the mesh."""

    def methods(self) -> dict[str, Method]: ...


PACKAGES: dict[str, Callable[[Caller, Resources], Package]] = {
    "CVAnalyzer": CVAnalyzer,
    "ImprovementOrchestrator": ImprovementOrchestrator,
    "CacheManager": CacheManager,
    "RecommendationGenerator": RecommendationGenerator,
    "CircuitBreakerCore": CircuitBreakerCore,
    "RecommendationOrchestrator": RecommendationOrchestrator,
    "ActionOrchestrator": ActionOrchestrator,
}

__all__ = ["PACKAGES", "Package"]
