"""Custom verbs and Idempotency-Key: run once, answered alike, secrets never kept (A34, A19)."""

import json

import pytest
from django.urls import path
from rest_framework.response import Response

from kubenova.urls import handler400, handler403, handler404, handler500
from kubenova.urls import urlpatterns as all_urls
from reconcile.api.fields import StringField
from reconcile.api.objects import ObjectView
from reconcile.api.serializers import DeclaredSerializer, StrictSerializer
from reconcile.api.verbs import secret_verb, verb
from reconcile.models import IdempotencyRecord
from reconcile.refusals import Unserved
from tenancy.models import Tenant
from tests.api.conftest import pointers, problem, signed_in

__all__ = ["handler400", "handler403", "handler404", "handler500"]
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]
SECRET = "tok-s3cr3t"


class NoteSerializer(StrictSerializer):
    """The body of a verb."""

    text = StringField(max_length=20)


class VerbView(ObjectView):
    """Tenants with verbs that count their runs in the description."""

    model = Tenant
    collection = "tenants"
    serializer_class = DeclaredSerializer

    def _count(self, row, by):
        row.description += "x"
        row.declare(by=by)

    @verb("change", body=NoteSerializer)
    def note(self, row, data):
        self._count(row, self.user.username)
        if data["text"] == "refuse":
            raise Unserved("Not here.", capability="x")
        if data["text"] == "break":
            raise RuntimeError(SECRET)
        return Response({"noted": data["text"]}, headers={"ETag": '"7"'})

    @verb("change")
    def poke(self, row, data):
        self._count(row, self.user.username)

    @secret_verb("view", answer=NoteSerializer)
    def issue(self, row, data, earlier):
        self._count(row, self.user.username)
        return Response({"token": SECRET, "earlier": earlier}, status=201), str(row.uid)


urlpatterns = [
    path("api/v1/tenants/<slug:name>:note", VerbView.as_view({"post": "note"})),
    path("api/v1/tenants/<slug:name>:poke", VerbView.as_view({"post": "poke"})),
    path("api/v1/tenants/<slug:name>:issue", VerbView.as_view({"post": "issue"})),
    *all_urls,
]


def runs(tenant) -> int:
    tenant.refresh_from_db()
    return len(tenant.description)


@pytest.fixture
def note(as_alice):
    def call(text="hello", key=None, api=as_alice):
        extra = {"HTTP_IDEMPOTENCY_KEY": key} if key is not None else {}
        return api.post("/api/v1/tenants/acme:note", {"text": text}, **extra)

    return call


def test_without_a_key_it_runs_each_time(note, acme):
    assert [note().json(), note().json()] == [{"noted": "hello"}] * 2
    assert runs(acme) == 2


def test_with_a_key_it_runs_once_and_answers_alike(note, acme):
    first, second = note(key="k1"), note(key="k1")
    assert (first.status_code, first.json(), first["ETag"]) == (200, {"noted": "hello"}, '"7"')
    assert (second.status_code, second.json(), second["ETag"]) == (200, {"noted": "hello"}, '"7"')
    assert "Idempotency-Replayed" not in first and second["Idempotency-Replayed"] == "true"
    assert runs(acme) == 1


def test_another_key_runs_again(note, acme):
    note(key="k1"), note(key="k2")
    assert runs(acme) == 2


def test_a34_another_body_with_the_same_key_is_refused(note, acme):
    note(key="k1")
    problem(note("other", key="k1"), 422, "KN-KEY-REUSED")
    assert runs(acme) == 1


def test_a34_the_same_key_of_another_user_is_another_request(note, acme, olga):
    note(key="k1")
    assert "Idempotency-Replayed" not in note(key="k1", api=signed_in(olga))
    assert runs(acme) == 2


def test_the_same_key_on_another_verb_is_another_request(note, as_alice, acme):
    note(key="k1")
    answer = as_alice.post("/api/v1/tenants/acme:poke", HTTP_IDEMPOTENCY_KEY="k1")
    assert answer.status_code == 202 and runs(acme) == 2


