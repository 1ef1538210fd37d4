"""A cluster in memory that behaves like a real one where the loop can tell the difference.

One contract suite (tests/contract) runs against it and against a real API server. In a test:

    cluster = MemoryCluster()
    cluster.apply(ref, manifest)                              # the verbs of reconcile.cluster
    cluster.edit(ref, "kubectl-edit", lambda body: body["data"].update(a="x"))    # a foreign hand
    cluster.scale(ref, 5)                                     # a HorizontalPodAutoscaler
    cluster.remove(ref)                                       # a foreign kubectl delete
    cluster.set_status(ref, {"readyReplicas": 1})             # a controller
    cluster.body(ref)["data"]                                 # what is there now, or KeyError

    cluster.writes                                            # [("apply", ref), ("delete", ref)]
    cluster.writes.clear()

    cluster.fail_next(Unreachable("down"))                    # the next call, whichever it is
    cluster.fail_next(Unreachable("cut"), verb="apply", after=True)   # carried out, answer lost
    cluster.fail_on("apply", ref, Refused("no"))              # for ever
    cluster.fail_on("owned", Refused("no"), times=2)
    cluster.always(Unauthenticated("Unauthorized"))           # every call
    cluster.heal()                                            # no more failures

    cluster.serve(Kind("example.com/v1", "Widget", "widgets"))    # a custom resource (its CRD)
    cluster.unserve(WIDGET)                                   # every verb of it raises Missing

A deleted namespace terminates until `finish_deletions()`; `MemoryCluster(finishes=True)` finishes
at once. With `cluster.enforces = False` no policy refuses what a restriction forbids (a proof). An
object with finalizers stays until `edit` takes them away and deletions are finished.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from clusters import kinds
from clusters.answers import Absent, Expired
from clusters.discovery import Kinds, Served
from clusters.objects import Page, carries, manifest_of
from clusters.paths import collection, item, selector
from reconcile.errors import ClusterError, Missing, Refused
from reconcile.fields import copied
from reconcile.values import JSON, MANAGER, Kind, Live, Ref
from tenancy.rules.encoding import PARAMETERS
from tenancy.rules.modes import CONFIG_MAPS, Mode
from tests.memory_admission import advice_of, existing_warnings, refusal_of, warnings_of
from tests.memory_faults import Faults
from tests.memory_reviews import Reviews
from tests.memory_store import Holder, Store, status_patched

BUILT_IN = tuple(value for value in vars(kinds).values() if isinstance(value, Kind))
_FROM_THE_START = ("default", "kube-system", "kube-public", "kube-node-lease")


class MemoryCluster:
    """See the module. Safe to share by threads; what goes in and comes out are copies."""

    def __init__(self, *, finishes: bool = False, version: str = "v1.36.3") -> None:
        self.finishes = finishes
        self.enforces = True
        self.writes: list[tuple[str, Ref]] = []
        self.calls: list[tuple[str, Ref | Kind | str]] = []
        self.logs: dict[Ref, list[str]] = {}
        self.previous_logs: dict[Ref, list[str]] = {}
        self.warnings: deque[str] = deque(maxlen=20)
        self.faults = Faults()
        self._store = Store()
        self.reviews = Reviews(self._store)
        self._version = version
        self._served = {(kind.api_version, kind.plural) for kind in BUILT_IN}
        self._kinds = {(kind.api_version, kind.name): kind for kind in BUILT_IN}
        self._lock = threading.RLock()
        for name in _FROM_THE_START:
            ref = Ref(kinds.NAMESPACE, "", name)
            manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            self._apply(ref, manifest, Holder("kube-apiserver", "Update"))

    # --- The verbs of reconcile.cluster.Cluster.

    def get(self, ref: Ref) -> Live | None:
        """See `Cluster.get`."""
        item(ref)
        with self._call("get", ref, ref.kind):
            return self._store.live(ref)

    def owned(self, kind: Kind, labels: dict[str, str], *, namespace: str = "") -> list[Live]:
        """See `Cluster.owned`."""
        selector(labels)
        collection(kind, namespace)
        with self._call("owned", kind, kind):
            return [live for live in self._all(kind, namespace) if carries(live, labels)]

    def apply(
        self, ref: Ref, manifest: JSON, *, uid: str = "", force: bool = False, dry_run: bool = False
    ) -> Live:
        """See `Cluster.apply`."""
        item(ref)
        manifest = copied(manifest_of(ref, manifest, ""))
        with self._call("apply", ref, ref.kind, write=not dry_run):
            self._admit(ref, manifest)
            before = self._store.live(ref)
            live = self._apply(
                ref, manifest, Holder(MANAGER), uid=uid, force=force, dry_run=dry_run
            )
            home = self._store.live(Ref(kinds.NAMESPACE, "", ref.namespace))
            told = warnings_of(home.labels if home else {}, live.body)
            if ref.kind == kinds.NAMESPACE and before:
                pods = (each.body for each in self._all(kinds.POD, ref.name))
                told += existing_warnings(before.labels, live.labels, pods)
            return replace(live, warnings=(*told, *self._advise(ref, manifest)))

    def delete(self, ref: Ref, uid: str, *, dry_run: bool = False) -> None:
        """See `Cluster.delete`."""
        item(ref)
        if not uid:
            raise ValueError(f"deleting {ref} needs its uid")
        with self._call("delete", ref, ref.kind, write=not dry_run):
            live = self._store.live(ref)
            if live and live.uid == uid and not dry_run:
                self._delete(ref)

    def patch_status(self, ref: Ref, patch: JSON) -> Live:
        """See `Cluster.patch_status`."""
        item(ref)
        with self._call("patch_status", ref, ref.kind, write=True):
            holder = Holder(MANAGER, "Update", "status")
            return self._store.edit(ref, holder, lambda body: status_patched(body, patch))

    def create_review(self, api_version: str, resource: str, body: JSON, path: str = "") -> JSON:
        """See `Cluster.create_review`; `reviews` decides."""
        with self._call("create_review", resource, None):
            return self.reviews.answer(body, path)

    def stream(
        self,
        ref: Ref,
        *,
        tail_lines: int = 100,
        follow: bool = False,
        previous: bool = False,
        since_seconds: int = 0,
    ) -> Iterator[str]:
        """See `Cluster.stream`: yields `logs[ref]`, or `previous_logs[ref]`; no line has a time."""
        item(ref)
        with self._call("stream", ref, ref.kind):
            known = self.previous_logs if previous else self.logs
            if ref not in known and self._store.live(ref) is None and ref not in self.logs:
                raise Absent(f'pods "{ref.name}" not found')
            if previous and ref not in known:
                raise Refused(f'previous terminated container in pod "{ref.name}" not found')
            return iter(known.get(ref, [])[-tail_lines:] if tail_lines else [])

    # --- What the client of a real cluster offers beside.

    def version(self) -> str:
        """Return the version that it plays."""
        with self._call("version", "", None):
            return self._version

    def discovery(self) -> Served:
        """Return every (apiVersion, plural) that is served."""
        with self._call("discovery", "", None):
            return frozenset(self._served)

    def kinds(self) -> Kinds:
        """Return every kind that is served."""
        with self._call("kinds", "", None):
            known = self._kinds.items()
            return {key: each for key, each in known if (each[0], each.plural) in self._served}

    def access_review(
        self, verb: str, group: str, resource: str, namespace: str = "", name: str = ""
    ) -> bool:
        """Ask `reviews.allow`, which allows everything unless told otherwise."""
        resource, _, subresource = resource.partition("/")
        named = {"namespace": namespace, "name": name, "subresource": subresource}
        asked = {key: value for key, value in named.items() if value}
        spec = {"resourceAttributes": {"verb": verb, "group": group, "resource": resource, **asked}}
        body = {"kind": "SelfSubjectAccessReview", "spec": spec}
        answer = self.create_review("authorization.k8s.io/v1", "selfsubjectaccessreviews", body)
        return bool(answer["status"]["allowed"])

    def list_page(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: dict[str, str] | None = None,
        without: str = "",
        limit: int = 500,
        token: str = "",
        resource_version: str = "",
    ) -> Page:
        """Return a page; the token is the place where the next one starts."""
        with self._call("list_page", kind, kind):
            found = [one for one in self._all(kind, namespace) if carries(one, labels or {})]
            found = [one for one in found if without not in one.labels]
            if token and not token.isdigit():
                raise Expired("The provided continue parameter is too old")
            end = int(token or 0) + limit
            versions = [int(one.body["metadata"]["resourceVersion"]) for one in found]
            following = str(end) if len(found) > end else ""
            return Page(tuple(found[end - limit : end]), str(max(versions, default=1)), following)

    # --- What happens behind the back of whoever uses the verbs.

    def body(self, ref: Ref) -> JSON:
        """Return the object as it is now. Raises KeyError when it does not exist."""
        with self._lock:
            live = self._store.live(ref)
        if live is None:
            raise KeyError(str(ref))
        return live.body

    def exists(self, ref: Ref) -> bool:
        """Whether the object exists, also when it is terminating."""
        return ref in self._store.objects

    def refs(self, kind: Kind | None = None) -> list[Ref]:
        """Return the refs of all objects, or of those of a kind; namespaces of the start too."""
        return sorted((ref for ref in self._store.objects if kind in (None, ref.kind)), key=str)

    def edit(self, ref: Ref, manager: str, mutate: Callable[[JSON], Any]) -> Live:
        """Change an object as `manager`: it owns what it changes, as after `kubectl edit`."""
        with self._lock:
            live = self._store.edit(ref, Holder(manager, "Update"), mutate)
            if live.terminating and ref.kind != kinds.NAMESPACE:
                self._vanish(ref)
            return live

    def scale(self, ref: Ref, replicas: int, manager: str = "kube-controller-manager") -> Live:
        """Write the subresource `scale`, as an autoscaler or `kubectl scale` does."""
        holder = Holder(manager, "Update", "scale")
        with self._lock:
            return self._store.edit(
                ref, holder, lambda body: body["spec"].update(replicas=replicas)
            )

    def apply_as(self, manager: str, ref: Ref, manifest: JSON, *, force: bool = False) -> Live:
        """Server-side apply by somebody else."""
        with self._lock:
            return self._apply(ref, manifest, Holder(manager), force=force)

    def set_status(self, ref: Ref, status: JSON, manager: str = "controller") -> Live:
        """Merge into the status, as a controller does."""
        holder, patch = Holder(manager, "Update", "status"), {"status": status}
        with self._lock:
            return self._store.edit(ref, holder, lambda body: status_patched(body, patch))

    def remove(self, ref: Ref) -> None:
        """Delete an object as somebody else. Raises KeyError when it does not exist."""
        with self._lock:
            self.body(ref)
            self._delete(ref)

    def finish_deletions(self) -> None:
        """Do what the namespace and garbage collectors do: empty, then remove, what terminates."""
        with self._lock:
            for ref in [ref for ref in self._store.objects if self._terminating(ref)]:
                for inner in self._store.inside(ref.name) if ref.kind.name == "Namespace" else ():
                    self._delete(inner)
                self._vanish(ref)

    def serve(self, kind: Kind) -> None:
        """Serve a kind, as if its CRD had been installed."""
        self._served.add((kind.api_version, kind.plural))
        self._kinds[kind.api_version, kind.name] = kind

    def unserve(self, kind: Kind) -> None:
        """Stop serving a kind; its objects are gone with it."""
        self._served.discard((kind.api_version, kind.plural))
        for ref in [ref for ref in self._store.objects if ref.kind == kind]:
            del self._store.objects[ref]

    def fail_next(
        self, error: ClusterError, *, verb: str = "", times: int = 1, after: bool = False
    ) -> None:
        """Fail the next calls (of a verb); `after` carries them out and loses the answer."""
        self.faults.add(error, verb=verb, times=times, after=after)

    def fail_on(
        self, verb: str, ref: Ref | Kind | None, error: ClusterError, *, times: int | None = None
    ) -> None:
        """Fail a verb on an object (or kind; None: on all), for ever or a number of times."""
        self.faults.add(error, verb=verb, about=ref, times=times)

    def always(self, error: ClusterError) -> None:
        """Fail every call: a dead cluster or credential."""
        self.faults.add(error, times=None)

    def heal(self) -> None:
        """Forget all failures that were asked for."""
        self.faults.clear()

    # --- How it works.

    @contextmanager
    def _call(
        self, verb: str, about: Ref | Kind | str, kind: Kind | None, *, write: bool = False
    ) -> Iterator[None]:
        with self._lock:
            self.calls.append((verb, about))
            self.faults.before(verb, about)
            if kind is not None and (kind.api_version, kind.plural) not in self._served:
                raise Missing(f"the cluster does not serve {kind.plural} of {kind.api_version}")
            if write and isinstance(about, Ref):
                self.writes.append((verb, about))
            yield
            self.faults.after(verb, about)

    def _apply(
        self,
        ref: Ref,
        manifest: JSON,
        holder: Holder,
        *,
        uid: str = "",
        force: bool = False,
        dry_run: bool = False,
    ) -> Live:
        return self._store.apply(ref, manifest, holder, uid=uid, force=force, dry_run=dry_run)

    def _admit(self, ref: Ref, manifest: JSON) -> None:
        rules = self._store.live(Ref(kinds.CONFIG_MAP, ref.namespace, PARAMETERS))
        if self.enforces and rules and (told := refusal_of(rules.body.get("data") or {}, manifest)):
            raise Refused(told)

    def _advise(self, ref: Ref, manifest: JSON) -> tuple[str, ...]:
        rules = self._store.live(Ref(kinds.CONFIG_MAP, ref.namespace, CONFIG_MAPS[Mode.WARN]))
        return advice_of(rules.body.get("data") or {}, manifest) if rules else ()

    def _all(self, kind: Kind, namespace: str) -> list[Live]:
        refs = [ref for ref in self.refs(kind) if namespace in ("", ref.namespace)]
        return [live for ref in refs if (live := self._store.live(ref))]

    def _terminating(self, ref: Ref) -> bool:
        return "deletionTimestamp" in self._store.objects[ref].body["metadata"]

    def _delete(self, ref: Ref) -> None:
        self._store.mark_deleted(ref)
        if ref.kind != kinds.NAMESPACE:
            self._vanish(ref)
        elif self.finishes:
            self.finish_deletions()

    def _vanish(self, ref: Ref) -> None:
        """Remove it for good, unless finalizers or the content of a namespace are in the way."""
        stored = self._store.objects.get(ref)
        if stored is None or stored.body["metadata"].get("finalizers"):
            return
        if ref.kind == kinds.NAMESPACE and self._store.inside(ref.name):
            return
        del self._store.objects[ref]
