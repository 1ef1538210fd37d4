"""What the laws look at: shapes of clusters, values that differ, and hands that interfere."""

import copy
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.functions import Now

from clusters.epoch import EPOCH
from reconcile.models import Work
from reconcile.models.convergent import Convergent
from reconcile.values import CORRELATION, JSON, OWNER, Ref, Wanted
from tests.memory_cluster import MemoryCluster
from tests.server_side_apply import Schema

Leaf = tuple[str | int, ...]
_COUNTED = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields")
_IDENTITY = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}


class Killed(BaseException):
    """The worker is killed here: nothing catches this, nothing is written after it."""


def wanted_of(row: Convergent) -> list[Wanted]:
    """What the row's adapter renders for its intent now, in the order of its kinds."""
    adapter = row.adapter()
    found = [Wanted.of(manifest, adapter.kinds) for manifest in adapter.render(row.intent())]
    return sorted(found, key=lambda wanted: list(adapter.kinds).index(wanted.ref.kind))


def owned_by(row: Convergent, cluster: MemoryCluster) -> set[Ref]:
    """The objects on the cluster that carry the row's owner label."""
    return {ref for ref in cluster.refs() if _labels(cluster, ref).get(OWNER) == row.owner}


def _labels(cluster: MemoryCluster, ref: Ref) -> dict[str, str]:
    return cluster.body(ref)["metadata"].get("labels") or {}


def shape(cluster: MemoryCluster) -> dict[Ref, JSON]:
    """Everything on the cluster, without what the server counts, without status and epoch."""
    return {ref: _shaped(cluster.body(ref)) for ref in cluster.refs() if ref != EPOCH}


def _shaped(body: JSON) -> JSON:
    body.pop("status", None)
    meta = body["metadata"]
    for key in _COUNTED:
        meta.pop(key, None)
    meta.get("annotations", {}).pop(CORRELATION, None)
    if not meta.get("annotations"):
        meta.pop("annotations", None)
    return body


def leaves(value: Any, path: Leaf = ()) -> Iterator[Leaf]:
    """The paths of all values that hold no others."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in inner:
        if isinstance(item, dict | list) and item:
            yield from leaves(item, (*path, key))
        else:
            yield (*path, key)


def editable(manifest: JSON) -> list[Leaf]:
    """The leaves of a manifest that somebody else could change on the cluster.

    What tells the items of a list apart is left out: another value is another, foreign item.
    """
    kept = [leaf for leaf in leaves(manifest) if leaf not in _IDENTITY]
    return [leaf for leaf in kept if not _tells_apart(manifest, leaf)]


def _tells_apart(manifest: JSON, leaf: Leaf) -> bool:
    *above, key = leaf
    if not above or not isinstance(above[-1], int):
        return False
    element = Schema().element((f"f:{above[-2]}",), at(manifest, tuple(above)))
    return bool(element) and key in json.loads(element.removeprefix("k:"))


def at(body: Any, leaf: Leaf) -> Any:
    """The value at a path; LookupError when there is none."""
    for key in leaf:
        body = body[key]
    return body


def scramble(leaf: Leaf) -> Callable[[JSON], None]:
    """An edit that puts another value of the same type at the path."""

    def edit(body: JSON) -> None:
        parent = at(body, leaf[:-1])
        parent[leaf[-1]] = _other(parent[leaf[-1]])

    return edit


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, dict):
        return {"edited": "by-hand"}
    if isinstance(value, list):
        return [{"edited": "by-hand"}]
    return "77" if value[:1].isdigit() else f"edited-{value}"


def missing_from(live: Any, wanted: Any) -> list[Leaf]:
    """The leaves of `wanted` that `live` does not have as they are."""
    found = []
    for leaf in leaves(wanted):
        try:
            same = at(live, leaf) == at(wanted, leaf)
        except (LookupError, TypeError):
            same = False
        if not same:
            found.append(leaf)
    return found


def interfere(cluster: MemoryCluster, verb: str, act: Callable[[Ref], None]) -> list[Ref]:
    """Let `act(ref)` happen once, just before the cluster carries out the next write of a verb.

    Returns a list that holds the ref as soon as it has happened.
    """
    happened: list[Ref] = []
    original = getattr(cluster, verb)
    ours = connections["default"]

    def interfered(ref: Ref, *args: Any, **options: Any) -> Any:
        if not happened:
            happened.append(ref)
            with _shared(ours):
                act(ref)
        return original(ref, *args, **options)

    setattr(cluster, verb, interfered)
    return happened


@contextmanager
def _shared(ours: BaseDatabaseWrapper) -> Iterator[None]:
    """Let a thread of a wave use the test's own connection, whose owner is waiting for it."""
    if threading.current_thread() is threading.main_thread():
        yield
        return
    ours.inc_thread_sharing()
    connections["default"] = ours
    try:
        yield
    finally:
        del connections["default"]
        ours.dec_thread_sharing()


def kill_after(cluster: MemoryCluster, writes: int) -> None:
    """Kill whoever makes the write of that number, after the server has carried it out.

    Whoever comes later in the same wave is killed too.
    """
    count = [0]
    for verb in ("apply", "delete"):
        setattr(cluster, verb, _deadly(getattr(cluster, verb), count, writes))


def _deadly(original: Callable[..., Any], count: list[int], writes: int) -> Callable[..., Any]:
    def verb(*args: Any, **options: Any) -> Any:
        if count[0] >= writes:
            raise Killed
        answer = original(*args, **options)
        count[0] += 1
        if count[0] >= writes:
            raise Killed
        return answer

    return verb


def leave_alone(cluster: MemoryCluster) -> None:
    """End what `interfere` and `kill_after` have begun."""
    for verb in ("apply", "delete"):
        vars(cluster).pop(verb, None)


def expire_leases() -> None:
    """Let the leases of killed workers run out."""
    Work.objects.exclude(lease_until=None).update(lease_until=Now() - timedelta(seconds=1))


def foreign(manifest: JSON) -> JSON:
    """The same object as a stranger would have made it: no field in common but its identity."""
    meta = copy.deepcopy(manifest["metadata"])
    meta = {key: meta[key] for key in ("name", "namespace") if key in meta}
    meta["labels"] = {"made-by": "a-stranger"}
    return {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": meta}
