"""How the status of Deployments is judged."""

import pytest

from delivery.adapters.native import NativeApps
from delivery.intents import Component
from reconcile.values import Health, Part
from tests.delivery.samples import (
    component,
    counted,
    deployment,
    intent,
    with_traits,
)

ADAPTER = NativeApps()


DEADLINE = {
    "type": "Progressing",
    "status": "False",
    "reason": "ProgressDeadlineExceeded",
    "message": 'ReplicaSet "web-5d" has timed out progressing.',
}
QUOTA = {
    "type": "ReplicaFailure",
    "status": "True",
    "reason": "FailedCreate",
    "message": 'pods "web-5d-x7k2p" is forbidden: exceeded quota: kubenova, requested: pods=1',
}
REFUSED = "exceeded quota: kubenova, requested: pods=1"


@pytest.mark.parametrize(
    ("seen", "health", "ready", "message"),
    [
        pytest.param({}, Health.PROGRESSING, 0, "It is not there yet.", id="absent"),
        pytest.param(
            deployment(), Health.PROGRESSING, 0, "The cluster has not acted on it yet.", id="new"
        ),
        pytest.param(
            deployment(generation=3, **counted(2)),
            Health.PROGRESSING,
            2,
            "The cluster has not acted on it yet.",
            id="status of the generation before",
        ),
        pytest.param(
            deployment(**counted(3, updated=1, available=2)),
            Health.PROGRESSING,
            2,
            "1 of 2 replicas are up to date, 2 of 3 available.",
            id="rolling",
        ),
        pytest.param(
            deployment(**counted(3, updated=2, available=3)),
            Health.PROGRESSING,
            3,
            "2 of 2 replicas are up to date, 3 of 3 available.",
            id="old ones still there",
        ),
        pytest.param(
            deployment(**counted(3, updated=2, available=2)),
            Health.PROGRESSING,
            2,
            "2 of 2 replicas are up to date, 2 of 3 available.",
            id="old ones on their way out",
        ),
        pytest.param(
            deployment(**counted(2, available=1)),
            Health.PROGRESSING,
            1,
            "2 of 2 replicas are up to date, 1 of 2 available.",
            id="not available",
        ),
        pytest.param(deployment(**counted(2)), Health.READY, 2, "", id="ready"),
        pytest.param(
            deployment(**counted(1, available=0), conditions=[QUOTA]),
            Health.PROGRESSING,
            0,
            REFUSED,
            id="over quota, within the deadline",
        ),
        pytest.param(
            deployment(**counted(1, available=0), conditions=[DEADLINE]),
            Health.FAILED,
            0,
            DEADLINE["message"],
            id="past the deadline",
        ),
        pytest.param(
            deployment(**counted(1, available=0), conditions=[DEADLINE, QUOTA]),
            Health.FAILED,
            0,
            REFUSED,
            id="over quota, past the deadline",
        ),
        pytest.param(
            deployment(**counted(2), conditions=[{**QUOTA, "status": "False"}]),
            Health.READY,
            2,
            "",
            id="the quota was raised",
        ),
        pytest.param(
            deployment(
                **counted(2),
                conditions=[{"type": "Progressing", "status": "True", "reason": "NewReplicaSet"}],
            ),
            Health.READY,
            2,
            "",
            id="other conditions",
        ),
    ],
)
def test_it_judges_a_component(seen, health, ready, message):
    declared = with_traits(component(), scaler={"replicas": 2})
    found = ADAPTER.assess(intent(declared), seen)
    assert found.parts == (Part("web", health, ready, 2, message),)
    assert found.health is health
    assert found.message == (f"web: {message}" if message else "")


def test_nothing_is_ready_when_nothing_is_wanted():
    declared = with_traits(component(), scaler={"replicas": 0})
    seen = deployment(observedGeneration=2)
    assert ADAPTER.assess(intent(declared), seen).health is Health.READY


def test_replicas_that_are_left_to_others_are_judged_by_what_they_ask_for():
    seen = deployment(**counted(5))
    for live in seen.values():
        live.body["spec"] = {"replicas": 5}
    found = ADAPTER.assess(intent(with_traits(component(), scaler={"replicas": 2})), seen)
    assert found.parts == (Part("web", Health.READY, 5, 5, ""),)


def test_an_app_is_as_healthy_as_its_worst_component():
    declared = [component(), component("jobs", "worker"), component("mail", "worker")]
    ready, rolling = deployment(**counted(1)), deployment("jobs")
    failed = deployment("mail", **counted(1, available=0), conditions=[DEADLINE])
    found = ADAPTER.assess(intent(*declared), ready | rolling | failed)
    assert (found.health, found.reason) == (Health.FAILED, "RolloutFailed")
    assert [part.health for part in found.parts] == ["Ready", "Progressing", "Failed"]
    assert found.message.startswith("jobs: The cluster has not acted on it yet.; mail: ReplicaSet")
    assert ADAPTER.assess(intent(*declared[:2]), ready | rolling).health is Health.PROGRESSING
    assert ADAPTER.assess(intent(*declared[:1]), ready).reason == "Available"


def test_a_component_is_read_without_its_optional_parts():
    assert Component.of({"name": "web", "type": "worker"}) == Component("web", "worker", {}, {})
