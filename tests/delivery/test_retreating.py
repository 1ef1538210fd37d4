"""`on_failure: rollback`: a new revision that fails makes room for the last healthy one."""

import pytest

from delivery.adapters.native import DEPLOYMENT
from delivery.models import App, RevisionBlock
from reconcile.errors import Unreachable
from reconcile.models import Event, Work
from reconcile.values import Ref
from tests.api.conftest import problem
from tests.clusters.steps import settle
from tests.delivery.controllers import deployment, look, report, roll_out
from tests.delivery.paths import APPS, BODY, SITE
from tests.delivery.samples import component

WEB = Ref(DEPLOYMENT, "acme--shop", "web")
LATE = {
    "type": "Progressing",
    "status": "False",
    "reason": "ProgressDeadlineExceeded",
    "message": 'ReplicaSet "web-5d" has timed out progressing.',
}
COUNTS = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 0}


@pytest.fixture
def careful(deployed: App) -> App:
    """The app `site`, deployed; what fails is to go back."""
    deployed.on_failure = "rollback"
    assert deployed.declare(by="bob")
    settle()
    deployed.refresh_from_db()
    return deployed


def change(app: App, image: str = "nginx:bad") -> None:
    app.refresh_from_db()
    app.components = [component(image=image)]
    assert app.declare(by="bob")
    settle()


def fail(fleet) -> None:
    """The Deployment comes no further, says its controller."""
    report(fleet["prod-a"], WEB, **COUNTS, conditions=[LATE])
    look()


def image_on(fleet) -> str:
    (container,) = deployment(fleet["prod-a"])["spec"]["template"]["spec"]["containers"]
    return container["image"]


def test_what_fails_goes_back_and_is_blocked(careful, fleet):
    change(careful)
    assert image_on(fleet) == "nginx:bad"
    fail(fleet)
    assert image_on(fleet) == "nginx:1.27"
    newest = careful.revisions.get(number=3)
    assert (newest.author, newest.origin) == ("kubenova", 1)
    assert newest.message.startswith("Revision 2 failed on prod-a: web: ")
    assert "has timed out progressing" in newest.message
    (block,) = RevisionBlock.objects.all()
    assert (block.revision.number, block.by, block.reason) == (2, "kubenova", newest.message)
    roll_out(fleet)
    careful.refresh_from_db()
    assert (careful.phase, careful.revision) == ("Deployed", 3)


def test_the_story_is_told_in_events(careful, fleet):
    change(careful)
    fail(fleet)
    told = Event.objects.filter(object_uid=careful.uid, actor="kubenova")
    assert {event.reason for event in told} == {"Changed", "Revised", "RevisionBlocked"}
    why = told.get(reason="RevisionBlocked").message
    assert "Revision 2 of App acme/shop/site is blocked by kubenova: Revision 2 failed" in why


def test_it_goes_back_once(careful, fleet):
    change(careful)
    fail(fleet)
    for _ in range(3):
        fail(fleet)
    assert App.objects.get().revision == 3, "what came back fails as well, and was healthy once"


def test_by_default_it_waits_for_somebody(deployed, fleet):
    change(deployed)
    fail(fleet)
    deployed.refresh_from_db()
    assert (deployed.phase, deployed.revision, image_on(fleet)) == ("Error", 2, "nginx:bad")


def test_what_was_healthy_once_stays(careful, fleet):
    fail(fleet)
    careful.refresh_from_db()
    assert (careful.phase, careful.revision) == ("Error", 1)
    assert not Event.objects.filter(reason="RollbackImpossible").exists()


def test_a_cluster_that_nobody_reaches_has_not_failed(careful, fleet):
    fleet["prod-a"].always(Unreachable("down"))
    change(careful)
    Work.objects.all().mark()
    settle()
    assert App.objects.get().revision == 2


def test_without_a_healthy_one_it_stays_and_says_so_once(site, fleet):
    site.on_failure = "rollback"
    site.declare(by="bob")
    settle()
    for _ in range(3):
        fail(fleet)
    site.refresh_from_db()
    assert (site.phase, site.revision) == ("Error", 1)
    event = Event.objects.get(reason="RollbackImpossible")
    assert event.type == "Warning"
    assert event.message.startswith("Revision 1 failed on prod-a: web: ")
    assert "It stays: No revision before 1 was healthy" in event.message


def test_what_fails_for_longer_was_changed_by_nobody_meanwhile(careful, fleet):
    """Somebody who declares while it fails is not overruled: their revision is judged anew."""
    change(careful)
    report(fleet["prod-a"], WEB, **COUNTS, conditions=[LATE])
    careful.refresh_from_db()
    careful.components = [component(image="nginx:mended")]
    careful.declare(by="bob")
    look()
    assert (App.objects.get().revision, image_on(fleet)) == (3, "nginx:mended")


def test_the_api_takes_it_and_refuses_other_words(bobs):
    assert bobs.post(APPS, BODY).json()["on_failure"] == "wait"
    assert bobs.patch(SITE, {"on_failure": "rollback"}).json()["on_failure"] == "rollback"
    answer = bobs.patch(SITE, {"on_failure": "explode"})
    problem(answer, 400, "KN-INVALID")
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/on_failure"]
    bobs.patch(SITE, {"repair_mode": "manual"})
    text = bobs.get(f"{SITE}/export").content.decode()
    assert "on_failure: rollback" in text and "repair_mode: manual" in text
