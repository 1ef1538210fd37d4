"""Apps over HTTP: created, replaced, changed, deleted; what is refused and where."""

import pytest

from delivery.models import App
from tests.api.conftest import problem
from tests.clusters.steps import settle
from tests.delivery.controllers import roll_out
from tests.delivery.paths import APPS, BODY, SITE, pointers
from tests.delivery.samples import component


def test_post_creates_an_app(bobs):
    answer = bobs.post(APPS, {**BODY, "labels": {"team": "checkout"}, "description": "the shop"})
    assert answer.status_code == 201
    assert answer["Location"] == SITE
    assert answer["ETag"] == '"1"'
    body = answer.json()
    assert (body["name"], body["tenant"], body["project"]) == ("site", "acme", "shop")
    assert body["components"] == [component()]
    assert body["labels"] == {"team": "checkout"}
    assert (body["revision"], body["generation"], body["health_deadline"]) == (1, 1, 300)
    assert body["placement"] == {}
    assert body["status"]["phase"] == "Pending"
    assert [each["cluster"] for each in body["status"]["placements"]] == ["prod-a"]
    assert bobs.get(answer["Location"]).json()["uid"] == body["uid"]


def test_what_was_read_can_be_sent_back(bobs):
    bobs.post(APPS, BODY)
    read = bobs.get(SITE).json()
    again = bobs.put(SITE, read)
    assert again.status_code == 200
    assert again.json()["generation"] == 1


def test_post_with_the_parents_in_the_path(bobs):
    answer = bobs.post(
        "/api/v1/tenants/acme/projects/shop/apps", {"name": "site", "components": [component()]}
    )
    assert answer.status_code == 201
    assert answer["Location"] == SITE


def test_the_same_post_again_changes_nothing(bobs):
    first = bobs.post(APPS, BODY)
    again = bobs.post(APPS, BODY)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["uid"] == first.json()["uid"]
    assert App.objects.get().revisions.count() == 1


def test_another_body_for_the_name_is_a_conflict_that_names_the_fields(bobs):
    bobs.post(APPS, BODY)
    answer = bobs.post(APPS, {**BODY, "components": [component(image="nginx:2")]})
    problem(answer, 409, "KN-CONFLICT")
    assert pointers(answer) == {"/components": "differs"}


def test_post_on_an_app_on_its_way_out(bobs):
    bobs.post(APPS, BODY)
    bobs.delete(SITE)
    problem(bobs.post(APPS, BODY), 409, "KN-DELETING")


def test_post_into_a_project_on_its_way_out(bobs, shop):
    shop.request_deletion(by="alice")
    problem(bobs.post(APPS, BODY), 409, "KN-DELETING")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({"name": "A"}, {"/name": "name"}, id="name"),
        pytest.param({"components": None}, {"/components": "null"}, id="null"),
        pytest.param({"components": []}, {"/components": "blank"}, id="empty"),
        pytest.param({"components": "web"}, {"/components": "required"}, id="a text"),
        pytest.param(
            {"components": [component(image=5), component("web", "job")]},
            {
                "/components/0/properties/image": "type",
                "/components/1/type": "type",
                "/components/1/name": "repeated",
            },
            id="several components",
        ),
        pytest.param(
            {"components": [component(labels={"app.oam.dev/username": "admin"})]},
            {"/components/0/properties/labels/app.oam.dev~1username": "reserved"},
            id="a1 reserved label",
        ),
        pytest.param(
            {"components": [component(cmd=["x" * 300_000])]},
            {"/components": "too_large"},
            id="too large",
        ),
        pytest.param(
            {"labels": {"app.oam.dev/username": "admin"}},
            {"/labels/app.oam.dev~1username": "label"},
            id="a1 label of the app",
        ),
        pytest.param({"annotations": {}}, {"/annotations": "unknown"}, id="a1 annotations"),
        pytest.param({"policies": []}, {"/policies": "unknown"}, id="a3 policies"),
        pytest.param({"namespace": "kube-system"}, {"/namespace": "unknown"}, id="a3 namespace"),
        pytest.param({"revision": 9, "phase": "Deployed"}, {"/phase": "unknown"}, id="a25 phase"),
        pytest.param(
            {"placement": {"clusters": ["prod-z"]}},
            {"/placement/clusters/0": "unknown"},
            id="cluster",
        ),
        pytest.param(
            {"placement": {"cluster": "prod-a"}}, {"/placement/cluster": "unknown"}, id="placement"
        ),
        pytest.param({"health_deadline": "60"}, {"/health_deadline": "invalid"}, id="deadline"),
        pytest.param({"health_deadline": 5}, {"/health_deadline": "min_value"}, id="too soon"),
    ],
)
def test_a_wrong_body_is_pointed_at(bobs, change, expected):
    answer = bobs.post(APPS, {**BODY, **change})
    problem(answer, 400, "KN-INVALID")
    assert pointers(answer) == expected
    assert not App.objects.exists()


def test_the_refusal_of_a_reserved_key_names_it(bobs):
    declared = component(annotations={"app.oam.dev/service-account-name": "x"})
    answer = bobs.post(APPS, {**BODY, "components": [declared]})
    (error,) = answer.json()["errors"]
    assert "app.oam.dev/service-account-name" in error["detail"]


