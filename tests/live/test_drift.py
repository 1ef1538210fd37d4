"""Drift on a real API server: who changed what, what autoscalers own, what people decide."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.utils import timezone

from clusters.credentials import Given
from clusters.kinds import CONFIG_MAP, DEPLOYMENT
from clusters.kubeconfig import parse
from clusters.models import Cluster
from clusters.rules import address_rules
from delivery.models import App, AppPlacement
from reconcile.models import Decision, Drift, Event
from reconcile.values import MANAGED_BY, MANAGER, OWNER, Ref
from sandbox.build import build
from sandbox.plane import ControlPlane
from tenancy.models import Project, Tenant
from tests.clusters.steps import settle_live, settle_until
from tests.delivery.samples import component, with_traits

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(600)]

SOON = 120.0
IMAGE = ".spec.template.spec.containers[name=web].image"
HPA = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 4
  maxReplicas: 6
  metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}
"""


@pytest.fixture(autouse=True)
def keys(settings, tmp_path: Path) -> None:
    settings.VAULT_KEY_FILE = tmp_path / "vault-key.json"


@pytest.fixture
def app(admin_kubeconfig: str) -> Iterator[App]:
    """An app with two replicas on a real cluster; all of it goes afterwards."""
    cluster = Cluster(name="real")
    cluster.given = Given.of(parse(admin_kubeconfig.encode(), address_rules()))
    cluster.declare(by="olga")
    tenant = Tenant(name=f"acme-{uuid.uuid4().hex[:6]}", placement={"clusters": ["real"]})
    tenant.declare(by="olga")
    project = Project(tenant=tenant, name="shop")
    project.declare(by="alice")
    web = with_traits(component(), scaler={"replicas": 2})
    app = App(project=project, name="site", components=[web])
    app.declare(by="bob")
    settle_until(lambda: look(app).phase == "Deployed", SOON)
    yield app
    tenant.request_deletion(by="olga")
    settle_until(lambda: not Tenant.objects.exists(), SOON)


class Hands:
    """What people and controllers do on the cluster, in the app's namespace."""

    def __init__(self, plane: ControlPlane, app: App) -> None:
        self.plane, self.namespace = plane, app.project.namespace

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        return self.plane.kubectl("-n", self.namespace, *arguments, stdin=stdin)

    def of_web(self, path: str) -> str:
        return self.kubectl("get", "deployment", "web", "-o", f"jsonpath={{{path}}}")

    @property
    def image(self) -> str:
        return self.of_web(".spec.template.spec.containers[0].image")

    @property
    def replicas(self) -> int:
        return int(self.of_web(".spec.replicas"))

    def set_image(self, image: str) -> None:
        self.kubectl("set", "image", "deployment/web", f"web={image}")

    def edit(self, expression: str) -> None:
        """Run `kubectl edit` with sed for an editor."""
        binary = [str(build(lambda line: None).sandbox), "kubectl"]
        place = [f"--kubeconfig={self.plane.kubeconfig}", "-n", self.namespace]
        command = [*binary, *place, "edit", "deployment", "web"]
        subprocess.run(
            command, env={"KUBE_EDITOR": f"sed -i {expression}", **os.environ}, check=True
        )


@pytest.fixture
def hands(control_plane: ControlPlane, app: App) -> Hands:
    return Hands(control_plane, app)


def look(app: App) -> AppPlacement:
    """Look again, as after a change that the watcher saw."""
    app.placements.get().mark()
    settle_live()
    return app.placements.get()


def declare(app: App, **spec: object) -> AppPlacement:
    app.refresh_from_db()
    for name, value in spec.items():
        setattr(app, name, value)
    app.declare(by="bob")
    return look(app)


def opened() -> list[str]:
    return sorted(f"{drift.object_name} {drift.path}" for drift in Drift.objects.open())


def test_a_human_is_named_and_an_autoscaler_left_alone(app: App, hands: Hands) -> None:
    hands.edit("s/nginx:1.27/nginx:evil/")
    assert hands.image == "nginx:evil"
    look(app)
    assert hands.image == "nginx:1.27"
    drift = Drift.objects.get(path=IMAGE)
    assert (drift.actor, drift.drift_class, drift.resolution) == (
        *("kubectl-edit", "human", "repaired"),
    )
    assert (drift.found, drift.wanted, drift.times) == ("nginx:evil", "nginx:1.27", 1)

    hands.kubectl("scale", "deployment/web", "--replicas=3")
    look(app)
    assert hands.replicas == 2, "a person who scales is no autoscaler"
    assert Drift.objects.get(path=".spec.replicas").drift_class == "human"

    hands.kubectl("apply", "-f", "-", stdin=HPA)
    settle_until(lambda: hands.replicas == 4, SOON)
    settle_until(lambda: look(app).phase == "Deployed", SOON)
    assert hands.replicas == 4, "the autoscaler's replicas were taken back"

    hands.set_image("nginx:evil")
    look(app)
    assert (hands.image, hands.replicas) == ("nginx:1.27", 4)
    declare(app, components=[with_traits(component(image="nginx:1.28"), scaler={"replicas": 3})])
    assert (hands.image, hands.replicas) == ("nginx:1.28", 4)
    assert opened() == [] and Drift.objects.get(path=".spec.replicas").times == 1


