"""Rollouts in waves: which cluster gets a new revision when, and what holds the others."""

from datetime import datetime, timedelta

import pytest
import time_machine
from django.test import Client

from delivery.models import App, AppPlacement, ProjectSecret, Rollout
from reconcile.errors import Unreachable
from reconcile.models import Event, Work
from tests.clusters.steps import hurry, settle
from tests.delivery.controllers import deployment, errors_of, look
from tests.delivery.samples import component
from tests.delivery.waves import (
    APPROVED,
    CANARY,
    THREE,
    WAVES,
    WEB,
    change,
    come_up,
    images,
    now,
    phase,
    staged,
    standing,
    trio,
    waves,
)

__all__ = ["standing", "trio"]

SOAK = {"waves": [CANARY | {"soak": 60}, {"clusters": ["prod-b", "prod-c"]}]}


def told(app: App) -> list[str]:
    """What the app's events say of its waves, in order."""
    reasons = ("WaveBegan", "ApprovalAwaited", "WaveDone", "RolledOut")
    events = Event.objects.filter(object_uid=app.uid, reason__in=reasons).order_by("pk")
    return [event.message.replace(str(app), "site") for event in events]


def step(app: App) -> None:
    """The app looks again."""
    app.mark()
    settle()


def test_a_strategy_alone_makes_no_revision_and_moves_nobody(standing, fleet):
    app = staged(standing, APPROVED)
    assert (app.revision, app.phase, app.generation) == (1, "Deployed", 2)
    assert not Rollout.objects.exists()
    assert images(fleet) == "1.27 1.27 1.27"


def test_a_new_revision_comes_wave_after_wave(standing, fleet):
    app = change(staged(standing))
    assert images(fleet) == "2 1.27 1.27"
    assert (waves(app), phase(app)) == (["Running", "Waiting"], "Applying")
    come_up(fleet, "prod-a")
    assert images(fleet) == "2 2 2"
    assert (waves(app), phase(app)) == (["Done", "Running"], "Applying")
    come_up(fleet, "prod-b")
    assert phase(app) == "Applying" and not app.revisions.get(number=2).healthy
    come_up(fleet, "prod-c")
    assert (waves(app), phase(app)) == (["Done", "Done"], "Deployed")
    assert app.revisions.get(number=2).healthy
    assert now(app).state == "Done" and now(app).finished_at >= now(app).started_at
    assert told(app) == [
        "Wave 1 of 2 of revision 2 of site began on prod-a.",
        "Wave 1 of 2 of revision 2 of site is healthy on prod-a.",
        "Wave 2 of 2 of revision 2 of site began on prod-b, prod-c.",
        "Wave 2 of 2 of revision 2 of site is healthy on prod-b, prod-c.",
        "Revision 2 of site is on all clusters.",
    ]


def test_the_later_ones_stay_and_are_repaired_as_they_were(standing, fleet):
    app = change(staged(standing))
    fleet["prod-b"].edit(
        WEB,
        "kubectl-edit",
        lambda body: body["spec"]["template"]["spec"]["containers"][0].update(image="evil:1"),
    )
    look()
    assert images(fleet) == "2 1.27 1.27"
    app.labels = {"team": "checkout"}  # no revision, so it is for all of them
    app.declare(by="bob")
    settle()
    assert images(fleet) == "2 1.27 1.27"
    for name in THREE:
        assert deployment(fleet[name])["metadata"]["labels"]["team"] == "checkout"


def test_the_first_revision_comes_in_waves_too(trio, fleet):
    app = App(project=trio, name="site", components=[component()], strategy=WAVES)
    app.declare(by="bob")
    settle()
    assert images(fleet) == "1.27 - -"
    waiting = app.placements.get(cluster__name="prod-b")
    assert (waiting.target, waiting.phase) == (0, "Pending")
    assert waiting.conditions[0]["reason"] == "WaitingForWave"
    (row,) = waiting.rollout()
    assert (row["name"], row["revision"], row["phase"]) == ("web", None, "Pending")
    come_up(fleet, "prod-a")
    assert images(fleet) == "1.27 1.27 1.27"
    come_up(fleet, "prod-b", "prod-c")
    assert phase(app) == "Deployed"


