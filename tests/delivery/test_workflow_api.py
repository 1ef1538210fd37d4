"""Workflows over HTTP: declared, versioned, run, approved; what each kind of person gets."""

import pytest
from rest_framework.test import APIClient

from delivery.models import Workflow, WorkflowRun
from tests.api.conftest import problem
from tests.clusters.steps import settle
from tests.delivery.flows import deploy, step
from tests.delivery.paths import pointers
from tests.people import make_globex

FLOWS = "/api/v1/workflows"
RELEASE = "/api/v1/tenants/acme/projects/shop/workflows/release"
STEPS = [step("approve", "suspend"), step("tell")]
BODY = {"name": "release", "tenant": "acme", "project": "shop", "steps": STEPS}
READS = ["", "/versions", "/versions/1", "/runs", "/runs/1"]
WRITES = [
    ("put", "", BODY),
    ("patch", "", {"description": "x"}),
    ("post", ":run", {}),
    ("post", "/runs/1:suspend", {}),
    ("post", "/runs/1:resume", {}),
    ("post", "/runs/1:terminate", {}),
    ("post", "/runs/1:retry", {}),
    ("delete", "", None),
]


@pytest.fixture
def release(bobs) -> Workflow:
    """The workflow `release` of acme/shop."""
    assert bobs.post(FLOWS, BODY).status_code == 201
    settle()
    return Workflow.objects.get()


@pytest.fixture
def waiting(release: Workflow) -> WorkflowRun:
    """A run of it that waits for an approval."""
    found = release.run("bob", message="Friday.")
    settle()
    return found


def steps_in(body) -> dict[str, str]:
    return {each["name"]: each["phase"] for each in body["steps"]}


# --- Declared.


def test_it_is_declared_read_changed_and_versioned(bobs):
    answer = bobs.post(FLOWS, BODY)
    assert (answer.status_code, answer["Location"]) == (201, RELEASE)
    body = answer.json()
    assert (body["version"], body["mode"], body["steps"]) == (1, "StepByStep", STEPS)
    assert (body["tenant"], body["project"], body["parameters"]) == ("acme", "shop", [])
    settle()
    status = bobs.get(RELEASE).json()["status"]
    assert (status["phase"], status["placements"]) == ("Deployed", [])

    assert bobs.patch(RELEASE, {"description": "Of the shop."}).json()["version"] == 1
    assert bobs.patch(RELEASE, {"steps": STEPS[1:]}).json()["version"] == 2
    assert bobs.patch(RELEASE, {"mode": "DAG"}).json()["version"] == 3
    listed = bobs.get(f"{RELEASE}/versions").json()["items"]
    assert [each["number"] for each in listed] == [3, 2, 1]
    assert bobs.get(f"{RELEASE}/versions/1").json()["steps"] == STEPS
    assert bobs.get(f"{RELEASE}/versions/9").status_code == 404
    assert [each["name"] for each in bobs.get(FLOWS).json()["items"]] == ["release"]


def test_the_same_again_is_the_same_and_another_is_refused(bobs, release):
    assert bobs.post(FLOWS, BODY).status_code == 200
    answer = bobs.post(FLOWS, {**BODY, "mode": "DAG"})
    problem(answer, 409, "KN-CONFLICT")
    assert bobs.put(RELEASE, BODY).json()["generation"] == 1
    assert bobs.put(f"{RELEASE}-2", {**BODY, "name": "release-2"}).status_code == 201


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"steps": []}, {"/steps": "required"}),
        ({"steps": "x"}, {"/steps": "required"}),
        ({"steps": [step("a", timeout="soon")]}, {"/steps/0/timeout": "pattern"}),
        ({"steps": [{"name": "a", "type": "vela-cli"}]}, {"/steps/0/type": "type"}),
        ({"mode": "Sometimes"}, {"/mode": "invalid_choice"}),
        ({"schedule": "daily"}, {"/schedule": "unknown"}),
        ({"name": "a--b"}, {"/name": "name"}),
    ],
)
def test_it_points_at_what_is_wrong(bobs, change, expected):
    answer = bobs.post(FLOWS, {**BODY, **change})
    problem(answer, 400, "KN-INVALID")
    assert pointers(answer) == expected
    assert not Workflow.objects.exists()


