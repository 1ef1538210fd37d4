"""Freezes: what is declared in a window waits for its end, and what runs is looked after."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from delivery.adapters.native import DEPLOYMENT
from delivery.models import App, RevisionThaw
from policies.models import Attachment
from reconcile.models import Event
from reconcile.refusals import Conflicting
from reconcile.values import Ref
from tenancy.models import Project
from tests.api.conftest import problem
from tests.clusters.steps import hurry, settle
from tests.delivery.controllers import deployment, roll_out
from tests.delivery.flows import declare, deploy, phases, run, told
from tests.delivery.samples import component
from tests.delivery.waves import change, come_up, fail, images, now, staged, standing, trio, waves
from tests.policies.conftest import attach, make_set

__all__ = ["standing", "trio"]

pytestmark = pytest.mark.django_db

SATURDAY = datetime(2024, 6, 1, 12, tzinfo=UTC)
MONDAY = datetime(2024, 6, 3, 7, 1, tzinfo=UTC)
WEEKEND = {"from": "fri 16:00", "until": "mon 07:00", "reason": "Nobody is there"}
SAYS = (
    "Policy set weekends freezes rollouts until 2024-06-03 07:00 UTC "
    "(fri 16:00 - mon 07:00 UTC: Nobody is there)."
)
WEB = Ref(DEPLOYMENT, "acme--shop", "web")
SITE = "/api/v1/tenants/acme/projects/shop/apps/site"


@pytest.fixture
def clock():
    with time_machine.travel(SATURDAY, tick=True) as traveller:
        yield traveller


def freeze(mode: str = "enforce", **whom: object) -> Attachment:
    row = attach(make_set("weekends", freeze=[WEEKEND]), mode=mode, **whom)
    settle()
    return row


def new_image(app: App, image: str = "nginx:2") -> App:
    app = App.objects.select_related("project__tenant").get(pk=app.pk)
    app.components = [component(image=image)]
    app.declare(by="bob")
    settle()
    app.refresh_from_db()
    return app


def runs(fleet) -> str:
    (container,) = deployment(fleet["prod-a"])["spec"]["template"]["spec"]["containers"]
    return str(container["image"])


def rest() -> None:
    """Let those look again who wait for the time or for others."""
    for _ in range(2):
        settle()
        hurry()
    settle()


def go_to(clock, moment: datetime) -> None:
    clock.move_to(moment)
    rest()


def ready(app: App) -> tuple[str, str, str]:
    app.refresh_from_db()
    found = next(each for each in app.conditions if each["type"] == "Ready")
    return found["status"], found["reason"], found["message"]


def test_a_new_revision_is_taken_and_comes_when_the_window_is_over(clock, deployed, fleet):
    freeze()
    app = new_image(deployed)
    assert (app.revision, app.phase, runs(fleet)) == (2, "Applying", "nginx:1.27")
    assert ready(app) == ("False", "Frozen", SAYS)
    event = Event.objects.get(reason="RolloutHeld")
    assert event.message == f"Revision 2 of {app} is kept back. {SAYS}"
    assert not app.revisions.get(number=2).healthy
    go_to(clock, MONDAY)
    roll_out(fleet)
    assert ready(app)[0] == "True" and app.phase == "Deployed"
    assert runs(fleet) == "nginx:2" and app.revisions.get(number=2).healthy


def test_it_looks_again_by_itself_when_the_window_is_over(clock, deployed):
    freeze()
    app = new_image(deployed)
    app.retarget()
    assert 0 <= timedelta(days=1, hours=19).total_seconds() - app.looks_in < 60


def test_what_runs_is_repaired_meanwhile(clock, deployed, fleet):
    freeze()
    new_image(deployed)
    fleet["prod-a"].delete(WEB, fleet["prod-a"].get(WEB).uid)
    deployed.placements.get().mark()
    settle()
    assert runs(fleet) == "nginx:1.27"


def test_a_new_app_waits_and_its_placement_says_for_what(clock, shop, fleet):
    freeze()
    project = Project.objects.select_related("tenant").get()
    App(project=project, name="site", components=[component()]).declare(by="bob")
    settle()
    placement = App.objects.get().placements.get()
    assert "Frozen" in {each["reason"] for each in placement.conditions}
    assert WEB not in fleet["prod-a"].refs(DEPLOYMENT)
    go_to(clock, MONDAY)
    roll_out(fleet)
    assert App.objects.get().phase == "Deployed"


def test_a_rollback_waits_unless_the_clusters_run_that_already(clock, deployed, fleet):
    freeze()
    app = new_image(deployed)
    app.rollback(1, by="bob")
    settle()
    assert (app.revision, ready(app)[0]) == (3, "True"), "nothing is new to the cluster"
    go_to(clock, MONDAY)
    app = new_image(app, "nginx:3")
    roll_out(fleet)
    clock.move_to(datetime(2024, 6, 8, 12, tzinfo=UTC))
    app.refresh_from_db()
    app.rollback(None, by="bob")
    settle()
    assert (ready(app)[1], runs(fleet)) == ("Frozen", "nginx:3")


def test_when_the_set_is_detached_it_comes_at_once(clock, deployed, fleet):
    row = freeze()
    new_image(deployed)
    row.request_deletion(by="olga")
    rest()
    roll_out(fleet)
    assert runs(fleet) == "nginx:2"


def test_an_exception_lets_a_project_go_on(clock, deployed, fleet):
    row = freeze()
    row.make_exception(
        "olga", tenant="acme", project="shop", kind="freeze", reason="A fair", expires_at=MONDAY
    )
    settle()
    new_image(deployed)
    assert runs(fleet) == "nginx:2"


def test_a_tenant_s_own_window_holds_as_well(clock, deployed, fleet):
    tenant = deployed.project.tenant
    tenant.refresh_from_db()
    tenant.restrictions = {"freeze": [WEEKEND]}
    tenant.declare(by="olga")
    settle()
    assert "A restriction of the tenant" in ready(new_image(deployed))[2]


@pytest.mark.parametrize(
    ("mode", "reason", "message"),
    [("warn", "FreezeWarned", f"Warning: {SAYS}"), ("audit", "FreezeNoted", "")],
)
def test_what_only_warns_or_audits_keeps_nothing_back(
    clock, deployed, fleet, mode, reason, message
):
    freeze(mode)
    app = new_image(deployed)
    roll_out(fleet)
    assert runs(fleet) == "nginx:2" and ready(app)[::2] == ("True", message)
    event = Event.objects.get(reason__startswith="Freeze")
    assert (event.reason, event.actor, event.data["policy_set"]) == (reason, "bob", "weekends")


def test_no_cluster_is_told_or_asked_for_anything(clock, deployed, fleet):
    def plans() -> int:
        return Event.objects.filter(reason="Planned").count()

    before = plans()
    freeze()
    for row in (deployed.project.placements.get(), deployed.project.tenant.placements.get()):
        assert row.intent().restrictions == {}
    assert plans() == before


# --- Breaking the glass.


def test_a_tenant_admin_breaks_the_glass_for_one_revision(clock, deployed, fleet, as_):
    freeze()
    new_image(deployed)
    body = as_("bob").get(f"{SITE}/rollout").json()
    assert (body["state"], body["reason"]) == ("Held", SAYS)
    assert body["verbs"] == ["abort", "break-glass"]
    because = {"reason": "CVE-2026-1", "revision": 2}
    problem(as_("bob").post(f"{SITE}:break-glass", because, format="json"), 403, "KN-FORBIDDEN")
    problem(as_("charlie").post(f"{SITE}:break-glass", because, format="json"), 404, "KN-NOT-FOUND")
    assert as_("alice").post(f"{SITE}:break-glass", because, format="json").status_code == 202
    roll_out(fleet)
    assert runs(fleet) == "nginx:2"
    event = Event.objects.get(reason="GlassBroken")
    assert (event.actor, event.type, event.data["why"]) == ("alice", "Warning", "CVE-2026-1")
    new_image(deployed, "nginx:3")
    assert runs(fleet) == "nginx:2", "the next revision waits"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "KN-INVALID"),
        ({"reason": "x"}, 400, "KN-INVALID"),
        ({"reason": "Because", "revision": 1}, 409, "KN-CONFLICT"),
    ],
    ids=["no reason", "no real one", "another revision"],
)
def test_the_glass_is_not_broken_without_a_reason(clock, deployed, as_, body, status, code):
    freeze()
    new_image(deployed)
    problem(as_("alice").post(f"{SITE}:break-glass", body, format="json"), status, code)
    assert not RevisionThaw.objects.exists()


def test_there_is_no_glass_where_nothing_is_kept_back(clock, deployed, as_):
    body = {"reason": "Because"}
    problem(as_("alice").post(f"{SITE}:break-glass", body, format="json"), 409, "KN-CONFLICT")
    freeze()
    with pytest.raises(Conflicting, match="not kept back"):
        App.objects.get().break_glass(by="alice", reason="Because")


def test_its_page_asks_why_and_is_offered_to_whom_it_is_for(clock, deployed, client, people):
    freeze()
    new_image(deployed)
    page, url = "/tenants/acme/projects/shop/apps/site", "rollout-break-glass"
    client.force_login(people["bob"])
    assert url not in client.get(page).content.decode()
    client.force_login(people["alice"])
    assert url in client.get(page).content.decode()
    assert "Why it cannot wait" in client.get(f"{page}/break-glass").content.decode()
    assert client.post(f"{page}/break-glass", {"reason": ""}).status_code == 422
    assert client.post(f"{page}/break-glass", {"reason": "CVE-2026-1"}).status_code == 302
    assert RevisionThaw.objects.get().by == "alice"


# --- Waves and workflows.


def test_waves_that_have_not_begun_wait_and_those_that_have_are_not_taken_back(
    clock, standing, fleet
):
    app = change(staged(standing))
    freeze()
    come_up(fleet, "prod-a")
    assert (waves(app), images(fleet)) == (["Done", "Waiting"], "2 1.27 1.27")
    assert now(app).state == "Held" and ready(app) == (
        "False",
        "Frozen",
        f"Wave 2 of 2 waits. {SAYS}",
    )
    go_to(clock, MONDAY)
    assert images(fleet) == "2 2 2"


def test_the_glass_is_broken_wave_by_wave(clock, standing, fleet):
    freeze()
    app = change(staged(standing))
    assert images(fleet) == "1.27 1.27 1.27"
    app.break_glass(by="alice", reason="CVE-2026-1")
    settle()
    assert images(fleet) == "2 1.27 1.27"


def test_what_fails_meanwhile_goes_back_by_itself(clock, standing, fleet):
    app = change(staged(standing, on_failure="rollback"))
    freeze()
    fail(fleet, "prod-a")
    settle()
    app.refresh_from_db()
    assert (app.revision, images(fleet)) == (3, "1.27 1.27 1.27")
    assert RevisionThaw.objects.get().by == "kubenova"


def cordon(app: App, cordoned: bool = True) -> None:
    tenant = app.project.tenant
    tenant.refresh_from_db()
    tenant.cordoned = cordoned
    tenant.declare(by="olga")
    settle()


def test_no_wave_begins_in_a_cordoned_tenant(standing, fleet):
    app = change(staged(standing))
    cordon(app)
    come_up(fleet, "prod-a")
    assert images(fleet) == "2 1.27 1.27"
    assert ready(app)[1] == "Cordoned" and "is cordoned" in ready(app)[2]
    with pytest.raises(Conflicting, match="is cordoned"):
        app.break_glass(by="alice", reason="Because")
    cordon(app, False)
    assert images(fleet) == "2 2 2"


def test_a_deploy_step_waits_for_the_end_of_a_freeze(clock, deployed, fleet):
    freeze()
    found = run(declare(deployed.project, deploy("go", "nginx:2")))
    assert phases(found) == {"go": "running"} and told(found, "go").startswith(SAYS)
    go_to(clock, MONDAY)
    roll_out(fleet)
    rest()
    assert phases(found) == {"go": "succeeded"}


def test_a_deploy_step_waits_until_a_cordon_is_lifted(deployed, fleet):
    flow = declare(
        deployed.project,
        {"name": "wait", "type": "suspend"},
        deploy("go", "nginx:2"),
    )
    found = run(flow)
    cordon(deployed)
    found.progress["wait"]["phase"] = "succeeded"
    found.keep()
    found.mark()
    settle()
    assert phases(found)["go"] == "running" and "is cordoned" in told(found, "go")
    cordon(deployed, False)
    roll_out(fleet)
    rest()
    assert phases(found)["go"] == "succeeded"
