"""Targets: which revision each cluster is to run, whatever is declared by now."""

from importlib import import_module

import pytest
from django.apps import apps

from delivery.adapters.native import DEPLOYMENT
from delivery.models import App, AppPlacement, Revision
from reconcile.drain import take_step
from reconcile.models import Work
from reconcile.values import Ref
from tests.clusters.steps import settle
from tests.delivery.controllers import deployment, roll_out
from tests.delivery.samples import component

WEB = Ref(DEPLOYMENT, "acme--shop", "web")


def image_of(intent) -> str:
    (each,) = intent.components
    return each.properties["image"]


@pytest.fixture
def changed(deployed) -> App:
    """`site` at revision 2, which is nowhere yet."""
    deployed.components = [component(image="nginx:1.28")]
    deployed.declare(by="bob")
    return deployed


def test_a_declaration_moves_every_target(changed):
    assert list(changed.placements.values_list("target", "revision")) == [(2, 1)]
    assert image_of(changed.placements.get().intent()) == "nginx:1.28"


def test_the_intent_is_that_of_the_target(changed):
    changed.aim(1)
    intent = AppPlacement.objects.get().intent()
    assert (intent.revision, image_of(intent)) == (1, "nginx:1.27")


def test_the_cluster_runs_its_target_and_not_what_is_declared(changed, fleet):
    changed.aim(1)
    lease = Work.objects.claim(AppPlacement.objects.get().work.get().pk)
    take_step(lease)
    pod = deployment(fleet["prod-a"])["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "nginx:1.27"
    assert AppPlacement.objects.get().revision == 1


def test_without_waves_the_app_brings_each_cluster_to_what_is_declared(changed, fleet):
    changed.aim(1)
    settle()
    assert AppPlacement.objects.get().target == 2


def test_the_rollout_tells_of_the_target(changed, fleet):
    roll_out(fleet)
    AppPlacement.objects.update(target=1)
    (row,) = AppPlacement.objects.get().rollout()
    assert (row["revision"], row["phase"]) == (2, "Applying")


def test_who_stays_is_not_marked(changed):
    settle()
    before = AppPlacement.objects.get().work.get().marks
    changed.aim(2)
    assert AppPlacement.objects.get().work.get().marks == before
    changed.aim(1, only=0)
    assert AppPlacement.objects.get().target == 2


def test_a_target_without_its_revision_is_a_defect(changed):
    changed.aim(9)
    with pytest.raises(Revision.DoesNotExist):
        AppPlacement.objects.get().intent()


def test_placements_from_before_run_what_they_ran(changed):
    AppPlacement.objects.update(target=0)
    import_module("delivery.migrations.0004_target").aim(apps, None)
    assert AppPlacement.objects.get().target == changed.revision == 2