def test_an_app_that_waits_for_its_waves_is_being_applied(trio, fleet):
    waits = {"waves": [CANARY | {"approval": True}]}
    app = App(project=trio, name="site", components=[component()], strategy=waits)
    app.declare(by="bob")
    settle()
    assert (images(fleet), phase(app)) == ("- - -", "Applying")
    ready = app.conditions[1]
    assert (ready["status"], ready["reason"]) == ("False", "WaitingApproval")
    assert ready["message"] == "Wave 1 of 2 waits for somebody to promote it."


def test_what_waits_for_its_wave_can_be_deleted(trio, fleet):
    app = App(project=trio, name="site", components=[component()], strategy=WAVES)
    app.declare(by="bob")
    settle()
    app.request_deletion(by="bob")
    hurry()
    assert not App.objects.exists() and not Rollout.objects.exists()
    assert images(fleet) == "- - -"


def test_no_more_clusters_move_at_once_than_may(standing, fleet):
    one = {"waves": [{"clusters": [*THREE], "max_unavailable": 1}]}
    change(staged(standing, one))
    assert images(fleet) == "2 1.27 1.27"
    come_up(fleet, "prod-a")
    assert images(fleet) == "2 2 1.27"
    come_up(fleet, "prod-b")
    assert images(fleet) == "2 2 2"


# --- Approval and soak.


def test_the_second_wave_waits_for_approval(standing, fleet):
    app = change(staged(standing, APPROVED))
    come_up(fleet, "prod-a")
    with time_machine.travel(timedelta(days=3)):
        step(app)
        assert (images(fleet), waves(app)) == ("2 1.27 1.27", ["Done", "WaitingApproval"])
    assert (phase(app), app.conditions[1]["reason"]) == ("Applying", "WaitingApproval")
    assert "Wave 2 of 2 of revision 2 of site waits for somebody to promote it." in told(app)
    app.promote(by="alice")
    settle()
    assert images(fleet) == "2 2 2"
    wave = now(app).waves[1]
    assert wave["approved_by"] == "alice" and wave["approved_at"] <= wave["started_at"]


def test_a_wave_soaks(standing, fleet):
    app = change(staged(standing, SOAK))
    come_up(fleet, "prod-a")
    assert (images(fleet), waves(app)) == ("2 1.27 1.27", ["Soaking", "Waiting"])
    with time_machine.travel(timedelta(seconds=50)):
        step(app)
        assert images(fleet) == "2 1.27 1.27"
    with time_machine.travel(timedelta(seconds=61)):
        step(app)
        assert images(fleet) == "2 2 2"
        assert now(app).waves[0]["finished_at"] is not None


def test_it_looks_again_when_a_wave_has_soaked(standing, fleet):
    app = change(staged(standing, {"waves": [CANARY | {"soak": 5}]}))
    come_up(fleet, "prod-a")
    due = Work.objects.get(kind="delivery.app", object_id=app.pk).due_at
    since = datetime.fromisoformat(now(app).waves[0]["healthy_since"])
    assert timedelta(seconds=4) < due - since < timedelta(seconds=14)


# --- Clusters that are away, join or change.


def test_a_cluster_that_nobody_reaches_holds_its_wave_and_nothing_else(standing, fleet, settings):
    settings.UNREACHABLE_GRACE_SECONDS = 0
    app = staged(standing, {"waves": [{"clusters": ["prod-a", "prod-b"]}]})
    fleet["prod-b"].always(Unreachable("down"))
    change(app)
    come_up(fleet, "prod-a")
    assert images(fleet) == "2 1.27 1.27"
    assert waves(app) == ["Running", "Waiting"]
    assert now(app).reason == "Wave 1 of 2 is under way: prod-b is Error (Unreachable)."
    assert now(app).state == "Running", "it has not failed"
    assert app.placements.get(cluster__name="prod-a").phase == "Deployed"
    fleet["prod-b"].faults.clear()
    hurry()
    come_up(fleet, "prod-b")
    assert images(fleet) == "2 2 2"


