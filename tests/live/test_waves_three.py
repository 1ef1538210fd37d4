"""Three real clusters in two waves: approval, an image that nobody can pull, a dead cluster."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from clusters.credentials import Given
from clusters.kubeconfig import parse
from clusters.models import Cluster
from clusters.rules import address_rules
from delivery.models import App
from reconcile.models import Event
from reconcile.values import JSON
from sandbox.plane import ControlPlane
from tenancy.models import Project, Tenant
from tests.api.conftest import signed_in
from tests.clusters.steps import settle_until
from tests.delivery.samples import component
from tests.live.control_plane import running

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(400)]

WAVES = {"waves": [{"clusters": ["real-a", "real-c"]}, {"clusters": ["real-b"], "approval": True}]}
GOOD, BETTER = "nginx:1.27", "nginx:1.28"
BROKEN = "registry.invalid/shop/web:2"  # no kubelet can pull it
DEADLINE = 10.0
SOON = 120.0


@pytest.fixture(scope="module")
def third(pytestconfig: pytest.Config) -> Iterator[ControlPlane]:
    """A control plane that may be stopped: nobody else has it."""
    yield from running(pytestconfig, "waves-third")


@pytest.fixture
def planes(
    control_plane: ControlPlane, second_control_plane: ControlPlane, third: ControlPlane
) -> dict[str, ControlPlane]:
    return {"real-a": control_plane, "real-b": second_control_plane, "real-c": third}


@pytest.fixture
def site(planes: dict[str, ControlPlane], settings, tmp_path: Path) -> Iterator[App]:
    """An app of bob's on three clusters, not declared yet."""
    settings.VAULT_KEY_FILE = tmp_path / "vault-key.json"
    settings.CLUSTER_CONNECT_SECONDS = settings.CLUSTER_READ_SECONDS = 5
    for name, plane in planes.items():
        cluster = Cluster(name=name)
        cluster.given = Given.of(parse(plane.kubeconfig.read_bytes(), address_rules()))
        cluster.declare(by="olga")
    tenant = Tenant(name=f"acme-{uuid.uuid4().hex[:6]}", placement={"clusters": [*planes]})
    tenant.declare(by="olga")
    project = Project(tenant=tenant, name="shop")
    project.declare(by="alice")
    settle_until(lambda: stands(project), SOON)
    yield App(project=project, name="site", strategy=WAVES, health_deadline=int(DEADLINE))
    tenant.request_deletion(by="olga")
    settle_until(lambda: not Tenant.objects.exists(), SOON)


@pytest.fixture
def olgas(olga: User) -> APIClient:
    return signed_in(olga)


def stands(row: Project | App) -> bool:
    row.refresh_from_db()
    return row.phase == "Deployed"


def path_of(app: App) -> str:
    project = app.project
    return f"/api/v1/tenants/{project.tenant.name}/projects/{project.name}/apps/{app.name}"


def release(app: App, image: str) -> None:
    if app.pk:
        app.refresh_from_db()
    app.components = [component(image=image)]
    app.declare(by="bob")


def until(app: App, state: str) -> JSON:
    """Take steps until the rollout is there, looking as the watcher would ask for."""

    def reached() -> bool:
        return rollout(app)["state"] == state

    settle_until(lambda: looked(app) and reached(), SOON)
    return rollout(app)


def looked(app: App) -> bool:
    for placement in app.placements.all():
        placement.mark()
    return True


def rollout(app: App) -> JSON:
    app.refresh_from_db()
    return app.rollout_told()


def wave_states(app: App) -> list[str]:
    return [str(wave["state"]) for wave in rollout(app)["waves"]]


def workload(plane: ControlPlane, app: App) -> JSON | None:
    return plane.api.find(f"/apis/apps/v1/namespaces/{app.project.namespace}/deployments/web")


def images(planes: dict[str, ControlPlane], app: App) -> list[str]:
    """What each cluster was told to run; empty where it was told nothing."""
    found = [workload(plane, app) for plane in planes.values()]
    return [
        live["spec"]["template"]["spec"]["containers"][0]["image"] if live else "" for live in found
    ]


def rest(app: App, seconds: float) -> None:
    """Whatever is due in that time happens."""
    end = time.monotonic() + seconds
    settle_until(lambda: looked(app) and time.monotonic() > end, seconds + SOON)


def events(app: App, reason: str) -> list[str]:
    """What was told of the app for that reason, oldest first."""
    found = Event.objects.filter(object_uid=app.uid, reason=reason).order_by("pk")
    return list(found.values_list("message", flat=True))


