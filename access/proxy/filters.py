"""What of a list or watch of namespaces belongs to a grant. Pure.

The API server is asked for the tenant's namespaces by label; each object that comes back is judged
by its name again. It comes as a list, as a Table or as partial metadata (Kubernetes API concepts).
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from access.proxy.answers import Refusal
from access.proxy.targets import Query
from clusters.paths import selector
from reconcile.values import JSON, TENANT

NAMESPACES_PATH = "/api/v1/namespaces"

_MAX_SELECTOR = 4096
_JSON_TYPE = "application/json"
_ACCEPTED = {
    (_JSON_TYPE, "", ""),
    (_JSON_TYPE, "Table", "v1"),
    (_JSON_TYPE, "PartialObjectMetadataList", "v1"),
    (_JSON_TYPE, "PartialObjectMetadata", "v1"),
}
_KEPT = frozenset(
    (
        "allowWatchBookmarks",
        "continue",
        "fieldSelector",
        "limit",
        "pretty",
        "resourceVersion",
        "resourceVersionMatch",
        "sendInitialEvents",
        "timeoutSeconds",
        "watch",
    )
)
_LEFT_OUT = frozenset({"includeObject", "labelSelector"})


def accepted(header: str) -> str:
    """Return the part of an Accept header whose answers can be judged: JSON, in its three shapes.

    Raises Refusal (406) when nothing of it can.
    """
    kept = []
    for part in header.split(",") if header.strip() else ["*/*"]:
        media, *parameters = (piece.strip() for piece in part.split(";"))
        given = dict(piece.partition("=")[::2] for piece in parameters)
        if media in ("*/*", "application/*"):
            kept.append(_JSON_TYPE)
        elif (media, given.get("as", ""), given.get("v", "")) in _ACCEPTED:
            kept.append(part.strip())
    if not kept:
        raise Refusal(406, "Namespaces are listed as JSON.")
    return ",".join(kept)


def restricted(query: Query, tenant: str) -> str:
    """Return the query of a list or watch, narrowed to a tenant's namespaces.

    Ours comes first and is complete, and a selector joins its parts by AND alone: whatever the
    client adds can only narrow (threat A30). Raises Refusal for parameters that it does not know.
    """
    names = [name for name, _ in query]
    if len(set(names)) < len(names):
        raise Refusal(400, "A parameter that may come once comes twice.")
    if unknown := sorted(set(names) - _KEPT - _LEFT_OUT):
        raise Refusal(400, f"Namespaces are not listed by {unknown[0][:60]}.")
    given = dict(query)
    ours, theirs = selector({TENANT: tenant}), given.get("labelSelector", "")
    if len(theirs) > _MAX_SELECTOR or not theirs.isprintable():
        raise Refusal(400, "The label selector cannot be read.")
    parts = [("labelSelector", f"{ours},{theirs}" if theirs.strip() else ours)]
    parts += [(name, value) for name, value in query if name in _KEPT]
    if "includeObject" in given:  # rows are judged by the object in them
        whole = given["includeObject"] == "Object"
        parts.append(("includeObject", "Object" if whole else "Metadata"))
    return urlencode(parts)


def judged(body: JSON, granted: Collection[str]) -> JSON:
    """Return a list or Table without what was not granted. Raises Refusal (502) for all else."""
    if isinstance(body.get("rows"), list):
        return {**body, "rows": [row for row in body["rows"] if _row_name(row) in granted]}
    if isinstance(body.get("items"), list):
        return {**body, "items": [item for item in body["items"] if _name(item) in granted]}
    if str(body.get("kind", "")).endswith(("List", "Table")):  # an empty one says null
        return {**body, "rows" if body["kind"] == "Table" else "items": []}
    raise Refusal(502, "The cluster's answer is no list of namespaces.")


def _name(item: object) -> str:
    meta = item.get("metadata") if isinstance(item, dict) else None
    name = meta.get("name") if isinstance(meta, dict) else None
    return name if isinstance(name, str) else ""


def _row_name(row: object) -> str:
    return _name(row.get("object")) if isinstance(row, dict) else ""


@dataclass
class Lens:
    """One client's view of a stream of namespaces.

    What is not granted yet is held back, its newest event per name: a tenant's grant may learn of a
    new namespace a moment after the cluster does.
    """

    shown: set[str] = field(default_factory=set)
    held: dict[str, bytes] = field(default_factory=dict)

    def pass_on(self, line: bytes, granted: Collection[str]) -> bytes:
        """Return the event as the client may see it, empty when it may not."""
        event = _event(line)
        kind, body = event["type"], event["object"]
        if kind in ("BOOKMARK", "ERROR"):
            return _nameless(event) if kind == "BOOKMARK" else line
        name = _subject(body)
        if name in granted or (kind == "DELETED" and name in self.shown):
            self._note(kind, name)
            return line
        if kind == "DELETED":
            self.held.pop(name, None)
        else:
            self.held[name] = line
        return b""

    def _note(self, kind: str, name: str) -> None:
        self.held.pop(name, None)
        if kind == "DELETED":
            self.shown.discard(name)
        else:
            self.shown.add(name)

    def release(self, granted: Collection[str]) -> Iterator[bytes]:
        """Yield what was held back and has been granted since, as if it came now."""
        for name in sorted(set(self.held) & set(granted)):
            event = _event(self.held.pop(name))
            self.shown.add(name)
            yield _line(event | {"type": "ADDED"})


def _event(line: bytes) -> JSON:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict) or not isinstance(event.get("object"), dict):
        raise Refusal(502, "The cluster's stream holds something that is no event.")
    return event if isinstance(event.get("type"), str) else {**event, "type": ""}


def _subject(body: JSON) -> str:
    """The one namespace that an event is about; a Table of several is nobody's."""
    rows = body.get("rows")
    if isinstance(rows, list):
        return _row_name(rows[0]) if len(rows) == 1 else ""
    return _name(body)


def _nameless(event: JSON) -> bytes:
    """A bookmark with nothing in it but its version."""
    body = event["object"]
    rows = body.get("rows")
    if isinstance(rows, list):
        body = {**body, "rows": [_bare_row(row) for row in rows]}
    else:
        body = _bare(body)
    return _line({**event, "object": body})


def _bare_row(row: object) -> JSON:
    found = row if isinstance(row, dict) else {}
    inner = found.get("object")
    return {**found, "object": _bare(inner if isinstance(inner, dict) else {})}


def _bare(body: Mapping[str, object]) -> JSON:
    meta = body.get("metadata")
    given = meta if isinstance(meta, dict) else {}
    kept = {key: given[key] for key in ("resourceVersion", "annotations") if key in given}
    return {**{key: body[key] for key in ("kind", "apiVersion") if key in body}, "metadata": kept}


def _line(event: JSON) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()
