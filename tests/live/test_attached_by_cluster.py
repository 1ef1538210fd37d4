"""One policy set on two real API servers: enforced on one, on the other it only warns."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusters.models import Cluster
from policies.models import Attachment, PolicySet
from sandbox.api import AdminApi
from tenancy.models import Project, Tenant
from tests.clusters.steps import settle_until, settle_until_deployed
from tests.live.ruled import place, refusal, registered, service, until

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(300)]
SERVICES = {"service_types": ["ClusterIP"]}
TOLD = {"service_types": "ClusterIP"}


@pytest.fixture
def shop(
    admin_kubeconfig: str, second_admin_kubeconfig: str, settings: Any, tmp_path: Path
) -> Iterator[Project]:
    """A project on two real clusters; real-b is in the EU."""
    settings.VAULT_KEY_FILE = tmp_path / "vault-key.json"
    registered(admin_kubeconfig, "real-a")
    relabelled(registered(second_admin_kubeconfig, "real-b"), region="eu")
    tenant = Tenant(name="apart", placement={"clusters": ["real-a", "real-b"]})
    tenant.declare(by="olga")
    project = Project(tenant=tenant, name="shop")
    project.declare(by="olga")
    settle_until_deployed(project)
    yield project
    tenant.refresh_from_db()
    tenant.request_deletion(by="olga")
    settle_until(lambda: not Tenant.objects.exists())


def relabelled(row: Cluster, **labels: str) -> None:
    row.refresh_from_db()
    row.labels = labels
    row.declare(by="olga")


def test_it_is_enforced_on_one_cluster_and_warns_on_the_other(
    shop: Project, admin_api: AdminApi, second_admin_api: AdminApi
) -> None:
    strict = PolicySet(name="strict", rules=SERVICES)
    strict.declare(by="olga")
    for name, mode, where in (
        ("hard", "enforce", {"cluster_selector": "region=eu"}),
        ("soft", "warn", {"clusters": ["real-a"]}),
    ):
        row = Attachment(policy_set=strict, name=name, mode=mode, tenants=["apart"], **where)
        row.declare(by="olga")

    def rules(api: AdminApi, mode: str = "") -> object:
        name = f"kubenova-rules{mode and '-'}{mode}"
        found = api.find(place(shop.namespace, "configmaps", name))
        return found and found.get("data")

    def refused(api: AdminApi) -> str:
        path = place(shop.namespace, "services")
        return refusal(lambda: api.create(path, service("NodePort"), dryRun="All"))

    def told() -> tuple[object, ...]:
        apis = (admin_api, second_admin_api)
        return tuple(rules(api, mode) for api in apis for mode in ("", "warn"))

    settle_until(lambda: told() == (None, TOLD, TOLD, None))
    settle_until_deployed(shop)
    assert "The Service type NodePort is not allowed here." in refused(second_admin_api)
    assert refused(admin_api) == ""

    relabelled(Cluster.objects.get(name="real-a"), region="eu")
    settle_until(lambda: rules(admin_api) == TOLD)
    settle_until_deployed(shop)
    assert "The Service type NodePort is not allowed here." in refused(admin_api)

    strict.request_deletion(by="olga")
    settle_until(lambda: told() == (None,) * 4 and not PolicySet.objects.exists())
    until(lambda: not refused(admin_api) + refused(second_admin_api), "it is still refused")