def register_fourth(trio, fleet, **labels: str) -> None:
    fleet.register("prod-d", labels=labels)
    tenant = trio.tenant
    tenant.refresh_from_db()
    tenant.placement = {"clusters": [*THREE, "prod-d"]}
    tenant.declare(by="olga")
    settle()


@pytest.mark.parametrize(
    ("region", "target"),
    [pytest.param("eu", 2, id="its wave began"), pytest.param("us", 1, id="its wave waits")],
)
def test_a_cluster_that_joins_gets_what_its_wave_may_have(standing, trio, fleet, region, target):
    app = change(staged(standing, {"waves": [{"selector": {"region": "eu"}}]}))
    register_fourth(trio, fleet, region=region)
    joined = app.placements.get(cluster__name="prod-d")
    assert (joined.target, joined.revision) == (target, target)


def test_after_all_is_done_who_joins_gets_the_newest(standing, trio, fleet):
    app = change(staged(standing))
    come_up(fleet, "prod-a")
    come_up(fleet, "prod-b", "prod-c")
    register_fourth(trio, fleet, region="eu")
    assert app.placements.get(cluster__name="prod-d").target == 2
    assert now(app).state == "Done"


def test_on_no_cluster_it_waits_for_the_first(trio, fleet):
    nowhere = {"selector": {"region": "mars"}}
    app = App(
        project=trio, name="site", components=[component()], strategy=WAVES, placement=nowhere
    )
    app.declare(by="bob")
    settle()
    assert (phase(app), now(app).finished_at) == ("Pending", None)
    assert app.conditions[0]["reason"] == "NoClusterSelected"
    app.placement = {}
    app.declare(by="bob")
    settle()
    assert images(fleet) == "1.27 - -"


# --- Something else is wanted meanwhile.


def test_an_edit_begins_with_the_first_wave_anew(standing, fleet):
    app = change(staged(standing, APPROVED))
    come_up(fleet, "prod-a")
    change(app, "nginx:3")
    assert images(fleet) == "3 1.27 1.27"
    assert waves(app) == ["Running", "Waiting"]
    first = app.rollouts.get(revision=2)
    assert (first.state, first.ended_by) == ("Superseded", "bob")
    come_up(fleet, "prod-a")
    assert waves(app) == ["Done", "WaitingApproval"]


def test_a_rollback_goes_everywhere_at_once(standing, fleet):
    app = change(staged(standing, APPROVED))
    come_up(fleet, "prod-a")
    assert app.rollback(None, by="alice", message="2 is slow")
    assert [*app.placements.values_list("target", flat=True)] == [3, 3, 3]
    settle()
    assert images(fleet) == "1.27 1.27 1.27"
    left = app.rollouts.get(revision=2)
    assert (left.state, left.ended_by, left.end_reason) == ("RolledBack", "alice", "2 is slow")
    assert not app.rollouts.filter(revision=3).exists()
    come_up(fleet, *THREE)
    assert phase(app) == "Deployed"


def test_another_strategy_begins_anew_with_the_same_revision(standing, fleet):
    app = change(staged(standing, APPROVED))
    come_up(fleet, "prod-a")
    staged(app, {"waves": [{"clusters": ["prod-b"]}, CANARY]})
    assert (images(fleet), app.revision) == ("2 2 1.27", 2)
    come_up(fleet, "prod-b")
    assert images(fleet) == "2 2 2", "prod-a was healthy already"
    assert waves(app) == ["Done", "Done", "Running"]


