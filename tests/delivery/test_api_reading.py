"""Apps over HTTP: names, lists, rollouts and revisions."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from tenancy.models import Project
from tests.api.conftest import problem
from tests.delivery.controllers import roll_out
from tests.delivery.paths import APPS, BODY, SITE
from tests.delivery.samples import component, with_traits


@pytest.fixture
def twice(bobs, acme) -> APIClient:
    """Bob's client; an app `site` is in acme/shop and in acme/lab."""
    Project(tenant=acme, name="lab").declare(by="alice")
    bobs.post(APPS, {**BODY, "labels": {"team": "checkout"}})
    bobs.post(APPS, {**BODY, "project": "lab"})
    return bobs


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", ""),
        ("patch", ""),
        ("delete", ""),
        ("get", "/rollout"),
        ("get", "/revisions"),
        ("get", "/revisions/1"),
        ("post", ":rollback"),
    ],
)
def test_an_ambiguous_name_lists_the_qualified_ones(twice, method, path):
    found = problem(getattr(twice, method)(f"{APPS}/site{path}"), 409, "KN-AMBIGUOUS")
    assert found["candidates"] == ["acme/lab/site", "acme/shop/site"]


@pytest.mark.parametrize("path", ["", "/rollout", "/revisions", "/revisions/1"])
def test_the_parents_narrow_a_name(twice, path):
    assert twice.get(f"{APPS}/site{path}?project=lab").status_code == 200
    assert twice.get(f"{APPS}/site{path}?project=lab&tenant=acme").status_code == 200
    assert twice.get(f"{APPS}/site{path}?project=lab&tenant=globex").status_code == 404


@pytest.mark.parametrize(
    ("query", "projects"),
    [
        ("", {"lab", "shop"}),
        ("?project=lab", {"lab"}),
        ("?tenant=acme", {"lab", "shop"}),
        ("?tenant=globex", set()),
        ("?phase=Pending", {"lab", "shop"}),
        ("?phase=Deployed", set()),
        ("?labelSelector=team=checkout", {"shop"}),
        ("?labelSelector=!team", {"lab"}),
        ("?deleting=true", set()),
    ],
)
def test_the_list_is_filtered(twice, query, projects):
    assert {item["project"] for item in twice.get(APPS + query).json()["items"]} == projects


def test_the_list_below_a_project(twice):
    path = "/api/v1/tenants/acme/projects/lab/apps"
    assert [item["project"] for item in twice.get(path).json()["items"]] == ["lab"]
    assert twice.get("/api/v1/tenants/acme/projects/none/apps").status_code == 404


@pytest.mark.parametrize("query", ["phase=Fine", "labelSelector=a(", "ordering=uid", "color=red"])
def test_a_query_that_means_nothing_is_refused(twice, query):
    problem(twice.get(f"{APPS}?{query}"), 400, "KN-INVALID")


def test_the_list_asks_the_database_a_fixed_number_of_times(bobs):
    def count() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert bobs.get(APPS).status_code == 200
        return len(queries)

    bobs.post(APPS, BODY)
    one = count()
    for name in ("b", "c", "d"):
        bobs.post(APPS, {**BODY, "name": name, "components": [component(name)]})
    assert count() == one


# --- Rollout and revisions.


def test_rollout_tells_per_cluster_and_component(bobs, fleet):
    declared = [with_traits(component(), scaler={"replicas": 2}), component("jobs", "worker")]
    bobs.post(APPS, {**BODY, "components": declared})
    roll_out(fleet)
    body = bobs.get(f"{APPS}/site/rollout").json()
    assert {key: body[key] for key in ("name", "tenant", "project", "revision", "phase")} == {
        "name": "site",
        "tenant": "acme",
        "project": "shop",
        "revision": 1,
        "phase": "Deployed",
    }
    assert body["repair_mode"] == "auto"
    (cluster,) = body["clusters"]
    assert (cluster["cluster"], cluster["phase"], cluster["revision"]) == ("prod-a", "Deployed", 1)
    known = {"revision": 1, "phase": "Deployed", "message": ""}
    told = [
        {key: value for key, value in each.items() if key != "since"}
        for each in cluster["components"]
    ]
    assert told == [
        {"name": "web", "ready": 2, "wanted": 2, **known},
        {"name": "jobs", "ready": 1, "wanted": 1, **known},
    ]
    assert all(each["since"].endswith("Z") for each in cluster["components"])


def test_revisions_are_listed_newest_first_in_pages(bobs):
    bobs.post(APPS, BODY)
    for image in ("nginx:2", "nginx:3"):
        bobs.patch(SITE, {"components": [component(image=image)]}, HTTP_X_CORRELATION_ID="trace-7")
    first = bobs.get(f"{SITE}/revisions?limit=2").json()
    assert [item["number"] for item in first["items"]] == [3, 2]
    assert "components" not in first["items"][0]
    second = bobs.get(first["next"]).json()
    assert [item["number"] for item in second["items"]] == [1]
    assert second["next"] is None
    newest = first["items"][0]
    assert (newest["author"], newest["origin"], newest["healthy"]) == ("bob", None, False)
    assert newest["correlation_id"] == "trace-7"


def test_a_revision_tells_what_the_app_consisted_of(bobs):
    bobs.post(APPS, BODY)
    bobs.patch(SITE, {"components": [component(image="nginx:2")]})
    body = bobs.get(f"{APPS}/site/revisions/1").json()
    assert (body["number"], body["components"]) == (1, [component()])


@pytest.mark.parametrize("number", ["2", "0", "99999999999999999999999999"])
def test_an_unknown_revision(bobs, number):
    bobs.post(APPS, BODY)
    problem(bobs.get(f"{SITE}/revisions/{number}"), 404, "KN-NOT-FOUND")


@pytest.mark.parametrize("query", ["limit=0", "cursor=x", "phase=Deployed", "ordering=number"])
def test_revisions_refuse_a_query_that_means_nothing(bobs, query):
    bobs.post(APPS, BODY)
    problem(bobs.get(f"{SITE}/revisions?{query}"), 400, "KN-INVALID")


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_revisions_are_never_written(bobs, method):
    bobs.post(APPS, BODY)
    problem(getattr(bobs, method)(f"{SITE}/revisions/1", {}), 405, "KN-METHOD")
