"""Simulations of what no copy tells and of what is to come; how they end by a defect."""

from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.kinds import LIMIT_RANGE, NETWORK_POLICY
from delivery.models import App, AppPlacement
from policies.models import PolicyException, SimulationRun
from policies.watching import look_around
from reconcile.models import Work
from tenancy.models import Project
from tests.clusters.steps import settle
from tests.policies.conftest import attach, make_set
from tests.policies.simulated import HUB, put
from tests.policies.test_simulating import begin, found, rest, state

pytestmark = pytest.mark.django_db


def test_network_policies_are_predicted(fleet, shop):
    opened = {"podSelector": {}, "egress": [{"to": [{"ipBlock": {"cidr": "8.8.8.8/32"}}]}]}
    put(fleet, NETWORK_POLICY, "mine", opened)
    row = begin(make_set(network={"egress_cidrs": ["10.0.0.0/8"]}))
    rest()
    assert found(row) == [("predicted", "NetworkPolicy", "mine", "network")]
    assert "egress to 8.8.8.8/32" in row.findings.get().message
    assert (state(row), row.findings.get().source) == ("done", "live")


def test_limit_ranges_are_predicted(fleet, shop):
    limits = [{"type": "Container", "default": {"memory": "3Gi"}}]
    put(fleet, LIMIT_RANGE, "mine", {"limits": limits})
    row = begin(make_set(container_resources={"max": {"memory": "2Gi"}}))
    rest()
    assert ("predicted", "LimitRange", "mine", "container_resources") in found(row)


def test_a_tenant_that_would_be_closed_further_is_predicted(fleet, shop):
    shop.tenant.isolation = "none"
    shop.tenant.declare(by="olga")
    settle()
    row = begin(make_set(network={"isolation": "egress-open"}))
    rest()
    assert found(row) == [("predicted", "Tenant", "acme", "network")]
    told = "Its isolation is none and would become egress-open."
    assert row.findings.get().message == told


def declared(image: str, project: Project) -> App:
    """An app at a new revision."""
    row = App.objects.filter(name="web").first() or App(project=project, name="web")
    properties = {"image": image}
    row.components = [{"name": "web", "type": "webservice", "properties": properties}]
    row.declare(by="bob")
    return row


def test_a_revision_that_is_not_there_yet_is_tried_and_told_apart(fleet, shop):
    declared("r.example.org/web:1", shop)
    rest()
    app = declared("nginx", shop)
    row = begin(make_set(**HUB))
    AppPlacement.objects.update(target=1, revision=1)  # its wave has yet to come
    Work.objects.exclude(kind="policies.simulationrun").update(due_at=None)
    rest()
    assert found(row) == [("denied", "Deployment", "web", "image_registries")]
    first = row.findings.get()
    assert (first.source, first.app, first.revision) == ("next_revision", "web", app.revision)
    assert first.message == "The image nginx is not allowed here."


def test_a_revision_that_runs_is_tried_once(fleet, shop):
    declared("nginx", shop)
    rest()
    row = begin(make_set(**HUB))
    rest()
    assert [(each.name, each.source) for each in row.findings.all()] == [("web", "live")]


# --- Defects.


def test_one_that_crashes_for_good_has_failed_and_holds_no_place(fleet, shop):
    strict = make_set(**HUB)
    row = begin(strict)
    run = row.runs.get()
    run.record_quarantine()
    assert state(row) == "failed"
    assert "by a defect of KubeNova" in SimulationRun.objects.get().fault
    Work.objects.filter(kind="policies.simulationrun").update(quarantined_at=timezone.now())
    later = begin(strict)
    rest()
    assert state(later) == "done", "it has waited for none"


def test_a_routine_that_crashes_for_good_makes_room_for_others(fleet, shop):
    for name in ("one", "two", "three"):
        attach(make_set(name, **HUB), name, mode="audit")
    settle()
    assert look_around() == 2
    for run in SimulationRun.objects.all():
        run.record_quarantine()
        run.work.update(quarantined_at=timezone.now())
    assert look_around() >= 1


# --- Exceptions.


def test_who_has_the_name_of_one_that_was_spared_is_not_spared(fleet, shop):
    bound = attach(make_set(service_types=["ClusterIP"]))
    bound.make_exception(
        "olga",
        **{"tenant": "acme", "project": "shop", "kind": "service_types"},
        reason="they move",
        expires_at=timezone.now() + timedelta(days=1),
    )
    rest()
    shop.refresh_from_db()
    assert "service_types" not in shop.in_force()
    shop.request_deletion(by="olga")
    for _ in range(3):
        rest()
    assert not Project.objects.filter(name="shop").exists()
    assert not PolicyException.objects.exists()
    Project(tenant=shop.tenant, name="shop").declare(by="olga")
    settle()
    assert Project.objects.get(name="shop").in_force()["service_types"] == ["ClusterIP"]
