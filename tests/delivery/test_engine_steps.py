"""Steps that KubeVela's engine carries out: made once, waited for, stopped, told."""

from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.kinds import CONFIG_MAP
from clusters.models import Capability
from clusters.watch.targets import applied_kinds, eligible, targets
from delivery.adapters.engine import EngineSteps
from delivery.adapters.objects import ObjectIntent
from delivery.models import ProjectObject, Workflow
from delivery.rules.engine_steps import engine_body
from reconcile.values import MANAGED_BY, Live, Ref
from tenancy.models import Project
from tests.clusters.steps import hurry, settle
from tests.delivery.engines import allow, announce, engine, play, shop
from tests.delivery.flows import declare, phases, run, step, told
from tests.delivery.test_choosing import look_at_clusters
from tests.kubevela import install, install_engine, runs
from tests.people import make_acme

__all__ = ["engine", "shop"]

NAME = "release--announce-1-1"


def names(live) -> list[str]:
    return [ref.name for ref in runs(live)]


def test_the_engine_carries_it_out_and_the_next_step_follows(shop, engine):
    found = declare(shop, announce(), step("tell")).run("bob")
    assert not runs(engine), "a step calls no cluster"
    settle()
    (ref,) = runs(engine)
    assert (ref.namespace, ref.name) == ("acme--shop", NAME)
    body = engine.body(ref)
    only = {"name": "announce", "type": "announce", "properties": {"to": "team"}}
    assert body["spec"] == {"workflowSpec": {"steps": [only]}}
    assert body["metadata"]["labels"][MANAGED_BY] == "kubenova"
    assert phases(found) == {"announce": "running", "tell": "pending"}
    assert "prod-a is Applying" in told(found, "announce")

    play(engine)
    assert set(phases(found).values()) == {"succeeded"}
    assert told(found, "announce") == "KubeVela carried it out on prod-a."
    assert names(engine) == [NAME], "it stays to be looked at"


def test_conditions_and_timeouts_and_waits_stay_here(shop, engine):
    first = step("tell")
    second = announce(timeout="1h", dependsOn=["tell"], **{"if": "status.tell.succeeded"})
    run(declare(shop, first, second, mode="DAG"))
    (ref,) = runs(engine)
    (sent,) = engine.body(ref)["spec"]["workflowSpec"]["steps"]
    assert sorted(sent) == ["name", "properties", "type"]


def test_inputs_are_filled_before(shop, engine):
    inputs = [{"from": "parameters.to", "parameterKey": "to"}]
    flow = declare(shop, step("announce", "announce", inputs=inputs))
    run(flow, to="ops")
    (ref,) = runs(engine)
    (sent,) = engine.body(ref)["spec"]["workflowSpec"]["steps"]
    assert sent["properties"] == {"to": "ops"}
    flow.runs.get().terminate("bob")
    found = run(flow, to=3)
    assert told(found, "announce") == "properties/to: Use a text."


@pytest.mark.parametrize("state", ["failed", "terminated"])
def test_a_failure_there_fails_the_step_with_its_words(shop, engine, state):
    found = run(declare(shop, announce(), step("tell")))
    play(engine, state=state, message="No such\nroom.")
    assert phases(found) == {"announce": "failed", "tell": "skipped"}
    assert told(found, "announce") == "prod-a is Error: No such room"
    assert names(engine) == [NAME], "it stays to be looked at"


def test_a_step_that_suspends_itself_is_told(shop, engine):
    found = run(declare(shop, announce()))
    play(engine, state="suspending")
    assert phases(found) == {"announce": "running"}
    assert "Suspending" in told(found, "announce")


@pytest.mark.parametrize(
    ("status", "health", "words"),
    [
        (None, "PROGRESSING", "at work"),
        ({}, "PROGRESSING", "at work"),
        ({"status": "initializing"}, "PROGRESSING", "at work"),
        ({"status": "executing", "steps": [{"message": "Half."}]}, "PROGRESSING", "Half."),
        ({"status": "skipped"}, "PROGRESSING", ""),
        ({"status": 3, "steps": "x"}, "PROGRESSING", ""),
        ({"status": ["failed"]}, "PROGRESSING", ""),
        ({"status": "failed", "steps": [None]}, "FAILED", "It has failed."),
        ({"status": "failed", "steps": [{"reason": "Action"}]}, "FAILED", "Action"),
        ({"status": "failed", "message": "m" * 5000}, "FAILED", "m" * 300),
        ({"status": "terminated"}, "FAILED", "terminated on the cluster"),
        ({"status": "succeeded"}, "READY", ""),
    ],
)
def test_whatever_the_status_says_is_understood_or_waited_for(status, health, words):
    body = engine_body(NAME, "announce", "announce", {})
    intent = ObjectIntent("acme", "shop", "acme--shop", body)
    (kind,) = EngineSteps.kinds
    ref = Ref(kind, "acme--shop", NAME)
    live = {**body, "metadata": {"name": NAME, "uid": "u"}, "status": status}
    found = EngineSteps().assess(intent, {ref: Live(ref, live)})
    assert (found.health.name, words in found.message) == (health, True)
    assert len(found.message) <= 400


