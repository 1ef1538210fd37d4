"""An operator's bundle on a real API server: planned, applied wave by wave, resumed, left alone."""

import base64
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from rest_framework.test import APIClient

from clusters.credentials import Given
from clusters.kubeconfig import parse
from clusters.models import BootstrapRun, Cluster
from clusters.rules import address_rules
from reconcile.drain import take_step
from reconcile.models import Work
from sandbox.api import DEFINITIONS, AdminApi, ApiError
from tests.api.conftest import signed_in
from tests.clusters.steps import settle_live
from tests.people import olga, quick_passwords

__all__ = ["olga", "quick_passwords"]

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(300)]
SOON = 120.0
PATH = "/api/v1/clusters/real"
CRDS = Path(__file__).resolve().parents[3] / "shared" / "crds"
HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
SPACE = "bootstrap-tools"
GADGETS = f"/apis/bootstrap.example.org/v1/namespaces/{SPACE}/gadgets"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{SPACE}/deployments"
BUNDLE = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: bootstrap-guard}
webhooks:
- name: guard.bootstrap.example.org
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Ignore
  clientConfig: {service: {name: controller, namespace: bootstrap-tools, path: /guard}}
  rules:
  - {apiGroups: [bootstrap.example.org], apiVersions: [v1], operations: [DELETE], resources: [none]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: controller}
spec:
  replicas: 1
  selector: {matchLabels: {app: controller}}
  template:
    metadata: {labels: {app: controller}}
    spec:
      serviceAccountName: controller
      containers: [{name: manager, image: 'example.org/controller:1.0.0'}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: controller}
---
apiVersion: bootstrap.example.org/v1
kind: Gadget
metadata: {name: one}
spec: {size: 3}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.bootstrap.example.org}
spec:
  group: bootstrap.example.org
  scope: Namespaced
  names: {kind: Gadget, listKind: GadgetList, plural: gadgets, singular: gadget}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, properties: {size: {type: integer}}}}
