"""`POST /apps/{name}:rollback`: the way back over HTTP."""

import uuid

import pytest
from rest_framework.test import APIClient

from delivery.models import App
from tests.api.conftest import problem
from tests.delivery.controllers import roll_out
from tests.delivery.paths import APPS, BODY, SITE, pointers
from tests.delivery.samples import component


@pytest.fixture
def changed(bobs, fleet) -> APIClient:
    """Bob's client; `site` is at revision 2, both were deployed."""
    bobs.post(APPS, BODY)
    roll_out(fleet)
    bobs.patch(SITE, {"components": [component(image="nginx:2")]})
    roll_out(fleet)
    return bobs


@pytest.mark.parametrize("path", [SITE, f"{APPS}/site"], ids=["qualified", "short"])
@pytest.mark.parametrize("body", [{"revision": 1}, {}, None], ids=["numbered", "default", "none"])
def test_rollback_makes_a_new_revision(changed, path, body):
    answer = changed.post(f"{path}:rollback", body)
    assert answer.status_code == 202
    assert answer["ETag"] == '"3"'
    assert (answer.json()["revision"], answer.json()["components"]) == (3, [component()])
    newest = changed.get(f"{SITE}/revisions/3").json()
    assert (newest["origin"], newest["message"]) == (1, "Rollback to revision 1.")


def test_rollback_keeps_the_message(changed):
    changed.post(f"{SITE}:rollback", {"revision": 1, "message": "2 was slow"})
    assert changed.get(f"{SITE}/revisions/3").json()["message"] == "2 was slow"


def test_rollback_with_the_parents_in_the_body(changed):
    body = {"tenant": "acme", "project": "shop", "revision": 1}
    assert changed.post(f"{APPS}/site:rollback", body).status_code == 202


def test_rollback_to_what_runs_does_nothing(changed):
    answer = changed.post(f"{SITE}:rollback", {"revision": 2})
    assert (answer.status_code, answer.json()["revision"]) == (200, 2)
    assert App.objects.get().revisions.count() == 2


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({"revision": 9}, {"/revision": "unknown"}, id="unknown"),
        pytest.param({"revision": 2**62}, {"/revision": "unknown"}, id="huge"),
        pytest.param({"revision": 0}, {"/revision": "min_value"}, id="zero"),
        pytest.param({"revision": "1"}, {"/revision": "invalid"}, id="a text"),
        pytest.param({"revision": None}, {"/revision": "null"}, id="null"),
        pytest.param({"to": 1}, {"/to": "unknown"}, id="another field"),
        pytest.param({"message": "x" * 301}, {"/message": "max_length"}, id="a long story"),
    ],
)
def test_rollback_to_nowhere(changed, body, expected):
    answer = changed.post(f"{SITE}:rollback", body)
    problem(answer, 400, "KN-INVALID")
    assert pointers(answer) == expected
    assert App.objects.get().revisions.count() == 2


def test_rollback_without_a_healthy_revision(bobs):
    bobs.post(APPS, BODY)
    bobs.patch(SITE, {"components": [component(image="nginx:2")]})
    problem(bobs.post(f"{SITE}:rollback"), 409, "KN-CONFLICT")


def test_rollback_to_a_name_that_is_taken_now(changed):
    changed.patch(SITE, {"components": [component("front")]})
    assert changed.post(APPS, {**BODY, "name": "other"}).status_code == 201
    answer = changed.post(f"{SITE}:rollback", {"revision": 1})
    problem(answer, 400, "KN-INVALID")
    assert pointers(answer) == {"/revision": "taken"}


def test_rollback_with_a_key_runs_once(changed):
    key = {"HTTP_IDEMPOTENCY_KEY": str(uuid.uuid4())}
    first = changed.post(f"{SITE}:rollback", {}, **key)
    again = changed.post(f"{SITE}:rollback", {}, **key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()
    assert App.objects.get().revisions.count() == 3
    other = changed.post(f"{SITE}:rollback", {"revision": 2}, **key)
    problem(other, 422, "KN-KEY-REUSED")