def test_the_next_run_takes_the_place_of_the_last(shop, engine):
    flow = declare(shop, announce())
    run(flow)
    play(engine)
    found = run(flow)
    assert names(engine) == ["release--announce-2-1"]
    assert phases(found) == {"announce": "running"}, "what the last one told does not count"
    play(engine)
    assert phases(found) == {"announce": "succeeded"}
    assert ProjectObject.objects.count() == 1


def test_a_retry_has_it_done_anew(shop, engine):
    found = run(declare(shop, announce()))
    play(engine, state="failed")
    found.refresh_from_db()
    found.retry("bob")
    settle()
    assert names(engine) == ["release--announce-1-2"]
    play(engine)
    assert phases(found) == {"announce": "succeeded"}


def test_it_is_never_done_again_unasked(shop, engine):
    """Whoever deletes what has ended does not have the engine begin once more."""
    found = run(declare(shop, announce()))
    play(engine)
    (ref,) = runs(engine)
    engine.remove(ref)
    play(engine)
    hurry()
    assert not runs(engine)
    assert phases(found) == {"announce": "succeeded"}
    row = ProjectObject.objects.get()
    assert row.phase != "Deployed" and "taken its WorkflowRun away" in str(
        row.placements.get().conditions
    )


def test_one_that_somebody_takes_away_meanwhile_has_failed(shop, engine):
    found = run(declare(shop, announce()))
    (ref,) = runs(engine)
    engine.remove(ref)
    play(engine)
    assert phases(found) == {"announce": "failed"}
    assert "taken its WorkflowRun away" in told(found, "announce")
    assert not runs(engine)


def test_terminating_the_run_stops_the_engine(shop, engine):
    found = run(declare(shop, announce(), step("tell")))
    found.terminate("bob")
    settle()
    assert phases(found) == {"announce": "failed", "tell": "skipped"}
    assert not runs(engine)
    found.refresh_from_db()
    found.retry("bob")
    settle()
    assert names(engine) == ["release--announce-1-2"]


def test_a_cordon_keeps_nobody_from_stopping_it(shop, engine):
    found = run(declare(shop, announce()))
    tenant = shop.tenant
    tenant.refresh_from_db()
    tenant.cordoned = True
    tenant.declare(by="olga")
    settle()
    found.terminate("bob")
    settle()
    assert not runs(engine)


def test_in_a_cordoned_tenant_none_is_begun(shop, engine):
    flow = declare(shop, announce())
    found = flow.run("bob")
    tenant = shop.tenant
    tenant.refresh_from_db()
    tenant.cordoned = True
    tenant.declare(by="olga")
    settle()
    assert phases(found) == {"announce": "running"} and not runs(engine)
    assert "cordoned" in told(found, "announce")
    tenant.refresh_from_db()
    tenant.cordoned = False
    tenant.declare(by="olga")
    hurry()
    assert names(engine) == [NAME]


def test_a_step_that_takes_too_long_stops_the_engine(shop, engine):
    found = run(declare(shop, announce(timeout="1h")))
    found.progress["announce"]["started"] = (timezone.now() - timedelta(hours=2)).isoformat()
    found.save(update_fields=["progress"])
    found.mark()
    settle()
    assert phases(found) == {"announce": "failed"} and "longer than" in told(found, "announce")
    assert not runs(engine)


def both(shop: Project, fleet):
    other = install(fleet.register("prod-b") and fleet["prod-b"])
    install_engine(other, "announce")
    look_at_clusters()
    shop.tenant.refresh_from_db()
    shop.tenant.placement = {"clusters": ["prod-a", "prod-b"]}
    shop.tenant.declare(by="olga")
    settle()
    return other


