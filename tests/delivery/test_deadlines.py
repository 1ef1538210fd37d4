"""The health deadline of what has none of its own: StatefulSets and DaemonSets."""

from datetime import timedelta

import pytest
import time_machine

from clusters.kinds import DAEMON_SET, DEPLOYMENT, STATEFUL_SET
from delivery.adapters.native import NativeApps
from delivery.models import App
from reconcile.values import Health, Live, Ref
from tests.clusters.steps import settle
from tests.delivery.controllers import look, report
from tests.delivery.samples import NAMESPACE, component, intent

DATA = Ref(STATEFUL_SET, NAMESPACE, "data")
TEXT = "There was no progress within the health deadline."
NODES = {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1}
PODS = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 0}

THROUGH = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}


def part(type_, kind, overdue, **status):
    ref = Ref(kind, NAMESPACE, "data")
    meta = {"name": "data", "namespace": NAMESPACE, "uid": "u1", "generation": 2}
    live = Live(ref, {"metadata": meta, "status": {"observedGeneration": 2, **status}})
    names = frozenset({"data"} if overdue else ())
    wanted = intent(component("data", type_), overdue=names)
    (found,) = NativeApps().assess(wanted, {ref: live}).parts
    return found


@pytest.mark.parametrize(
    ("type_", "kind", "status", "overdue", "health"),
    [
        pytest.param("statefulset", STATEFUL_SET, PODS, True, Health.FAILED, id="StatefulSet"),
        pytest.param("statefulset", STATEFUL_SET, PODS, False, Health.PROGRESSING, id="in time"),
        pytest.param("daemon", DAEMON_SET, NODES, True, Health.FAILED, id="DaemonSet"),
        pytest.param(
            "daemon",
            DAEMON_SET,
            {**NODES, "numberAvailable": 2},
            True,
            Health.READY,
            id="ready in the end",
        ),
        pytest.param("worker", DEPLOYMENT, PODS, True, Health.PROGRESSING, id="has its own"),
        pytest.param(
            "worker",
            DEPLOYMENT,
            {**PODS, "conditions": [THROUGH]},
            True,
            Health.FAILED,
            id="a Deployment that is only scaled",
        ),
    ],
)
def test_what_comes_no_further_has_failed(type_, kind, status, overdue, health):
    found = part(type_, kind, overdue, **status)
    assert found.health is health
    assert (TEXT in found.message) is (health is Health.FAILED)


@pytest.fixture
def data(shop) -> App:
    """A StatefulSet of three pods, with a minute to come further."""
    traits = [{"type": "scaler", "properties": {"replicas": 3}}]
    app = App(project=shop, name="site", components=[{**component("data", "statefulset")}])
    app.components[0]["traits"] = traits
    app.health_deadline = 60
    app.declare(by="bob")
    settle()
    return app


def pods(fleet, ready: int) -> None:
    counts = {"replicas": 3, "updatedReplicas": 3, "availableReplicas": ready}
    report(fleet["prod-a"], DATA, **counts)
    look()


def phase(app: App) -> str:
    app.refresh_from_db()
    return app.phase


def test_each_pod_that_comes_up_is_progress(data, fleet):
    pods(fleet, 0)
    for ready in (1, 2):
        with time_machine.travel(timedelta(seconds=50 * ready), tick=False):
            pods(fleet, ready)
            look()
            assert phase(data) == "Applying"
    with time_machine.travel(timedelta(seconds=165), tick=False):
        look()
        assert phase(data) == "Error"
        (row,) = data.placements.get().rollout()
        assert TEXT in row["message"] and (row["ready"], row["wanted"]) == (2, 3)


def test_it_stays_failed_until_it_is_ready_or_changed(data, fleet):
    pods(fleet, 0)
    with time_machine.travel(timedelta(seconds=70), tick=False):
        look()
        assert phase(data) == "Error"
        pods(fleet, 1)
        assert phase(data) == "Error"
        pods(fleet, 3)
        assert phase(data) == "Deployed"
        data.components[0]["properties"]["image"] = "nginx:1.28"
        data.declare(by="bob")
        settle()
        assert phase(data) == "Applying"
