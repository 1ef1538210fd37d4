"""The verbs of `reconcile.cluster` on a real API server, and a few more for discovery and watching.

Raw JSON in and out. Source: Kubernetes API conventions, server-side apply, API access reviews.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from clusters.answers import (
    Absent,
    Answer,
    Expired,
    UidMoved,
    clean,
    error_of,
    json_of,
    secrets_in,
    unquoted,
    warnings_of,
)
from clusters.discovery import ACCEPT, ROOTS, Kinds, Served, kinds_in, served_in
from clusters.gate import Gate
from clusters.objects import Page, carries, encode, live_of, manifest_of, page_of
from clusters.paths import Query, Segments, collection, item, plain, review, selector
from clusters.transport import Transport
from reconcile.errors import ClusterError, Missing, Unreachable
from reconcile.values import JSON, MANAGER, Kind, Live, Ref

PAGE = 500
MAX_PAGES = 1000
_RESTARTS = 3
_MAX_WARNINGS = 20
_LOG_BYTES = 10 * 1024 * 1024
_LINE_BYTES = 16 * 1024
_FOLLOW_SECONDS = 600.0
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_JSON = "application/json"


class _Said(NamedTuple):
    """The JSON of an answer and the warnings that came with it."""

    body: JSON
    warnings: tuple[str, ...]


class ApiCluster:
    """One cluster with one credential. Safe to share by threads.

    `warnings` holds the newest warnings of the API server (RFC 7234), each once.
    """

    def __init__(
        self, transport: Transport, gate: Gate | None = None, *, page_size: int = PAGE
    ) -> None:
        self.gate = gate or Gate()
        self.warnings: deque[str] = deque(maxlen=_MAX_WARNINGS)
        self._transport = transport
        self._page_size = page_size

    def get(self, ref: Ref) -> Live | None:
        """See `Cluster.get`."""
        try:
            return live_of(ref.kind, self._call("GET", item(ref), kind=ref.kind), ref)
        except Absent:
            return None

    def owned(self, kind: Kind, labels: dict[str, str], *, namespace: str = "") -> list[Live]:
        """See `Cluster.owned`."""
        query = (("labelSelector", selector(labels)),)
        for restart in range(_RESTARTS):
            try:
                found = list(self._all(kind, namespace, query))
                break
            except Expired:
                if restart == _RESTARTS - 1:
                    raise
        return [
            live
            for live in found
            if carries(live, labels) and namespace in ("", live.ref.namespace)
        ]

    def _all(self, kind: Kind, namespace: str, query: Query) -> Iterator[Live]:
        token = ""
        for _ in range(MAX_PAGES):
            page = self._page(kind, namespace, query, self._page_size, token)
            yield from page.items
            token = page.token
            if not token:
                return
        raise Unreachable(f"the list of {kind.plural} does not end")

    def list_page(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: dict[str, str] | None = None,
        without: str = "",
        limit: int = PAGE,
        token: str = "",
        resource_version: str = "",
    ) -> Page:
        """Return one page of a list: all objects of a kind, or those that carry all of `labels`.

        Or those that lack the label `without`. Raises Expired when `token` is too old: begin anew.
        """
        query: Query = (("labelSelector", selector(labels)),) if labels is not None else ()
        query = (("labelSelector", f"!{without}"),) if without else query
        if resource_version:
            query = (*query, ("resourceVersion", resource_version))
        return self._page(kind, namespace, query, limit, token)

    def _page(self, kind: Kind, namespace: str, query: Query, limit: int, token: str) -> Page:
        query = (*query, ("limit", str(limit)), *((("continue", token),) if token else ()))
        return page_of(kind, self._call("GET", collection(kind, namespace), query, kind=kind))

    def apply(
        self, ref: Ref, manifest: JSON, *, uid: str = "", force: bool = False, dry_run: bool = False
    ) -> Live:
        """See `Cluster.apply`."""
        query: Query = (
            ("fieldManager", MANAGER),
            ("fieldValidation", "Strict"),
            ("force", "true" if force else "false"),
            *((("dryRun", "All"),) if dry_run else ()),
        )
        body = manifest_of(ref, manifest, uid)
        said = self._write("PATCH", item(ref), query, body, ref.kind, _APPLY, ref)
        return replace(live_of(ref.kind, said.body, ref), warnings=said.warnings)

    def delete(self, ref: Ref, uid: str, *, dry_run: bool = False) -> None:
        """See `Cluster.delete`. An empty uid is a ValueError: it would delete any namesake."""
        if not uid:
            raise ValueError(f"deleting {ref} needs its uid")
        options: JSON = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
            "propagationPolicy": "Background",
            **({"dryRun": ["All"]} if dry_run else {}),
        }
        # In the query as well: what counts requests looks there alone.
        query: Query = (("dryRun", "All"),) if dry_run else ()
        try:
            self._write("DELETE", item(ref), query, options, ref.kind, _JSON, ref)
        except (Absent, UidMoved):
            return

    def patch_status(self, ref: Ref, patch: JSON) -> Live:
        """See `Cluster.patch_status`."""
        query: Query = (("fieldManager", MANAGER), ("fieldValidation", "Strict"))
        where = item(ref, "status")
        said = self._write("PATCH", where, query, patch, ref.kind, _MERGE, ref)
        return replace(live_of(ref.kind, said.body, ref), warnings=said.warnings)

    def create_review(self, api_version: str, resource: str, body: JSON, path: str = "") -> JSON:
        """See `Cluster.create_review`."""
        kind = Kind(api_version, str(body.get("kind", "")), resource, namespaced="/" in path)
        segments = review(kind._replace(namespaced=bool(path)), path)
        return self._call("POST", segments, kind=kind, body=body)

    def stream(
        self,
        ref: Ref,
        *,
        tail_lines: int = 100,
        follow: bool = False,
        previous: bool = False,
        since_seconds: int = 0,
    ) -> Iterator[str]:
        """See `Cluster.stream`. Following ends after ten minutes; lines are cut at 16 KiB."""
        query: Query = (
            ("tailLines", str(int(tail_lines))),
            ("follow", "true") if follow else ("limitBytes", str(_LOG_BYTES)),
            *((("previous", "true"),) if previous else ()),
            *((("sinceSeconds", str(int(since_seconds))),) if since_seconds else ()),
        )
        segments = item(ref, "log")
        if self.gate.open:
            raise Unreachable("the cluster did not answer several times")
        seconds = _FOLLOW_SECONDS if follow else self._transport.limits.total
        for line in self._transport.lines(segments, query, seconds=seconds, longest=_LINE_BYTES):
            if isinstance(line, Answer):
                raise error_of(line, self._transport.secrets)
            yield line.decode(errors="replace").rstrip("\r")

    def access_review(
        self, verb: str, group: str, resource: str, namespace: str = "", name: str = ""
    ) -> bool:
        """Whether the credential may do that; `resource` may hold a subresource (`pods/log`)."""
        resource, _, subresource = resource.partition("/")
        attributes = {"verb": verb, "group": group, "resource": resource}
        optional = {"subresource": subresource, "namespace": namespace, "name": name}
        attributes |= {key: value for key, value in optional.items() if value}
        body: JSON = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = self.create_review("authorization.k8s.io/v1", "selfsubjectaccessreviews", body)
        return (answer.get("status") or {}).get("allowed") is True

    def version(self) -> str:
        """Return the version of the API server, such as `v1.36.3`.

        Who asks that wants to know whether it is there: an open breaker is no answer.
        """
        self.gate.doubt()
        return clean(str(self.read("version").get("gitVersion", "")))

    def discovery(self) -> Served:
        """Return every (apiVersion, plural) that the cluster serves."""
        found = (
            served_in(self._call("GET", plain(root), headers={"Accept": ACCEPT})) for root in ROOTS
        )
        return frozenset(served for one in found for served in one)

    def kinds(self) -> Kinds:
        """Return every kind that the cluster serves, by what manifests call it."""
        found: Kinds = {}
        for root in ROOTS:
            body = self._call("GET", plain(root), headers={"Accept": ACCEPT})
            found |= {(kind.api_version, kind.name): kind for kind in kinds_in(body)}
        return found

    def read(self, *segments: str) -> JSON:
        """GET something that is no object, such as `version` or `openid/v1/jwks`."""
        return self._call("GET", plain(*segments))

    def _write(
        self,
        method: str,
        segments: Segments,
        query: Query,
        body: JSON,
        kind: Kind,
        content_type: str,
        ref: Ref,
    ) -> _Said:
        headers = {"Content-Type": content_type}
        try:
            return self._ask(
                method, segments, query, kind=kind, body=body, headers=headers, write=True
            )
        except ClusterError as error:
            if kind.name != "Secret":
                raise
            raise unquoted(error, {ref.name, ref.namespace, kind.plural}) from None

    def _call(
        self,
        method: str,
        segments: Segments,
        query: Query = (),
        *,
        kind: Kind | None = None,
        body: JSON | None = None,
        headers: dict[str, str] | None = None,
    ) -> JSON:
        return self._ask(method, segments, query, kind=kind, body=body, headers=headers).body

    def _ask(
        self,
        method: str,
        segments: Segments,
        query: Query,
        *,
        kind: Kind | None,
        body: JSON | None,
        headers: dict[str, str] | None,
        write: bool = False,
    ) -> _Said:
        sent = None if body is None else encode(body)
        secrets = [*self._transport.secrets, *(secrets_in(body) if body else ())]
        typed = {"Content-Type": _JSON} if sent else {}
        with self.gate.call(write=write):
            answer = self._transport.request(
                method, segments, query, body=sent, headers=typed | (headers or {})
            )
            warnings = warnings_of(answer, secrets)
            self.warnings.extend(each for each in warnings if each not in self.warnings)
            try:
                return _Said(json_of(answer, secrets), warnings)
            except Missing:
                raise Missing(f"the cluster does not serve {_named(kind)}") from None


def _named(kind: Kind | None) -> str:
    return f"{kind.plural} of {kind.api_version}" if kind else "this path"
