"""A definition that is published on a real API server, against KubeVela's real CRD."""

import pytest

from clusters.adapters.kubevela import DEFINITIONS_NAMESPACE
from clusters.connect import connect
from clusters.credentials import Given
from clusters.kubeconfig import parse
from clusters.models import Cluster
from clusters.models.bundling import Asked
from clusters.models.carrying import Carrying
from clusters.rules import address_rules
from delivery.models import Publication, PublishedDefinition
from reconcile.values import Phase
from sandbox.api import AdminApi
from tests.clusters.steps import settle_until
from tests.delivery.test_publishing import SPEC
from tests.live.test_definitions import definitions
from tests.live.test_delivery import DEPLOY, keys

__all__ = ["definitions", "keys"]

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(300)]


@pytest.fixture
def given(admin_kubeconfig: str) -> Given:
    """The credential of an administrator."""
    return Given.of(parse(admin_kubeconfig.encode(), address_rules()))


@pytest.fixture
def cluster(definitions: str, given: Given) -> Cluster:
    """The cluster, whose baseline stands."""
    row = Cluster(name="real")
    row.given = given
    row.declare(by="olga")

    def stands() -> bool:
        row.refresh_from_db()
        return row.phase == "Deployed"

    settle_until(stands, DEPLOY)
    return row


def test_an_administrator_publishes_and_takes_off_what_kubenova_may_not(
    cluster: Cluster, definitions: str, admin_api: AdminApi, given: Given
) -> None:
    with connect(cluster) as api:
        place = ("core.oam.dev", "componentdefinitions", "vela-system")
        verbs = ("list", "create", "delete")
        assert [api.access_review(verb, *place) for verb in verbs] == [True, False, False]

    keep = {"by": "olga", "spec": SPEC, "description": "It comes up slowly.", "shadows": False}
    row, _ = PublishedDefinition.put("components", "canary", **keep)
    asked = Asked(cluster, "", b"", given, "", False, "olga")
    Carrying.of([row], asked, DEFINITIONS_NAMESPACE).publish()
    settle_until(lambda: fares() == Phase.DEPLOYED, DEPLOY)
    found = admin_api.get(f"{definitions}/canary")
    assert found["spec"]["schematic"] == SPEC["schematic"]
    assert "kubenova.io/owner" not in found["metadata"].get("labels", {})

    changed = {"spec": {"status": {"customStatus": 'message: "changed"'}}}
    admin_api.patch(f"{definitions}/canary", changed)
    cluster.baseline.mark()
    settle_until(lambda: fares() == Phase.DRIFTED, DEPLOY)

    row.request_deletion()
    row.refresh_from_db()
    Carrying.of([row], asked, DEFINITIONS_NAMESPACE).publish()
    settle_until(lambda: not PublishedDefinition.objects.exists(), DEPLOY)
    admin_api.wait(f"{definitions}/canary", lambda live: live is None)


def fares() -> Phase:
    """How the publication fares."""
    return Publication.objects.get().state()[0]
