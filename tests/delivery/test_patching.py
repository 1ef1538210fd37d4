"""`PATCH` of an app by JSON patch (RFC 6902): one field deep inside, or nothing."""

import json

import pytest

from delivery.models import App
from reconcile.api.patching import MOST_OPERATIONS, apply_patch
from reconcile.refusals import TooLarge
from tests.api.conftest import problem
from tests.delivery.paths import SITE, pointers
from tests.delivery.samples import component

IMAGE = "/components/0/properties/image"


def patched(client, *operations, path=SITE, **headers):
    kind = "application/json-patch+json"
    return client.patch(path, json.dumps(operations), content_type=kind, **headers)


def replace(path, value):
    return {"op": "replace", "path": path, "value": value}


def test_one_image_changes_and_nothing_else(site, as_):
    answer = patched(as_("bob"), replace(IMAGE, "nginx:2"))
    assert answer.status_code == 200, answer.content
    assert answer.json()["components"] == [component(image="nginx:2")]
    assert (answer.json()["revision"], answer["ETag"]) == (2, '"2"')


@pytest.mark.parametrize(
    ("operations", "changed"),
    [
        ([{"op": "add", "path": "/labels/team", "value": "a"}], {"labels": {"team": "a"}}),
        ([replace("/description", "d"), {"op": "remove", "path": "/description"}], {}),
        ([{"op": "test", "path": IMAGE, "value": "nginx:1.27"}], {}),
        (
            [
                {"op": "add", "path": "/components/-", "value": component("db", "worker")},
                {"op": "move", "from": "/components/1", "path": "/components/0"},
            ],
            {"components": [component("db", "worker"), component()]},
        ),
    ],
    ids=["add", "reset", "test", "move"],
)
def test_every_operation(site, as_, operations, changed):
    before = as_("bob").get(SITE).json()
    after = patched(as_("bob"), *operations).json()
    assert {key for key in changed if after[key] != changed[key]} == set()
    kept = {"description", "labels", "components", "placement", "repair_mode"} - set(changed)
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([replace("/components/7/name", "x")], {"/0/path": "path"}),
        ([replace("/description", "x"), replace("/nope/deep", 1)], {"/1/path": "path"}),
        ([{"op": "eval", "path": "/name"}], {"/0/op": "op"}),
        ([{"path": "/name"}], {"/0/op": "op"}),
        (["replace"], {"/0": "operation"}),
        ([{"op": "add", "path": "/labels/a"}], {"/0/value": "required"}),
        ([{"op": "move", "path": "/labels"}], {"/0/from": "required"}),
        ([replace("description", "x")], {"/0/path": "pointer"}),
        ([replace("", {})], {"/0/path": "pointer"}),
        ([replace(7, {})], {"/0/path": "pointer"}),
        ([{"op": "add", "path": "/status/phase", "value": "x"}], {"/0/path": "path"}),
        ([{"op": "add", "path": "/color", "value": "x"}], {"/color": "unknown"}),
        ([{"op": "remove", "path": "/components"}], {"/components": "required"}),
        ([replace(IMAGE, 7)], {IMAGE: "type"}),
        ([replace("/labels", None)], {"/labels": "null"}),
    ],
)
def test_what_cannot_be_applied_is_refused_where_it_is_wrong(site, as_, operations, expected):
    answer = patched(as_("bob"), *operations)
    problem(answer, 400, "KN-INVALID")
    assert pointers(answer) == expected
    assert App.objects.get().generation == 1


def test_a_failed_test_changes_nothing(site, as_):
    test = {"op": "test", "path": IMAGE, "value": "nginx:9"}
    answer = patched(as_("bob"), replace("/description", "x"), test)
    problem(answer, 409, "KN-CONFLICT")
    assert pointers(answer) == {"/1/path": "test"}
    assert App.objects.get().description == ""


def test_a_name_never_changes(site, as_):
    problem(patched(as_("bob"), replace("/name", "other")), 409, "KN-CONFLICT")


@pytest.mark.parametrize("body", ['{"op": "test"}', "7", "null"], ids=["object", "number", "null"])
def test_a_patch_is_a_list(site, as_, body):
    kind = "application/json-patch+json"
    problem(as_("bob").patch(SITE, body, content_type=kind), 400, "KN-INVALID")


def test_it_holds_so_many_operations_and_no_more(site, as_):
    many = [replace("/description", "x")] * MOST_OPERATIONS
    assert patched(as_("bob"), *many).status_code == 200
    problem(patched(as_("bob"), *many, *many[:1]), 400, "KN-INVALID")


def test_a_document_that_is_copied_into_itself_again_and_again_is_too_large():
    copy = {"op": "copy", "from": "/a", "path": "/a/-"}
    document = {"a": ["x" * 100]}
    with pytest.raises(TooLarge):
        apply_patch(document, [copy] * MOST_OPERATIONS)
    assert document == {"a": ["x" * 100]}


def test_it_can_be_planned_and_wants_the_generation_that_was_read(deployed, as_):
    plan = patched(as_("bob"), replace(IMAGE, "nginx:2"), path=f"{SITE}?dryRun=plan").json()
    (change,) = plan["clusters"][0]["objects"]
    assert [each["wanted"] for each in change["differences"] if "image" in each["path"]] == [
        "nginx:2"
    ]
    assert App.objects.get().generation == 1
    stale = patched(as_("bob"), replace(IMAGE, "nginx:2"), HTTP_IF_MATCH='"9"')
    problem(stale, 412, "KN-PRECONDITION")


@pytest.mark.parametrize(
    ("name", "status"), [("carol", 403), ("charlie", 404)], ids=["read-only", "stranger"]
)
def test_who_may_not_change_it_does_not(site, as_, name, status):
    assert patched(as_(name), replace(IMAGE, "nginx:2")).status_code == status


def test_a_merge_patch_still_merges(site, as_):
    kind = "application/merge-patch+json"
    answer = as_("bob").patch(SITE, '{"labels": {"a": "b"}}', content_type=kind)
    assert answer.json()["labels"] == {"a": "b"}
