"""Pause, resume, promote and abort over HTTP, and what a rollout does when something fails."""

import pytest

from delivery.models import App, RevisionBlock
from reconcile.models import Event
from tests.api.conftest import problem
from tests.clusters.steps import settle
from tests.delivery.controllers import look
from tests.delivery.paths import SITE
from tests.delivery.samples import component
from tests.delivery.waves import (
    APPROVED,
    CANARY,
    THREE,
    change,
    come_up,
    fail,
    images,
    now,
    phase,
    staged,
    standing,
    trio,
    waves,
)
from tests.people import make_globex

__all__ = ["standing", "trio"]

VERBS = ("pause", "resume", "promote", "abort")
FAILED = 'Revision 2 failed on prod-a: web: ReplicaSet "web-5d" has timed out progressing.'


@pytest.fixture
def bob(as_):
    return as_("bob")


@pytest.fixture
def rolling(standing) -> App:
    """`site`, whose revision 2 has come to its first wave; the second has to be approved."""
    return change(staged(standing, APPROVED))


def said(app: App, reason: str) -> tuple[str, str]:
    event = Event.objects.get(object_uid=app.uid, reason=reason)
    assert event.correlation_id
    return event.actor, event.message.replace(str(app), "site")


# --- What people do.


def test_promote_approves_the_wave_that_waits(rolling, bob, fleet):
    come_up(fleet, "prod-a")
    assert bob.get(f"{SITE}/rollout").json()["verbs"] == ["promote", "pause", "abort"]
    answer = bob.post(f"{SITE}:promote")
    assert answer.status_code == 202, answer.content
    body = answer.json()
    assert (body["state"], body["verbs"]) == ("Running", ["pause", "abort"])
    assert [wave["approved_by"] for wave in body["waves"]] == ["", "bob"]
    settle()
    assert images(fleet) == "2 2 2"
    assert said(rolling, "WavePromoted") == ("bob", "bob approved wave 2 of revision 2 of site.")
    answer = problem(bob.post(f"{SITE}:promote"), 409, "KN-CONFLICT")
    assert answer["state"] == "Running"
    assert answer["detail"].endswith("is Running and cannot be promoted.")


def test_promote_refuses_another_wave_than_the_one_that_waits(rolling, bob, fleet):
    come_up(fleet, "prod-a")
    answer = problem(bob.post(f"{SITE}:promote", {"wave": 1}, format="json"), 409, "KN-CONFLICT")
    assert (answer["state"], answer["wave"]) == ("WaitingApproval", 2)
    assert answer["detail"] == "Wave 1 does not wait to be promoted: wave 2 does."
    assert waves(rolling) == ["Done", "WaitingApproval"]
    problem(bob.post(f"{SITE}:promote", {"wave": 0}, format="json"), 400, "KN-INVALID")
    assert bob.post(f"{SITE}:promote", {"wave": 2}, format="json").status_code == 202


def test_promote_ends_a_soak(standing, bob, fleet):
    app = change(staged(standing, {"waves": [CANARY | {"soak": 3600}]}))
    come_up(fleet, "prod-a")
    assert waves(app) == ["Soaking", "Waiting"]
    body = bob.post(f"{SITE}:promote").json()
    assert body["waves"][0]["soak_ended_by"] == "bob"
    settle()
    assert images(fleet) == "2 2 2"


def test_a_pause_holds_what_has_not_begun(standing, bob, fleet):
    one = {"waves": [{"clusters": [*THREE], "max_unavailable": 1}]}
    app = change(staged(standing, one))
    body = bob.post(f"{SITE}:pause", {"reason": "lunch"}).json()
    assert (body["state"], body["verbs"]) == ("Paused", ["resume", "abort"])
    assert (body["paused"]["by"], body["paused"]["reason"]) == ("bob", "lunch")
    come_up(fleet, "prod-a")
    assert images(fleet) == "2 1.27 1.27"
    assert (phase(app), app.conditions[1]["reason"]) == ("Applying", "Paused")
    assert app.conditions[1]["message"].startswith("Paused by bob: lunch. Wave 1 of 1 is under way")
    answer = problem(bob.post(f"{SITE}:pause"), 409, "KN-CONFLICT")
    assert "is Paused and cannot be paused" in answer["detail"]
    assert problem(bob.post(f"{SITE}:promote"), 409, "KN-CONFLICT")["state"] == "Paused"
    body = bob.post(f"{SITE}:resume").json()
    assert (body["state"], body["paused"]) == ("Running", None)
    settle()
    assert images(fleet) == "2 2 1.27"
    assert problem(bob.post(f"{SITE}:resume"), 409, "KN-CONFLICT")["state"] == "Running"
    assert said(app, "RolloutPaused")[0] == said(app, "RolloutResumed")[0] == "bob"


