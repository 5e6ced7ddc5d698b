"""From rules to a Pulumi policy pack: finds the stack's config, and gives each rule plain data.

Pulumi tells a Python pack neither the stack nor its config (pulumi-policy 1.21 drops both), so the stack's name is
taken from the URNs, and its config from the file the program's own comes from.
"""

from __future__ import annotations

import datetime
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from causeway.rollout.engine import Pulumi
from causeway.rollout.gate import Gate
from causeway.rollout.store import FirestoreStore
from components.records import DATABASE, SCRATCH_DATABASE
from policies import access, protection, steps, watch, weights
from policies.facts import Expected, Resource, Rule, StackRule
from policies.weights import DOCUMENT, definition_of

_FLAG_SET = f"${DOCUMENT}::"


def expected(config: Config) -> Expected:
    """What rules may expect of a stack with this config."""
    gate = Gate(config, lambda: FirestoreStore(config.project or ""), lambda: datetime.datetime.now(datetime.UTC))
    reason = os.environ.get("CAUSEWAY_REASON")
    return Expected(
        plan=config.plan,
        guardrails=_watched(config),
        databases=(DATABASE, SCRATCH_DATABASE),
        backed_up=(DATABASE, config.backup.database),
        retention_days=config.cloud.retention_days,
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
    """Every policy of the pack. The config is read when the first rule runs: the engine starts the pack without it."""
    rules = (*steps.RULES, *weights.RULES, *protection.RULES, *access.RULES)
    return [
        *(_resource_policy(rule) for rule in rules),
        *(_stack_policy(rule) for rule in (*protection.STACK_RULES, *watch.STACK_RULES)),
    ]


def _resource_policy(rule: Rule) -> Policy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        resource = Resource(args.resource_type, args.name, plain(args.props))
        for sentence in _sentences(lambda: rule.check(resource, expected(_config(args.urn)))):
            report(sentence, None)

    return ResourceValidationPolicy(rule.name, rule.description, validate)


def _stack_policy(rule: StackRule) -> Policy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        resources = [Resource(each.resource_type, each.name, plain(each.props)) for each in args.resources]
        urn = args.resources[0].urn if args.resources else ""
        for sentence in _sentences(lambda: rule.check(resources, expected(_config(urn)))):
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


def _config(urn: str) -> Config:
    """The config of the stack a resource belongs to: `urn:pulumi:STACK::PROJECT::TYPE::NAME`."""
    return _read(urn.split("::")[0].removeprefix("urn:pulumi:"))


@cache
def _read(stack: str) -> Config:
    return from_file(stack_file(stack))
