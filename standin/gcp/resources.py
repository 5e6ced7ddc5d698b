"""What can be done with a resource of the local cloud: create, read, update, delete; a document or any other thing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from standin.gcp import documents as firestore
from standin.gcp.cloud import Cloud, Thing
from standin.gcp.computed import computed, exclusive, identifier
from standin.gcp.documents import Documents
from standin.gcp.schema import Schema, Schemas


class Refused(Exception):
    """The local cloud refuses, as GCP would."""


@dataclass(frozen=True)
class Live:
    """A resource as it is now: its id, the inputs that would make it, and all its outputs."""

    id: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


@dataclass(frozen=True)
class Resources:
    """The resources of one environment. `documents` is None where no emulator is configured."""

    cloud: Cloud
    documents: Documents | None
    schemas: Schemas
    project: str
    now: Callable[[], datetime]

    def of_project(self, project: str) -> Resources:
        return replace(self, project=project)

    def named(
        self, schema: Schema, urn: str, inputs: Mapping[str, Any], old: Mapping[str, Any], seed: bytes
    ) -> dict[str, Any]:
        """The inputs with a name, where the resource takes one and none is given: the old one, else LOGICAL-1a2b3c4."""
        name = schema.inputs.get("name")
        if name is None or name["required"] or inputs.get("name") is not None:
            return dict(inputs)
        drawn = f"{urn.rsplit('::', 1)[-1]}-{hashlib.sha256(seed).hexdigest()[:7]}"
        return {**inputs, "name": old.get("name") or drawn}

    def identity(self, token: str, urn: str, inputs: Mapping[str, Any]) -> str:
        if token == firestore.TOKEN:
            return firestore.name_of(inputs, self.project)
        return identifier(token, inputs, urn, self.project)

    def create(self, token: str, urn: str, inputs: Mapping[str, Any]) -> Live:
        """Raises `Refused` (409) for a named resource that exists already."""
        identity = self.identity(token, urn, inputs)
        if token == firestore.TOKEN:
            return _document(identity, inputs, self._emulator().create(identity, inputs["fields"]))
        added = computed(self.schemas.of(token), inputs, identity, self.project, self.now())
        thing = Thing(token, identity, inputs, added)
        if not exclusive(token, inputs):
            self.cloud.write(thing)
        elif not self.cloud.create(thing):
            raise Refused(f"Error 409: {identity} already exists; import it (pulumi import {token} NAME '{identity}')")
        return Live(identity, inputs, thing.outputs)

    def read(self, token: str, identity: str, inputs: Mapping[str, Any]) -> Live | None:
        """What there is now under `identity`, or None; `inputs` keep their spelling where they still say the same."""
        if token == firestore.TOKEN:
            return self._read_document(identity, inputs)
        thing = self.cloud.find(token, identity)
        return Live(identity, thing.inputs, thing.outputs) if thing else None

    def update(self, token: str, identity: str, inputs: Mapping[str, Any]) -> Live:
        """Raises `Refused` (404) for a resource that is gone."""
        if token == firestore.TOKEN:
            return _document(identity, inputs, self._emulator().update(identity, inputs["fields"]))
        thing = self.cloud.find(token, identity)
        if thing is None:
            raise Refused(f"Error 404: {identity} is gone; run pulumi refresh")
        fresh = computed(self.schemas.of(token), inputs, identity, self.project, self.now())
        # Only what follows from the inputs or the clock moves on; a creation time does not.
        added = {**fresh, **{name: value for name, value in thing.computed.items() if name not in _MOVING}}
        changed = replace(thing, inputs=inputs, computed=added)
        self.cloud.write(changed)
        return Live(identity, inputs, changed.outputs)

    def delete(self, token: str, identity: str, inputs: Mapping[str, Any]) -> None:
        """Raises `Refused` for a protected resource; leaves one whose deletion policy is ABANDON where it is."""
        policy = inputs.get("deletionPolicy") or ("ABANDON" if token == _DATABASE else "DELETE")
        protected = inputs.get("deletionProtection") is True or policy == "PREVENT"
        protected = protected or (
            policy == "DELETE" and inputs.get("deleteProtectionState") == "DELETE_PROTECTION_ENABLED"
        )
        if protected:
            raise Refused(f"Error 400: {identity} is protected against deletion; lift its protection first")
        if policy == "ABANDON":
            return
        if token == firestore.TOKEN:
            self._emulator().delete(identity)
        else:
            self.cloud.remove(token, identity)

    def preview(self, token: str, inputs: Mapping[str, Any], unknown: str) -> dict[str, Any]:
        """Outputs of a resource that is yet to be made: its inputs and project, and `unknown` for all the rest."""
        outputs = dict.fromkeys(self.schemas.of(token).outputs, unknown)
        project = {"project": self.project} if "project" in outputs else {}
        return {**outputs, **project, **inputs}

    def _read_document(self, identity: str, inputs: Mapping[str, Any]) -> Live | None:
        found = self._emulator().read(identity)
        if found is None:
            return None
        fields = json.dumps(found.get("fields", {}), sort_keys=True)
        if not inputs:
            inputs = firestore.inputs_of(identity, fields)
        elif not firestore.same(inputs.get("fields", ""), fields):
            inputs = {**inputs, "fields": fields}
        return _document(identity, inputs, found)

    def _emulator(self) -> Documents:
        if self.documents is None:
            raise Refused("FIRESTORE_EMULATOR_HOST is not set, so there is nowhere to keep documents; run make local")
        return self.documents


_DATABASE = "gcp:firestore/database:Database"

_MOVING = frozenset({"updateTime", "updated", "effectiveLabels", "pulumiLabels", "effectiveAnnotations"})


def _document(name: str, inputs: Mapping[str, Any], found: Mapping[str, Any]) -> Live:
    times = {"createTime": found["createTime"], "updateTime": found["updateTime"]}
    project = name.split("/")[1]
    return Live(
        name, inputs, {"project": project, "database": "(default)", **inputs, **times, "name": name, "path": name}
    )
