"""What must not happen: a restored database, a swapped cluster, an empty list delete nothing."""

import time
from collections.abc import Iterator

import pytest

from tests.faults.actions import Edit, emptied
from tests.faults.drift import Opened
from tests.faults.rules import LIST, Rule
from tests.faults.sites import Site
from tests.faults.table import Ledger
from tests.faults.test_processes import judge, settled_shop
from tests.faults.web import IMAGE
from tests.faults.world import World

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
sample = pytest.mark.live


def held(world: World, cluster: str = "one") -> str:
    """Why a cluster is report-only, empty while it is not."""
    found = world.web.send("GET", f"/clusters/{cluster}")["status"].get("report_only") or {}
    return str(found.get("reason", ""))


def seen(world: World, cluster: str = "one") -> str:
    """What was found when the cluster was held, or looked at since."""
    query = "SELECT report_only_facts FROM clusters_cluster WHERE name = ?"
    return str(world.database.rows(query, cluster)[0]["report_only_facts"])


def confirm(world: World, reason: str, cluster: str = "one") -> None:
    """What an operator does about it."""
    world.web.send("POST", f"/clusters/{cluster}:confirm", {"reason": reason})


# --- F28


def test_f28_a_restored_database_is_report_only_until_confirmed(
    world: World, one: Site, ledger: Ledger
):
    """Acknowledged since the backup: a tenant more, and a tenant less."""
    kept, gone = settled_shop(world, "f28"), settled_shop(world, "f28-gone")
    opened = Opened.of(one, "f28")
    world.down()
    backup = world.database.copy()
    world.up(KUBENOVA_CLUSTER_EPOCH_SECONDS="1")  # 5 min: so young may a backup be, unnoticed
    later = world.shop("f28-later")
    world.remove_tenant("f28-gone")
    world.until(lambda: not one.of("f28-gone"), "the one is gone")
    world.settle()
    world.down()
    backup.restore()
    world.apps = {app.path: app for app in (kept, gone)}
    mark = len(one.proxy.journal)
    world.up()
    opened.open()
    world.until(lambda: held(world) == "EpochBehind", "the cluster is held", 60)
    world.change(kept, "nginx:2")
    time.sleep(8.0)
    assert one.proxy.journal.since(mark) == [], "nothing was written"
    assert one.image(later.namespace) == IMAGE, "and nothing was removed"

    confirm(world, "EpochBehind")
    seconds = world.settle()
    assert not held(world)
    assert opened.healed
    assert (one.image(kept.namespace), one.image(gone.namespace)) == ("nginx:2", IMAGE)
    assert one.image(later.namespace) == IMAGE, "not even then: nobody has asked for that"
    audit = world.audit()
    assert {later.tenant in each for each in audit.orphans} == {True}
    forget(one, later.namespace, later.tenant)
    judge(world, ledger, seconds)


def forget(site: Site, namespace: str, tenant: str) -> None:
    """Remove by hand what no database knows."""
    for path in (
        f"/api/v1/namespaces/{namespace}",
        f"/api/v1/namespaces/kubenova-system/configmaps/tenant-{tenant}",
    ):
        if site.api.find(path):
            site.api.delete(path)
            site.api.wait(path, lambda found: found is None)


# --- F29


@pytest.fixture
def swapped(world: World, one: Site, two: Site) -> Iterator[None]:
    """Another cluster answers behind the URL of `one`, and lets everybody in."""
    asked = {"spec": {"expirationSeconds": 3600}}
    accounts = "/api/v1/namespaces/kube-system/serviceaccounts/kubenova-bootstrap/token"
    token = two.api.create(accounts, asked)["status"]["token"]
    one.proxy.authorization = f"Bearer {token}"
    one.proxy.point_at(two.plane.server, two.plane.folder / "certificates" / "ca.crt")
    yield
    one.heal()


def test_f29_another_cluster_behind_the_url_is_written_nothing(
    world: World, one: Site, two: Site, ledger: Ledger, request: pytest.FixtureRequest
):
    app = settled_shop(world, "f29")
    mark = len(one.proxy.journal)
    request.getfixturevalue("swapped")
    world.change(app, "nginx:2")
    reason = "ClusterIdentityChanged"
    world.until(lambda: held(world) == reason, "the cluster is held", 90)
    time.sleep(5.0)
    assert [write for write in one.proxy.journal.since(mark) if write.done] == []
    assert two.of("f29") == [], "nothing of it has reached the other one"
    one.heal()
    uid = one.api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    world.until(lambda: uid in seen(world), "the one before is seen again", 120)
    confirm(world, reason)
    seconds = world.settle(120)
    assert world.phase(app.path) == "Deployed"
    judge(world, ledger, seconds)


# --- F30


@sample
def test_f30_an_empty_list_deletes_nothing(world: World, one: Site, ledger: Ledger):
    """All that the watcher and the workers list is empty; what is there stays, and is ours."""
    app = settled_shop(world, "f30")
    before = {each.uid for each in one.found()}
    empty = Rule(LIST, Edit(emptied))
    mark = len(one.proxy.journal)
    with one.proxy.rules.during(empty):
        one.proxy.cut()
        world.until(lambda: empty.met > 5, "they have listed")
        time.sleep(5.0)
        world.settle()
        assert world.phase(app.path) == "Deployed"
    assert [write for write in one.proxy.journal.since(mark) if write.verb == "DELETE"] == []
    assert {each.uid for each in one.found()} == before
    one.proxy.cut()
    judge(world, ledger, world.settle(), runs=empty.met)


def test_f30_a_deletion_under_an_empty_list_leaves_nothing_behind(
    world: World, one: Site, ledger: Ledger
):
    settled_shop(world, "f30")
    with one.proxy.rules.during(Rule(LIST, Edit(emptied))):
        world.remove_tenant("f30")
        seconds = world.until(
            lambda: not world.database.count("tenancy_tenant"), "the tenant is gone", 60
        )
        assert one.of("f30") == []
    judge(world, ledger, seconds)


def test_f30_rights_that_are_lost_delete_nothing(world: World, one: Site, ledger: Ledger):
    """Only an operator's credential brings them back: KubeNova cannot grant itself any."""
    app = settled_shop(world, "f30")
    binding = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/kubenova:manager"
    lost = one.api.get(binding)["metadata"]["uid"]
    before = {each.uid for each in one.found()} - {lost}
    one.api.delete(binding)
    world.change(app, "nginx:2")
    time.sleep(10.0)
    assert {each.uid for each in one.found()} >= before
    assert world.condition("/clusters/one")["reason"] in {"Forbidden", "Drifted"}
    world.renew(one)
    seconds = world.settle(200)
    ledger.add(seconds=seconds, audit=world.audit())
    assert one.image(app.namespace) == "nginx:2"
    assert world.audit().clean
