"""An app's objects, and what a real API server says of them to KubeNova's own account."""

import time

import pytest

from clusters.connect import connect
from delivery.happenings import happenings_of
from delivery.logs import Wanted
from delivery.models import App
from delivery.topology import topology
from tenancy.models import Project
from tests.delivery.samples import component, with_traits
from tests.live.test_delivery import DEPLOY, PORTS, deploy, keys, shop

__all__ = ["keys", "shop"]

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(300)]


def test_a_component_is_told_of_by_its_cluster(shop: Project) -> None:
    web = with_traits(component(ports=PORTS), scaler={"replicas": 2})
    app = deploy(App(project=shop, name="site", components=[web]))
    (tree,) = topology(app)
    found = {f"{each.ref.kind.name} {each.standing}" for each in tree.components[0].objects}
    assert found == {"Deployment Applied", "Service Applied"}
    assert tree.placement.cluster.bootstrap is None, "it has no rights but its own"

    about: dict[str, str] = {}
    end = time.monotonic() + DEPLOY
    while {"Deployment", "ReplicaSet"} - about.keys() and time.monotonic() < end:
        told = happenings_of(app, Wanted())
        about = {each.object.split()[0]: each.reason for each in told.items}
        time.sleep(0.2)
    assert about["Deployment"] == "ScalingReplicaSet"
    assert about["ReplicaSet"] == "SuccessfulCreate"
    assert told.all

    with connect(tree.placement.cluster) as cluster:
        assert not cluster.access_review("list", "", "events", "kube-system")
