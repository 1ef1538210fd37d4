"""Namespaces of projects on a real API server: apart, never a foreign one, kept where protected."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from rest_framework.test import APIClient

from clusters.credentials import Given
from clusters.kubeconfig import parse
from clusters.models import Cluster
from clusters.rules import address_rules
from reconcile.values import MANAGED_BY, TENANT
from sandbox.api import AdminApi, ApiError
from tenancy.models import Project, Tenant
from tests.api.conftest import signed_in
from tests.clusters.steps import settle_live, settle_until

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(300)]

SOON = 60.0
TENANTS = "/api/v1/tenants"


@pytest.fixture(autouse=True)
def keys(settings, tmp_path: Path) -> None:
    settings.VAULT_KEY_FILE = tmp_path / "vault-key.json"


@pytest.fixture
def as_olga(olga) -> APIClient:
    return signed_in(olga)


@pytest.fixture(autouse=True)
def real(admin_kubeconfig: str, db: None) -> Iterator[None]:
    """The control plane, registered; whatever tenants a test makes go afterwards."""
    cluster = Cluster(name="real")
    cluster.given = Given.of(parse(admin_kubeconfig.encode(), address_rules()))
    cluster.declare(by="olga")
    yield
    Tenant.objects.update(deletion_protection=False)
    for tenant in Tenant.objects.all():
        tenant.request_deletion(by="olga")
    settle_until(lambda: not Tenant.objects.exists(), SOON)


def declare(client: APIClient, tenant: str, project: str, **body: object) -> Project:
    """A project of a new tenant, declared over HTTP; no step was taken for it yet."""
    placement = {"clusters": ["real"]}
    answer = client.post(TENANTS, {"name": tenant, "placement": placement, **body}, format="json")
    assert answer.status_code == 201, answer.json()
    answer = client.post(f"{TENANTS}/{tenant}/projects", {"name": project}, format="json")
    assert answer.status_code == 201, answer.json()
    return Project.objects.get(tenant__name=tenant)


def stands(row: Project) -> None:
    def deployed() -> bool:
        row.refresh_from_db()
        return row.phase == "Deployed"

    settle_live()  # what it was Deployed as may be gone since
    settle_until(deployed, SOON)


def space(row: Project) -> str:
    return f"/api/v1/namespaces/{row.namespace}"


def test_two_projects_whose_names_join_to_the_same_never_meet_a13(as_olga, admin_api):
    mark = f"n{uuid.uuid4().hex[:6]}"
    rows = [declare(as_olga, mark, "b-c"), declare(as_olga, f"{mark}-b", "c")]
    for row in rows:
        stands(row)

    found = {row.namespace: admin_api.get(space(row))["metadata"]["labels"] for row in rows}
    assert {name: labels[TENANT] for name, labels in found.items()} == {
        f"{mark}--b-c": mark,
        f"{mark}-b--c": f"{mark}-b",
    }


def test_a_foreign_namespace_is_left_alone_and_named_a12(as_olga, admin_api):
    tenant = f"squat-{uuid.uuid4().hex[:6]}"
    path = f"/api/v1/namespaces/{tenant}--shop"
    meta = {"name": f"{tenant}--shop", "labels": {"owner": "somebody"}}
    admin_api.create("/api/v1/namespaces", {"metadata": meta})
    before = admin_api.get(path)["metadata"]
    row = declare(as_olga, tenant, "shop")
    settle_live()
    shown = as_olga.get(f"{TENANTS}/{tenant}/projects/shop").json()["status"]

    (placed,) = shown["placements"]
    synced = next(each for each in placed["conditions"] if each["type"] == "Synced")
    assert (shown["phase"], synced["status"], synced["reason"]) == ("Error", "False", "Taken")
    assert f"{tenant}--shop exists on the cluster" in synced["message"]
    after = admin_api.get(path)["metadata"]
    assert after["resourceVersion"] == before["resourceVersion"]
    assert MANAGED_BY not in after["labels"]

    admin_api.delete(path)
    admin_api.wait(path, lambda found: found is None)
    row.placements.get().mark()
    stands(row)
    assert admin_api.get(path)["metadata"]["labels"][TENANT] == tenant


@pytest.mark.parametrize("name", ["kube", "kube-system", "kubenova"])
def test_no_tenant_gets_namespaces_like_the_platforms_a12(as_olga, name):
    answer = as_olga.post(TENANTS, {"name": name}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "KN-CONFLICT")


def refused(api: AdminApi, path: str) -> str:
    with pytest.raises(ApiError) as error:
        api.delete(path)
    assert error.value.status in {403, 422}, error.value
    return error.value.message


def test_not_even_the_clusters_admin_deletes_a_protected_tenants_namespace(as_olga, admin_api):
    tenant = f"kept-{uuid.uuid4().hex[:6]}"
    row = declare(as_olga, tenant, "shop", deletion_protection=True)
    stands(row)
    assert "protected from deletion" in refused(admin_api, space(row))
    assert as_olga.delete(f"{TENANTS}/{tenant}").status_code == 409

    free = {"deletion_protection": False}
    assert as_olga.patch(f"{TENANTS}/{tenant}", free, format="json").status_code == 200
    settle_live()
    stands(row)
    before = admin_api.get(space(row))["metadata"]["uid"]
    admin_api.delete(space(row))
    admin_api.wait(space(row), lambda found: found is None)
    row.placements.get().mark()
    stands(row)
    assert admin_api.get(space(row))["metadata"]["uid"] != before, "what is deleted comes back"


def test_a_protection_that_is_taken_off_holds_up_no_deletion_of_ours(as_olga, admin_api):
    tenant = f"freed-{uuid.uuid4().hex[:6]}"
    row = declare(as_olga, tenant, "shop", deletion_protection=True)
    stands(row)
    path = space(row)
    owner = Tenant.objects.get(name=tenant)
    owner.deletion_protection = False
    owner.declare(by="olga")
    owner.request_deletion(by="olga")  # before a step has taken the label off
    settle_until(lambda: not Tenant.objects.exists(), SOON)
    assert admin_api.find(path) is None
