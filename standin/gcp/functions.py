"""The functions (`gcp.organizations.get_project` and the like) that programs commonly call; all others are refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from standin.gcp.cloud import Cloud, Thing
from standin.gcp.computed import identifier
from standin.gcp.documents import Documents, name_of

PROJECT = "gcp:organizations/getProject:getProject"
PROJECTS = "gcp:projects/getProject:getProject"
CLIENT = "gcp:organizations/getClientConfig:getClientConfig"
DOCUMENT = "gcp:firestore/getDocument:getDocument"


class NotServed(LookupError):
    """The local provider does not answer this function, or has no such thing."""


def answer(
    token: str, inputs: Mapping[str, Any], project: str, cloud: Cloud, documents: Documents | None
) -> dict[str, Any]:
    """A function's result. Raises `NotServed`."""
    project = inputs.get("project") or inputs.get("projectId") or project
    served: dict[str, Callable[[], dict[str, Any]]] = {
        PROJECT: lambda: _project(project),
        PROJECTS: lambda: {
            "id": inputs.get("filter", ""),
            "filter": inputs.get("filter", ""),
            "projects": [_project(project)],
        },
        CLIENT: lambda: _client(project),
        DOCUMENT: lambda: _document(inputs, project, documents),
    }
    if token in served:
        return served[token]()
    thing = _looked_up(token, inputs, project, cloud)
    if thing is None:
        raise NotServed(
            f"the local gcp provider does not answer {token}: it knows getProject, getClientConfig, getDocument and "
            "the get… functions of resources that this environment has created"
        )
    return {**thing.outputs, "id": thing.id}


def _project(project: str) -> dict[str, Any]:
    number = str(int(hashlib.sha256(project.encode()).hexdigest(), 16))[:12]
    return {"id": f"projects/{project}", "projectId": project, "name": project, "number": number, "labels": {}}


def _client(project: str) -> dict[str, Any]:
    return {
        "id": f"projects/{project}",
        "project": project,
        "region": "",
        "zone": "",
        "accessToken": "local",
        "defaultLabels": {},
    }


def _document(inputs: Mapping[str, Any], project: str, documents: Documents | None) -> dict[str, Any]:
    if not inputs.get("collection") or not inputs.get("documentId"):
        raise NotServed("getDocument needs a collection and a documentId")
    name = name_of(inputs, project)
    found = documents.read(name) if documents else None
    if found is None:
        raise NotServed(f"there is no document {name}")
    times = {"createTime": found["createTime"], "updateTime": found["updateTime"]}
    return {**inputs, **times, "id": name, "name": name, "path": name, "fields": json.dumps(found.get("fields", {}))}


def _looked_up(token: str, inputs: Mapping[str, Any], project: str, cloud: Cloud) -> Thing | None:
    """`gcp:storage/getBucket:getBucket` answers from the resource `gcp:storage/bucket:Bucket` of the same name."""
    module, name = token.split(":")[1].split("/")[0], token.rsplit(":", 1)[-1].removeprefix("get")
    resource = f"gcp:{module}/{name[:1].lower()}{name[1:]}:{name}"
    return cloud.find(resource, identifier(resource, inputs, "", project))
