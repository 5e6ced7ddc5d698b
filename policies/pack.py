"""From rules to a Pulumi policy pack: finds the stack's config, and gives each rule plain data.

Pulumi tells a Python pack neither the stack nor its config (pulumi-policy 1.21 drops both), so the stack's name is
taken from the URNs, and its config from the file the program's own comes from.
"""

from __future__ import annotations

import datetime
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pulumi_policy import (
    Policy,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from causeway.config import Config, from_file, stack_file
from causeway.errors import CausewayError
from causeway.health.expressions import expression
from causeway.model.moves import Place
from causeway.rollout.engine import Pulumi
from causeway.rollout.gate import Gate
from causeway.rollout.splits import wanted
from causeway.rollout.store import FirestoreStore
from components.records import DATABASE, SCRATCH_DATABASE
from policies import access, protection, steps, watch, weights
from policies.facts import Expected, Resource, Rule, StackRule
from policies.weights import DOCUMENT, definition_of

_FLAG_SET = f"${DOCUMENT}::"


def expected(config: Config) -> Expected:
    """What rules may expect of a stack with this config."""
    gate = Gate(config, lambda: FirestoreStore(config.project or ""), lambda: datetime.datetime.now(datetime.UTC))
    reason, place = os.environ.get("CAUSEWAY_REASON"), Place(config.position, config.hold)
    return Expected(
        plan=config.plan,
        guardrails=_watched(config),
        databases=(DATABASE, SCRATCH_DATABASE),
        backed_up=(DATABASE, config.backup.database),
        retention_days=config.cloud.retention_days,
        place=place,
        splits=wanted(config, place),
        present=lambda: _present(config.stack),
        judge=lambda here, there: gate.judge(here, there, reason),
    )


def _watched(config: Config) -> tuple[str, ...]:
    """The guardrails that need an alert: all, but for what the application does not measure (demand)."""
    names = config.metrics.names if config.metrics else None
    return tuple(rail.name for rail in config.guardrails if names is None or expression(rail, names, "any") is not None)


def _present(stack: str) -> str | None:
    """The flag set's definition in the stack's recorded state; None where there is none yet."""
    state = Pulumi(stack, Path.cwd(), Path(tempfile.gettempdir())).export()
    found = (definition_of(Resource(DOCUMENT, urn, inputs)) for urn, inputs in state.inputs.items() if _FLAG_SET in urn)
    return next(filter(None, found), None)


def policies() -> list[Policy]:
    """Every policy of the pack."""
    return [
        ResourceValidationPolicy("config-readable", "The stack's config says what it must", _config_readable),
        *(_resource_policy(rule) for rule in (*steps.RULES, *weights.RULES, *protection.RULES, *access.RULES)),
        *(_stack_policy(rule) for rule in (*protection.STACK_RULES, *watch.STACK_RULES)),
    ]


def _config_readable(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """Says once, at the stack itself, what every other policy would have to repeat for each resource."""
    if args.resource_type != "pulumi:pulumi:Stack":
        return
    try:
        _wanted(_stack_of(args.urn))
    except CausewayError as error:
        report(str(error), None)


def _resource_policy(rule: Rule) -> Policy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        _check(rule, args.urn, Resource(args.resource_type, args.name, plain(args.props)), report)

    return ResourceValidationPolicy(rule.name, rule.description, validate)


def _stack_policy(rule: StackRule) -> Policy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        if args.resources:
            resources = [Resource(each.resource_type, each.name, plain(each.props)) for each in args.resources]
            _check(rule, args.resources[0].urn, resources, report)

    return StackValidationPolicy(rule.name, rule.description, validate)


def _check(rule: Rule | StackRule, urn: str, subject: Any, report: ReportViolation) -> None:
    """Report what a rule finds; what it cannot read is a finding too, never a stack trace."""
    try:
        wanted = _wanted(_stack_of(urn))
    except CausewayError:
        return  # `config-readable` says so
    try:
        for sentence in rule.check(subject, wanted):
            report(sentence, None)
    except CausewayError as error:
        report(str(error), None)


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


def _stack_of(urn: str) -> str:
    """The stack a resource belongs to: `urn:pulumi:STACK::PROJECT::TYPE::NAME`."""
    return urn.split("::")[0].removeprefix("urn:pulumi:")


@cache
def _wanted(stack: str) -> Expected:
    return expected(from_file(stack_file(stack)))