def test_what_needs_an_engine_is_422_with_the_capability(bobs):
    answer = bobs.post(FLOWS, {**BODY, "steps": [{"name": "a", "type": "apply-component"}]})
    problem(answer, 422, "KN-CAPABILITY")
    body = answer.json()
    assert body["capability"] == "delivery.workflowrun" and "Use deploy," not in body["title"]
    assert pointers(answer) == {"/steps/0/type": "unserved"}


def test_a_plan_of_it_reaches_no_cluster(bobs, release):
    answer = bobs.patch(f"{RELEASE}?dryRun=plan", {"mode": "DAG"})
    assert answer.status_code == 200 and answer.json()["clusters"] == []
    assert Workflow.objects.get().mode == "StepByStep"


def test_deleting_it_takes_its_runs_along(bobs, waiting):
    assert bobs.delete(RELEASE).status_code == 202
    settle()
    assert bobs.get(RELEASE).status_code == 404
    assert not WorkflowRun.objects.exists()


# --- Run.


def test_it_is_run_approved_and_over(as_, bobs, release):
    answer = bobs.post(f"{RELEASE}:run", {"message": "Friday."})
    assert (answer.status_code, answer["Location"]) == (202, f"{RELEASE}/runs/1")
    body = answer.json()
    assert (body["state"], body["version"], body["asked_by"]) == ("running", 1, "bob")
    settle()
    body = bobs.get(f"{RELEASE}/runs/1").json()
    assert (body["state"], steps_in(body)) == (
        "suspending",
        {"approve": "suspending", "tell": "pending"},
    )
    answer = as_("alice").post(f"{RELEASE}/runs/1:resume", {"step": "approve", "message": "Yes."})
    assert answer.status_code == 202
    (approval, _) = answer.json()["steps"]
    assert (approval["by"], approval["comment"]) == ("alice", "Yes.")
    settle()
    body = bobs.get(f"{RELEASE}/runs/1").json()
    assert (body["state"], set(steps_in(body).values())) == ("succeeded", {"succeeded"})
    assert body["finished_at"] is not None and body["message"] == "Friday."


def test_the_same_key_runs_it_once(bobs, release):
    key = {"HTTP_IDEMPOTENCY_KEY": "abc"}
    first, again = (bobs.post(f"{RELEASE}:run", {}, **key) for _ in range(2))
    assert first.json()["number"] == again.json()["number"] == 1
    assert again["Idempotency-Replayed"] == "true"
    problem(bobs.post(f"{RELEASE}:run", {}), 409, "KN-CONFLICT")


def test_runs_are_listed_in_pages_and_narrowed(bobs, release):
    for _ in range(3):
        release.run("bob").terminate("bob")
    release.run("bob")
    page = bobs.get(f"{RELEASE}/runs?limit=2").json()
    assert [each["number"] for each in page["items"]] == [4, 3]
    assert [each["number"] for each in bobs.get(page["next"]).json()["items"]] == [2, 1]
    live = bobs.get(f"{RELEASE}/runs?state=running").json()["items"]
    assert [each["number"] for each in live] == [4]
    assert bobs.get(f"{RELEASE}/runs?version=2").json()["items"] == []
    for query in ("state=odd", "version=x", "phase=Deployed"):
        problem(bobs.get(f"{RELEASE}/runs?{query}"), 400, "KN-INVALID")


@pytest.mark.parametrize(
    ("verb", "body", "status", "code"),
    [
        ("suspend", {}, 202, ""),
        ("terminate", {"message": "No."}, 202, ""),
        ("retry", {}, 409, "KN-CONFLICT"),
        ("resume", {"step": "tell"}, 409, "KN-CONFLICT"),
        ("resume", {"step": "nope"}, 400, "KN-INVALID"),
        ("resume", {"why": "x"}, 400, "KN-INVALID"),
        ("resume", {"message": "x" * 301}, 400, "KN-INVALID"),
    ],
)
def test_verbs_are_refused_with_the_state_where_they_do_not_fit(
    bobs, waiting, verb, body, status, code
):
    answer = bobs.post(f"{RELEASE}/runs/1:{verb}", body)
    assert answer.status_code == status
    if code:
        problem(answer, status, code)
        assert status != 409 or answer.json()["state"] in {"suspending", "pending"}


