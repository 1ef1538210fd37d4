"""Opens a registered cluster: one pool of connections and one gate per cluster and process."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.module_loading import import_string

from clusters.client import ApiCluster
from clusters.credentials import not_there
from clusters.gate import Gate, Pace
from clusters.kubeconfig import Credential
from clusters.reachable import Reachable
from clusters.rules import address_rules
from clusters.transport import Limits, Transport
from reconcile.errors import Unauthenticated
from vault.errors import VaultError

if TYPE_CHECKING:
    from clusters.models import Cluster

Opener = Callable[["Cluster", Credential], AbstractContextManager[Reachable]]
_POOLS = 256


def connect(
    cluster: "Cluster", credential: Credential | None = None
) -> AbstractContextManager[Reachable]:
    """Open a cluster with `credential`, by default the newest of KubeNova's own.

    `settings.CLUSTER_CONNECT` names the function that opens it. Raises ClusterError.
    """
    opener: Opener = import_string(settings.CLUSTER_CONNECT)
    return opener(cluster, credential or own_credential(cluster))


def own_credential(cluster: "Cluster") -> Credential:
    """Return the newest of KubeNova's own credentials. Raises Unauthenticated without any."""
    try:
        found = cluster.own_credentials
    except VaultError as error:
        raise Unauthenticated(f"The stored credential cannot be opened: {error}") from None
    if not found:
        raise not_there(cluster.name)
    return found[0]


@contextmanager
def open_api(cluster: "Cluster", credential: Credential) -> Iterator[Reachable]:
    """Open the API server that `credential` names; nothing is dialled before the first call."""
    yield _pools.get(cluster, credential)


class _Pools:
    """The clusters that this process speaks to, the least recently used go first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[int, Credential], tuple[Transport, ApiCluster]] = (
            OrderedDict()
        )
        self._gates: dict[tuple[int, str], Gate] = {}

    def get(self, cluster: "Cluster", credential: Credential) -> ApiCluster:
        """Return the client of a cluster and credential. Raises ClusterError for a bad one."""
        key = (cluster.pk, credential)
        with self._lock:
            if key not in self._open:
                self._open[key] = self._make(cluster, credential)
            self._open.move_to_end(key)
            if len(self._open) > _POOLS:
                _, (transport, _) = self._open.popitem(last=False)
                transport.close()
            return self._open[key][1]

    def _make(self, cluster: "Cluster", credential: Credential) -> tuple[Transport, ApiCluster]:
        limits = Limits(
            connect=settings.CLUSTER_CONNECT_SECONDS, read=settings.CLUSTER_READ_SECONDS
        )
        transport = Transport(credential, address_rules(), limits)
        pace = Pace(writes=settings.CLUSTER_WRITES_IN_FLIGHT)
        # A gate judges a server, not a credential: renewing a token forgets nothing.
        key = (cluster.pk, credential.server)
        gate = self._gates.setdefault(key, Gate(pace, name=cluster.name))
        return transport, ApiCluster(transport, gate)


_pools = _Pools()
