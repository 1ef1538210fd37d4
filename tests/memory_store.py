"""What an API server keeps: objects, who owns their fields, versions, uids. No faults, no verbs."""

import base64
import copy
import datetime
import itertools
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from clusters.answers import Absent, UidMoved
from clusters.kinds import NAMESPACE
from reconcile.errors import Conflict, FieldConflict, Refused, Waiting
from reconcile.values import JSON, Kind, Live, Ref
from tests.quantities import normalised
from tests.server_side_apply import (
    Fields,
    Path,
    Schema,
    changed,
    fields_of,
    fields_v1,
    merge,
    remove,
    removed_by,
    spelled,
)

_BODIES: dict[str, set[str]] = {
    "ConfigMap": {"data", "binaryData", "immutable"},
    "Secret": {"data", "stringData", "type", "immutable"},
    "ServiceAccount": {"secrets", "imagePullSecrets", "automountServiceAccountToken"},
    "Role": {"rules"},
    "ClusterRole": {"rules", "aggregationRule"},
    "RoleBinding": {"roleRef", "subjects"},
    "ClusterRoleBinding": {"roleRef", "subjects"},
    "MutatingWebhookConfiguration": {"webhooks"},
    "ValidatingWebhookConfiguration": {"webhooks"},
}
_RBAC = "rbac.authorization.k8s.io"
_EPOCH = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Holder:
    """Who owns fields: a manager, by which operation, through which subresource."""

    manager: str
    operation: str = "Apply"
    subresource: str = ""


@dataclass
class Stored:
    """One object with its owners; `body` has no managedFields, they are written when it is read."""

    body: JSON
    owners: dict[Holder, Fields] = field(default_factory=dict)
    times: dict[Holder, str] = field(default_factory=dict)


def schema_of(kind: Kind) -> Schema:
    """Built-in groups have no dot or end in k8s.io."""
    return Schema(builtin="." not in kind.group or kind.group.endswith(".k8s.io"))