def deployed(app: App, planes: dict[str, ControlPlane], olgas: APIClient) -> None:
    """Revision 1 is everywhere; the second wave came when it was promoted, and no sooner."""
    release(app, GOOD)
    until(app, "WaitingApproval")
    rest(app, 3)
    assert wave_states(app) == ["Done", "WaitingApproval"]
    assert images(planes, app) == [GOOD, "", GOOD]
    answer = olgas.post(f"{path_of(app)}:promote", {"wave": 2}, format="json")
    assert answer.status_code == 202, answer.content
    until(app, "Done")
    assert images(planes, app) == [GOOD, GOOD, GOOD]
    assert app.revisions.get().healthy


def test_an_image_that_nobody_can_pull_pauses_in_wave_one_and_goes_back_where_asked(
    site: App, planes: dict[str, ControlPlane], olgas: APIClient
) -> None:
    deployed(site, planes, olgas)

    release(site, BROKEN)
    settle_until(lambda: images(planes, site)[0] == BROKEN, SOON)
    began = time.monotonic()
    paused = until(site, "Paused")
    took = time.monotonic() - began
    assert took < DEADLINE * 3, "of which a busy machine is given two thirds"
    assert images(planes, site) == [BROKEN, GOOD, BROKEN], "the second wave was never asked"
    live = workload(planes["real-a"], site)
    assert live and live["status"]["availableReplicas"] == 1, "what ran before still runs"
    pods = planes["real-a"].api.items(f"/api/v1/namespaces/{site.project.namespace}/pods")
    waits = [pod["status"]["containerStatuses"][0]["state"].get("waiting", {}) for pod in pods]
    assert "ImagePullBackOff" in [each.get("reason") for each in waits]
    assert paused["paused"]["by"] == "kubenova"
    assert paused["paused"]["reason"].startswith("Revision 2 failed on real-")
    assert olgas.get(f"{path_of(site)}/rollout").json()["verbs"] == ["resume", "abort"]

    site.refresh_from_db()
    site.on_failure = "rollback"
    site.declare(by="bob")
    settle_until(lambda: looked(site) and stands(site) and site.revision == 3, SOON)
    assert images(planes, site) == [GOOD, GOOD, GOOD]
    newest = site.revisions.get(number=3)
    assert (newest.author, newest.origin, newest.healthy) == ("kubenova", 1, True)
    assert hasattr(site.revisions.get(number=2), "block"), "it does not come back by itself"
    assert site.rollouts.get(revision=2).state == "RolledBack"
    why = "Revision 2 failed on real-"
    assert why in newest.message
    (paused_event,) = events(site, "RolloutPaused")
    (blocked,) = events(site, "RevisionBlocked")
    back = events(site, "Revised")[-1]
    assert why in paused_event and why in blocked
    assert back.endswith("is at revision 3, a rollback to revision 1, by kubenova.")


def test_a_dead_cluster_holds_its_wave_and_nothing_else(
    site: App, planes: dict[str, ControlPlane], third: ControlPlane, olgas: APIClient
) -> None:
    deployed(site, planes, olgas)
    alive = {name: plane for name, plane in planes.items() if name != "real-c"}
    third.down()
    try:
        release(site, BETTER)
        settle_until(lambda: looked(site) and images(alive, site)[0] == BETTER, SOON)
        rest(site, DEADLINE + 5)
        told = rollout(site)
        assert (told["state"], wave_states(site)) == ("Running", ["Running", "Waiting"])
        assert "real-c" in told["reason"] and "real-a" not in told["reason"], told
        assert images(alive, site) == [BETTER, GOOD]
        assert not events(site, "RolloutPaused"), "who cannot be reached has not failed"
        phases = {row.cluster.name: row.phase for row in site.placements.all()}
        assert phases["real-a"] == phases["real-b"] == "Deployed"

        planes["real-b"].kubectl(
            *("-n", site.project.namespace, "set", "image", "deployment/web", "web=evil:1")
        )
        settle_until(lambda: looked(site) and images(alive, site)[1] == GOOD, SOON)
    finally:
        third.up()
    until(site, "WaitingApproval")
    assert images(planes, site) == [BETTER, GOOD, BETTER]
    assert olgas.post(f"{path_of(site)}:promote", {}, format="json").status_code == 202
    until(site, "Done")
    assert images(planes, site) == [BETTER, BETTER, BETTER]
