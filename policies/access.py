"""Who gets in: nobody public, no client near the records, and this stack not into the application's database."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from components.records import DATABASE as RECORDS
from policies.facts import Expected, Resource, Rule
from policies.protection import BUCKET, DATABASE

RULESET = "gcp:firebaserules/ruleset:Ruleset"
RELEASE = "gcp:firebaserules/release:Release"
RUN_SERVICE = "gcp:cloudrunv2/service:Service"

_PUBLIC = ("allUsers", "allAuthenticatedUsers")
_CANNED = ("publicRead", "publicReadWrite", "authenticatedRead")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_ALLOW = re.compile(r"\ballow\b(?P<grant>[^;{}]*)")
_NEVER = re.compile(r":\s*if\s+false\s*$")


def nobody_public(resource: Resource, expected: Expected) -> Iterator[str]:
    """No member, entity or setting lets everybody in. Looks at any resource, not only at those of causeway."""
    for path, value in _strings(resource.inputs):
        if value.rpartition(":")[2] in _PUBLIC or value in _CANNED:  # a role may stand in front: READER:allUsers
            yield f"{path} is {value}: everybody on the internet"
        elif path.endswith("policyData") and any(f'"{who}"' in value for who in _PUBLIC):
            yield f"{path} lets everybody in"
    if resource.kind == RUN_SERVICE and resource.inputs.get("invokerIamDisabled"):
        yield "invokerIamDisabled is on: everybody may call this service"
    if resource.kind == BUCKET:
        if resource.inputs.get("publicAccessPrevention") != "enforced":
            yield "publicAccessPrevention is not enforced: one wrong binding would publish the backups"
        if not resource.inputs.get("uniformBucketLevelAccess"):
            yield "uniformBucketLevelAccess is off: objects could be published one by one"


def clients_denied(resource: Resource, expected: Expected) -> Iterator[str]:
    """Rules for the records allow nothing to anybody; server identities go through IAM and need no rule."""
    if resource.kind != RULESET:
        return
    for file in resource.inputs.get("source", {}).get("files", ()):
        for allowed in _ALLOW.finditer(_COMMENT.sub("", file.get("content", ""))):
            if not _NEVER.search(allowed["grant"].rstrip()):
                yield f"{file.get('name')} has `allow{allowed['grant'].rstrip()}`: clients would reach the backups"


def application_untouched(resource: Resource, expected: Expected) -> Iterator[str]:
    """The stack owns its own databases and their rules, never the application's."""
    if resource.kind == DATABASE and resource.inputs.get("name", RECORDS) not in expected.databases:
        yield f"database {resource.inputs['name']} is not this stack's to own"
    if resource.kind == RELEASE and resource.inputs.get("name") != f"cloud.firestore/{RECORDS}":
        yield f"release {resource.inputs.get('name')} would replace the rules of a database that is not this stack's"


def _strings(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every string inside, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _strings(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _strings(item, f"{path}[{index}]")


RULES = (
    Rule("no-public-access", "Nothing is open to everybody", nobody_public),
    Rule("clients-denied", "Application clients never reach causeway's records", clients_denied),
    Rule(
        "application-untouched", "The application's own database and rules are never taken over", application_untouched
    ),
)