class Store:
    """The objects of one cluster by their refs."""

    def __init__(self) -> None:
        self.objects: dict[Ref, Stored] = {}
        self._counter = itertools.count(1)

    def live(self, ref: Ref) -> Live | None:
        """Return a copy of an object with its managedFields; None when it does not exist."""
        stored = self.objects.get(ref)
        return self._shown(ref, stored) if stored else None

    def _shown(self, ref: Ref, stored: Stored) -> Live:
        body = copy.deepcopy(stored.body)
        body["metadata"]["managedFields"] = [
            {
                "manager": holder.manager,
                "operation": holder.operation,
                "apiVersion": ref.kind.api_version,
                "time": stored.times[holder],
                "fieldsType": "FieldsV1",
                "fieldsV1": fields_v1(fields),
                **({"subresource": holder.subresource} if holder.subresource else {}),
            }
            for holder, fields in stored.owners.items()
            if fields
        ]
        return Live(ref, body)

    def apply(
        self, ref: Ref, manifest: JSON, holder: Holder, *, uid: str, force: bool, dry_run: bool
    ) -> Live:
        """Server-side apply. Raises the errors that an API server's answers stand for."""
        _check_schema(ref, manifest)
        before = self.objects.get(ref)
        self._check_place(ref, before)
        _check_uid(ref, before, uid)
        _check_version(ref, before, manifest)
        wanted = _prepared(ref.kind, manifest)
        after = copy.deepcopy(before) if before else Stored(self._new(ref))
        _apply(schema_of(ref.kind), after, wanted, holder, force=force)
        return self._save(ref, before, after, {holder}, dry_run=dry_run)

    def edit(self, ref: Ref, holder: Holder, mutate: Callable[[JSON], Any]) -> Live:
        """Let `mutate` change the object in place, as an update by that holder (kubectl edit)."""
        before = self.objects.get(ref)
        if before is None:
            raise Absent(f'{ref.kind.plural} "{ref.name}" not found')
        schema, after = schema_of(ref.kind), copy.deepcopy(before)
        mutate(after.body)
        after.body = normalised(ref.kind.name, after.body)
        old, new = fields_of(schema, before.body), fields_of(schema, after.body)
        gone, moved = old - new, changed(schema, before.body, after.body, new) | (new - old)
        for owner in after.owners:
            after.owners[owner] -= gone | moved
        if moved:
            after.owners[holder] = after.owners.get(holder, frozenset()) | moved
        return self._save(ref, before, after, {holder} if gone | moved else set(), dry_run=False)

    def mark_deleted(self, ref: Ref) -> None:
        """Set the deletionTimestamp; it stays until its finalizers (a namespace's content) go."""
        meta = self.objects[ref].body["metadata"]
        if "deletionTimestamp" in meta:
            return
        meta["deletionTimestamp"] = self._time()
        meta["resourceVersion"] = str(next(self._counter))
        if ref.kind.name == "Namespace":
            self.objects[ref].body["status"] = {"phase": "Terminating"}

    def inside(self, namespace: str) -> list[Ref]:
        """Return everything in a namespace."""
        return [ref for ref in self.objects if ref.namespace == namespace]

    def _check_place(self, ref: Ref, before: Stored | None) -> None:
        if not ref.kind.namespaced:
            return
        home = self.objects.get(Ref(NAMESPACE, "", ref.namespace))
        if home is None:
            raise Absent(f'namespaces "{ref.namespace}" not found')
        if before is None and "deletionTimestamp" in home.body["metadata"]:
            raise Waiting(
                f'{ref.kind.plural} "{ref.name}" is forbidden: unable to create new content in '
                f"namespace {ref.namespace} because it is being terminated"
            )

    def _new(self, ref: Ref) -> JSON:
        meta: JSON = {"name": ref.name, "uid": str(uuid.uuid4()), "creationTimestamp": self._time()}
        if ref.namespace:
            meta["namespace"] = ref.namespace
        body: JSON = {"apiVersion": ref.kind.api_version, "kind": ref.kind.name, "metadata": meta}
        if ref.kind.name == "Namespace":
            body |= {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
        return body

    def _save(
        self, ref: Ref, before: Stored | None, after: Stored, by: set[Holder], *, dry_run: bool
    ) -> Live:
        """Keep the object with a new version, unless nothing changed: then all of it stays."""
        if ref.kind.name == "Namespace":
            labels = after.body["metadata"].setdefault("labels", {})
            labels["kubernetes.io/metadata.name"] = ref.name
        if before and (before.body, before.owners) == (after.body, after.owners):
            return self._shown(ref, before)
        after.times |= dict.fromkeys(by, self._time())
        meta = after.body["metadata"]
        if ref.kind.group not in ("", _RBAC):
            same = before is not None and before.body.get("spec") == after.body.get("spec")
            meta["generation"] = meta.get("generation", 0) + (0 if same else 1)
        if not dry_run:
            meta["resourceVersion"] = str(next(self._counter))
            self.objects[ref] = after
        return self._shown(ref, after)

    def _time(self) -> str:
        """A clock that advances a second with every write, so that the newest write is known."""
        moment = _EPOCH + datetime.timedelta(seconds=next(self._counter))
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _apply(schema: Schema, after: Stored, wanted: JSON, holder: Holder, *, force: bool) -> None:
    mine = fields_of(schema, wanted)
    old = after.body
    merged = merge(schema, old, wanted)
    others = {owner: fields for owner, fields in after.owners.items() if owner != holder}
    moved = changed(schema, old, merged, mine)
    conflicts = [
        (owner, path) for owner, fields in others.items() for path in sorted(fields & moved)
    ]
    if conflicts and not force:
        raise _conflict(conflicts)
    for owner in others:
        after.owners[owner] -= moved
    for path in removed_by(after.owners.get(holder, frozenset()), mine, others.values()):
        remove(schema, merged, path)
    after.body, after.owners[holder] = merged, mine


def _conflict(conflicts: list[tuple[Holder, Path]]) -> Conflict:
    fields = tuple(FieldConflict(owner.manager, spelled(path)) for owner, path in conflicts)
    named = ", ".join(f"{field.manager}: {field.path}" for field in fields)
    return Conflict(f"Apply failed with {len(fields)} conflicts: {named}", fields)


def _check_schema(ref: Ref, manifest: JSON) -> None:
    allowed = _BODIES.get(ref.kind.name, {"spec", "status"}) | {"apiVersion", "kind", "metadata"}
    unknown = sorted(set(manifest) - allowed)
    if unknown:
        place = f"{ref.namespace}/{ref.name}; {ref.kind.api_version}, Kind={ref.kind.name}"
        raise Refused(
            f"failed to create typed patch object ({place}): "
            f".{unknown[0]}: field not declared in schema"
        )


def _check_uid(ref: Ref, before: Stored | None, uid: str) -> None:
    if not uid:
        return
    found = before.body["metadata"]["uid"] if before else "no existing object"
    if found != uid:
        raise UidMoved(f"{ref}: uid mismatch: the object specified uid {uid}, found {found}")


def _check_version(ref: Ref, before: Stored | None, manifest: JSON) -> None:
    """A version guards what exists; sent for what does not exist it is overlooked (as observed)."""
    sent = manifest["metadata"].get("resourceVersion")
    if before and sent and before.body["metadata"]["resourceVersion"] != sent:
        raise Conflict(
            f'Operation cannot be fulfilled on {ref.kind.plural} "{ref.name}": the object has been '
            "modified; please apply your changes to the latest version and try again"
        )


def _prepared(kind: Kind, manifest: JSON) -> JSON:
    """Do to a manifest what an API server does on the way in."""
    body: JSON = copy.deepcopy(normalised(kind.name, manifest))
    body.pop("status", None)
    for key in ("uid", "resourceVersion"):
        body["metadata"].pop(key, None)
    plain = body.pop("stringData", None) if kind.name == "Secret" else None
    if plain:
        coded = {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()}
        body["data"] = {**body.get("data", {}), **coded}
    return body


def status_patched(body: JSON, patch: JSON) -> None:
    """Merge-patch the status of an object in place (RFC 7396); the rest of the patch is ignored."""
    body["status"] = _merge_patch(body.get("status", {}), patch.get("status", {}))


def _merge_patch(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge_patch(merged.get(key), value)
    return merged
