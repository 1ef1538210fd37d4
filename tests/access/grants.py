"""What the suites of grants share: acme with two projects, globex with one, doors that open."""

from collections.abc import Callable, Iterator

import pytest
import yaml
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from access.models import KubeconfigGrant
from clusters.models import Cluster
from reconcile.values import JSON
from tenancy.models import Project, Tenant
from tests.access.doors import open_door
from tests.clusters.steps import settle
from tests.fleet import Fleet
from tests.people import make_acme, make_globex, person

ISSUE = "/api/v1/tenants/acme:issue-kubeconfig"
ISSUE_SHOP = "/api/v1/projects/shop:issue-kubeconfig"
Asker = Callable[[str], APIClient]


@pytest.fixture
def door(settings, tmp_path) -> Iterator[str]:
    """An access proxy that answers."""
    settings.PROXY_DIR = tmp_path / "proxy"
    with open_door() as url:
        settings.PROXY_URL = url
        yield url


@pytest.fixture
def clusters(fleet: Fleet, db) -> list[Cluster]:
    """Two clusters whose baselines stand."""
    return [fleet.register("prod-a"), fleet.register("prod-b")]


@pytest.fixture
def acme(clusters: list[Cluster]) -> Tenant:
    """Acme on both clusters with the projects blog and shop; globex is there too, on prod-a."""
    tenant = make_acme(placement={"clusters": ["prod-a", "prod-b"]})
    for name in ("blog", "shop"):
        Project(tenant=tenant, name=name).declare(by="alice")
    globex = make_globex(placement={"clusters": ["prod-a"]})
    Project(tenant=globex, name="shop").declare(by="charlie")
    settle()
    return tenant


@pytest.fixture
def as_() -> Asker:
    """Return the client of somebody, by name."""

    def client(name: str) -> APIClient:
        found = APIClient()
        found.force_authenticate(person(name, is_staff=name == "olga"))
        return found

    return client


@pytest.fixture
def alices(acme: Tenant, door: str, as_: Asker) -> APIClient:
    """Alice's client, and all there is."""
    return as_("alice")


def kubeconfig_of(answer) -> JSON:
    """The kubeconfig in an answer, parsed."""
    assert answer.status_code == 201, answer.content
    return yaml.safe_load(answer.json()["kubeconfig"])


def tokens_of(config: JSON) -> dict[str, str]:
    """The tokens of a kubeconfig by the names of their users."""
    return {user["name"]: user["user"]["token"] for user in config["users"]}


def grant_of(answer) -> KubeconfigGrant:
    """The grant that an answer is about."""
    return KubeconfigGrant.objects.get(name=answer.json()["grant"]["name"])


def pointers(answer) -> dict[str, str]:
    """The faults of a problem: code by pointer."""
    assert answer["Content-Type"] == "application/problem+json", answer.content
    return {error["pointer"]: error["code"] for error in answer.json()["errors"]}


def disable(user: User) -> None:
    """Disable an account, as the admin site does."""
    user.is_active = False
    user.save()
