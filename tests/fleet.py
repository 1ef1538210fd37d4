"""Lends tests registered clusters whose API servers are in memory, by name.

    def test_…(fleet):
        cluster = fleet.register("prod-a", labels={"region": "eu"})   # baseline stands
        fleet["prod-a"].edit(ref, "kubectl-edit", …)                  # the MemoryCluster behind it

A cluster is opened as a real one is: a token that its ServiceAccount does not have is refused,
KubeNova's own token is known as its account and may not write roles and policies.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import pytest

from clusters.adapters.policies import policies
from clusters.credentials import Given
from clusters.intents import GRANTS_NAMESPACE, SIMULATION_NAMESPACE, SYSTEM_NAMESPACE
from clusters.kinds import (
    ADMISSION_POLICY,
    ADMISSION_POLICY_BINDING,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
)
from clusters.kubeconfig import Credential
from clusters.models import Cluster
from reconcile.errors import Forbidden, Unauthenticated
from reconcile.planning.values import PLAN_NAMESPACE
from reconcile.values import JSON, Live, Ref
from tests.clusters.steps import settle
from tests.memory_cluster import MemoryCluster

SERVER = "https://198.51.100.7:6443"
NOT_FOR_KUBENOVA = (
    ADMISSION_POLICY,
    ADMISSION_POLICY_BINDING,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    ROLE,
)
NOT_AMONG_ITS_RIGHTS = (ROLE_BINDING, SERVICE_ACCOUNT)
_fleet: dict[str, MemoryCluster] = {}
_revoked: set[str] = set()


def is_not_for_kubenova(ref: Ref) -> bool:
    """Whether KubeNova's own rights do not reach an object: its roles, rights and guard rails."""
    its_own = ref.namespace == SYSTEM_NAMESPACE and ref.kind in NOT_AMONG_ITS_RIGHTS
    grants = ref.namespace == GRANTS_NAMESPACE and ref.kind == ROLE_BINDING
    plans = ref.namespace == PLAN_NAMESPACE
    simulations = ref.namespace == SIMULATION_NAMESPACE and ref.kind != CONFIG_MAP
    return ref.kind in NOT_FOR_KUBENOVA or its_own or grants or plans or simulations


def admin(name: str, word: str = "admin") -> Credential:
    """The credential of an administrator, as parsed from a kubeconfig."""
    return Credential(SERVER, f"CA of {name}", token=f"{word}-of-{name}")


class Fleet:
    """The clusters of one test."""

    def __getitem__(self, name: str) -> MemoryCluster:
        return _fleet[name]

    def start(self, name: str, cluster: MemoryCluster | None = None) -> MemoryCluster:
        """Put an API server behind the name."""
        _fleet[name] = cluster or MemoryCluster(finishes=True)
        return _fleet[name]

    def revoke(self, token: str | None) -> None:
        """Have every cluster refuse a token that was good."""
        _revoked.add(token or "")

    def declare(self, name: str, *, word: str = "admin", **columns: object) -> Cluster:
        """Declare a cluster as olga does; nothing has been asked of it yet."""
        if name not in _fleet:
            self.start(name)
        cluster = Cluster(name=name, **columns)
        cluster.given = Given.of(admin(name, word))
        cluster.declare(by="olga")
        return cluster

    def register(self, name: str, **columns: object) -> Cluster:
        """Declare a cluster and take the steps until its baseline stands."""
        cluster = self.declare(name, **columns)
        settle()
        cluster.refresh_from_db()
        assert cluster.phase == "Deployed", cluster.conditions
        return cluster


class Hands:
    """A cluster as one user has it: what RBAC refuses is refused, all else goes through."""

    def __init__(self, cluster: MemoryCluster, username: str) -> None:
        self._cluster, self._username = cluster, username

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    def apply(self, ref: Ref, manifest: JSON, **options: Any) -> Live:
        """See `MemoryCluster.apply`."""
        tried = options.get("dry_run") and ref.namespace in (PLAN_NAMESPACE, SIMULATION_NAMESPACE)
        if self._username != "admin" and is_not_for_kubenova(ref) and not tried:
            raise Forbidden(f"User {self._username} cannot patch {ref.kind.plural}")
        return self._cluster.apply(ref, manifest, **options)

    def create_review(self, api_version: str, resource: str, body: JSON, path: str = "") -> JSON:
        """See `MemoryCluster.create_review`."""
        if body.get("kind") == "SelfSubjectReview":
            return {**body, "status": {"userInfo": {"username": self._username}}}
        return self._cluster.create_review(api_version, resource, body, path)


class InTurn:
    """Takes the place of a pool of threads: what is in memory has nothing to wait for."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Do it at once; what it raises is raised by the result."""
        done: Future[Any] = Future()
        try:
            done.set_result(function(*args))
        except Exception as error:  # as a thread does: whoever asks for the result gets it
            done.set_exception(error)
        return done


@contextmanager
def open_memory(cluster: Cluster, credential: Credential) -> Iterator[Hands]:
    """Open a cluster of the fleet; takes the place of `clusters.connect.open_api`."""
    found = _fleet[cluster.name]
    yield Hands(found, _known_as(found, cluster.name, credential))


def _known_as(found: MemoryCluster, name: str, credential: Credential) -> str:
    if credential.token in _revoked:
        raise Unauthenticated("Unauthorized")
    if credential == admin(name):
        return "admin"
    body: JSON = {"kind": "TokenReview", "spec": {"token": credential.token}}
    status = found.create_review("authentication.k8s.io/v1", "tokenreviews", body)["status"]
    if not status["authenticated"]:
        raise Unauthenticated("Unauthorized")
    return str(status["user"]["username"])


def few_policies() -> list[JSON]:
    """The guard rails, without the rules of tenants: for tests that are about something else."""
    return [each for each in policies() if not {"paramKind", "paramRef"} & each["spec"].keys()]


@pytest.fixture
def fleet(request, settings, tmp_path, monkeypatch) -> Iterator[Fleet]:
    """An empty fleet; the vault has keys of its own, and no controller is waited for.

    A cluster in memory evaluates no policy. So the baseline has few of them, which makes half a
    suite of it, but where tests are about clusters.
    """
    if "clusters" not in request.path.parts:
        monkeypatch.setattr("clusters.adapters.baseline.policies", few_policies)
    monkeypatch.setattr("reconcile.models.convergent._PAUSES", (0.0,))
    monkeypatch.setattr("reconcile.lanes._pool", InTurn)
    settings.CLUSTER_CONNECT = "tests.fleet.open_memory"
    settings.VAULT_KEY_FILE = tmp_path / "vault-key.json"
    yield Fleet()
    _fleet.clear()
    _revoked.clear()
