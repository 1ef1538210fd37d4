"""Secrets of a project over HTTP: they go in, reach the clusters, and come out nowhere."""

import base64
import json

import pytest
from django.apps import apps
from django.db import connection

from clusters.kinds import SECRET
from delivery.models import ProjectSecret, SecretPlacement
from reconcile.drift import MASK
from reconcile.models import AppliedObject, Drift, Event
from reconcile.values import Ref
from tenancy.models import Project
from tests.clusters.steps import settle
from tests.delivery.paths import pointers

SECRETS = "/api/v1/tenants/acme/projects/shop/secrets"
DB = f"{SECRETS}/db"
SHORT = "/api/v1/projects/shop/secrets/db"
CANARY = "canary-4be1-Ünïque"
LIVE = Ref(SECRET, "acme--shop", "db")
BODY = {"data": {"password": CANARY, "user": "shop"}}


@pytest.fixture
def kept(bobs):
    """The secret `db` of acme/shop, on its cluster."""
    answer = bobs.put(DB, BODY, format="json")
    assert answer.status_code == 201, answer.json()
    settle()
    return ProjectSecret.objects.get()


def put(client, data, path=DB, **rest):
    return client.put(path, {"data": data, **rest}, format="json")


# --- It is made, shown, changed and removed.


@pytest.mark.parametrize("path", [DB, SHORT], ids=["all parents", "short"])
def test_it_is_made_by_put(bobs, path):
    answer = bobs.put(path, BODY, format="json")
    body = answer.json()

    assert answer.status_code == 201 and answer["Location"] == DB
    assert {key: body[key] for key in ("name", "tenant", "project", "version", "changed_by")} == {
        "name": "db",
        "tenant": "acme",
        "project": "shop",
        "version": 1,
        "changed_by": "bob",
    }
    assert [item["key"] for item in body["keys"]] == ["password", "user"]
    assert "data" not in body and body["status"]["phase"] == "Pending"


def test_it_reaches_the_cluster_and_nothing_else_of_the_project(kept, fleet):
    body = fleet["prod-a"].body(LIVE)
    assert body["type"] == "Opaque"
    assert base64.b64decode(body["data"]["password"]).decode() == CANARY
    kept.refresh_from_db()
    assert kept.phase == "Deployed", kept.conditions
    assert SecretPlacement.objects.get().version == 1


def test_the_same_again_changes_nothing(bobs, kept):
    answer = bobs.put(DB, BODY, format="json")
    assert answer.status_code == 200
    assert (answer.json()["version"], answer.json()["generation"]) == (1, 1)
    assert ProjectSecret.objects.get().reveal() == BODY["data"]


def test_another_description_is_no_other_version(bobs, kept):
    answer = put(bobs, BODY["data"], description="Of the shop.")
    assert (answer.json()["version"], answer.json()["generation"]) == (1, 2)


def test_other_values_are_another_version(bobs, kept, fleet):
    before = {item["key"]: item["hmac"] for item in bobs.get(DB).json()["keys"]}
    answer = put(bobs, {"password": "other", "user": "shop"})
    after = {item["key"]: item["hmac"] for item in answer.json()["keys"]}

    assert answer.json()["version"] == 2
    assert before["password"] != after["password"] and before["user"] == after["user"]
    settle()
    assert fleet["prod-a"].body(LIVE)["data"]["password"] == base64.b64encode(b"other").decode()
    assert SecretPlacement.objects.get().version == 2


def test_a_patch_sets_one_key_and_leaves_the_others(bobs, kept):
    answer = bobs.patch(DB, {"data": {"token": "new", "user": None}}, format="json")
    assert answer.status_code == 200, answer.json()
    assert ProjectSecret.objects.get().reveal() == {"password": CANARY, "token": "new"}


def test_a_patch_of_the_description_keeps_the_values(bobs, kept):
    answer = bobs.patch(DB, {"description": "Of the shop."}, format="json")
    assert answer.json()["version"] == 1
    assert ProjectSecret.objects.get().reveal() == BODY["data"]


def test_what_was_read_cannot_be_sent_back_without_values(bobs, kept):
    answer = bobs.put(DB, bobs.get(DB).json(), format="json")
    assert answer.status_code == 400 and pointers(answer) == {"/data": "required"}


