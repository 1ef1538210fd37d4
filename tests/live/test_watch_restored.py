"""What no other test's cluster may go through: custom resources come and go, etcd is set back."""

import shutil
import time
from collections.abc import Iterator

import pytest

from sandbox.api import DEFINITIONS
from sandbox.plane import ControlPlane
from tests.kubenova.roles import eventually
from tests.live.control_plane import running
from tests.live.test_watch import REGISTER, Roles

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

FILLERS = 400  # so many versions an API server does not use up while it starts
NAMESPACE = "/api/v1/namespaces/acme--{}"
POLICIES = "/apis/networking.k8s.io/v1/namespaces/acme--late/networkpolicies"
DECLARE = """
import json, time
from tenancy.models import Project, Tenant
project = Project(tenant=Tenant.objects.get(), name={name!r})
project.declare(by="olga")
until = time.monotonic() + 120
while project.phase != "Deployed" and time.monotonic() < until:
    time.sleep(0.05)
    project.refresh_from_db()
print(json.dumps([project.phase, project.conditions]))
"""
DELETE = """
import json, time
from tenancy.models import Project
Project.objects.get(name={name!r}).request_deletion(by="olga")
until = time.monotonic() + 120
while Project.objects.filter(name={name!r}).exists() and time.monotonic() < until:
    time.sleep(0.05)
print(json.dumps(Project.objects.filter(name={name!r}).exists()))
"""
ABILITY = """
import json
from clusters.models import Capability
print(json.dumps(Capability.objects.filter(name="delivery.kubevela.installed").exists()))
"""
APPLICATION = {
    "metadata": {"name": "applications.core.oam.dev"},
    "spec": {
        "group": "core.oam.dev",
        "names": {
            "kind": "Application",
            "listKind": "ApplicationList",
            "plural": "applications",
            "singular": "application",
        },
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1beta1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }
        ],
    },
}
SOON = 60.0  # a probe every five minutes would never be in time
TOLD = """
import json
from clusters.models import Orphan
from reconcile.models import AppliedObject, Event, Work
from django.db.models import F
from tenancy.models import ProjectPlacement
print(json.dumps({
    "restored": Event.objects.filter(reason="ClusterRestored").count(),
    "orphans": [str(row.ref) for row in Orphan.objects.there()],
    "phases": sorted(set(ProjectPlacement.objects.values_list("phase", flat=True))),
    "differing": AppliedObject.objects.exclude(live_fp=F("applied_fp")).count(),
    "due": Work.objects.due().count(),
}))
"""


@pytest.fixture(scope="module")
def plane(pytestconfig: pytest.Config) -> Iterator[ControlPlane]:
    """A control plane that no other test works with."""
    yield from running(pytestconfig, "restored")


@pytest.fixture(scope="module")
def roles(tmp_path_factory: pytest.TempPathFactory, plane: ControlPlane) -> Iterator[Roles]:
    """Worker and watcher, the cluster, and on it the project shop of acme."""
    roles = Roles(tmp_path_factory.mktemp("restored"))
    try:
        phase, conditions = roles.shell(REGISTER.format(kubeconfig=str(plane.kubeconfig)))
        assert phase == "Deployed", conditions
        yield roles
    finally:
        roles.end()


def test_custom_resources_are_noticed_when_they_come_and_go(plane: ControlPlane, roles: Roles):
    for act, served in (
        (lambda: plane.api.create(DEFINITIONS, APPLICATION), True),
        (lambda: plane.api.delete(f"{DEFINITIONS}/applications.core.oam.dev"), False),
    ):
        assert roles.shell(ABILITY) is not served
        act()
        began = time.monotonic()
        eventually(lambda served=served: roles.shell(ABILITY) is served, SOON)
        print(f"served: {served} after at most {time.monotonic() - began:.1f} s")


def snapshot(plane: ControlPlane) -> None:
    """Keep what etcd holds now."""
    plane.down()
    shutil.copytree(plane.folder / "etcd", plane.folder / "snapshot")
    plane.up()


def restore(plane: ControlPlane) -> None:
    """Put back what was kept."""
    plane.down()
    shutil.rmtree(plane.folder / "etcd")
    (plane.folder / "snapshot").rename(plane.folder / "etcd")
    plane.up()


def version(plane: ControlPlane) -> int:
    """How far the cluster is."""
    return int(plane.api.get("/api/v1/nodes")["metadata"]["resourceVersion"])


def declare(roles: Roles, name: str) -> None:
    phase, conditions = roles.shell(DECLARE.format(name=name))
    assert phase == "Deployed", conditions


def test_f17_what_was_set_back_is_brought_forward_again(plane: ControlPlane, roles: Roles):
    declare(roles, "gone")
    snapshot(plane)
    for number in range(FILLERS):
        body = {"metadata": {"name": f"filler-{number}"}}
        plane.api.create("/api/v1/namespaces/default/configmaps", body)
    declare(roles, "late")
    assert roles.shell(DELETE.format(name="gone")) is False
    policies = {each["metadata"]["name"] for each in plane.api.items(POLICIES)}
    assert policies
    newest = version(plane)

    restore(plane)
    assert version(plane) < newest, "the cluster is to be behind what was seen"

    def told() -> dict | None:
        found = roles.shell(TOLD)
        settled = not found["differing"] and not found["due"]
        # Its deletion was undone with the snapshot: it is shown to operators, kind by kind.
        settled = settled and "Namespace acme--gone" in found["orphans"]
        return found if found["restored"] and settled else None

    found = eventually(told, 180.0)
    assert found["restored"] == 1
    assert found["phases"] == ["Deployed"]
    assert {each["metadata"]["name"] for each in plane.api.items(POLICIES)} == policies
    assert plane.api.find(NAMESPACE.format("gone")) is not None, "orphans are left alone"