"""


@pytest.fixture(autouse=True)
def keys(settings, tmp_path: Path) -> None:
    settings.VAULT_KEY_FILE = tmp_path / "vault-key.json"


@pytest.fixture
def cluster(admin_kubeconfig: str) -> Cluster:
    cluster = Cluster(name="real")
    cluster.given = Given.of(parse(admin_kubeconfig.encode(), address_rules()))
    cluster.declare(by="olga")
    settle_live()
    cluster.refresh_from_db()
    assert cluster.phase == "Deployed", cluster.conditions
    return cluster


@pytest.fixture
def clean(admin_api: AdminApi) -> Iterator[list[str]]:
    """Paths of what a test brings to the shared cluster: they are deleted afterwards."""
    paths = [f"{HOOKS}/bootstrap-guard", f"{DEFINITIONS}/gadgets.bootstrap.example.org"]
    paths.append(f"/api/v1/namespaces/{SPACE}")
    yield paths
    for path in paths:
        if path.startswith(DEFINITIONS):
            listable(admin_api, path)
        try:
            admin_api.delete(path)
        except ApiError:
            continue  # the test did not come that far
    for path in paths:  # what is on its way out is in the way of the next test
        admin_api.wait(path, lambda found: found is None, SOON)


def listable(api: AdminApi, path: str) -> None:
    """Wait until objects of a new definition can be listed: before, its deletion gets stuck."""
    if not (definition := api.find(path)):
        return
    spec, until = definition["spec"], time.monotonic() + SOON
    while time.monotonic() < until:
        try:
            api.items(
                f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
            )
            return
        except ApiError:
            time.sleep(0.5)


@pytest.fixture
def client(olga, cluster: Cluster) -> APIClient:
    return signed_in(olga)


def post(client: APIClient, bundle: str, kubeconfig: str, query: str = "", **headers: str):
    body = {
        "step": "tenancy-controller",
        "bundle": bundle,
        "namespace": SPACE,
        "kubeconfig": base64.b64encode(kubeconfig.encode()).decode(),
    }
    return client.post(f"{PATH}:bootstrap{query}", body, format="json", **headers)


def step(run: BootstrapRun) -> BootstrapRun:
    run.mark()
    lease = Work.objects.claim(run.work.get().pk)
    assert lease is not None
    take_step(lease)
    return BootstrapRun.objects.get(pk=run.pk)


def installed(run: BootstrapRun) -> BootstrapRun:
    """Take its steps until it is done."""
    until = time.monotonic() + SOON
    while run.phase != "Deployed":
        assert time.monotonic() < until, run.conditions
        run = step(run)
        time.sleep(0.2)
    return run


def test_a_bundle_is_planned_applied_and_then_the_operators(
    client, cluster, admin_api, admin_kubeconfig, clean
):
    plan = post(client, BUNDLE, admin_kubeconfig, "?dryRun=plan").json()
    assert plan["summary"] == {"create": 4, "change": 0, "delete": 0, "denied": 0}
    assert all(each["metadata"]["name"] != SPACE for each in admin_api.items("/api/v1/namespaces"))
    answer = post(client, BUNDLE, admin_kubeconfig, HTTP_IF_PLAN=plan["hash"])
    assert answer.status_code == 202, answer.content
    run = installed(BootstrapRun.objects.get())
    assert (len(run.applied), run.total, run.credential) == (5, 5, None)
    gadget = admin_api.get(f"{GADGETS}/one")
    assert gadget["spec"] == {"size": 3}
    managers = {each["manager"] for each in gadget["metadata"]["managedFields"]}
    assert managers == {"kubenova"} and "labels" not in gadget["metadata"]
    assert admin_api.get(f"{HOOKS}/bootstrap-guard")
    again = post(client, BUNDLE, admin_kubeconfig, "?dryRun=plan").json()
    assert again["summary"]["create"] == again["summary"]["change"] == 0, again


def test_a_worker_that_is_killed_between_writing_and_recording_costs_nothing(
    client, cluster, admin_api, admin_kubeconfig, clean
):
    post(client, BUNDLE, admin_kubeconfig)
    run = BootstrapRun.objects.get()
    until = time.monotonic() + SOON
    while not admin_api.find(f"{DEFINITIONS}/gadgets.bootstrap.example.org"):
        assert time.monotonic() < until, run.conditions
        run = step(run)
    BootstrapRun.objects.update(applied={})  # what it had written it could not write down any more
    versions = {f"{DEFINITIONS}/gadgets.bootstrap.example.org": ""}
    for path in versions:
        versions[path] = admin_api.get(path)["metadata"]["uid"]
    run = installed(BootstrapRun.objects.get(pk=run.pk))
    assert len(run.applied) == 5
    assert {path: admin_api.get(path)["metadata"]["uid"] for path in versions} == versions


def test_webhooks_wait_for_the_controller_that_answers_them(
    client, cluster, admin_api, admin_kubeconfig, clean
):
    ill = BUNDLE.replace("serviceAccountName: controller", "nodeName: nowhere")
    post(client, ill, admin_kubeconfig)
    run = BootstrapRun.objects.get()
    until = time.monotonic() + SOON
    while "is not available yet" not in str(run.conditions):
        assert time.monotonic() < until, run.conditions
        run = step(run)
    hooks = [each["metadata"]["name"] for each in admin_api.items(HOOKS)]
    assert run.phase == "Applying" and "bootstrap-guard" not in hooks
    post(client, BUNDLE, admin_kubeconfig)  # mended
    assert len(installed(BootstrapRun.objects.get()).applied) == 5


@pytest.mark.skipif(not CRDS.is_dir(), reason="the CRDs of Capsule are not on this machine")
def test_capsules_own_definitions_are_brought_and_found(
    client, cluster, admin_api, admin_kubeconfig, clean
):
    files = sorted(CRDS.glob("capsule.clastix.io_*.yaml"))
    names = [yaml.safe_load(file.read_text())["metadata"]["name"] for file in files]
    clean += [f"{DEFINITIONS}/{name}" for name in names]
    bundle = "\n---\n".join(file.read_text() for file in files)
    answer = post(client, bundle, admin_kubeconfig)
    assert answer.status_code == 202, answer.content
    run = installed(BootstrapRun.objects.get())
    assert len(run.applied) == len(files)
    settle_live()
    found = cluster.capabilities.get(name="tenancy.capsule")
    assert not found.served and "version of Capsule" in found.reason
    codes = set(cluster.findings.values_list("code", flat=True))
    assert {"capsule-version-unknown", "capsule-webhooks-missing"} <= codes
    step_shown = client.get(f"{PATH}/bootstrap").json()["steps"][0]
    assert (step_shown["state"], step_shown["run"]["phase"]) == ("Degraded", "Deployed")