@pytest.mark.parametrize("text", ["refuse", "break"])
def test_what_failed_left_nothing_and_may_be_tried_again_with_its_key(note, acme, text):
    assert note(text, key="k1").status_code in {422, 500}
    assert runs(acme) == 0, "running and recording are one transaction"
    assert not IdempotencyRecord.objects.exists()
    assert note("hello", key="k1").status_code == 200


def test_a_concurrent_duplicate_is_told_to_wait(note, alice, acme):
    note(key="k1")
    IdempotencyRecord.objects.update(status=0)
    answer = note(key="k1")
    problem(answer, 409, "KN-IN-PROGRESS")
    assert answer["Retry-After"] == "1" and runs(acme) == 1


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "ü", "a\tb"])
def test_a_key_that_is_none_is_refused(note, acme, key):
    problem(note(key=key), 400, "KN-INVALID")
    assert runs(acme) == 0


def test_a_secret_is_answered_and_never_kept(as_alice, acme):
    def issue():
        return as_alice.post("/api/v1/tenants/acme:issue", HTTP_IDEMPOTENCY_KEY="k1")

    first, second = issue(), issue()
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == {"token": SECRET, "earlier": ""}
    assert second.json() == {"token": SECRET, "earlier": str(acme.uid)}
    assert second["Idempotency-Replayed"] == "true"
    record = IdempotencyRecord.objects.get()
    kept = json.dumps([record.body, record.headers, record.object_id])
    assert SECRET not in kept and record.secret and record.object_id == str(acme.uid)


def test_a_verb_answers_with_the_object_by_default(as_alice, acme):
    answer = as_alice.post("/api/v1/tenants/acme:poke")
    assert answer.status_code == 202 and answer["ETag"] == '"2"'
    assert answer.json()["name"] == "acme"


@pytest.mark.parametrize("body", [{"text": 7}, {}, {"text": "a", "more": 1}, {"text": "x" * 21}])
def test_a_wrong_body_points_at_what_is_wrong(as_alice, acme, body):
    found = problem(as_alice.post("/api/v1/tenants/acme:note", body), 400, "KN-INVALID")
    assert pointers(found) in (["/text"], ["/more"])


def test_a_verb_without_a_body_takes_none(as_alice, acme):
    found = problem(as_alice.post("/api/v1/tenants/acme:poke", {"a": 1}), 400, "KN-INVALID")
    assert pointers(found) == ["/a"]


def test_a_verb_asks_for_its_right(as_carol, acme):
    problem(as_carol.post("/api/v1/tenants/acme:poke"), 403, "KN-FORBIDDEN")
    assert as_carol.post("/api/v1/tenants/acme:issue").status_code == 201


@pytest.mark.parametrize("what", ["poke", "issue", "note"])
def test_a24_a_stranger_gets_404_before_the_body_is_looked_at(as_charlie, acme, what):
    foreign = as_charlie.post(f"/api/v1/tenants/acme:{what}", {"bad": 1})
    missing = as_charlie.post(f"/api/v1/tenants/nope:{what}", {"bad": 1})
    first, second = (problem(each, 404, "KN-NOT-FOUND") for each in (foreign, missing))
    assert first | {"correlation_id": ""} == second | {"correlation_id": ""}


@pytest.mark.parametrize("path", ["acme:unknown", "acme:", ":poke", "acme:poke:poke", "acme:poke/"])
def test_a_verb_that_is_none_is_not_found(as_alice, acme, path):
    problem(as_alice.post(f"/api/v1/tenants/{path}"), 404, "KN-NOT-FOUND")


def test_a_post_that_creates_takes_a_key_as_well(as_olga):
    def create(**body):
        return as_olga.post("/api/v1/tenants", {"name": "new", **body}, HTTP_IDEMPOTENCY_KEY="k1")

    first, second = create(), create()
    assert (first.status_code, second.status_code) == (201, 201)
    assert second["Location"] == first["Location"] == "/api/v1/tenants/new"
    assert second.json() == first.json()
    problem(create(description="x"), 422, "KN-KEY-REUSED")