def test_without_the_strategy_everybody_gets_it(standing, fleet):
    app = change(staged(standing, APPROVED))
    staged(app, {})
    assert images(fleet) == "2 2 2"
    assert app.rollouts.get(revision=2).state == "Superseded"
    come_up(fleet, *THREE)
    assert phase(app) == "Deployed"


def test_a_wave_of_a_cluster_where_the_project_is_not_is_refused(standing):
    standing.strategy = {"waves": [{"clusters": ["prod-z"]}]}
    where = ("waves", 0, "clusters", 0)
    assert errors_of(standing) == {"strategy": [("unknown", where)]}


def test_a_cluster_that_has_left_the_project_may_stay_in_its_wave(standing, trio):
    app = staged(standing)
    tenant = trio.tenant
    tenant.placement = {"clusters": ["prod-a", "prod-b"]}
    tenant.declare(by="olga")
    hurry()
    app.refresh_from_db()
    app.description = "Still fine"
    assert app.declare(by="bob")


def test_what_a_later_wave_still_runs_keeps_its_names_and_secrets(standing, trio):
    secret = ProjectSecret(project=trio, name="token")
    secret.assign({"key": "value"})
    secret.declare(by="bob")
    env = [{"name": "T", "valueFrom": {"secretKeyRef": {"name": "token", "key": "key"}}}]
    app = staged(standing, components=[component("old", env=env)], strategy={})
    staged(app)
    app.components = [component("new")]
    app.declare(by="bob")
    AppPlacement.objects.update(revision=0)  # nobody has reached the clusters meanwhile
    assert secret.used_by() == ["site"]
    other = App(project=trio, name="other", components=[component("old")])
    assert errors_of(other) == {"components": [("taken", (0, "name"))]}
    app.strategy = {}
    app.declare(by="bob")
    assert secret.used_by() == []
    assert other.declare(by="bob")


# --- Workers that die.


class Killed(Exception):
    """The worker is gone."""


@pytest.mark.parametrize("reason", ["WaveDone", "WaveBegan", "RolledOut"])
def test_a_worker_that_dies_in_between_loses_and_repeats_nothing(
    standing, fleet, monkeypatch, reason
):
    """Each time that something is told, everything of the step is undone, and done once later."""
    app = change(staged(standing))
    record, killed = Event.record.__func__, []

    def dying(cls, row, told, *args, **kwargs):
        if told == reason and not killed:
            killed.append(told)
            raise Killed
        return record(cls, row, told, *args, **kwargs)

    monkeypatch.setattr(Event, "record", classmethod(dying))
    come_up(fleet, "prod-a")
    hurry()
    come_up(fleet, "prod-b", "prod-c")
    hurry()
    assert killed == [reason]
    assert (images(fleet), waves(app), phase(app)) == ("2 2 2", ["Done", "Done"], "Deployed")
    assert len(told(app)) == len(set(told(app))) == 5


def test_the_same_step_again_changes_nothing(standing, fleet):
    app = change(staged(standing, APPROVED))
    come_up(fleet, "prod-a")
    before = (now(app).waves, Event.objects.count(), [*app.placements.values_list("target")])
    for _ in range(3):
        step(app)
    after = (now(app).waves, Event.objects.count(), [*app.placements.values_list("target")])
    assert after == before


# --- Operators.


def test_operators_read_rollouts_in_the_admin(standing, people):
    app = change(staged(standing))
    client = Client()
    people["olga"].is_superuser = True
    people["olga"].save()
    client.force_login(people["olga"])
    text = client.get("/admin/delivery/rollout/?q=acme").content.decode()
    assert "App acme/shop/site" in text and "Running" in text
    text = client.get(f"/admin/delivery/rollout/{now(app).pk}/change/").content.decode()
    assert "1: Running (prod-a)" in text and "2: Waiting (prod-b, prod-c)" in text
    assert 'name="_save"' not in text
    text = client.get(f"/admin/delivery/app/{app.pk}/change/").content.decode()
    assert "Wave 1 of 2 is under way: prod-a is Applying" in text