def test_in_mode_manual_people_decide(app: App, hands: Hands) -> None:
    declare(app, repair_mode="manual")
    hands.set_image("nginx:evil")
    hands.kubectl("annotate", "deployment/web", "example.org/note=theirs")
    row = look(app)
    assert (row.phase, hands.image, opened()) == ("Drifted", "nginx:evil", [f"web {IMAGE}"])
    generation = hands.of_web(".metadata.generation")
    assert look(app).work.get().due_at is None
    assert hands.of_web(".metadata.generation") == generation

    hands.kubectl("scale", "deployment/web", "--replicas=5")
    look(app)
    assert opened() == ["web .spec.replicas", f"web {IMAGE}"]
    Drift.request_repair(Drift.objects.filter(path=IMAGE), "bob")
    settle_live()
    assert (hands.image, hands.replicas) == ("nginx:1.27", 5)
    assert opened() == ["web .spec.replicas"]
    assert hands.of_web(".metadata.annotations.example\\.org/note") == "theirs"

    Drift.accept(Drift.objects.open(), "bob", "more load")
    settle_until(lambda: look(app).phase == "Deployed", SOON)
    assert hands.replicas == 5
    declare(app, repair_mode="auto")
    hands.kubectl("scale", "deployment/web", "--replicas=1")
    look(app)
    assert hands.replicas == 5, "what was accepted is wanted from then on"
    web = with_traits(component(), scaler={"replicas": 3})
    declare(app, components=[web])
    assert hands.replicas == 3 and not Decision.objects.exists()


def test_what_is_missing_or_extra_waits_for_approval(app: App, hands: Hands) -> None:
    row = declare(app, repair_mode="manual")
    hands.kubectl("delete", "deployment", "web")
    row = look(app)
    assert (row.phase, opened()) == ("Drifted", ["web "])
    assert not hands.kubectl("get", "deployment", "-o", "name")
    Drift.request_repair(Drift.objects.open(), "bob")
    settle_until(lambda: look(app).phase == "Deployed", SOON)
    assert hands.image == "nginx:1.27"

    hands.kubectl("create", "configmap", "stray")
    hands.kubectl("label", "configmap", "stray", f"{MANAGED_BY}={MANAGER}", f"{OWNER}={row.owner}")
    uid = hands.kubectl("get", "configmap", "stray", "-o", "jsonpath={.metadata.uid}")
    ref = Ref(CONFIG_MAP, hands.namespace, "stray")
    Drift.extra(row, row.work.get(), ref, uid, "kubectl-create")
    assert look(app).phase == "Drifted"
    assert "stray" in hands.kubectl("get", "configmap", "-o", "name"), "it goes with approval only"
    Drift.request_repair(Drift.objects.open(), "bob")
    settle_until(lambda: look(app).phase == "Deployed", SOON)
    assert "stray" not in hands.kubectl("get", "configmap", "-o", "name")


def test_a_rule_leaves_a_field_to_others_until_it_ends(app: App, hands: Hands) -> None:
    ends = timezone.now() + timedelta(minutes=5)
    Decision.ignore(
        app,
        "alice",
        reason="the vendor patches it",
        pointer="/spec/template/spec/containers/name=web/image",
        object_kind=DEPLOYMENT.name,
        expires_at=ends,
    )
    hands.set_image("nginx:vendor")
    settle_until(lambda: look(app).phase == "Deployed", SOON)
    assert hands.image == "nginx:vendor"
    declare(app, components=[with_traits(component(), scaler={"replicas": 3})])
    assert (hands.image, hands.replicas) == ("nginx:vendor", 3)
    assert opened() == [] and look(app).work.get().due_at is not None

    with time_machine.travel(ends + timedelta(seconds=5)):
        look(app)
        assert hands.image == "nginx:1.27"
    assert Event.objects.filter(reason="DriftIgnored", actor="alice").exists()
    assert Drift.objects.get(path=IMAGE).actor == "kubectl-set"
