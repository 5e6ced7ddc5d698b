"""What the cloud adds to what was asked for: ids, names, addresses, times. Plausible, and typed as the SDK says."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from standin.gcp.schema import Schema, Type

_PLACES = ("location", "region", "zone")

_PARENTS = ("database", "collection", "bucket", "datasetId", "instance", "keyRing", "secret", "topic", "parent")
"""Inputs that name what a resource lies in, the outermost first."""

_GRANTS = re.compile(r"iam(member|binding|policy|auditconfig):", re.IGNORECASE)

_IDEMPOTENT = re.compile(r"gcp:projects/service:|gcp:firestore/field:")


def identifier(token: str, inputs: Mapping[str, Any], urn: str, project: str) -> str:
    """The resource's id: `projects/P/locations/L/PARENTS/things/NAME`.

    NAME is what the inputs say, else drawn from the URN, so that making the same unnamed resource twice makes one.
    """
    project = inputs.get("project") or project
    name = _name(token, inputs) or _digest(urn)[:20]
    place = next((f"/locations/{inputs[name]}" for name in _PLACES if inputs.get(name)), "")
    parents = "".join(f"/{parent}/{inputs[parent]}" for parent in _PARENTS if inputs.get(parent) not in (None, name))
    return f"projects/{project}{place}{parents}/{_collection(token)}/{name}"


def exclusive(token: str, inputs: Mapping[str, Any]) -> bool:
    """Whether creating the resource fails where one of its name exists; grants and switches are just set again."""
    return _name(token, inputs) is not None and not _GRANTS.search(token) and not _IDEMPOTENT.search(token)


def computed(schema: Schema, inputs: Mapping[str, Any], identity: str, project: str, now: datetime) -> dict[str, Any]:
    """Every output the SDK declares beyond the inputs, for a resource just created."""
    project = inputs.get("project") or project
    values = _known(schema, inputs, identity, project, now)
    missing = {name: kind for name, kind in schema.outputs.items() if inputs.get(name) is None}
    filled = {name: values[name] if _fits(kind, values.get(name)) else _empty(kind) for name, kind in missing.items()}
    return {name: value for name, value in filled.items() if value is not None}


def _known(schema: Schema, inputs: Mapping[str, Any], identity: str, project: str, now: datetime) -> dict[str, Any]:
    digest = _digest(identity)
    number = str(int(digest, 16))
    name = str(_name(schema.token, inputs) or "")
    email = f"{name}@{project}.iam.gserviceaccount.com"
    region = str(inputs.get("location") or inputs.get("region") or "global")
    module = schema.token.split(":")[1].split("/")[0]
    link = f"https://{module}.googleapis.com/v1/{identity}"
    uri = f"https://{name}-{digest[:10]}-{region}.a.run.app"
    labels = inputs.get("labels") or inputs.get("userLabels") or {}
    at = now.isoformat(timespec="microseconds").replace("+00:00", "Z")
    own_name = f"projects/{project}/serviceAccounts/{email}" if _is_service_account(schema) else identity
    times = dict.fromkeys(
        ("createTime", "updateTime", "creationTime", "timeCreated", "updated", "creationTimestamp"), at
    )
    return {
        **times,
        "name": own_name,
        "project": project,
        "projectNumber": number[:12],
        "email": email,
        "member": f"serviceAccount:{email}",
        "uniqueId": number[:21],
        "uid": str(uuid.UUID(digest[:32])),
        "etag": digest[:16],
        "fingerprint": digest[:12],
        "generation": "1",
        "observedGeneration": "1",
        "selfLink": link,
        "uri": uri,
        "url": f"gs://{name}" if module == "storage" else uri,
        "urls": [uri],
        "effectiveLabels": labels,
        "pulumiLabels": labels,
        "effectiveAnnotations": inputs.get("annotations") or {},
    }


def _is_service_account(schema: Schema) -> bool:
    return schema.token == "gcp:serviceaccount/account:Account"


def _fits(kind: Type, value: Any) -> bool:
    expected = {"string": str, "boolean": bool}
    if isinstance(kind, str):
        return isinstance(value, expected.get(kind, int | float))
    return isinstance(value, list if "list" in kind else dict)


def _empty(kind: Type) -> Any:
    if isinstance(kind, str):
        return {"string": "", "integer": 0, "number": 0, "boolean": False}.get(kind)
    return next(({"list": [], "map": {}}[form] for form in ("list", "map") if form in kind), None)


def _name(token: str, inputs: Mapping[str, Any]) -> str | None:
    """What the inputs call the resource: a Table has `name`, `tableId` or `table`; a grant is all that it says."""
    if _GRANTS.search(token):
        return "|".join(str(inputs[key]) for key in sorted(inputs) if isinstance(inputs[key], str))
    thing = token.rsplit(":", 1)[-1]
    own = f"{thing[:1].lower()}{thing[1:]}"
    return next((str(inputs[key]) for key in ("name", f"{own}Id", own) if isinstance(inputs.get(key), str)), None)


def _collection(token: str) -> str:
    name = token.rsplit(":", 1)[-1]
    return f"{name[0].lower()}{name[1:]}" + ("es" if name.endswith("s") else "s")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
