"""Workflows that deploy an app which comes to its clusters in waves."""

from datetime import timedelta

import pytest
import time_machine

from delivery.models import App, AppPlacement, WorkflowRun
from tests.clusters.steps import settle
from tests.delivery.flows import declare, deploy, phases, run, told
from tests.delivery.waves import APPROVED, come_up, fail, images, now, staged, standing, trio

__all__ = ["standing", "trio"]


@pytest.fixture
def rolling(standing, fleet) -> App:
    """`site`, whose second wave has to be approved."""
    return staged(standing, APPROVED)


def released(app: App, **rest: object) -> WorkflowRun:
    """A run that deploys another image."""
    return run(declare(app.project, deploy("go", "nginx:2", **rest)))


def look_at(found: WorkflowRun) -> None:
    found.mark()
    settle()


def refuse(name: str, **columns: object) -> None:
    """The cluster refuses the app from now on."""
    AppPlacement.objects.filter(cluster__name=name).update(phase="Error", **columns)


def test_it_waits_for_the_last_wave_and_says_what_that_waits_for(rolling, fleet):
    found = released(rolling)
    come_up(fleet, "prod-a")
    look_at(found)
    assert (phases(found), images(fleet)) == ({"go": "running"}, "2 1.27 1.27")
    assert told(found, "go").startswith("Wave 2 of 2 waits for somebody to promote it. prod-b is")
    rolling.refresh_from_db()
    rolling.promote(by="bob")
    settle()
    come_up(fleet, "prod-b", "prod-c")
    look_at(found)
    assert phases(found) == {"go": "succeeded"}


def test_a_cluster_that_is_ill_before_its_wave_has_refused_nothing(rolling, fleet):
    App.objects.update(health_deadline=60)
    found = released(rolling)
    refuse("prod-b")
    with time_machine.travel(timedelta(minutes=10), tick=False):
        look_at(found)
    assert phases(found) == {"go": "running"}, told(found, "go")


def test_a_cluster_has_the_health_deadline_from_when_it_began_to_refuse(rolling, fleet):
    App.objects.update(health_deadline=60)
    found = released(rolling)
    began = found.created_at + timedelta(minutes=10)
    refused = {"type": "Synced", "status": "False", "reason": "Refused", "message": "No."}
    told_at = {**refused, "last_transition": began.isoformat()}
    refuse("prod-a", conditions=[told_at])
    with time_machine.travel(began + timedelta(seconds=59), tick=False):
        look_at(found)
        assert phases(found) == {"go": "running"}, told(found, "go")
    with time_machine.travel(began + timedelta(seconds=61), tick=False):
        look_at(found)
    assert phases(found) == {"go": "failed"} and "prod-a is Error: No." in told(found, "go")


def test_a_failure_ends_the_step_and_leaves_the_rollout_paused(rolling, fleet):
    found = released(rolling)
    fail(fleet, "prod-a")
    look_at(found)
    assert phases(found) == {"go": "failed"} and "prod-a: web:" in told(found, "go")
    assert (now(rolling).state, images(fleet)) == ("Paused", "2 1.27 1.27")


def test_what_is_aborted_ends_the_step(rolling, fleet):
    found = released(rolling)
    rolling.refresh_from_db()
    rolling.abort(by="alice", reason="Too slow.")
    settle()
    look_at(found)
    assert phases(found) == {"go": "failed"}
    assert "has taken the place of 2" in told(found, "go") and "Too slow." in told(found, "go")