def test_it_is_over_when_every_cluster_is_done(shop, engine, fleet):
    other = both(shop, fleet)
    found = run(declare(shop, announce()))
    assert names(engine) == names(other) == [NAME]
    play(engine)
    assert phases(found) == {"announce": "running"}
    assert told(found, "announce").endswith("done on prod-a")
    play(other)
    assert told(found, "announce") == "KubeVela carried it out on prod-a, prod-b."


def test_where_one_fails_the_others_are_stopped(shop, engine, fleet):
    other = both(shop, fleet)
    found = run(declare(shop, announce()))
    play(engine, state="failed", message="No.")
    assert phases(found) == {"announce": "failed"}
    assert names(engine) == [NAME] and not runs(other)


def test_a_step_runs_where_it_says(shop, engine, fleet):
    other = both(shop, fleet)
    found = run(declare(shop, announce(clusters=["prod-b"])))
    assert not runs(engine) and names(other) == [NAME]
    play(other)
    assert told(found, "announce") == "KubeVela carried it out on prod-b."


def test_a_cluster_that_joins_later_does_not_get_it(shop, engine, fleet):
    found = run(declare(shop, announce()))
    play(engine)
    other = both(shop, fleet)
    hurry()
    assert not runs(other) and phases(found) == {"announce": "succeeded"}


def test_the_list_is_asked_again_when_it_begins(shop, engine):
    found = declare(shop, step("wait", "suspend"), announce()).run("bob")
    settle()
    allow(shop)
    found.refresh_from_db()
    found.resume("alice")
    settle()
    assert phases(found)["announce"] == "failed"
    assert "may not use the step type announce" in told(found, "announce")
    assert not runs(engine)


def test_a_cluster_that_lost_it_gets_none(shop, engine):
    flow = declare(shop, announce())
    Capability.objects.filter(name="delivery.kubevela.step.announce").update(served=False)
    found = run(flow)
    assert phases(found) == {"announce": "failed"}
    assert "cannot serve" in told(found, "announce") and not runs(engine)


def test_it_goes_with_its_workflow(shop, engine):
    flow = declare(shop, announce())
    run(flow)
    play(engine)
    flow.refresh_from_db()
    flow.request_deletion(by="bob")
    settle()
    assert not runs(engine)
    assert not ProjectObject.objects.exists() and not Workflow.objects.exists()


def test_two_workflows_do_not_meet(shop, engine):
    run(declare(shop, announce()))
    run(declare(shop, announce(), name="other"))
    assert names(engine) == ["other--announce-1-1", NAME]


def test_people_see_where_it_runs_and_take_it_away(as_, shop, engine):
    found = run(declare(shop, announce()))
    path = "/api/v1/tenants/acme/projects/shop"
    body = as_("bob").get(f"{path}/workflows/release/runs/1").json()
    assert body["steps"][0]["message"].startswith("prod-a is Applying")
    (item,) = as_("bob").get(f"{path}/objects").json()["items"]
    assert item["name"] == "workflowrun-release--announce"
    assert item["objects"][0]["clusters"] == ["prod-a"]
    one = f"{path}/objects/{item['name']}"
    assert as_("charlie").get(one).status_code == 404
    assert as_("bob").delete(one).status_code == 202
    settle()
    assert not runs(engine)
    hurry()
    assert phases(found) == {"announce": "failed"}


def watched() -> set[str]:
    """The kinds that the watcher follows, on all clusters together."""
    return {kind.name for each in targets(applied_kinds(), eligible()) for kind in each.kinds}


def test_the_kind_is_watched_where_there_is_one(shop, engine):
    assert "WorkflowRun" not in watched()
    run(declare(shop, announce()))
    assert "WorkflowRun" in watched()


def test_a_cluster_without_an_engine_is_asked_for_nothing_of_it(fleet, prod, people):
    project = Project(tenant=make_acme(placement={"clusters": ["prod-a"]}), name="shop")
    project.declare(by="alice")
    settle()
    fleet["prod-a"].writes.clear()
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
    run(declare(project, step("apply", "apply-object", properties={"value": body})))
    row = ProjectObject.objects.get().placements.get()
    assert "WorkflowRun" not in {kind.name for kind in row.adapter().kinds}
    assert row.needs(row.intent()) == ("baseline.4",)
    assert {ref.kind for _, ref in fleet["prod-a"].writes} == {CONFIG_MAP}
    assert "WorkflowRun" not in watched()
