"""How often a database has begun to write to a cluster, kept on the cluster itself.

A database that was restored from a backup knows a lower number than the cluster; one that was
copied and went on elsewhere the same number with another stamp (threat F28).
"""

import threading
import time
from dataclasses import dataclass, field
from math import inf

from clusters.intents import SYSTEM_NAMESPACE
from clusters.kinds import CONFIG_MAP, NAMESPACE
from reconcile.cluster import Cluster
from reconcile.guard import Epoch
from reconcile.plan import CREATE_ONLY
from reconcile.values import JSON, Live, Ref

EPOCH = Ref(CONFIG_MAP, SYSTEM_NAMESPACE, "epoch")
_KUBE_SYSTEM = Ref(NAMESPACE, "", "kube-system")


def identity(api: Cluster) -> str:
    """Return the uid that tells clusters apart; empty without a namespace kube-system."""
    live = api.get(_KUBE_SYSTEM)
    return live.uid if live else ""


def read_epoch(api: Cluster) -> tuple[Epoch, Live | None]:
    """Return what the cluster holds, and the object to be compared with when it is written."""
    live = api.get(EPOCH)
    data = live.body.get("data") if live else None
    return Epoch.of(data if isinstance(data, dict) else {}), live


def write_epoch(api: Cluster, epoch: Epoch, before: Live | None) -> None:
    """Write it where `before` still stands. Raises Conflict when somebody was faster.

    It carries no label of ours: it belongs to no row, and a watcher would take it for an orphan.
    """
    meta: JSON = {"name": EPOCH.name, "namespace": EPOCH.namespace}
    version = before.body["metadata"]["resourceVersion"] if before else CREATE_ONLY
    manifest = {
        "apiVersion": CONFIG_MAP.api_version,
        "kind": CONFIG_MAP.name,
        "metadata": {**meta, "resourceVersion": version},
        "data": epoch.data,
    }
    api.apply(EPOCH, manifest, uid=before.uid if before else "", force=True)


@dataclass(frozen=True)
class Proof:
    """That a cluster held an epoch at a `moment`, and was itself when it was last `identified`."""

    epoch: Epoch = field(default_factory=Epoch)
    moment: float = -inf
    identified: float = -inf

    @property
    def age(self) -> float:
        """Seconds since the epoch was seen."""
        return time.monotonic() - self.moment

    @property
    def identity_age(self) -> float:
        """Seconds since the cluster was found to be itself."""
        return time.monotonic() - self.identified


class Proofs:
    """What this process has found on clusters lately. Safe to share by threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[int, Proof] = {}

    def keep(self, cluster_pk: int, epoch: Epoch, moment: float | None = None) -> None:
        """Remember that the cluster is itself, and holds this epoch since `moment` (None: now)."""
        now = time.monotonic()
        with self._lock:
            self._found[cluster_pk] = Proof(epoch, now if moment is None else moment, now)

    def drop(self, cluster_pk: int) -> None:
        """Forget it: the cluster was seen to be otherwise."""
        with self._lock:
            self._found.pop(cluster_pk, None)

    def of(self, cluster_pk: int) -> Proof:
        """Return what was found last; very old when nothing was."""
        with self._lock:
            return self._found.get(cluster_pk, Proof())


proofs = Proofs()
