"""A cluster that can be asked about itself, beside the verbs that the engine knows."""

from typing import Protocol

from clusters.discovery import Kinds, Served
from clusters.objects import Page
from reconcile.cluster import Cluster
from reconcile.values import Kind


class Reachable(Cluster, Protocol):
    """What `clusters.client.ApiCluster` is and the tests' in-memory cluster plays."""

    def version(self) -> str:
        """Return the version of the API server, such as `v1.36.3`."""
        ...

    def discovery(self) -> Served:
        """Return every (apiVersion, plural) that the cluster serves."""
        ...

    def list_page(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: dict[str, str] | None = None,
        without: str = "",
        limit: int = 500,
        token: str = "",
    ) -> Page:
        """Return a page of a list, of those with `labels` or without the label `without`.

        Its `token`, where `limit` cuts it, continues it.
        """
        ...

    def kinds(self) -> Kinds:
        """Return every kind that the cluster serves, by what manifests call it."""
        ...

    def access_review(
        self, verb: str, group: str, resource: str, namespace: str = "", name: str = ""
    ) -> bool:
        """Whether the credential may do that; `resource` may hold a subresource (`pods/log`)."""
        ...
