"""One quota over three real clusters: never more than the total, whoever comes, goes or is silent.

The second and third cluster are API servers on the etcd of the first, each with a prefix of its
own. What clusters enforce is read after each step that KubeNova takes.
"""

import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from clusters.credentials import Given
from clusters.kubeconfig import parse
from clusters.models import Cluster
from clusters.rules import address_rules
from reconcile.drain import take_step
from reconcile.models import Work
from reconcile.values import JSON
from sandbox.api import AdminApi
from sandbox.plane import ControlPlane
from tenancy.models import Project, ProjectPlacement, QuotaEntry, Tenant
from tenancy.rules.ledger import units
from tenancy.statement import statement
from tests.api.conftest import problem, signed_in
from tests.live.control_plane import SHARED

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

from _fleet import Member, members

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.timeout(400)]

CPU = "requests.cpu"
TOTAL = 10_000  # thousandths
SOON = 120.0


@pytest.fixture
def others(control_plane: ControlPlane, pytestconfig: pytest.Config) -> Iterator[dict[str, Member]]:
    """Two more API servers; their objects go with the folder of the first."""
    lifeline = os.open(pytestconfig.stash[SHARED] / "lifeline", os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(lifeline, True)
    # Their folders lie beside those of the control planes that all tests share.
    prefixes = {f"quota-{name}": f"/{name}-{uuid.uuid4().hex[:6]}" for name in ("second", "third")}
    with members(control_plane, lifeline, prefixes) as found:
        yield {name.removeprefix("quota-"): member for name, member in found.items()}
    os.close(lifeline)


class Scales:
    """Weighs after each step what all clusters together enforce."""

    def __init__(self, tenant: str, apis: dict[str, AdminApi]) -> None:
        self.tenant, self.apis = tenant, apis
        self.known: dict[str, dict[str, int]] = {name: {} for name in apis}
        self.silent: set[str] = set()
        self.heaviest, self.weighed = 0, 0

    def weigh(self) -> None:
        """Read every quota; of who is silent what it was told last."""
        for name in set(self.apis) - self.silent:
            self.known[name] = self._enforced(self.apis[name])
        self.heaviest = max(self.heaviest, self.together)
        self.weighed += 1

    @property
    def together(self) -> int:
        """What all clusters enforce, in thousandths."""
        return sum(sum(found.values()) for found in self.known.values())

    def balanced(self) -> bool:
        """Whether everybody has what is meant, nobody holds more, and clusters enforce it.

        The ledger alone says less: what is granted counts as held before its cluster is told.
        """
        rows = list(QuotaEntry.objects.select_related("project__tenant", "cluster"))
        meant: dict[str, dict[str, int]] = {name: {} for name in self.apis}
        for row in rows:
            meant[row.cluster.name][row.project.namespace] = row.amount("granted")
        settled = all(row.target == row.granted == row.held for row in rows)
        return bool(rows) and settled and meant == self.known

    def _enforced(self, api: AdminApi) -> dict[str, int]:
        items = api.items("/api/v1/resourcequotas")
        mine = [each for each in items if each["metadata"]["namespace"].startswith(self.tenant)]
        return {each["metadata"]["namespace"]: _most(each) for each in mine}

    def settle(self, reached: Callable[[], bool], seconds: float = SOON) -> None:
        """Take due steps one by one until it is reached, and weigh after each."""
        until = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < until, "not reached"
            due = Work.objects.due().order_by("due_at", "pk").first()
            lease = Work.objects.claim(due.pk) if due else None
            if lease is None:
                time.sleep(0.05)
                continue
            take_step(lease)
            self.weigh()


def _most(quota: JSON) -> int:
    """What admission may count by: the spec, and the status that follows it."""
    hards = (quota["spec"].get("hard", {}), quota.get("status", {}).get("hard", {}))
    return max(units(hard.get(CPU, "0"), CPU) for hard in hards)


@pytest.fixture
def tenant(
    control_plane: ControlPlane, others: dict[str, Member], settings, tmp_path: Path
) -> Iterator[Tenant]:
    """A tenant with ten CPUs on the three, with the projects shop (six) and blog (the rest)."""
    settings.VAULT_KEY_FILE = tmp_path / "vault-key.json"
    settings.CLUSTER_CONNECT_SECONDS = settings.CLUSTER_READ_SECONDS = 3
    places = {"first": control_plane.kubeconfig}
    places |= {name: each.kubeconfig for name, each in others.items()}
    for name, kubeconfig in places.items():
        cluster = Cluster(name=name)
        cluster.given = Given.of(parse(kubeconfig.read_bytes(), address_rules()))
        cluster.declare(by="olga")
    row = Tenant(name=f"acme-{uuid.uuid4().hex[:6]}", quota={CPU: "10"})
    row.placement = {"clusters": list(places)}
    row.declare(by="olga")
    Project(tenant=row, name="shop", quota={CPU: "6"}).declare(by="olga")
    Project(tenant=row, name="blog").declare(by="olga")
    yield row
    row.refresh_from_db()
    row.request_deletion(by="olga")


@pytest.fixture
def scales(tenant: Tenant, control_plane: ControlPlane, others: dict[str, Member]) -> Scales:
    apis = {"first": control_plane.api} | {name: each.api for name, each in others.items()}
    return Scales(tenant.name, apis)


def change(tenant: Tenant, **columns: object) -> None:
    tenant.refresh_from_db()
    for name, value in columns.items():
        setattr(tenant, name, value)
    tenant.declare(by="olga")


def test_three_clusters_never_allow_more_than_the_total(
    tenant: Tenant, scales: Scales, others: dict[str, Member], olga: User
) -> None:
    scales.settle(lambda: scales.balanced() and scales.together == TOTAL)

    body = {"name": "wiki", "quota": {CPU: "5"}}
    path = f"/api/v1/tenants/{tenant.name}/projects"
    refused = problem(signed_in(olga).post(path, body, format="json"), 422, "KN-QUOTA")
    (line,) = refused["ledger"]
    assert (line["total"], line["available"]) == ("10", "4")
    assert line["promised"] == [{"project": "shop", "amount": "6"}]

    kept = dict(scales.known["third"])
    scales.silent.add("third")
    with others["third"].frozen():
        change(tenant, quota_floors={"second": {CPU: "7"}})
        scales.settle(
            lambda: (
                Work.objects.get(
                    owner=ProjectPlacement.objects.get(
                        project__name="shop", cluster__name="third"
                    ).owner
                ).failures
                > 0
            )
        )
        scales.settle(lambda: sum(scales.known["first"].values()) == 1000)
        assert sum(scales.known["second"].values()) < 7000
        why = {(part.project, part.cluster): part.why for part in statement(tenant).moving}
        assert "third was told" in why["shop", "third"]
    scales.silent.clear()
    scales.weigh()
    assert scales.known["third"] == kept, "who cannot be reached keeps its part"
    scales.settle(scales.balanced)
    assert sum(scales.known["second"].values()) == 8000
    assert scales.together == TOTAL

    change(tenant, placement={"clusters": ["second", "third"]}, quota_floors={})
    scales.settle(scales.balanced)
    shares = {name: sum(found.values()) for name, found in scales.known.items()}
    assert shares == {"first": 0, "second": 5000, "third": 5000}
    assert scales.heaviest == TOTAL, f"of {scales.weighed} looks"
