"""An app's workflow on both adapters, its worker killed at each move: it ends once."""

import pytest

from clusters.models import Cluster
from delivery.adapters.native import DEPLOYMENT
from delivery.models import App, AppPlacement, Revision, WorkflowRun
from reconcile.models import Event
from tenancy.models import Project
from tests.clusters.steps import settle
from tests.delivery.controllers import become_ready
from tests.delivery.dying import DiesEachTime, though_it_dies
from tests.delivery.flows import phases, step
from tests.delivery.samples import component
from tests.kubevela import act, install
from tests.people import make_acme

ONCE = {"RunStarted": 1, "StepSuspended": 1, "StepApproved": 1, "StepSucceeded": 3}


@pytest.fixture
def both(fleet, people):
    """acme/shop on `vela`, where KubeVela is, and on `plain`."""
    for name in ("vela", "plain"):
        fleet.register(name)
    install(fleet["vela"])
    Cluster.objects.get(name="vela").baseline.mark()
    settle()
    project = Project(tenant=make_acme(placement={"clusters": ["plain", "vela"]}), name="shop")
    project.declare(by="alice")
    settle()
    return project


def come_up(fleet):
    """Controllers play and workers take steps, whoever dies meanwhile."""
    for _ in range(3):
        though_it_dies(settle)
        act(fleet["vela"])
        for ref in fleet["plain"].refs(DEPLOYMENT):
            become_ready(fleet["plain"], ref)
        for placement in AppPlacement.objects.all():
            placement.mark()
        though_it_dies(settle)


@pytest.mark.parametrize(("first", "second"), [("vela", "plain"), ("plain", "vela")])
def test_killed_at_each_move_it_ends_once_on_both_adapters(both, fleet, monkeypatch, first, second):
    steps = [
        {"name": "first", "type": "deploy", "properties": {"clusters": [first]}},
        step("approve", "suspend"),
        {"name": "prod", "type": "deploy", "properties": {"clusters": [second]}},
    ]
    dying = DiesEachTime(monkeypatch)
    app = App(project=both, name="site", components=[component()], workflow={"steps": steps})
    app.declare(by="bob")
    come_up(fleet)
    found = WorkflowRun.objects.get()
    assert phases(found) == {"first": "succeeded", "approve": "suspending", "prod": "pending"}
    assert dict(app.placements.values_list("cluster__name", "target")) == {first: 1, second: 0}

    found.commanded = True
    found.resume("alice", message="Go.")
    come_up(fleet)
    app.refresh_from_db()
    assert set(phases(found).values()) == {"succeeded"}
    assert dying.kills >= 6, "at each beginning and each end of a step, and at that of the run"
    assert {row.adapter_name for row in app.placements.all()} == {
        "delivery.native",
        "delivery.kubevela",
    }
    assert (app.phase, Revision.objects.count()) == ("Deployed", 1)
    events = Event.objects.filter(object_uid=app.own_flow().uid)
    assert {reason: events.filter(reason=reason).count() for reason in ONCE} == ONCE
    assert events.filter(reason="RunSucceeded").count() == 1
