"""Apps over HTTP: what each kind of person gets."""

import pytest
from rest_framework.test import APIClient

from delivery.models import App
from tests.api.conftest import problem
from tests.delivery.paths import APPS, BODY, SITE
from tests.people import make_globex

READS = ["", "/rollout", "/revisions", "/revisions/1"]
WRITES = [
    ("put", "", BODY),
    ("patch", "", {"labels": {"a": "b"}}),
    ("delete", "", None),
    ("post", ":rollback", {"revision": 1}),
]


@pytest.mark.parametrize("name", ["alice", "bob", "carol", "olga"])
@pytest.mark.parametrize("path", READS)
def test_members_and_operators_read(bobs, as_, name, path):
    bobs.post(APPS, BODY)
    assert as_(name).get(SITE + path).status_code == 200


@pytest.mark.parametrize("name", ["alice", "olga"])
@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_admins_and_operators_write(bobs, as_, name, method, path, body):
    bobs.post(APPS, BODY)
    assert getattr(as_(name), method)(SITE + path, body).status_code in {200, 202}


@pytest.mark.parametrize(("method", "path", "body"), [*WRITES, ("post", "create", BODY)])
def test_carol_reads_only(bobs, as_, method, path, body):
    bobs.post(APPS, BODY)
    before = App.objects.values().get()
    target = APPS if path == "create" else SITE + path
    problem(getattr(as_("carol"), method)(target, body), 403, "KN-FORBIDDEN")
    assert App.objects.values().get() == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [*[("get", path, None) for path in READS], *WRITES],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("prefix", [f"{APPS}/", "/api/v1/tenants/acme/projects/shop/apps/"])
def test_charlie_cannot_tell_an_app_from_none(bobs, as_, prefix, method, path, body):
    make_globex()
    bobs.post(APPS, BODY)
    charlies, correlation = as_("charlie"), {"HTTP_X_CORRELATION_ID": "same"}
    there, missing = (
        getattr(charlies, method)(
            f"{prefix}{name}{path}{'?tenant=acme&project=shop' if prefix.startswith(APPS) else ''}",
            {**body, "name": name} if method == "put" else body,
            **correlation,
        )
        for name in ("site", "nope")
    )
    assert (there.status_code, missing.status_code) == (404, 404)
    assert there.content == missing.content
    assert App.objects.get().generation == 1


def test_charlie_finds_no_project_of_acme_to_deliver_into(bobs, as_):
    make_globex()
    problem(as_("charlie").post(APPS, BODY), 404, "KN-NOT-FOUND")
    assert as_("charlie").get(APPS).json()["items"] == []


def test_nobody_gets_in_without_signing_in(bobs):
    bobs.post(APPS, BODY)
    stranger = APIClient()
    for path in READS:
        problem(stranger.get(SITE + path), 401, "KN-UNAUTHENTICATED")
    problem(stranger.post(APPS, BODY), 401, "KN-UNAUTHENTICATED")
