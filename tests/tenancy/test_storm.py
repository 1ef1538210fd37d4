"""Admins, drains and clusters, all at once: in the end every cluster is as declared."""

import random
import threading
import time

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from clusters.intents import SIMULATION_NAMESPACE
from clusters.kinds import CONFIG_MAP, NAMESPACE
from reconcile.drain import Drain
from reconcile.models import Work
from reconcile.refusals import Refusal
from reconcile.values import TENANT, Wanted
from tenancy.intents import Role
from tenancy.models import Project, ProjectPlacement, Tenant
from tests.people import person
from tests.reconcile.worlds import missing_from
from tests.threads import in_threads

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]

CLUSTERS = ("east", "west")
TENANTS = ("acme", "globex")
SECONDS = 3.0


@pytest.fixture
def stop(settings, tmp_path):
    settings.GUARD_DELETIONS = 10**6  # dice delete more than people mean: no operator sits here
    settings.STOP_FILE = str(tmp_path / "stop")
    return tmp_path / "stop"


@pytest.fixture
def clusters(fleet):
    for name in CLUSTERS:
        fleet.register(name)
    for name in ("alice", "bob", "carol"):
        person(name)
    return {name: fleet[name] for name in CLUSTERS}


class Admin:
    """Declares, changes and deletes at random, with a seed of her own."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)

    def work(self) -> None:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            act = self._dice.choice([self._tenant, self._project, self._project, self._members])
            try:
                act(self._dice.choice(TENANTS))
            except (Refusal, ValidationError, IntegrityError):
                continue  # somebody was faster
            time.sleep(self._dice.uniform(0, 0.03))

    def _tenant(self, name: str) -> None:
        tenant = Tenant.objects.filter(name=name).first() or Tenant(name=name)
        if tenant.pk and self._dice.random() < 0.1:
            tenant.request_deletion(by="olga")
            return
        chosen = self._dice.sample(CLUSTERS, self._dice.randrange(3))
        tenant.placement = {"clusters": chosen}
        tenant.quota = {"pods": str(self._dice.randrange(100))}
        tenant.declare(by="olga")

    def _project(self, name: str) -> None:
        tenant = Tenant.objects.filter(name=name).first()
        if tenant is None:
            return
        called = self._dice.choice(["shop", "blog"])
        project = Project.objects.filter(tenant=tenant, name=called).first()
        project = project or Project(tenant=tenant, name=called)
        if project.pk and self._dice.random() < 0.2:
            project.request_deletion(by="alice")
            return
        project.labels = {"round": str(self._dice.randrange(100))}
        project.declare(by="alice")

    def _members(self, name: str) -> None:
        tenant = Tenant.objects.filter(name=name).first()
        user = User.objects.get(username=self._dice.choice(["alice", "bob", "carol"]))
        if tenant is None:
            return
        if self._dice.random() < 0.5:
            tenant.admit(user, self._dice.choice(list(Role)), by="olga")
        else:
            tenant.dismiss(user, by="olga")


def unsettled() -> list[object]:
    """The rows that are not yet as they shall be, and the work that is due or under way."""
    rows = [*Tenant.objects.all(), *Project.objects.all()]
    work = [*Work.objects.due(), *Work.objects.exclude(lease_token=None)]
    placed = [row for row in rows if row.placements.exists()]
    return (
        [row for row in rows if row.deleting]
        + work
        + [row for row in placed if row.phase != "Deployed"]
    )


def told(row: object) -> str:
    """All that is known of a row that does not settle, and of its placements."""
    rows = [row, *row.placements.all()] if isinstance(row, Tenant | Project) else [row]
    works = [work for each in rows if hasattr(each, "work") for work in each.work.all()]
    return "\n".join(f"{each}: {each.__dict__}" for each in [*rows, *works])


def wait_for_rest(seconds: float = 60) -> None:
    until, calm = time.monotonic() + seconds, 0
    while calm < 3:
        left = unsettled()
        assert time.monotonic() < until, "\n".join(told(row) for row in left)
        calm = 0 if left else calm + 1
        time.sleep(0.05)


def assert_every_cluster_is_as_declared(clusters) -> None:
    for name, cluster in clusters.items():
        tenants = [t for t in Tenant.objects.all() if name in t.placement["clusters"]]
        projects = {p.namespace for t in tenants for p in t.projects.all()}
        maps = {ref.name for ref in cluster.refs(CONFIG_MAP) if ref.name.startswith("tenant-")}
        found = {
            ref.name
            for ref in cluster.refs(NAMESPACE)
            if ref.name != SIMULATION_NAMESPACE  # the baseline's own
            and TENANT in (cluster.body(ref)["metadata"].get("labels") or {})
        }
        assert maps == {f"tenant-{tenant.name}" for tenant in tenants}, name
        assert found == projects, name
    for row in ProjectPlacement.objects.all():
        for manifest in row.adapter().render(row.intent()):
            ref = Wanted.of(manifest, row.adapter().kinds).ref
            assert missing_from(clusters[row.cluster.name].body(ref), manifest) == [], (row, ref)


@pytest.mark.parametrize("seed", range(2))
def test_in_the_end_every_cluster_is_as_declared_f5(clusters, stop, seed):
    raised: list[BaseException] = []

    def drains() -> None:
        raised.extend(in_threads(*(lambda: Drain(4, 4).run(90) for _ in range(2))))

    serving = threading.Thread(target=drains)
    serving.start()
    raised += in_threads(*(Admin(seed * 100 + number).work for number in range(4)))
    try:
        wait_for_rest()
    finally:
        stop.touch()
        serving.join(30)

    assert raised == []
    assert not Work.objects.exclude(traceback="").exists()
    assert_every_cluster_is_as_declared(clusters)
