"""JSON Patch (RFC 6902): operations on the document of an object, one after the other."""

import json
from typing import Any

from jsonpatch import (
    InvalidJsonPatch,
    JsonPatch,
    JsonPatchConflict,
    JsonPatchTestFailed,
)
from jsonpointer import JsonPointerException
from rest_framework import serializers

from reconcile.api.bodies import JSONBodyParser, pointer
from reconcile.refusals import Conflicting, Fault, Invalid, TooLarge
from reconcile.values import JSON

MOST_OPERATIONS = 100
_LONGEST = 1024 * 1024  # of the document: what is copied into itself doubles
_WRONG = "The patch cannot be applied; nothing was changed."
_KNOWN = {
    "add": {"value"},
    "copy": {"from"},
    "move": {"from"},
    "remove": set(),
    "replace": {"value"},
    "test": {"value"},
}


class JSONPatchParser(JSONBodyParser):
    """Reads `application/json-patch+json`, for PATCH alone."""

    media_type = "application/json-patch+json"


class OperationSerializer(serializers.Serializer[Any]):
    """One operation of a JSON patch."""

    op = serializers.ChoiceField(choices=sorted(_KNOWN))
    path = serializers.CharField(help_text="A JSON pointer into the object, without its status.")
    value = serializers.JSONField(required=False)

    def get_fields(self) -> dict[str, Any]:
        """Add `from`, which is no name of Python's."""
        source = serializers.CharField(required=False, help_text="For copy and move.")
        return {**super().get_fields(), "from": source}


def apply_patch(document: JSON, operations: object) -> JSON:
    """Return the document after all operations; the one given stays as it is.

    Raises Invalid for what is no operation or leads nowhere, Conflicting for a failed test and
    TooLarge; each points at the operation.
    """
    if not isinstance(operations, list):
        raise Invalid(_WRONG, errors=[Fault("list", "A JSON patch is a list of operations.")])
    if len(operations) > MOST_OPERATIONS:
        fault = Fault("too_many", f"Give at most {MOST_OPERATIONS} operations.")
        raise Invalid(_WRONG, errors=[fault])
    if faults := [fault for each in enumerate(operations) for fault in _faults(*each)]:
        raise Invalid(_WRONG, errors=faults)
    for index, operation in enumerate(operations):
        document = _applied(document, operation, index)
    return document


def _faults(index: int, operation: object) -> list[Fault]:
    if not isinstance(operation, dict):
        return [Fault("operation", "An operation is an object.", pointer(index))]
    name = operation.get("op")
    if not isinstance(name, str) or name not in _KNOWN:
        text = f"Use one of {', '.join(sorted(_KNOWN))}."
        return [Fault("op", text, pointer(index, "op"))]
    lacking = sorted(({"path"} | _KNOWN[name]) - set(operation))
    found = [Fault("required", "It is required.", pointer(index, each)) for each in lacking]
    for each in ("path", "from"):
        if each in operation and not _is_pointer(operation[each]):
            text = "It is no JSON pointer, which starts with '/'."
            found.append(Fault("pointer", text, pointer(index, each)))
    return found


def _is_pointer(value: object) -> bool:
    return isinstance(value, str) and value.startswith("/")


def _applied(document: JSON, operation: JSON, index: int) -> JSON:
    try:
        found: JSON = JsonPatch([operation]).apply(document)
    except JsonPatchTestFailed:
        fault = Fault("test", "It is not the value that is there.", pointer(index, "path"))
        raise Conflicting(
            "A test of the patch failed; nothing was changed.", errors=[fault]
        ) from None
    except (JsonPatchConflict, InvalidJsonPatch, JsonPointerException, TypeError):
        fault = Fault("path", "It leads nowhere.", pointer(index, "path"))
        raise Invalid(_WRONG, errors=[fault]) from None
    if operation["op"] == "copy" and len(json.dumps(found)) > _LONGEST:
        raise TooLarge(f"The object may hold at most {_LONGEST} bytes.")
    return found
