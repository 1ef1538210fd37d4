"""The credential that a cluster is worked with, and what a look at the cluster tells."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from typing import ClassVar
from uuid import UUID, uuid4

import structlog
from django.db import models

from clusters.connect import connect
from clusters.credentials import not_there, prove, request_token
from clusters.definitions import expected
from clusters.inspection import inspect
from clusters.intents import MANAGER_ROLE, SYSTEM_NAMESPACE
from clusters.kinds import CLUSTER_ROLE, NAMESPACE
from clusters.kubeconfig import Credential
from clusters.models.cluster import Cluster
from clusters.models.finding import Finding
from clusters.models.located import Located
from clusters.preflight import check
from clusters.probe import Findings, check_permissions, probe
from clusters.reachable import Reachable
from reconcile.errors import ClusterError, Forbidden, Unauthenticated
from reconcile.models import Event, Lease, marking, touch
from reconcile.models.convergent import Convergent
from reconcile.values import MANAGED_BY, MANAGER, OWNER, Live, Ref
from vault.errors import VaultError

log = structlog.get_logger(__name__)

_LANDMARKS = (Ref(NAMESPACE, "", SYSTEM_NAMESPACE), Ref(CLUSTER_ROLE, "", MANAGER_ROLE))

_PAGES = 20  # of 500 namespaces


class Surveyed(Located, Convergent):
    """The placement of a cluster on itself, as far as its credentials go."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="placements")

    parent_field: ClassVar[str] = "cluster"

    # What the step under way works with, and why the operator's last credential does not.
    _using: Credential | None = None
    _bootstrapping = False
    _credential_generation = 0
    _refused = ""

    class Meta:
        abstract = True

    def connect(self) -> AbstractContextManager[Reachable]:
        """Open the cluster with the credential that was found to work; before, the likeliest."""
        likeliest = (credential for credential, _ in self._candidates())
        return connect(self.cluster, self._using or next(likeliest, None))

    # --- Which credential works.

    def _survey(self) -> Findings:
        """Look at the cluster with the first credential that works and note which it is.

        A new credential of the operator's that does not work leaves KubeNova's own in use.
        Raises the first error when none works.
        """
        first: ClusterError | None = None
        types = expected()
        self._credential_generation = self.cluster.credential_generation
        for credential, bootstrapping in self._candidates():
            try:
                with connect(self.cluster, credential) as api:
                    found = probe(api, types)
                    self.cluster.compare(found)
                    if bootstrapping:
                        check_permissions(api)
            except ClusterError as error:
                first = first or error
                if bootstrapping or isinstance(error, Unauthenticated):
                    continue
                break
            self._using, self._bootstrapping = credential, bootstrapping
            self._refused = first.message if first and self.cluster.bootstrap else ""
            return found
        raise first or not_there(self.cluster.name)

    def _candidates(self) -> Iterator[tuple[Credential, bool]]:
        try:
            if given := self.cluster.bootstrap_credential:
                yield given, True
            for own in self.cluster.own_credentials:
                yield own, False
        except VaultError as error:
            raise Unauthenticated(f"The stored credential cannot be opened: {error}") from None

    def _take_over(self, lease: Lease) -> None:
        """Continue a baseline that an earlier registration of the cluster has left behind.

        Objects of the baseline have fixed names; whoever may write them and registers the cluster
        means these. With its identity their owner label stays, so none is foreign.
        """
        with self.connect() as api:
            found = [api.get(ref) for ref in _LANDMARKS]
        for live in found:
            uid = self._foreign_uid(live) if live else None
            if uid is None or type(self)._default_manager.filter(uid=uid).exists():
                continue
            with marking(lease):
                self._become(uid)
                message = f"{self} continues the one of an earlier registration."
                Event.record(self, "BaselineTakenOver", message)
            return

    def begin_anew(self) -> None:
        """Take another identity: what carries the one of before is no more its own."""
        self._become(uuid4())

    def _become(self, uid: UUID) -> None:
        with marking():
            touch(self.key)  # who waits for it reads the key that it will have from now on
            type(self)._default_manager.filter(pk=self.pk).update(uid=uid)
            self.uid = uid
            self.work.update(owner=self.owner)

    def _follow(self) -> None:
        """Go on under the identity that it has by now."""
        rows = type(self)._default_manager.filter(pk=self.pk)
        self.uid = rows.values_list("uid", flat=True).get()

    def _inspect(self, found: Findings) -> None:
        """Note which platforms and foreign namespaces are there, and what operators should know."""
        cluster = self.cluster
        with self.connect() as api:
            sight = inspect(api, found.served)
            with suppress(Forbidden):  # an older baseline
                cluster.note_namespaces(_others(api))
        if (told := sight.told()) != cluster.platforms:
            type(cluster).objects.filter(pk=cluster.pk).update(platforms=told)
            cluster.platforms = told
        abilities = [row.ability for row in cluster.capabilities.all()]
        Finding.objects.record(cluster, check(cluster.name, sight, abilities))

    def _foreign_uid(self, live: Live) -> UUID | None:
        owner = live.labels.get(OWNER, "")
        if live.labels.get(MANAGED_BY) != MANAGER or owner == self.owner:
            return None
        kind, _, uid = owner.rpartition(".")
        try:
            return UUID(hex=uid) if kind == self.label else None
        except ValueError:
            return None

    def _keep_credential(self, lease: Lease) -> None:
        """Get KubeNova's own credential, renew it when it is time. Raises when there is none."""
        if self._bootstrapping:
            self._renew(lease)
            return
        newest = self.cluster.own_credentials[0]
        if self._using == newest and not self.cluster.rotation_due:
            self.cluster.drop_previous(lease)
            return
        try:
            self._renew(lease)
        except ClusterError as error:
            log.warning("Credential not renewed", cluster=self.cluster.name, error=error.message)

    def _renew(self, lease: Lease) -> None:
        using = self._using
        if using is None:
            raise not_there(self.cluster.name)
        with self.connect() as api:
            scoped = request_token(api, using)
        with connect(self.cluster, scoped.credential) as api:
            prove(api)
        self.cluster.keep(scoped, lease, used=self._credential_generation)


def _others(api: Reachable) -> Iterator[Live]:
    """The namespaces that carry no owner of KubeNova's, as far as a bounded look reaches.

    What it misses is told at the first write. Those of tenants are not listed: they may be
    thousands, and a look at the cluster comes every few minutes.
    """
    token = ""
    for _ in range(_PAGES):
        page = api.list_page(NAMESPACE, without=OWNER, token=token)
        yield from page.items
        token = page.token
        if not token:
            return
