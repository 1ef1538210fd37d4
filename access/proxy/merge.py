"""Joins what several namespaces answer into one list or stream, as `--all-namespaces` has it. Pure.

A merged list has no `continue`: it is whole, within the bounds that the caller sets.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from access.proxy.answers import Refusal
from access.proxy.targets import Query
from reconcile.values import JSON

_DROPPED = frozenset({"limit", "continue"})


def merged(bodies: Sequence[JSON]) -> JSON:
    """Return one list of all items, or one Table of all rows; at least one body is needed.

    Its version is the oldest of all, so that a watch from there misses nothing. Raises Refusal
    (502) for what is neither.
    """
    first = bodies[0]
    member = "rows" if first.get("kind") == "Table" else "items"
    if not all(body.get("kind") == first.get("kind") for body in bodies):
        raise Refusal(502, "The namespaces answered with different kinds of lists.")
    if not str(first.get("kind", "")).endswith(("List", "Table")):
        raise Refusal(502, "The cluster's answer is no list.")
    meta = {key: value for key, value in _meta(first).items() if key not in _COUNTED}
    version = oldest([str(_meta(body).get("resourceVersion", "")) for body in bodies])
    every = [item for body in bodies for item in body.get(member) or ()]
    return {**first, "metadata": {**meta, "resourceVersion": version}, member: every}


_COUNTED = frozenset({"continue", "remainingItemCount", "resourceVersion"})


def oldest(versions: Sequence[str]) -> str:
    """Return the smallest version; empty when one of them is no number."""
    if not all(version.isascii() and version.isdigit() for version in versions):
        return ""
    return min(versions, key=int, default="")


def empty(kind: str, api_version: str, *, table: bool) -> JSON:
    """Return the list of a kind that nothing was granted of."""
    if table:
        meta: JSON = {"resourceVersion": ""}
        return {
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": meta,
            "columnDefinitions": [],
            "rows": [],
        }
    return {
        "kind": f"{kind}List",
        "apiVersion": api_version,
        "metadata": {"resourceVersion": ""},
        "items": [],
    }


def spread(query: Query, *, watch: bool) -> Query:
    """Return the query that each namespace is asked with.

    Raises Refusal: 410 for the `continue` that was never handed out (clients begin anew), 422 for
    a stream that is to begin with a list (clients list and watch instead).
    """
    given = dict(query)
    if given.get("continue"):
        raise Refusal(410, "Lists over all namespaces come whole: begin anew.")
    if watch and given.get("sendInitialEvents", "false").lower() == "true":
        raise Refusal(422, "Streams over all namespaces do not begin with a list: list first.")
    return tuple((name, value) for name, value in query if name not in _DROPPED)


@dataclass
class Splice:
    """Many streams of events as one: columns are told once, bookmarks of single streams never."""

    told: bool = False

    def pass_on(self, line: bytes) -> bytes:
        """Return the line as the client is to see it, empty to leave it out."""
        if line.startswith(b'{"type":"BOOKMARK"'):
            return b""
        if b'"columnDefinitions":[{' not in line:
            return line
        if not self.told:
            self.told = True
            return line
        try:
            event = json.loads(line)
            event["object"]["columnDefinitions"] = []
        except (ValueError, RecursionError, KeyError, TypeError):
            raise Refusal(502, "The cluster's stream holds something that is no event.") from None
        return json.dumps(event, separators=(",", ":")).encode()


def _meta(body: JSON) -> JSON:
    meta = body.get("metadata")
    return meta if isinstance(meta, dict) else {}
