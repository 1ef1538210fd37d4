"""A namespace that was there first becomes a project's on a real API server, with its people."""

import uuid
from collections.abc import Iterator

import pytest

from reconcile.values import MANAGED_BY, MANAGER, TENANT
from sandbox.api import AdminApi
from tenancy.intents import Role
from tenancy.models import Project
from tests.clusters.steps import settle_live
from tests.live.test_namespaces import TENANTS, as_olga, declare, keys, real, stands
from tests.live.test_roles import Asked, allowed
from tests.people import person

__all__ = ["as_olga", "keys", "real"]

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(300)]


@pytest.fixture
def legacy(admin_api: AdminApi) -> Iterator[str]:
    """A namespace that somebody made, with a ConfigMap in it."""
    name = f"legacy-{uuid.uuid4().hex[:6]}"
    meta = {"name": name, "labels": {"team": "old"}}
    admin_api.create("/api/v1/namespaces", {"metadata": meta})
    kept = {"metadata": {"name": "kept"}, "data": {"a": "b"}}
    admin_api.create(f"/api/v1/namespaces/{name}/configmaps", kept)
    yield name
    if admin_api.find(f"/api/v1/namespaces/{name}"):
        admin_api.delete(f"/api/v1/namespaces/{name}")


def deployments(name: str, space: str) -> Asked:
    return Asked(f"kubenova:{name}", "", "create", ("apps", "deployments"), space)


def test_it_is_handed_over_with_what_is_in_it_and_its_members_come_in(as_olga, admin_api, legacy):
    tenant = f"n{uuid.uuid4().hex[:6]}"
    row = declare(as_olga, tenant, "shop")
    stands(row)
    row.admit(person("dave"), Role.DEV, by="olga")
    beside = as_olga.post(f"{TENANTS}/{tenant}/projects", {"name": "beside"}, format="json")
    assert beside.status_code == 201
    stands(Project.objects.get(name="beside"))
    space, inside = f"/api/v1/namespaces/{legacy}", f"/api/v1/namespaces/{legacy}/configmaps/kept"
    before = [admin_api.get(path)["metadata"]["uid"] for path in (space, inside)]

    asked = {"cluster": "real", "namespace": legacy, "confirm": legacy}
    answer = as_olga.post(f"{TENANTS}/{tenant}/projects/shop:adopt", asked, format="json")
    assert answer.status_code == 202, answer.content
    settle_live()
    assert MANAGED_BY not in admin_api.get(space)["metadata"]["labels"]

    pairs = [word for word in answer.json()["command"].split() if "=" in word]
    labels = dict(pair.split("=", 1) for pair in pairs)
    body = {"apiVersion": "v1", "kind": "Namespace"}
    handed = {**body, "metadata": {"name": legacy, "labels": labels}}
    admin_api.apply(space, handed, "kubectl-label", force=True)
    row.placements.get().mark()
    stands(row)
    found = admin_api.get(space)["metadata"]
    assert [admin_api.get(path)["metadata"]["uid"] for path in (space, inside)] == before
    assert (found["labels"][MANAGED_BY], found["labels"][TENANT]) == (MANAGER, tenant)
    assert found["labels"]["team"] == "old"

    questions = [deployments("dave", name) for name in (legacy, f"{tenant}--beside")]
    assert allowed(admin_api, questions) == {questions[0]}
