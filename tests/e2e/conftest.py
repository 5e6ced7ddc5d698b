"""A tiny project of real `pulumi_gcp` resources, for tests of what the engine and the stand-in do together."""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path

import pytest

from standin.environment import Environment
from standin.project import Project

PROGRAM = """
import json
import pulumi
import pulumi_gcp as gcp

config = pulumi.Config()
database = gcp.firestore.Database("journal", name="journal", location_id="eur3", type="FIRESTORE_NATIVE",
                                  deletion_policy="DELETE")
account = gcp.serviceaccount.Account("runner", account_id="runner")
gcp.firestore.Document("flags", database=database.name, collection="flags", document_id="tiny",
                       fields=json.dumps({"weight": {"integerValue": config.get("weight") or "0"}}))
gcp.storage.Bucket("backups", **json.loads(config.get("bucket") or '{"location": "EU"}'))
pulumi.export("email", account.email)
"""


@pytest.fixture
def project(tmp_path: Path, environment: Environment) -> Project:
    """The tiny project with an empty stack `test`."""
    directory = tmp_path / "project"
    directory.mkdir()
    runtime = {"name": "python", "options": {"virtualenv": sys.prefix}}
    (directory / "Pulumi.yaml").write_text(json.dumps({"name": "tiny", "runtime": runtime}))
    (directory / "__main__.py").write_text(PROGRAM)
    made = Project(directory, environment)
    made.pulumi("stack", "init", "test")
    # The emulator is shared; a GCP project of its own keeps this test's documents apart.
    made.pulumi("config", "set", "gcp:project", f"tiny-{uuid.uuid4().hex[:8]}")
    return made
