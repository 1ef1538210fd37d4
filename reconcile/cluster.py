"""What the engine knows of a cluster: a handful of verbs, nothing else.

`clusters.client` speaks them to a real API server, the tests' in-memory cluster speaks them too;
one contract suite runs against both. Every verb raises a `ClusterError` of `reconcile.errors` and
nothing else for anything that a cluster or the network can do.
"""

from collections.abc import Iterator
from typing import Protocol

from reconcile.values import JSON, Kind, Live, Ref


class Cluster(Protocol):
    """The verbs. All objects go in and come out as raw JSON of the Kubernetes API."""

    def get(self, ref: Ref) -> Live | None:
        """Return the object, or None when it (or its namespace) does not exist.

        Raises Missing when the kind itself is not served.
        """
        ...

    def owned(self, kind: Kind, labels: dict[str, str], *, namespace: str = "") -> list[Live]:
        """List the objects that carry all of `labels`, read to the last page.

        `namespace` narrows a namespaced kind; empty means everywhere. Empty `labels` raise
        ValueError: an empty selector would select everything. What comes back is checked again
        on our side. Raises Missing when the kind is not served.
        """
        ...

    def apply(
        self, ref: Ref, manifest: JSON, *, uid: str = "", force: bool = False, dry_run: bool = False
    ) -> Live:
        """Server-side apply as field manager `kubenova`, strict about unknown fields.

        A given `uid` is sent along, so that an object deleted meanwhile is never resurrected
        (Conflict without fields). Fields owned by others raise Conflict naming them, unless forced.
        A dry run passes admission and changes nothing; warnings of the server come with the answer.
        """
        ...

    def delete(self, ref: Ref, uid: str, *, dry_run: bool = False) -> None:
        """Delete that very object, with background propagation; done when it is gone already or
        another uid took its place."""
        ...

    def patch_status(self, ref: Ref, patch: JSON) -> Live:
        """Merge-patch the status subresource."""
        ...

    def create_review(self, api_version: str, resource: str, body: JSON, path: str = "") -> JSON:
        """POST a review and return the answer: TokenReview, SubjectAccessReview, SelfSubject….

        For TokenRequest `resource` is `serviceaccounts` and `path` is
        `<namespace>/<name>/token`.
        """
        ...

    def stream(
        self,
        ref: Ref,
        *,
        tail_lines: int = 100,
        follow: bool = False,
        previous: bool = False,
        since_seconds: int = 0,
    ) -> Iterator[str]:
        """Yield the last log lines of a pod, and with `follow` those to come.

        `previous` reads the container that ran before the last restart, `since_seconds` what was
        written in the last so many seconds, 0 for all of it.
        """
        ...
