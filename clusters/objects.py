"""Between raw JSON and the values of the loop: what is sent is exact, what comes back checked."""

import json
import re
from dataclasses import dataclass

from reconcile.errors import Refused, Unreachable
from reconcile.values import JSON, Kind, Live, Ref

# An apply is read as YAML, which knows no surrogate pairs (so no ASCII escapes for them), takes
# some characters for line breaks and refuses others: exactly those are escaped.
_NOT_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


@dataclass(frozen=True)
class Page:
    """One page of a list. `token` continues it and is empty on the last page."""

    items: tuple[Live, ...]
    resource_version: str
    token: str


def encode(body: JSON) -> bytes:
    """Return JSON that is YAML too. Raises Refused for text that is no Unicode."""
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    try:
        return _NOT_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode()
    except UnicodeEncodeError:
        raise Refused("the manifest holds text that is no Unicode (a lone surrogate)") from None


def manifest_of(ref: Ref, manifest: JSON, uid: str) -> JSON:
    """Return a copy that carries the uid. Raises ValueError when it names another object."""
    meta = manifest.get("metadata") or {}
    named = (manifest.get("apiVersion"), manifest.get("kind"), meta.get("name"))
    place = meta.get("namespace") or ref.namespace
    if named != (ref.kind.api_version, ref.kind.name, ref.name) or place != ref.namespace:
        raise ValueError(f"the manifest does not describe {ref}")
    return {**manifest, "metadata": {**meta, "uid": uid}} if uid else manifest


def live_of(kind: Kind, body: JSON, ref: Ref | None = None) -> Live:
    """Wrap an object of an answer; items of a list lack apiVersion and kind, so they are added.

    Raises Unreachable when it is no object of that kind, or not the one that was asked for.
    """
    meta = body.get("metadata")
    texts = [meta.get(key) for key in ("name", "uid")] if isinstance(meta, dict) else [None]
    namespace = meta.get("namespace", "") if isinstance(meta, dict) else ""
    if not all(isinstance(text, str) and text for text in (*texts, namespace or "-")):
        raise Unreachable(f"the answer holds something that is no {kind.name}")
    whole = {"apiVersion": kind.api_version, "kind": kind.name, **body}
    found = Ref(kind, namespace, str(texts[0]))
    other = (whole["apiVersion"], whole["kind"]) != (kind.api_version, kind.name)
    if other or (ref is not None and found != ref):
        raise Unreachable(f"the answer holds another object than {ref or kind.name}")
    return Live(found, whole)


def page_of(kind: Kind, body: JSON) -> Page:
    """Wrap a list answer. Raises Unreachable when it is none."""
    items, meta = body.get("items"), body.get("metadata")
    if items is None and str(body.get("kind")).endswith("List"):
        items = []
    if not isinstance(items, list) or not isinstance(meta, dict):
        raise Unreachable(f"the answer is no list of {kind.plural}")
    lives = tuple(live_of(kind, item if isinstance(item, dict) else {}) for item in items)
    return Page(lives, str(meta.get("resourceVersion", "")), str(meta.get("continue") or ""))


def carries(live: Live, labels: dict[str, str]) -> bool:
    """Whether an object has all of the labels: a selector is never believed."""
    found = live.labels
    return all(found.get(key) == value for key, value in labels.items())
