"""From rules to a Pulumi policy pack: reads the stack's config once, and gives each rule plain data."""

from __future__ import annotations

import datetime
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
from pulumi_policy import (
    Policy,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from causeway.config import Config, from_values, keys
from causeway.errors import CausewayError
from causeway.rollout.engine import Pulumi
from causeway.rollout.gate import Gate
from causeway.rollout.store import FirestoreStore
from components.records import DATABASE, SCRATCH_DATABASE
from policies import access, protection, watch, weights
from policies.facts import Expected, Resource, Rule, StackRule
from policies.steps import Steps

_FLAG_SET = "$gcp:firestore/document:Document::"


def expected(config: Config) -> Expected:
    """What rules may expect of a stack with this config."""
    return Expected(
        plan=config.plan,
        guardrails=tuple(guardrail.name for guardrail in config.guardrails),
        databases=(DATABASE, SCRATCH_DATABASE),
        backed_up=(DATABASE, config.backup.database),
        retention_days=config.cloud.retention_days,
    )


def policies() -> list[Policy]:
    """Every policy of the pack. The config is read when the first rule runs: the engine starts the pack without it."""
    rules = (*weights.RULES, *protection.RULES, *access.RULES)
    return [
        *(_resource_policy(rule) for rule in rules),
        _resource_policy(Rule("no-skipped-steps", "The stack moves one step of its plan at a time", _legal)),
        *(_stack_policy(rule) for rule in (*protection.STACK_RULES, *watch.STACK_RULES)),
    ]


def _resource_policy(rule: Rule) -> Policy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        resource = Resource(args.resource_type, args.name, plain(args.props))
        for sentence in _sentences(lambda: rule.check(resource, _expected())):
            report(sentence, None)

    return ResourceValidationPolicy(rule.name, rule.description, validate)


def _stack_policy(rule: StackRule) -> Policy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        resources = [Resource(each.resource_type, each.name, plain(each.props)) for each in args.resources]
        for sentence in _sentences(lambda: rule.check(resources, _expected())):
            report(sentence, None)

    return StackValidationPolicy(rule.name, rule.description, validate)


def _sentences(check: Callable[[], Iterator[str]]) -> Sequence[str]:
    """What a rule finds; what it cannot read is a finding too, never a stack trace."""
    try:
        return list(check())
    except CausewayError as error:
        return [str(error)]


def plain(value: Any) -> Any:
    """A policy's view of inputs as plain data, without what is not known before the update."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in _known(value, value)}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for _, item in _known(value, range(len(value)))]
    return value


def _known(container: Any, places: Any) -> Iterator[tuple[Any, Any]]:
    for place in places:
        try:
            yield place, container[place]
        except UnknownValueError:
            continue


@cache
def _config() -> Config:
    own, gcp = pulumi.Config("causeway"), pulumi.Config("gcp")
    values = {f"causeway:{key}": _value(own, key) for key in keys() if own.get(key) is not None}
    return from_values({"gcp:project": gcp.get("project"), **values}, pulumi.get_stack())


def _value(config: pulumi.Config, key: str) -> object:
    try:
        return config.get_object(key)
    except pulumi.ConfigTypeError:
        return config.get(key)


@cache
def _expected() -> Expected:
    return expected(_config())


def _legal(resource: Resource, wanted: Expected) -> Iterator[str]:
    config = _config()
    gate = Gate(config, lambda: FirestoreStore(config.project or ""), lambda: datetime.datetime.now(datetime.UTC))
    reason = os.environ.get("CAUSEWAY_REASON")
    return Steps(lambda here, there: gate.judge(here, there, reason), _present).legal(resource, wanted)


def _present() -> str | None:
    """The definition in the stack's recorded state; None where there is no flag set yet."""
    engine = Pulumi(pulumi.get_stack(), Path.cwd(), Path(tempfile.gettempdir()))
    for urn, inputs in engine.export().inputs.items():
        if _FLAG_SET in urn and inputs.get("collection") == "flags":
            return weights.definition_of(Resource(f"gcp:{weights.DOCUMENT}", urn, inputs))
    return None