def test_a_failed_run_is_retried(bobs, shop):
    bobs.post(FLOWS, {**BODY, "steps": [deploy("go", app="none"), step("tell")]})
    bobs.post(f"{RELEASE}:run", {})
    settle()
    body = bobs.get(f"{RELEASE}/runs/1").json()
    assert (body["state"], steps_in(body)) == ("failed", {"go": "failed", "tell": "skipped"})
    body = bobs.post(f"{RELEASE}/runs/1:retry", {"message": "Again."}).json()
    assert (body["state"], body["finished_at"]) == ("running", None)
    assert set(steps_in(body).values()) == {"pending"}


def test_parameters_are_judged(bobs, shop):
    tell = step("tell", inputs=[{"from": "parameters.text", "parameterKey": "message"}])
    assert bobs.post(FLOWS, {**BODY, "steps": [tell]}).json()["parameters"] == ["text"]
    for parameters, expected in (
        ({}, {"/parameters/text": "required"}),
        ({"text": 1.5}, {"/parameters/text": "type"}),
        ([], {"/parameters": "type"}),
    ):
        answer = bobs.post(f"{RELEASE}:run", {"parameters": parameters})
        problem(answer, 400, "KN-INVALID")
        assert pointers(answer) == expected
    answer = bobs.post(f"{RELEASE}:run", {"parameters": {"text": "Hello."}})
    assert answer.json()["parameters"] == {"text": "Hello."}


def test_a_cordoned_tenant_refuses_runs(bobs, release, acme):
    acme.refresh_from_db()
    acme.cordoned = True
    acme.declare(by="olga")
    answer = bobs.post(f"{RELEASE}:run", {})
    problem(answer, 409, "KN-CONFLICT")
    assert "cordoned" in answer.json()["detail"] and not WorkflowRun.objects.exists()


# --- Who may.


@pytest.mark.parametrize("name", ["alice", "bob", "carol", "olga"])
def test_members_and_operators_read(as_, waiting, name):
    assert {as_(name).get(RELEASE + path).status_code for path in READS} == {200}


def test_carol_reads_only(as_, waiting):
    before = Workflow.objects.values().get(), WorkflowRun.objects.values().get()
    carols = as_("carol")
    for method, path, body in WRITES:
        problem(getattr(carols, method)(RELEASE + path, body), 403, "KN-FORBIDDEN")
    assert (Workflow.objects.values().get(), WorkflowRun.objects.values().get()) == before


def test_carol_makes_none(as_, shop):
    problem(as_("carol").post(FLOWS, BODY), 403, "KN-FORBIDDEN")


@pytest.mark.parametrize("prefix", [f"{FLOWS}/", "/api/v1/tenants/acme/projects/shop/workflows/"])
def test_charlie_cannot_tell_a_workflow_from_none(as_, waiting, prefix):
    make_globex()
    charlies, correlation = as_("charlie"), {"HTTP_X_CORRELATION_ID": "same"}
    query = "?tenant=acme&project=shop" if prefix.startswith(f"{FLOWS}/") else ""
    for method, path, body in [*(("get", path, None) for path in READS), *WRITES]:
        there, missing = (
            getattr(charlies, method)(
                f"{prefix}{name}{path}{query}",
                {**body, "name": name} if method == "put" else body,
                **correlation,
            )
            for name in ("release", "nope")
        )
        assert (there.status_code, missing.status_code) == (404, 404), path
        assert there.content == missing.content
    assert charlies.get(FLOWS).json()["items"] == []


def test_nobody_gets_in_without_signing_in(waiting):
    for path in READS:
        problem(APIClient().get(RELEASE + path), 401, "KN-UNAUTHENTICATED")
    problem(APIClient().post(f"{RELEASE}:run", {}), 401, "KN-UNAUTHENTICATED")
