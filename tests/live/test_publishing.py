"""A definition that is published on a real API server, against KubeVela's real CRD."""

import pytest

from clusters.connect import connect
from clusters.credentials import Given
from clusters.kubeconfig import parse
from clusters.models import Cluster
from clusters.models.bundling import Asked
from clusters.rules import address_rules
from delivery.models import Publication, PublishedDefinition
from delivery.models.published import Publishing
from reconcile.values import Phase
from sandbox.api import AdminApi
from tests.clusters.steps import settle_until
from tests.delivery.test_publishing import SPEC
from tests.live.test_definitions import definitions
from tests.live.test_delivery import DEPLOY, keys

__all__ = ["definitions", "keys"]

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(300)]


def test_an_administrator_publishes_what_kubenova_may_not(
    definitions: str, admin_api: AdminApi, admin_kubeconfig: str
) -> None:
    given = Given.of(parse(admin_kubeconfig.encode(), address_rules()))
    cluster = Cluster(name="real")
    cluster.given = given
    cluster.declare(by="olga")

    def stands() -> bool:
        cluster.refresh_from_db()
        return cluster.phase == "Deployed"

    settle_until(stands, DEPLOY)
    with connect(cluster) as api:
        place = ("core.oam.dev", "componentdefinitions", "vela-system")
        assert [api.access_review(verb, *place) for verb in ("list", "create")] == [True, False]

    keep = {"by": "olga", "spec": SPEC, "description": "It comes up slowly.", "shadows": False}
    row, _ = PublishedDefinition.put("components", "canary", **keep)
    Publishing.of([row], Asked(cluster, "", b"", given, "", False, "olga")).publish()
    settle_until(lambda: Publication.objects.get().state()[0] == Phase.DEPLOYED, DEPLOY)
    found = admin_api.get(f"{definitions}/canary")
    assert found["spec"]["schematic"] == SPEC["schematic"]
    assert "kubenova.io/owner" not in found["metadata"].get("labels", {})