def test_equal_values_of_a_project_look_equal_and_those_of_another_do_not(bobs, kept, acme):
    other = Project(tenant=acme, name="blog")
    other.declare(by="alice")
    put(bobs, {"again": CANARY}, f"{SECRETS}/copy")
    put(bobs, {"password": CANARY}, "/api/v1/projects/blog/secrets/db")
    ours, copy, theirs = (
        secret.digests.get("again") or secret.digests["password"]
        for secret in ProjectSecret.objects.order_by("-project__name", "-name")
    )
    assert ours == copy and ours != theirs


def test_a_list_shows_keys_alone(bobs, kept):
    body = bobs.get(SECRETS).json()
    assert [item["name"] for item in body["items"]] == ["db"]
    assert body == bobs.get("/api/v1/projects/shop/secrets").json()


def test_it_goes_from_the_clusters_first(bobs, kept, fleet):
    assert bobs.delete(DB).status_code == 202
    settle()
    assert not fleet["prod-a"].exists(LIVE)
    assert bobs.get(DB).status_code == 404 and not ProjectSecret.objects.exists()


def test_it_goes_with_its_project(kept, fleet, shop):
    shop.refresh_from_db()
    shop.request_deletion(by="alice")
    settle()
    assert not ProjectSecret.objects.exists() and not Project.objects.exists()


# --- Who may.


@pytest.mark.parametrize(
    ("name", "read", "write", "delete"),
    [
        ("alice", 200, 200, 202),
        ("bob", 200, 200, 202),
        ("carol", 200, 403, 403),
        ("charlie", 404, 404, 404),
        ("olga", 200, 200, 202),
    ],
)
def test_members_see_which_there_are_and_who_delivers_sets_them(
    as_, kept, name, read, write, delete
):
    client = as_(name)
    assert client.get(DB).status_code == read
    assert put(client, BODY["data"]).status_code == write
    assert client.delete(DB).status_code == delete


@pytest.mark.parametrize(
    ("data", "pointer", "code"),
    [
        pytest.param(CANARY, "/data", "type", id="a text"),
        pytest.param({}, "/data", "required", id="no key"),
        pytest.param({"a/b": CANARY}, "/data/a~1b", "key", id="a bad key"),
        pytest.param({"a": 5}, "/data/a", "type", id="a number"),
        pytest.param({"a": [CANARY]}, "/data/a", "type", id="a list"),
        pytest.param({"a": "••••••••"}, "/data/a", "masked", id="the mask"),
        pytest.param({str(n): CANARY for n in range(257)}, "/data", "too_many", id="many keys"),
    ],
)
def test_it_points_at_what_is_wrong_and_repeats_no_value(bobs, data, pointer, code):
    answer = put(bobs, data)
    assert answer.status_code == 400 and pointers(answer) == {pointer: code}
    assert CANARY not in answer.content.decode()
    assert not ProjectSecret.objects.exists()


@pytest.mark.parametrize(
    ("name", "code"), [("kubenova-x", "reserved"), ("a--b", "name"), ("x" * 64, "name")]
)
def test_it_refuses_names(bobs, name, code):
    answer = put(bobs, BODY["data"], f"{SECRETS}/{name}")
    assert answer.status_code == 400
    assert set(pointers(answer)) == {"/name"}


def test_unknown_fields_are_refused(bobs):
    answer = put(bobs, BODY["data"], type="kubernetes.io/tls")
    assert answer.status_code == 400 and pointers(answer) == {"/type": "unknown"}


def test_a_project_has_a_bounded_number_of_them(bobs, kept, monkeypatch):
    monkeypatch.setattr("delivery.models.secret.MAX_SECRETS", 1)
    answer = put(bobs, {"a": "b"}, f"{SECRETS}/mail")
    assert answer.status_code == 409 and answer.json()["code"] == "KN-LIMIT"


def test_a_foreign_secret_of_the_name_is_never_taken_over(bobs, fleet):
    body = {"apiVersion": "v1", "kind": "Secret", "data": {"mine": "eA=="}}
    body["metadata"] = {"name": "db", "namespace": "acme--shop"}
    fleet["prod-a"].apply_as("kubectl-create", LIVE, body)
    put(bobs, BODY["data"])
    settle()
    assert fleet["prod-a"].body(LIVE)["data"] == {"mine": "eA=="}
    (condition, *_) = SecretPlacement.objects.get().conditions
    assert condition["status"] == "False" and "does not belong to KubeNova" in condition["message"]


