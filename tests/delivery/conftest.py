"""An acme with a shop on one cluster, and the people around it."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from clusters.models import Cluster
from delivery.models import App
from tenancy.models import Project, Tenant
from tests.api.conftest import signed_in
from tests.clusters.steps import settle
from tests.delivery.controllers import roll_out
from tests.delivery.samples import component
from tests.fleet import Fleet, fleet
from tests.people import charlie, make_acme, olga, person, quick_passwords

__all__ = ["charlie", "fleet", "olga", "quick_passwords"]


@pytest.fixture
def people(db) -> dict[str, User]:
    """Everybody, by name."""
    members = {name: person(name) for name in ("alice", "bob", "carol", "charlie")}
    return members | {"olga": person("olga", is_staff=True)}


@pytest.fixture
def prod(fleet: Fleet, db) -> Cluster:
    """A cluster whose baseline stands."""
    return fleet.register("prod-a")


@pytest.fixture
def acme(prod: Cluster, people: dict[str, User]) -> Tenant:
    """The tenant acme on that cluster."""
    return make_acme(placement={"clusters": ["prod-a"]})


@pytest.fixture
def shop(acme: Tenant) -> Project:
    """A project whose namespace stands."""
    project = Project(tenant=acme, name="shop")
    project.declare(by="alice")
    settle()
    return project


@pytest.fixture
def site(shop: Project) -> App:
    """The app `site` of bob, with a webservice `web`; nothing was done for it yet."""
    app = App(project=shop, name="site", components=[component()])
    app.declare(by="bob")
    return app


@pytest.fixture
def deployed(site: App, fleet: Fleet) -> App:
    """The app `site`, deployed."""
    roll_out(fleet)
    site.refresh_from_db()
    assert site.phase == "Deployed", site.conditions
    return site


@pytest.fixture
def as_(people: dict[str, User]) -> Callable[[str], APIClient]:
    """Return the client of somebody, by name."""
    return lambda name: signed_in(people[name])


@pytest.fixture
def bobs(as_: Callable[[str], APIClient], shop: Project) -> APIClient:
    """Bob's client; acme/shop is there."""
    return as_("bob")
