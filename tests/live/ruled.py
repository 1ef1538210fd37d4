"""A namespace as projects have it on a control plane, its people, and what they try to make."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clusters.adapters.policies import policies
from clusters.credentials import Given
from clusters.kubeconfig import parse
from clusters.models import Cluster
from clusters.rules import address_rules
from reconcile.values import JSON, MANAGED_BY, MANAGER, TENANT
from sandbox.api import APPLY, AdminApi, ApiError
from tenancy.adapters.parameters import advice, parameters, proofs
from tenancy.intents import ProjectIntent
from tests.clusters.steps import settle_live

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
RBAC = "rbac.authorization.k8s.io"
_GROUPS = {
    "cronjobs": "/apis/batch/v1",
    "ingresses": "/apis/networking.k8s.io/v1",
    "jobs": "/apis/batch/v1",
    "networkpolicies": "/apis/networking.k8s.io/v1",
    "rolebindings": f"/apis/{RBAC}/v1",
    **dict.fromkeys(("daemonsets", "deployments", "replicasets", "statefulsets"), "/apis/apps/v1"),
}


def registered(admin_kubeconfig: str, name: str = "real") -> Cluster:
    """The control plane, registered; its baseline stands."""
    row = Cluster(name=name)
    row.given = Given.of(parse(admin_kubeconfig.encode(), address_rules()))
    row.declare(by="olga")
    settle_live()
    row.refresh_from_db()
    assert row.phase == "Deployed", row.conditions
    return row


def carries_the_baseline(api: AdminApi) -> bool:
    """Whether every policy is there; it stays when the rows of a test are gone."""
    items = api.items(f"{ADMISSION}/validatingadmissionpolicies")
    names = {item["metadata"]["name"] for item in items}
    wanted = {each["metadata"]["name"] for each in policies() if "Binding" not in each["kind"]}
    return wanted <= names


@dataclass(frozen=True)
class Person:
    """A ServiceAccount with roles in one namespace, and what it may reach."""

    api: AdminApi
    namespace: str
    token: str

    def send(self, method: str, path: str, body: JSON | None = None, kind: str = "", **params: str):
        """One request in this person's name; raises ApiError when it is refused."""
        headers = {"Authorization": f"Bearer {self.token}"}
        api = AdminApi(self.api.port, self.api.certificates, user="")
        content = {"content_type": kind} if kind else {}
        return api.request(method, path, body, headers=headers, params=params, **content).json()

    def make(self, plural: str, body: JSON, *, dry: bool = True) -> JSON:
        """Create an object in the namespace, by default only tried."""
        params = {"dryRun": "All"} if dry else {}
        return self.send("POST", place(self.namespace, plural), body, **params)


def place(namespace: str, plural: str, name: str = "") -> str:
    """The path of a collection in a namespace, or of an object in it."""
    path = f"{_GROUPS.get(plural, '/api/v1')}/namespaces/{namespace}/{plural}"
    return f"{path}/{name}" if name else path


@dataclass(frozen=True)
class Ruled:
    """A namespace of a project of tenant acme, without a row in the database."""

    api: AdminApi
    namespace: str

    def bind(self, restrictions: Mapping[str, Any], *, cordoned: bool = False) -> None:
        """Have restrictions hold here, and wait until they do."""
        intent = ProjectIntent(
            "acme", "shop", self.namespace, restrictions=restrictions, cordoned=cordoned
        )
        path = place(self.namespace, "configmaps", "kubenova-rules")
        self.api.apply(path, parameters(intent), manager=MANAGER, force=True)
        for proof in proofs(intent):
            target = place(self.namespace, proof.ref.kind.plural, proof.ref.name)
            until(
                lambda target=target, proof=proof: (
                    proof.refused_by
                    in refusal(
                        lambda: self.api.patch(
                            target, proof.manifest, APPLY, fieldManager=MANAGER, dryRun="All"
                        )
                    )
                ),
                f"{proof.name} is not enforced: {proof.refused_by}",
            )

    def person(self, *roles: str) -> Person:
        """A ServiceAccount that is bound to ClusterRoles here."""
        name = f"person-{uuid.uuid4().hex[:6]}"
        accounts = place(self.namespace, "serviceaccounts")
        self.api.create(accounts, {"metadata": {"name": name}})
        subject = {"kind": "ServiceAccount", "name": name, "namespace": self.namespace}
        for role in roles:
            body = {
                "metadata": {"name": f"{name}-{role.replace(':', '-')}"},
                "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
                "subjects": [subject],
            }
            self.api.create(place(self.namespace, "rolebindings"), body)
        spec = {"spec": {"expirationSeconds": 3600}}
        token = self.api.create(f"{accounts}/{name}/token", spec)["status"]["token"]
        return Person(self.api, self.namespace, token)