def test_abort_goes_back_wherever_it_has_come_to(rolling, bob, fleet):
    come_up(fleet, "prod-a")
    answer = bob.post(f"{SITE}:abort", {"reason": "too slow"})
    assert (answer.status_code, answer.json()["state"]) == (202, "Aborted")
    settle()
    assert images(fleet) == "1.27 1.27 1.27"
    come_up(fleet, *THREE)
    assert phase(rolling) == "Deployed"
    body = bob.get(f"{SITE}/rollout").json()
    assert (body["revision"], body["state"], body["verbs"]) == (3, "Aborted", [])
    assert body["reason"] == "The rollout of revision 2 was aborted by bob: too slow"
    assert RevisionBlock.objects.get().revision.number == 2
    assert said(rolling, "RolloutAborted")[0] == "bob"
    again = bob.patch(SITE, {"components": [component(image="nginx:2")]})
    problem(again, 409, "KN-CONFLICT")
    assert problem(bob.post(f"{SITE}:abort"), 409, "KN-CONFLICT")["state"] == "Aborted"


def test_what_was_well_before_its_revision_came_took_no_time(standing, bob):
    """Clusters tell moments in whole seconds, and a new revision need not move a component."""
    for row in standing.placements_of():
        row.components = [part | {"since": "2020-01-01T00:00:00Z"} for part in row.components]
        row.save()
    body = bob.get(f"{SITE}/rollout").json()
    assert (body["state"], body["seconds"]) == ("Done", 0)
    assert body["finished_at"] == body["started_at"] != "2020-01-01T00:00:00Z"


def test_without_a_strategy_there_is_nothing_to_steer_but_a_way_back(standing, bob, fleet):
    body = bob.get(f"{SITE}/rollout").json()
    assert (body["state"], body["verbs"], body["strategy"]) == ("Done", [], {})
    (wave,) = body["waves"]
    assert (wave["clusters"], wave["state"]) == ([*THREE], "Done")
    assert 0 <= wave["seconds"] == body["seconds"]
    for verb in VERBS:
        assert problem(bob.post(f"{SITE}:{verb}"), 409, "KN-CONFLICT")["state"] == "Done"
    change(standing)
    body = bob.get(f"{SITE}/rollout").json()
    assert (body["state"], body["verbs"]) == ("Running", ["abort"])
    problem(bob.post(f"{SITE}:pause"), 409, "KN-CONFLICT")
    assert bob.post(f"{SITE}:abort").status_code == 202
    settle()
    assert images(fleet) == "1.27 1.27 1.27"


def test_the_first_revision_cannot_be_aborted(trio, bob):
    app = App(project=trio, name="site", components=[component()], strategy=APPROVED)
    app.declare(by="bob")
    settle()
    assert bob.get(f"{SITE}/rollout").json()["verbs"] == ["pause"]
    answer = problem(bob.post(f"{SITE}:abort"), 409, "KN-CONFLICT")
    assert answer["detail"].startswith("No revision before 1 was healthy")
    assert now(app).state == "Running", "nothing of it remains"


def test_the_plan_of_a_promotion_shows_the_next_wave(rolling, bob, fleet):
    come_up(fleet, "prod-a")
    plan = bob.post(f"{SITE}:promote?dryRun=plan")
    assert plan.status_code == 200, plan.content
    assert [each["cluster"] for each in plan.json()["clusters"]] == ["prod-b", "prod-c"]
    assert waves(rolling) == ["Done", "WaitingApproval"]
    done = bob.post(f"{SITE}:promote", HTTP_IF_PLAN=plan.json()["hash"])
    assert (done.status_code, waves(rolling)) == (202, ["Done", "Running"])


def test_the_plan_of_an_edit_shows_its_first_wave(standing, bob):
    staged(standing, APPROVED)
    body = {"components": [component(image="nginx:2")]}
    plan = bob.patch(f"{SITE}?dryRun=plan", body).json()
    assert [each["cluster"] for each in plan["clusters"]] == ["prod-a"]