# --- Nothing shows it.


def spelled(text: str) -> list[str]:
    data = text.encode()
    both = [text, ascii(text)[1:-1], json.dumps(text)[1:-1], data.hex()]
    return [*both, base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()]


def database() -> str:
    """Every column of every row of the product, as text."""
    found = []
    for model in apps.get_models():
        with connection.cursor() as cursor:
            cursor.execute(f'SELECT * FROM "{model._meta.db_table}"')
            found += [repr(row) for row in cursor.fetchall()]
    return "\n".join(found)


def everything_said(bobs, olga_client) -> list[str]:
    """What answers, pages of the admin, events and plans say."""
    planned = bobs.put(
        f"{DB}?dryRun=plan", {"data": {"password": f"{CANARY}!", "new": CANARY}}, format="json"
    )
    fresh = bobs.put(f"{SECRETS}/next?dryRun=plan", BODY, format="json")
    assert planned.status_code == 200 and fresh.status_code == 200, planned.content
    said = [planned, fresh, bobs.post(f"{DB}:plan"), bobs.get(DB), bobs.get(SECRETS)]
    said += [bobs.get("/api/v1/events"), bobs.get("/api/v1/drift"), bobs.get("/api/v1/projects")]
    secret, row = ProjectSecret.objects.get(), SecretPlacement.objects.get()
    said += [
        olga_client.get(f"/admin/delivery/projectsecret/{secret.pk}/change/"),
        olga_client.get("/admin/delivery/projectsecret/"),
        olga_client.get(f"/admin/delivery/secretplacement/{row.pk}/change/"),
        olga_client.get("/admin/reconcile/event/"),
    ]
    assert {answer.status_code for answer in said} == {200}
    return [answer.content.decode() for answer in said]


def test_a18_a_value_shows_nowhere(bobs, kept, fleet, olga, client, caplog):
    caplog.set_level("DEBUG")
    fleet["prod-a"].edit(LIVE, "kubectl-edit", lambda body: body["data"].update(password="eA=="))
    SecretPlacement.objects.get().mark()
    settle()
    bobs.patch(DB, {"data": {"user": "other"}}, format="json")
    put(bobs, {"a/b": CANARY})
    settle()
    olga.is_superuser = True
    olga.save()
    client.force_login(olga)

    told = "\n".join([*everything_said(bobs, client), database(), caplog.text])
    assert kept.name in told and "DriftRepaired" in told and "ValuesChanged" in told
    assert [spelling for spelling in spelled(CANARY) if spelling in told] == []


def test_what_is_remembered_of_it_is_made_under_a_key(kept, monkeypatch):
    before = AppliedObject.objects.get(kind="Secret").wanted_hash
    monkeypatch.setattr("reconcile.fingerprints._Secrets.key", b"another")
    (wanted,) = SecretPlacement.objects.get().task().wanted
    assert wanted.hash != before


# --- Drift.


def test_drift_of_it_is_masked_and_healed(bobs, kept, fleet):
    fleet["prod-a"].edit(LIVE, "kubectl-edit", lambda body: body["data"].update(password="eA=="))
    SecretPlacement.objects.get().mark()
    settle()

    drift = Drift.objects.get()
    assert (drift.path, drift.wanted, drift.found) == (".data.password", MASK, MASK)
    assert base64.b64decode(fleet["prod-a"].body(LIVE)["data"]["password"]).decode() == CANARY
    assert Event.objects.filter(reason="DriftRepaired", actor="kubectl-edit").exists()


def test_what_was_found_in_it_cannot_be_accepted(as_, kept, fleet, acme):
    acme.refresh_from_db()
    acme.repair_mode = "manual"
    acme.declare(by="olga")
    settle()
    fleet["prod-a"].edit(LIVE, "kubectl-edit", lambda body: body["data"].update(password="eA=="))
    SecretPlacement.objects.get().mark()
    settle()

    answer = as_("olga").post(f"/api/v1/drift/{Drift.objects.get().uid}:accept", {}, format="json")
    assert answer.status_code == 409 and "its value is not known here" in answer.json()["detail"]
