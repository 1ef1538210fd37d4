"""A freeze with a real cluster: a rollout held, kubectl left alone, and the glass broken."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from delivery.models import App, RevisionThaw
from policies.models import Attachment, PolicySet
from reconcile.models import Event
from reconcile.values import JSON
from sandbox.plane import ControlPlane
from tenancy.models import Project
from tests.api.conftest import problem, signed_in
from tests.clusters.steps import settle_until, settle_until_deployed
from tests.delivery.samples import component
from tests.live.test_delivery import DEPLOY, deploy, image_of, keys, on_cluster, shop

__all__ = ["keys", "shop"]

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(300)]

HOUR = timedelta(hours=1)
BECAUSE = {"reason": "CVE-2026-1 is exploited", "revision": 2}


def window() -> JSON:
    """A window of every week that is open now, whatever time it is."""
    now = datetime.now(UTC)
    since, until = (f"{now + shift:%a %H:%M}".lower() for shift in (-HOUR, 2 * HOUR))
    return {"from": since, "until": until, "reason": "Nobody is there"}


@pytest.fixture
def frozen(shop: Project) -> Iterator[str]:
    """The name of a set that freezes the rollouts of the tenant, once it is declared."""
    name = f"quiet-{uuid.uuid4().hex[:6]}"
    yield name
    for row in PolicySet.objects.all():
        row.request_deletion(by="olga")
    settle_until(lambda: not PolicySet.objects.exists(), DEPLOY)


def freeze(app: App, name: str) -> None:
    rules = PolicySet(name=name, rules={"freeze": [window()]})
    rules.declare(by="olga")
    tenants = [app.project.tenant.name]
    row = Attachment(policy_set=rules, name="hard", mode="enforce", tenants=tenants)
    row.declare(by="olga")
    settle_until_deployed(row)


def looked(app: App) -> bool:
    for placement in app.placements.all():
        placement.mark()
    app.refresh_from_db()
    return True


def condition(app: App, kind: str) -> JSON:
    app.refresh_from_db()
    return next(each for each in app.conditions if each["type"] == kind)


def test_a_rollout_is_held_kubectl_is_not_and_breaking_the_glass_lets_it_go(
    shop: Project, frozen: str, control_plane: ControlPlane, olga: User
) -> None:
    app = deploy(App(project=shop, name="site", components=[component()]))
    generation = on_cluster(control_plane, app)["metadata"]["generation"]
    freeze(app, frozen)
    app.refresh_from_db()
    app.components = [component(image="nginx:1.28")]
    app.declare(by="bob")
    settle_until(lambda: looked(app) and condition(app, "Ready")["reason"] == "Frozen", DEPLOY)
    for _ in range(5):
        settle_until(lambda: looked(app), DEPLOY)
    assert image_of(control_plane, app) == "nginx:1.27"
    assert on_cluster(control_plane, app)["metadata"]["generation"] == generation
    assert (app.revision, app.phase) == (2, "Applying")

    # It binds KubeNova's rollouts, not who works on the cluster; what runs is still looked after.
    kubectl = partial(control_plane.kubectl, "-n", shop.namespace)
    made = kubectl("create", "deployment", "other", "--image=nginx", "--replicas=0")
    assert "other created" in made
    kubectl("set", "image", "deployment/web", "web=evil:1")
    settle_until(lambda: looked(app) and image_of(control_plane, app) == "nginx:1.27", DEPLOY)

    break_the_glass(app, frozen, signed_in(olga))
    settle_until(lambda: looked(app) and app.phase == "Deployed", DEPLOY)
    assert image_of(control_plane, app) == "nginx:1.28"
    app.components = [component(image="nginx:1.29")]
    app.declare(by="bob")
    settle_until(lambda: looked(app) and condition(app, "Ready")["reason"] == "Frozen", DEPLOY)
    assert image_of(control_plane, app) == "nginx:1.28", "the glass was broken for one revision"


def break_the_glass(app: App, frozen: str, client: APIClient) -> None:
    """Let the revision through as olga does, and see who is told to have done so, and why."""
    tenant, project = app.project.tenant.name, app.project.name
    site = f"/api/v1/tenants/{tenant}/projects/{project}/apps/site"
    told = client.get(f"{site}/rollout").json()
    assert (told["state"], "break-glass" in told["verbs"]) == ("Held", True)
    assert frozen in told["reason"] and "Nobody is there" in told["reason"]
    problem(client.post(f"{site}:break-glass", {}, format="json"), 400, "KN-INVALID")
    answer = client.post(f"{site}:break-glass", BECAUSE, format="json")
    assert answer.status_code == 202, answer.content

    event = Event.objects.get(object_uid=app.uid, reason="GlassBroken")
    assert (event.actor, event.type) == ("olga", "Warning")
    assert event.data["why"] == BECAUSE["reason"] and event.data["policy_set"] == frozen
    assert BECAUSE["reason"] in event.message
    assert RevisionThaw.objects.get().revision.number == 2