def test_a_verb_with_a_key_runs_once(rolling, bob, fleet):
    come_up(fleet, "prod-a")
    first, again = (bob.post(f"{SITE}:promote", HTTP_IDEMPOTENCY_KEY="k") for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202)
    assert again["Idempotency-Replayed"] == "true"


def test_only_who_delivers_may(rolling, as_):
    make_globex()
    for verb in VERBS:
        problem(as_("carol").post(f"{SITE}:{verb}"), 403, "KN-FORBIDDEN")
        problem(as_("charlie").post(f"{SITE}:{verb}"), 404, "KN-NOT-FOUND")
        missing = as_("charlie").post(f"{SITE.replace('site', 'nope')}:{verb}")
        assert missing.status_code == 404
    assert as_("carol").get(f"{SITE}/rollout").status_code == 200
    assert as_("charlie").get(f"{SITE}/rollout").status_code == 404
    assert waves(rolling) == ["Running", "Waiting"]


def test_a_cordoned_tenant_promotes_nothing(rolling, bob, trio, fleet):
    come_up(fleet, "prod-a")
    tenant = trio.tenant
    tenant.refresh_from_db()
    tenant.cordoned = True
    tenant.declare(by="olga")
    problem(bob.post(f"{SITE}:promote"), 409, "KN-CONFLICT")
    assert waves(rolling) == ["Done", "WaitingApproval"]


# --- What fails.


def test_what_fails_pauses_the_rollout(rolling, bob, fleet):
    fail(fleet, "prod-a")
    body = bob.get(f"{SITE}/rollout").json()
    assert (body["state"], body["paused"]["by"]) == ("Paused", "kubenova")
    assert body["paused"]["reason"] == FAILED
    assert phase(rolling) == "Error"
    event = Event.objects.get(reason="RolloutPaused")
    assert (event.type, event.actor) == ("Warning", "kubenova")
    assert FAILED in event.message
    look()
    assert Event.objects.filter(reason="RolloutPaused").count() == 1
    assert images(fleet) == "2 1.27 1.27"


def test_who_resumes_goes_on_until_something_else_fails(rolling, bob, fleet):
    fail(fleet, "prod-a")
    assert bob.post(f"{SITE}:resume").json()["state"] == "Running"
    fail(fleet, "prod-a")
    assert now(rolling).state == "Running", "somebody has seen that"
    come_up(fleet, "prod-a")
    assert waves(rolling) == ["Done", "WaitingApproval"]
    assert now(rolling).excused == []
    bob.post(f"{SITE}:promote")
    settle()
    fail(fleet, "prod-b")
    assert now(rolling).state == "Paused"
    assert now(rolling).pause_reason.startswith("Revision 2 failed on prod-b: web: ")


def test_what_fails_goes_back_if_it_was_asked_to(standing, bob, fleet):
    app = change(staged(standing, APPROVED, on_failure="rollback"))
    fail(fleet, "prod-a")
    app.refresh_from_db()
    assert (app.revision, images(fleet)) == (3, "1.27 1.27 1.27")
    assert [*app.placements.values_list("target", flat=True)] == [3, 3, 3]
    block = RevisionBlock.objects.get()
    assert (block.revision.number, block.by) == (2, "kubenova")
    assert app.rollouts.get(revision=2).state == "RolledBack"
    body = bob.get(f"{SITE}/rollout").json()
    assert (body["state"], body["reason"]) == ("RolledBack", FAILED)
    come_up(fleet, *THREE)
    assert phase(app) == "Deployed"
    told = Event.objects.filter(object_uid=app.uid, actor="kubenova").order_by("pk")
    assert [event.reason for event in told] == [
        *("RolloutPaused", "Changed", "Revised", "RevisionBlocked")
    ]


def test_what_fails_for_the_first_time_ever_is_paused(trio, fleet):
    app = App(project=trio, name="site", components=[component()], strategy=APPROVED)
    app.on_failure = "rollback"
    app.declare(by="bob")
    settle()
    fail(fleet, "prod-a")
    assert (now(app).state, images(fleet)) == ("Paused", "1.27 - -")
    assert Event.objects.filter(reason="RollbackImpossible").count() == 1
