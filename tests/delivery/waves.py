"""The app `site` on three clusters in memory, and how its waves stand."""

import pytest

from delivery.adapters.native import DEPLOYMENT
from delivery.models import App, Rollout
from reconcile.values import JSON, Ref
from tenancy.models import Project
from tests.clusters.steps import settle
from tests.delivery.controllers import become_ready, deployment, look, report, roll_out
from tests.delivery.samples import component
from tests.people import make_acme

THREE = ("prod-a", "prod-b", "prod-c")
WEB = Ref(DEPLOYMENT, "acme--shop", "web")
CANARY = {"clusters": ["prod-a"]}
WAVES: JSON = {"waves": [CANARY, {"clusters": ["prod-b", "prod-c"]}]}
APPROVED: JSON = {"waves": [CANARY, {"clusters": ["prod-b", "prod-c"], "approval": True}]}
LATE = {
    "type": "Progressing",
    "status": "False",
    "reason": "ProgressDeadlineExceeded",
    "message": 'ReplicaSet "web-5d" has timed out progressing.',
}
COUNTS = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 0}


@pytest.fixture
def trio(fleet, people) -> Project:
    """acme/shop on three clusters; prod-a is in eu, the others in us."""
    for name in THREE:
        fleet.register(name, labels={"region": "eu" if name == "prod-a" else "us"})
    tenant = make_acme(placement={"clusters": [*THREE]})
    project = Project(tenant=tenant, name="shop")
    project.declare(by="alice")
    settle()
    return project


@pytest.fixture
def standing(trio, fleet) -> App:
    """`site` at revision 1, deployed on all three before it had a strategy."""
    app = App(project=trio, name="site", components=[component()])
    app.declare(by="bob")
    roll_out(fleet, *THREE)
    app.refresh_from_db()
    assert app.phase == "Deployed", app.conditions
    return app


def staged(app: App, strategy: JSON = WAVES, **rest: object) -> App:
    """Give it a strategy, which moves nobody."""
    app.strategy = strategy
    for name, value in rest.items():
        setattr(app, name, value)
    assert app.declare(by="bob")
    settle()
    app.refresh_from_db()
    return app


def change(app: App, image: str = "nginx:2") -> App:
    """Bob declares another image, and what is due is done."""
    app.refresh_from_db()
    app.components = [component(image=image)]
    assert app.declare(by="bob")
    settle()
    app.refresh_from_db()
    return app


def come_up(fleet, *names: str) -> None:
    """`web` becomes ready on these clusters."""
    for name in names:
        become_ready(fleet[name], WEB)
    look()


def fail(fleet, name: str) -> None:
    """`web` comes no further on this cluster, says its controller."""
    report(fleet[name], WEB, **COUNTS, conditions=[LATE])
    look()


def images(fleet) -> str:
    """The tags that run on the three clusters, such as `2 1 1`; `-` where nothing does."""
    return " ".join(_tag(fleet, name) for name in THREE)


def _tag(fleet, name: str) -> str:
    if WEB not in fleet[name].refs(DEPLOYMENT):
        return "-"
    (container,) = deployment(fleet[name])["spec"]["template"]["spec"]["containers"]
    return container["image"].removeprefix("nginx:")


def waves(app: App) -> list[str]:
    """How each wave of the current revision stands."""
    return [str(wave["state"]) for wave in now(app).waves]


def now(app: App) -> Rollout:
    """The rollout of the current revision."""
    app.refresh_from_db()
    return app.rollouts.get(revision=app.revision)


def phase(app: App) -> str:
    app.refresh_from_db()
    return app.phase
