"""Cordoned tenants: what runs in their namespaces stays as it is, also through KubeNova."""

import pytest

from delivery.models import App
from reconcile.refusals import Conflicting
from tenancy.models import Project, Tenant
from tests.clusters.steps import settle
from tests.delivery.samples import component

pytestmark = pytest.mark.django_db


@pytest.fixture
def cordoned(deployed: App) -> Tenant:
    """The tenant of the app `site`, cordoned since that was deployed."""
    tenant = deployed.project.tenant
    tenant.refresh_from_db()
    tenant.cordoned = True
    tenant.declare(by="olga")
    settle()
    return tenant


def change(app: App) -> None:
    app.components = [component(image="nginx:2")]
    app.declare(by="bob")


def add(app: App) -> None:
    App(project=app.project, name="more", components=[component(name="more")]).declare(by="bob")


def delete(app: App) -> None:
    app.request_deletion(by="bob")


def delete_project(app: App) -> None:
    app.project.request_deletion(by="alice")


ACTS = pytest.mark.parametrize("act", [change, add, delete, delete_project])


@ACTS
def test_nothing_in_a_cordoned_tenant_is_made_changed_or_deleted(cordoned, deployed, act):
    app = App.objects.get()
    before = app.generation
    with pytest.raises(Conflicting, match="cordoned"):
        act(app)
    app = App.objects.get()
    assert (app.generation, app.deleting, app.project.deleting) == (before, False, False)


@ACTS
def test_when_the_cordon_is_taken_off_all_of_it_goes_on(cordoned, deployed, act):
    cordoned.cordoned = False
    cordoned.declare(by="olga")
    act(App.objects.get())


def test_a_cordoned_tenant_goes_with_all_that_is_in_it(cordoned, deployed):
    cordoned.request_deletion(by="olga")
    assert App.objects.get().deleting and Project.objects.get().deleting


def test_what_is_declared_again_as_it_is_is_no_change(cordoned, deployed):
    assert App.objects.get().declare(by="bob") is False
