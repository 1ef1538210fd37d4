"""Restart and scale over HTTP: new revisions of the app, carried out as any other."""

import pytest

from delivery.models import App
from tests.api.conftest import problem
from tests.delivery.controllers import deployment, look, roll_out
from tests.delivery.paths import APPS, SITE, pointers
from tests.delivery.samples import component, with_traits

MARK = "restarted-by-revision"


def template_marks(fleet) -> dict:
    return deployment(fleet["prod-a"])["spec"]["template"]["metadata"].get("annotations", {})


@pytest.mark.parametrize("path", [SITE, f"{APPS}/site"], ids=["qualified", "short"])
@pytest.mark.parametrize("body", [{"components": ["web"]}, {}, None], ids=["named", "all", "none"])
def test_a_restart_changes_the_pods_and_is_a_revision(deployed, fleet, as_, path, body):
    answer = as_("bob").post(f"{path}:restart", body)
    assert (answer.status_code, answer.json()["revision"]) == (202, 2)
    roll_out(fleet)
    assert template_marks(fleet) == {MARK: "2"}
    newest = as_("bob").get(f"{SITE}/revisions/2").json()
    assert (newest["author"], newest["message"]) == ("bob", "Restart of web.")


def test_a_restart_is_no_drift_and_the_next_one_restarts_again(deployed, fleet, as_):
    for number in ("2", "3"):
        as_("bob").post(f"{SITE}:restart", {"message": "stuck"})
        roll_out(fleet)
        assert template_marks(fleet) == {MARK: number}
        fleet["prod-a"].writes.clear()
        look()
        assert fleet["prod-a"].writes == []
        assert App.objects.get().phase == "Deployed"
    assert as_("bob").get(f"{SITE}/revisions/3").json()["message"] == "stuck"


def test_a_restart_with_the_same_key_runs_once(deployed, as_):
    first, again = (
        as_("bob").post(f"{SITE}:restart", {}, HTTP_IDEMPOTENCY_KEY="k") for _ in range(2)
    )
    assert first.json() == again.json()
    assert again["Idempotency-Replayed"] == "true"
    assert App.objects.get().revision == 2


@pytest.mark.parametrize(
    ("verb", "body"), [("restart", {}), ("scale", {"replicas": 3})], ids=["restart", "scale"]
)
def test_its_plan_is_what_happens_and_changes_nothing(deployed, as_, verb, body):
    plan = as_("bob").post(f"{SITE}:{verb}?dryRun=plan", body)
    assert plan.status_code == 200, plan.content
    (cluster,) = plan.json()["clusters"]
    assert [found["name"] for found in cluster["objects"]] == ["web"]
    assert App.objects.get().revision == 1
    answer = as_("bob").post(f"{SITE}:{verb}", body, HTTP_IF_PLAN=plan.json()["hash"])
    assert (answer.status_code, App.objects.get().revision) == (202, 2), answer.content


def test_scale_sets_the_scaler(deployed, fleet, as_):
    answer = as_("bob").post(f"{SITE}:scale", {"component": "web", "replicas": 3})
    assert answer.status_code == 202
    assert answer.json()["components"] == [with_traits(component(), scaler={"replicas": 3})]
    roll_out(fleet)
    assert deployment(fleet["prod-a"])["spec"]["replicas"] == 3
    assert as_("bob").get(f"{SITE}/revisions/2").json()["message"] == "web has 3 replicas."


def test_scale_keeps_the_other_traits_and_says_when_there_is_nothing_to_do(deployed, as_):
    env = {"env": {"A": "1"}}
    with_both = with_traits(component(), env=env, scaler={"replicas": 2})
    as_("bob").patch(SITE, {"components": [with_both]})
    answer = as_("bob").post(f"{SITE}:scale", {"replicas": 0})
    assert answer.json()["components"] == [
        with_traits(component(), env=env, scaler={"replicas": 0})
    ]
    again = as_("bob").post(f"{SITE}:scale", {"replicas": 0})
    assert (again.status_code, again.json()["revision"]) == (200, 3)


@pytest.mark.parametrize(
    ("verb", "body", "expected"),
    [
        ("restart", {"components": ["web", "db"]}, {"/components/1": "unknown"}),
        ("restart", {"components": []}, {"/components": "empty"}),
        ("restart", {"components": "web"}, {"/components": "not_a_list"}),
        ("restart", {"what": 1}, {"/what": "unknown"}),
        ("scale", {}, {"/replicas": "required"}),
        ("scale", {"replicas": -1}, {"/replicas": "min_value"}),
        ("scale", {"replicas": 1001}, {"/replicas": "max_value"}),
        ("scale", {"replicas": "2"}, {"/replicas": "invalid"}),
        ("scale", {"replicas": 2, "component": "db"}, {"/component": "unknown"}),
    ],
)
def test_bad_input_is_refused_where_it_is_bad(deployed, as_, verb, body, expected):
    answer = as_("bob").post(f"{SITE}:{verb}", body)
    problem(answer, 400, "KN-INVALID")
    assert pointers(answer) == expected
    assert App.objects.get().revision == 1


@pytest.mark.parametrize("verb", ["restart", "scale"])
@pytest.mark.parametrize(
    ("name", "status", "code"),
    [("carol", 403, "KN-FORBIDDEN"), ("charlie", 404, "KN-NOT-FOUND")],
    ids=["read-only", "stranger"],
)
def test_who_may_not_deliver_does_neither(deployed, as_, verb, name, status, code):
    problem(as_(name).post(f"{SITE}:{verb}", {"replicas": 3}), status, code)
    assert App.objects.get().revision == 1


def test_what_is_going_away_is_neither_restarted_nor_scaled(deployed, as_):
    as_("bob").delete(SITE)
    for verb, body in (("restart", {}), ("scale", {"replicas": 3})):
        problem(as_("bob").post(f"{SITE}:{verb}", body), 409, "KN-DELETING")


def test_an_older_generation_is_not_scaled(deployed, as_):
    answer = as_("bob").post(f"{SITE}:scale", {"replicas": 3}, HTTP_IF_MATCH='"7"')
    problem(answer, 412, "KN-PRECONDITION")


def test_one_of_several_components_has_to_be_named(deployed, as_):
    as_("bob").patch(SITE, {"components": [component(), component("db", "worker")]})
    answer = as_("bob").post(f"{SITE}:scale", {"replicas": 2})
    problem(answer, 400, "KN-INVALID")
    assert pointers(answer) == {"/component": "required"}


def test_a_component_without_annotations_of_its_own_is_restarted_by_a_trait(deployed, fleet, as_):
    worker = component("db", "worker")
    as_("bob").patch(SITE, {"components": [component(), worker]})
    answer = as_("bob").post(f"{SITE}:restart", {"components": ["db"]})
    assert answer.json()["components"] == [
        component(),
        with_traits(worker, annotations={MARK: "3"}),
    ]
    roll_out(fleet)
    found = deployment(fleet["prod-a"], "db")["spec"]["template"]["metadata"]["annotations"]
    assert (found, template_marks(fleet)) == ({MARK: "3"}, {})
