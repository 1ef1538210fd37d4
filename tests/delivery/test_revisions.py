"""Revisions: numbered, immutable, and the way back."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from delivery.models import App, Revision
from delivery.models.revision import Unchangeable
from reconcile.correlation import correlate
from reconcile.models import Event
from reconcile.refusals import Conflicting, Invalid, Unserved
from tests.clusters.steps import settle
from tests.delivery.controllers import deployment, roll_out
from tests.delivery.samples import component


def change_image(app: App, image: str) -> None:
    app.refresh_from_db()
    app.components = [component(image=image)]
    assert app.declare(by="bob")


def image_on(cluster) -> str:
    return deployment(cluster)["spec"]["template"]["spec"]["containers"][0]["image"]


def test_the_first_declaration_makes_the_first_revision(shop):
    with correlate("walk-in"):
        app = App(project=shop, name="site", components=[component()])
        app.declare(by="bob")
    (revision,) = app.revisions.all()
    assert revision.number == app.revision == 1
    assert revision.spec == {"components": [component()]}
    assert (revision.author, revision.correlation_id, revision.origin) == ("bob", "walk-in", None)
    assert len(revision.spec_hash) == 32
    assert not revision.healthy


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("description", "the shop"),
        ("labels", {"team": "checkout"}),
        ("placement", {"clusters": ["prod-a"]}),
        ("health_deadline", 60),
    ],
)
def test_no_other_change_makes_a_revision(site, column, value):
    setattr(site, column, value)
    assert site.declare(by="bob")
    assert (site.generation, site.revision, site.revisions.count()) == (2, 1, 1)


def test_the_same_components_again_make_none(site):
    site.components = [component()]
    assert not site.declare(by="bob")
    assert (site.generation, site.revisions.count()) == (1, 1)


def test_every_change_of_components_makes_the_next(site):
    for number, image in enumerate(["nginx:2", "nginx:3", "nginx:2"], start=2):
        change_image(site, image)
        assert site.revision == number
    hashes = {each.number: each.spec_hash for each in site.revisions.all()}
    assert hashes[2] == hashes[4] != hashes[3]
    event = Event.objects.filter(reason="Revised").first()
    assert event.message == "App acme/shop/site is at revision 4, by bob."


def test_a_refused_change_makes_none(site, prod):
    prod.capabilities.filter(name="delivery.native").update(served=False)
    site.components = [component(image="nginx:2")]
    with pytest.raises(Unserved):
        site.declare(by="bob")
    stored = App.objects.get()
    assert (stored.revision, stored.generation, stored.revisions.count()) == (1, 1, 1)


# --- Immutable.


def test_saving_a_revision_again_is_refused(site):
    revision = site.revisions.get()
    revision.message = "history, rewritten"
    with pytest.raises(Unchangeable):
        revision.save()


@pytest.mark.parametrize(
    "columns",
    [
        {"spec": {"components": []}},
        {"number": 9},
        {"author": "mallory"},
        {"message": "x"},
        {"origin": 1},
        {"spec_hash": "0" * 32},
    ],
    ids=lambda columns: next(iter(columns)),
)
def test_the_database_refuses_to_change_a_revision(site, columns):
    with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
        Revision.objects.update(**columns)


def test_the_database_lets_the_loop_note_health(site):
    assert Revision.objects.update(healthy=True) == 1


# --- Health.


def test_a_revision_is_healthy_once_it_was_deployed_everywhere(site, fleet):
    settle()
    assert not site.revisions.get().healthy
    roll_out(fleet)
    assert site.revisions.get().healthy


def test_a_revision_that_never_came_up_is_not_healthy(deployed, fleet):
    change_image(deployed, "nginx:broken")
    settle()
    assert {each.number: each.healthy for each in deployed.revisions.all()} == {1: True, 2: False}


def test_one_cluster_that_lags_keeps_a_revision_from_being_healthy(site, fleet, acme):
    fleet.register("prod-b")
    acme.placement = {"clusters": ["prod-a", "prod-b"]}
    acme.declare(by="olga")
    roll_out(fleet, "prod-a")
    assert site.placements.count() == 2
    assert not site.revisions.get().healthy
    roll_out(fleet, "prod-a", "prod-b")
    assert site.revisions.get().healthy


def test_labels_alone_leave_health_as_it_is(deployed, fleet):
    deployed.labels = {"team": "checkout"}
    deployed.declare(by="bob")
    roll_out(fleet)
    assert deployed.revisions.get().healthy


# --- Rollback.


def test_rollback_makes_a_new_revision_with_the_old_spec(deployed, fleet):
    change_image(deployed, "nginx:2")
    assert deployed.rollback(1, by="alice", message="2 was slow")
    new = deployed.revisions.get(number=3)
    assert new.spec == deployed.revisions.get(number=1).spec
    assert (new.origin, new.author, new.message) == (1, "alice", "2 was slow")
    roll_out(fleet)
    assert image_on(fleet["prod-a"]) == "nginx:1.27"
    assert deployed.revisions.get(number=3).healthy


def test_rollback_goes_to_the_last_healthy_revision_by_default(deployed, fleet):
    change_image(deployed, "nginx:2")
    roll_out(fleet)
    change_image(deployed, "nginx:broken")
    change_image(deployed, "nginx:also-broken")
    assert deployed.rollback(None, by="bob")
    assert deployed.revisions.get(number=5).origin == 2
    assert deployed.revisions.get(number=5).message == "Rollback to revision 2."
    event = Event.objects.filter(reason="Revised").first()
    assert "revision 5, a rollback to revision 2" in event.message


def test_a_change_after_a_rollback_names_no_origin(deployed):
    change_image(deployed, "nginx:2")
    app = App.objects.get()
    app.rollback(1, by="bob")
    app.components = [component(image="nginx:3")]
    app.declare(by="bob")
    assert app.revisions.get(number=4).origin is None
    assert app.revisions.get(number=4).message == ""


@pytest.mark.parametrize("number", [2, 3], ids=["the number that runs", "a number of that spec"])
def test_rollback_to_what_runs_does_nothing(deployed, number):
    change_image(deployed, "nginx:2")
    change_image(deployed, "nginx:1.27")
    change_image(deployed, "nginx:2")
    target = {2: 2, 3: 4}[number]
    assert not deployed.rollback(target, by="bob")
    assert deployed.revisions.count() == 4


def test_rollback_to_an_unknown_revision_is_refused(deployed):
    with pytest.raises(Invalid) as caught:
        deployed.rollback(9, by="bob")
    assert [fault.pointer for fault in caught.value.errors] == ["/revision"]


def test_rollback_without_a_healthy_revision_says_so(site):
    change_image(site, "nginx:2")
    with pytest.raises(Conflicting, match="No revision before 2 was healthy"):
        site.rollback(None, by="bob")


def test_rollback_is_bound_by_the_rules_of_today(deployed, shop):
    change_image(deployed, "nginx:2")
    deployed.components = [component("front")]
    deployed.declare(by="bob")
    App(project=shop, name="other", components=[component("web")]).declare(by="bob")
    with pytest.raises(ValidationError, match="App other has a component of this name"):
        deployed.rollback(1, by="bob")


def test_no_step_of_the_loop_undoes_a_rollback(deployed, fleet):
    change_image(deployed, "nginx:2")
    roll_out(fleet)
    deployed.refresh_from_db()
    deployed.rollback(1, by="bob")
    for _ in range(3):
        roll_out(fleet)
    assert image_on(fleet["prod-a"]) == "nginx:1.27"
    assert App.objects.get().revision == 3
