"""The flag set of a stack: one Firestore document, so that all weights change in one write."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
from pulumi_gcp import firestore

#: The collection of flag sets; `control/<stack>` beside it is written at run time and belongs to no stack.
COLLECTION = "flags"


@dataclass(frozen=True, slots=True)
class FlagSetArgs:
    """`definition` is a flagd definition as JSON text; `position` the place in the plan it belongs to.

    `document_id` is the stack's name. `legal_move` judges every change of the document before it is made, in preview
    too; it raises to refuse.
    """

    project: str
    database: pulumi.Input[str]
    document_id: str
    definition: str
    position: str
    legal_move: pulumi.ResourceHook
    deletion_policy: str = "DELETE"


def fields_json(definition: str, position: str) -> str:
    """The document's fields in Firestore's typed JSON, as `firestore.Document` takes them."""
    return json.dumps({"definition": {"stringValue": definition}, "position": {"stringValue": position}})


def read_fields(fields: str) -> tuple[str, str]:
    """Definition and position from a document's typed fields. Raises KeyError or ValueError on any other shape."""
    typed = json.loads(fields)
    return typed["definition"]["stringValue"], typed["position"]["stringValue"]


def guarded_by(hook: pulumi.ResourceHook) -> pulumi.ResourceHookBinding:
    """The hook before every write: a first flag set can be as illegal (not where a plan starts) as a later one."""
    return pulumi.ResourceHookBinding(before_create=[hook], before_update=[hook])


class FlagSet(pulumi.ComponentResource):
    """The document `flags/<stack>`, guarded by the hook that knows which moves are legal."""

    document: firestore.Document

    def __init__(self, name: str, args: FlagSetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:components:FlagSet", name, None, opts)
        self.document = firestore.Document(
            f"{name}-document",
            project=args.project,
            database=args.database,
            collection=COLLECTION,
            document_id=args.document_id,
            fields=fields_json(args.definition, args.position),
            deletion_policy=args.deletion_policy,
            opts=pulumi.ResourceOptions(parent=self, hooks=guarded_by(args.legal_move), protect=True),
        )
        # From what was written, never from what was asked for: an output of the latter runs ahead of a failed write.
        position = self.document.fields.apply(lambda fields: read_fields(fields)[1])
        self.register_outputs({"position": position})