@pytest.mark.parametrize("kind", ["name", "project"])
def test_what_the_key_lacks_is_asked_for(bobs, kind):
    body = {key: value for key, value in BODY.items() if key != kind}
    answer = bobs.post(APPS, body)
    problem(answer, 400, "KN-INVALID")
    assert pointers(answer) == {f"/{kind}": "required"}


def test_a_name_that_another_app_of_the_project_uses(bobs):
    bobs.post(APPS, BODY)
    answer = bobs.post(APPS, {**BODY, "name": "other"})
    problem(answer, 400, "KN-INVALID")
    assert pointers(answer) == {"/components/0/name": "taken"}
    assert "App site" in answer.json()["errors"][0]["detail"]


def test_a_cluster_that_cannot_run_apps(bobs, prod):
    prod.capabilities.filter(name="delivery.native").update(served=False, reason="no Deployments")
    found = problem(bobs.post(APPS, BODY), 422, "KN-CAPABILITY")
    assert (found["capability"], found["cluster"]) == ("delivery.native", "prod-a")


def test_path_and_body_that_contradict_each_other(bobs):
    answer = bobs.post("/api/v1/tenants/acme/projects/shop/apps", {**BODY, "project": "lab"})
    problem(answer, 409, "KN-CONFLICT")


def test_an_unknown_project(bobs):
    problem(bobs.post(APPS, {**BODY, "project": "nowhere"}), 404, "KN-NOT-FOUND")


# --- Replace and change.


def test_put_creates_with_tenant_and_project(bobs):
    body = {"components": [component()]}
    answer = bobs.put(f"{APPS}/site?tenant=acme&project=shop", body)
    assert (answer.status_code, answer["Location"]) == (201, SITE)


@pytest.mark.parametrize(
    ("query", "pointer"),
    [("project=shop", "/tenant"), ("tenant=acme", "/project"), ("", "/tenant")],
)
def test_put_creates_nothing_without_the_whole_key(bobs, query, pointer):
    answer = bobs.put(f"{APPS}/site?{query}", {"components": [component()]})
    problem(answer, 400, "KN-INVALID")
    assert pointers(answer) == {pointer: "required"}


def test_put_replaces_and_resets_what_it_leaves_out(bobs):
    bobs.post(APPS, {**BODY, "labels": {"a": "b"}, "health_deadline": 60})
    answer = bobs.put(f"{APPS}/site", {"components": [component(image="nginx:2")]})
    body = answer.json()
    assert (answer.status_code, answer["ETag"]) == (200, '"2"')
    assert (body["labels"], body["health_deadline"], body["revision"]) == ({}, 300, 2)


def test_patch_changes_one_field(bobs):
    bobs.post(APPS, {**BODY, "description": "the shop"})
    answer = bobs.patch(SITE, {"labels": {"a": "b"}})
    body = answer.json()
    assert (body["labels"], body["description"]) == ({"a": "b"}, "the shop")
    assert (body["revision"], body["generation"]) == (1, 2)


def test_patch_of_the_components_makes_a_revision(bobs):
    bobs.post(APPS, BODY)
    answer = bobs.patch(SITE, {"components": [component(image="nginx:2")]})
    assert answer.json()["revision"] == 2


def test_patch_with_null_resets(bobs):
    bobs.post(APPS, {**BODY, "placement": {"clusters": ["prod-a"]}, "health_deadline": 60})
    body = bobs.patch(SITE, {"placement": None, "health_deadline": None}).json()
    assert (body["placement"], body["health_deadline"]) == ({}, 300)


def test_patch_cannot_move_an_app(bobs):
    bobs.post(APPS, BODY)
    problem(bobs.patch(SITE, {"project": "lab"}), 409, "KN-CONFLICT")
    problem(bobs.patch(SITE, {"name": "other"}), 409, "KN-CONFLICT")


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_if_match_of_another_generation(bobs, method):
    bobs.post(APPS, BODY)
    answer = getattr(bobs, method)(SITE, {**BODY, "description": "x"}, HTTP_IF_MATCH='"7"')
    problem(answer, 412, "KN-PRECONDITION")
    assert App.objects.get().generation == 1


# --- Delete.


def test_delete_is_accepted_and_the_app_goes(bobs, fleet):
    bobs.post(APPS, BODY)
    roll_out(fleet)
    answer = bobs.delete(SITE)
    assert (answer.status_code, answer.json()["deleting"]) == (202, True)
    assert bobs.get(SITE).json()["deleting"] is True
    assert bobs.delete(SITE).status_code == 202
    settle()
    assert bobs.get(SITE).status_code == 404


def test_an_app_on_its_way_out_takes_no_change(bobs):
    bobs.post(APPS, BODY)
    bobs.delete(SITE)
    problem(bobs.patch(SITE, {"labels": {}}), 409, "KN-DELETING")
    problem(bobs.post(f"{SITE}:rollback", {"revision": 1}), 409, "KN-DELETING")


def test_a4_text_comes_back_as_it_went_in(bobs):
    hostile = ['\\(strings.Join(["a"], ""))', "{{ 7*7 }}", "${jndi:ldap://x}", "'; DROP TABLE--"]
    declared = component(cmd=hostile, env=[{"name": "A", "value": text} for text in hostile[:1]])
    bobs.post(APPS, {**BODY, "components": [declared]})
    assert bobs.get(SITE).json()["components"] == [declared]
    assert App.objects.get().components == [declared]