def ruled(api: AdminApi) -> Ruled:
    """A new namespace as KubeNova makes it for a project, without restrictions."""
    name = f"acme--{uuid.uuid4().hex[:8]}"
    labels = {MANAGED_BY: MANAGER, TENANT: "acme"}
    api.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    api.wait(place(name, "serviceaccounts", "default"), bool)
    found = Ruled(api, name)
    found.bind({})
    until(
        lambda: not refusal(lambda: api.create(place(name, "pods"), pod(), dryRun="All")),
        "the parameters are not seen",
    )
    return found


@pytest.fixture(autouse=True)
def keys(settings, tmp_path: Path) -> None:
    """Keys of the vault of a test's own."""
    settings.VAULT_KEY_FILE = tmp_path / "vault-key.json"


@pytest.fixture
def home(admin_api: AdminApi, admin_kubeconfig: str) -> Iterator[Ruled]:
    """A namespace of a project on a cluster that has the baseline."""
    if not carries_the_baseline(admin_api):
        registered(admin_kubeconfig)
    found = ruled(admin_api)
    yield found
    admin_api.delete(f"/api/v1/namespaces/{found.namespace}")


def refusal(act: Callable[[], object]) -> str:
    """What the API server says when it refuses; empty when it does not."""
    try:
        act()
    except ApiError as error:
        return error.message
    return ""


def until(reached: Callable[[], bool], failure: str, seconds: float = 20.0) -> None:
    """Wait until something is so: policies and parameters take a moment to be seen."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, failure
        time.sleep(0.1)


# --- Objects.


def pod_spec(image: str = "r.example.org/acme/web:1", **spec: Any) -> JSON:
    """What a pod is made by; other fields of its one container under `container`."""
    container = {"name": "main", "image": image, **spec.pop("container", {})}
    return {"containers": [container], **spec}


def pod(**spec: Any) -> JSON:
    """A pod."""
    return {"metadata": {"name": "web"}, "spec": pod_spec(**spec)}


def workload(replicas: int | None = 0, **spec: Any) -> JSON:
    """A Deployment, ReplicaSet or, without replicas, a DaemonSet."""
    labels = {"app": "web"}
    body: JSON = {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod_spec(**spec)},
    }
    if replicas is not None:
        body["replicas"] = replicas
    return {"metadata": {"name": "web"}, "spec": body}


def stateful(claims: list[JSON] | None = None, **spec: Any) -> JSON:
    """A StatefulSet, with claims of storage."""
    body = workload(**spec)
    body["spec"] |= {"serviceName": "web", "volumeClaimTemplates": claims or []}
    return body


def job(**spec: Any) -> JSON:
    """A suspended Job."""
    template = {"spec": pod_spec(restartPolicy="Never", **spec)}
    return {"metadata": {"name": "web"}, "spec": {"suspend": True, "template": template}}


def cron(**spec: Any) -> JSON:
    """A CronJob."""
    body = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job(**spec)["spec"]}}
    return {"metadata": {"name": "web"}, "spec": body}


def service(sort: str = "ClusterIP") -> JSON:
    """A Service of a type."""
    spec: JSON = {"type": sort, "ports": [{"port": 80}], "selector": {"app": "web"}}
    if sort == "ExternalName":
        spec = {"type": sort, "externalName": "example.org"}
    return {"metadata": {"name": "web"}, "spec": spec}


def ingress(*hosts: str, annotations: JSON | None = None, **spec: Any) -> JSON:
    """An Ingress that serves hosts; an empty one stands for a rule without host."""
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    http = {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}
    rules = [{"http": http, **({"host": host} if host else {})} for host in hosts]
    body = {"rules": rules} if rules else {"defaultBackend": backend}
    return {
        "metadata": {"name": "web", "annotations": annotations or {}},
        "spec": {**body, **spec},
    }


def claim(storage_class: str | None = None, name: str = "data", **meta: Any) -> JSON:
    """A claim of storage."""
    spec: JSON = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Mi"}},
    }
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    return {"metadata": {"name": name, **meta}, "spec": spec}


def advise(home: Ruled, mode: str, rules: dict) -> None:
    """Have rules of a mode lie in the namespace."""
    intent = ProjectIntent("acme", "shop", home.namespace, imposed={mode: rules})
    (body,) = advice(intent)
    path = place(home.namespace, "configmaps", body["metadata"]["name"])
    home.api.apply(path, body, manager=MANAGER, force=True)


def warning(person: Person, plural: str, body: dict) -> str:
    """What the API server warns of when somebody tries to make an object; it has to pass."""
    api = AdminApi(person.api.port, person.api.certificates, user="")
    answer = api.request(
        "POST",
        place(person.namespace, plural),
        body,
        params={"dryRun": "All"},
        headers={"Authorization": f"Bearer {person.token}"},
    )
    assert answer.status == 201, answer.body
    return answer.headers.get("warning", "")
