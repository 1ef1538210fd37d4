"""Apps that use secrets of their project: what they refer to is there, stays, and restarts them."""

import pytest

from delivery.adapters.native import DEPLOYMENT
from delivery.models import App, ProjectSecret
from reconcile.values import Ref
from tests.clusters.steps import settle
from tests.delivery.paths import APPS, BODY, SITE, pointers
from tests.delivery.samples import component

SECRETS = "/api/v1/tenants/acme/projects/shop/secrets"
WEB = Ref(DEPLOYMENT, "acme--shop", "web")
NOTED = "kubenova.io/secrets"


def using(name="db", key="password"):
    source = {"secretKeyRef": {"name": name, "key": key}}
    return component(env=[{"name": "PASSWORD", "valueFrom": source}])


@pytest.fixture
def kept(bobs) -> ProjectSecret:
    answer = bobs.put(f"{SECRETS}/db", {"data": {"password": "one"}}, format="json")
    assert answer.status_code == 201
    settle()
    return ProjectSecret.objects.get()


@pytest.fixture
def running(bobs, kept) -> App:
    """An app with a component that uses the secret and one that does not."""
    parts = [using(), component("jobs", "worker")]
    answer = bobs.post(APPS, {**BODY, "components": parts}, format="json")
    assert answer.status_code == 201, answer.json()
    settle()
    return App.objects.get()


def noted(fleet, name: str) -> str | None:
    template = fleet["prod-a"].body(WEB._replace(name=name))["spec"]["template"]
    return template["metadata"].get("annotations", {}).get(NOTED)


@pytest.mark.parametrize(
    ("used", "field"), [(using("mail"), "name"), (using(key="token"), "key")], ids=["name", "key"]
)
def test_a_reference_that_leads_nowhere_is_refused_with_its_place(bobs, kept, used, field):
    answer = bobs.post(APPS, {**BODY, "components": [used]}, format="json")
    place = "/components/0/properties/env/0/valueFrom/secretKeyRef/"

    assert answer.status_code == 400 and pointers(answer) == {f"{place}{field}": "unknown"}
    assert not App.objects.exists()


def test_the_secrets_of_another_project_are_not_its_own(bobs, kept, as_):
    body = {"name": "blog", "tenant": "acme"}
    assert as_("alice").post("/api/v1/projects", body, format="json").status_code == 201
    body = {**BODY, "project": "blog", "components": [using()]}
    assert bobs.post(APPS, body, format="json").status_code == 400


def test_a_secret_that_an_app_uses_stays_until_it_does_not(bobs, running):
    answer = bobs.delete(f"{SECRETS}/db")
    assert answer.status_code == 409 and answer.json()["code"] == "KN-IN-USE"
    assert answer.json()["apps"] == ["site"] and "site" in answer.json()["detail"]

    bobs.put(SITE, {"components": [component()]}, format="json")
    settle()
    assert bobs.delete(f"{SECRETS}/db").status_code == 202


def test_other_values_restart_the_components_that_use_them_and_no_other(bobs, running, fleet):
    assert (noted(fleet, "web"), noted(fleet, "jobs")) == ("db=1", None)
    bobs.patch(f"{SECRETS}/db", {"data": {"password": "two"}}, format="json")
    settle()
    assert (noted(fleet, "web"), noted(fleet, "jobs")) == ("db=2", None)
    running.refresh_from_db()
    assert running.revision == 1, "the app is as it was declared"


def test_a_secret_that_is_mounted_stays_and_restarts_what_mounts_it(bobs, kept, fleet):
    mounts = {"secret": [{"name": "keys", "mountPath": "/keys", "secretName": "db"}]}
    body = {**BODY, "components": [component(volumeMounts=mounts)]}
    assert bobs.post(APPS, body, format="json").status_code == 201
    settle()
    assert bobs.delete(f"{SECRETS}/db").status_code == 409
    bobs.patch(f"{SECRETS}/db", {"data": {"password": "two"}}, format="json")
    settle()
    assert noted(fleet, "web") == "db=2"


def test_another_description_restarts_nothing(bobs, running, fleet):
    bobs.patch(f"{SECRETS}/db", {"description": "Of the shop."}, format="json")
    settle()
    assert noted(fleet, "web") == "db=1"


def test_a_project_goes_with_apps_and_the_secrets_they_use(running, shop):
    shop.refresh_from_db()
    shop.request_deletion(by="alice")
    settle()
    assert not ProjectSecret.objects.exists() and not App.objects.exists()
