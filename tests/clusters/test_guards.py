"""What stops all writes to a cluster, or its deletions, until an operator confirms."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from prometheus_client import REGISTRY
from rest_framework.test import APIClient

from clusters.credentials import Given
from clusters.epoch import EPOCH, proofs
from clusters.intents import GRANTS_NAMESPACE
from clusters.kinds import CONFIG_MAP, LIMIT_RANGE, NAMESPACE, SECRET, SERVICE_ACCOUNT
from clusters.models import Cluster, guarded
from reconcile.errors import Unreachable
from reconcile.guard import Epoch, Reason
from reconcile.models import AppliedObject, Event, InferredDeletion, Work
from reconcile.values import JSON, MANAGED_BY, MANAGER, OWNER, Ref
from tenancy.models import Project, Tenant
from tests.api.conftest import pointers, problem, signed_in
from tests.clusters.steps import hurry, settle
from tests.fleet import Fleet, admin
from tests.memory_cluster import MemoryCluster
from tests.people import alice, charlie, make_acme, olga, quick_passwords

__all__ = ["alice", "charlie", "olga", "quick_passwords"]

pytestmark = pytest.mark.django_db
KUBE_SYSTEM = Ref(NAMESPACE, "", "kube-system")
SHOP = Ref(NAMESPACE, "", "acme--shop")
PLACED = {"clusters": ["prod-a"]}


@pytest.fixture
def cluster(fleet: Fleet) -> Cluster:
    return fleet.register("prod-a", labels={"region": "eu"})


@pytest.fixture
def live(cluster, fleet: Fleet) -> MemoryCluster:
    return fleet["prod-a"]


def project(tenant: Tenant, name: str = "shop") -> Project:
    row = Project(tenant=tenant, name=name)
    row.declare(by="alice")
    return row


@pytest.fixture
def shop(cluster) -> Project:
    """A project that stands on the cluster."""
    row = project(make_acme(placement=PLACED))
    settle()
    row.refresh_from_db()
    assert row.phase == "Deployed", row.conditions
    return row


def look(cluster: Cluster) -> Cluster:
    """Let the baseline take a step now, and all that follows from it."""
    cluster.baseline.mark()
    settle()
    cluster.refresh_from_db()
    return cluster


def synced(row) -> tuple[str, str]:
    row.refresh_from_db()
    found = next(each for each in row.conditions if each["type"] == "Synced")
    return found["status"], found["reason"]


def body(kind, name: str, namespace: str = "", **meta: object) -> JSON:
    place = {"namespace": namespace} if namespace else {}
    found = {"name": name, **place, **meta}
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": found}


def reinstall(live: MemoryCluster) -> None:
    """Let another cluster answer where this one did."""
    live.remove(KUBE_SYSTEM)
    live.apply_as("installer", KUBE_SYSTEM, body(NAMESPACE, "kube-system"))
    live.writes.clear()


def epoch_of(live: MemoryCluster) -> Epoch:
    return Epoch.of(live.body(EPOCH)["data"])


def later() -> None:
    """The current epoch began long ago."""
    Cluster.objects.update(epoch_at=timezone.now() - timedelta(hours=1))


def change(row: Project) -> None:
    """Declare the project with something that has to be written."""
    row.labels = {"changed": str(row.generation)}
    row.declare(by="alice")


# --- Another cluster behind the address.


def test_another_cluster_is_held_observed_and_not_written_to_f29(cluster, live):
    reinstall(live)
    Cluster.objects.update(version="", rotated_at=timezone.now() - timedelta(days=2))
    look(cluster)
    assert cluster.report_only == Reason.IDENTITY
    assert synced(cluster) == ("False", "ClusterIdentityChanged") and cluster.phase == "Error"
    assert live.writes == []
    assert cluster.version == "v1.36.3" and cluster.serves("tenancy.native")
    assert cluster.rotated_at < timezone.now() - timedelta(days=1), "no token was asked for"
    assert Event.objects.get(reason="ClusterIdentityChanged").type == "Warning"


def test_what_is_placed_on_another_cluster_writes_nothing_f29(cluster, live, shop):
    reinstall(live)
    look(cluster)
    change(shop)
    settle()
    assert live.writes == []
    assert synced(shop)[1] == "ReportOnly"
    assert synced(shop.placements.get()) == ("Unknown", "ReportOnly")


def test_a_deletion_on_another_cluster_waits_f29(cluster, live, shop):
    reinstall(live)
    look(cluster)
    shop.request_deletion(by="alice")
    settle()
    hurry()
    assert live.writes == [] and live.exists(SHOP)


def test_it_notices_another_cluster_before_it_writes_f29(cluster, live, shop):
    reinstall(live)
    time.sleep(1.0)  # so long a process believes that it still speaks to the same
    change(shop)
    settle()
    assert live.writes == []
    cluster.refresh_from_db()
    assert cluster.report_only == Reason.IDENTITY


def test_confirmed_it_is_the_cluster_and_nothing_of_the_old_is_believed_f29(
    cluster, live, shop, fleet
):
    before = set(AppliedObject.objects.values_list("uid", flat=True))
    other = fleet.start("prod-a", MemoryCluster(finishes=True))
    cluster.give(Given.of(admin("prod-a", "admin")), by="olga")
    settle()
    cluster.refresh_from_db()
    assert cluster.report_only == Reason.IDENTITY and other.writes == []
    assert cluster.confirm(Reason.IDENTITY, by="olga")
    settle()
    hurry()
    cluster.refresh_from_db()
    assert cluster.phase == "Deployed", cluster.conditions
    assert cluster.kube_system_uid == other.get(KUBE_SYSTEM).uid
    assert other.exists(SHOP)
    assert before.isdisjoint(AppliedObject.objects.values_list("uid", flat=True))


def test_a_cluster_that_comes_back_stays_held_until_somebody_has_looked_f29(cluster, live):
    uid = cluster.kube_system_uid
    Cluster.objects.update(kube_system_uid="another")
    look(cluster)
    Cluster.objects.update(kube_system_uid=uid)
    look(cluster)
    assert cluster.report_only == Reason.IDENTITY
    records = AppliedObject.objects.count()
    cluster.confirm(Reason.IDENTITY, by="olga")
    assert cluster.kube_system_uid == uid and AppliedObject.objects.count() == records


def test_the_cluster_of_another_row_never_takes_its_place_f29(cluster, fleet):
    other = fleet.register("prod-b")
    fleet.start("prod-a", fleet["prod-b"])
    cluster.give(Given.of(admin("prod-a")), by="olga")
    settle()
    cluster.refresh_from_db()
    assert cluster.report_only == Reason.IDENTITY
    cluster.confirm(Reason.IDENTITY, by="olga")
    settle()
    cluster.refresh_from_db()
    assert cluster.report_only == Reason.IDENTITY
    assert cluster.kube_system_uid != other.kube_system_uid


def test_the_one_before_may_be_back_when_it_is_confirmed_f29(cluster, live, shop, fleet):
    records = AppliedObject.objects.count()
    other = fleet.start("prod-a", MemoryCluster(finishes=True))
    cluster.give(Given.of(admin("prod-a")), by="olga")
    settle()
    fleet.start("prod-a", live)
    cluster.refresh_from_db()
    cluster.confirm(Reason.IDENTITY, by="olga")
    settle()
    cluster.refresh_from_db()
    assert not cluster.report_only and not cluster.report_only_facts
    assert cluster.kube_system_uid == live.get(KUBE_SYSTEM).uid
    assert AppliedObject.objects.count() == records and other.writes == []


# --- A database that is older than the cluster.


def test_its_registration_begins_an_epoch_f28(cluster, live):
    assert epoch_of(live) == cluster.stamped
    assert cluster.epoch == 1
    assert MANAGED_BY not in (live.body(EPOCH)["metadata"].get("labels") or {})


def test_at_rest_no_epoch_is_written_f28(cluster, live, shop):
    later()
    live.writes.clear()
    look(cluster)
    hurry()
    assert live.writes == []


def test_an_epoch_begins_before_the_first_write_and_lasts_f28(cluster, live, shop):
    later()
    live.writes.clear()
    change(shop)
    settle()
    assert live.writes[0] == ("apply", EPOCH)
    cluster.refresh_from_db()
    assert cluster.epoch == 2 and epoch_of(live) == cluster.stamped
    live.writes.clear()
    change(shop)
    settle()
    assert live.writes and ("apply", EPOCH) not in live.writes


def test_two_processes_that_begin_at_once_both_go_on_f28(cluster, live, shop, monkeypatch):
    """Each has seen that the epoch is old; the one that writes later takes over the other's."""
    later()
    proofs.drop(cluster.pk)
    write, others = guarded.write_epoch, []

    def slow(api, epoch, before):
        if not others:
            others.append(Cluster.objects.get(pk=cluster.pk))
            monkeypatch.setattr(guarded, "write_epoch", write)
            others[0].before_writes(cluster.baseline.connect)
        write(api, epoch, before)

    monkeypatch.setattr(guarded, "write_epoch", slow)
    cluster.before_writes(cluster.baseline.connect)

    cluster.refresh_from_db()
    assert (cluster.report_only, cluster.epoch) == ("", others[0].epoch)
    assert epoch_of(live) == cluster.stamped
    live.writes.clear()
    change(shop)
    settle()
    assert live.writes and ("apply", EPOCH) not in live.writes


def restored(cluster: Cluster, live: MemoryCluster) -> None:
    """Let the database be as it was before its last epoch."""
    before = cluster.stamped
    later()
    cluster.before_writes(cluster.baseline.connect)
    Cluster.objects.update(epoch=before.number, epoch_stamp=before.stamp)
    live.writes.clear()


def test_a_restored_database_writes_nothing_f28(cluster, live, shop):
    restored(cluster, live)
    live.edit(Ref(LIMIT_RANGE, SHOP.name, "kubenova"), "kubectl-edit", drop_limits)
    change(shop)
    settle()
    look(cluster)
    assert live.writes == []
    assert cluster.report_only == Reason.EPOCH
    assert synced(cluster) == ("False", "EpochBehind")
    assert synced(shop.placements.get()) == ("Unknown", "ReportOnly")


def drop_limits(body: JSON) -> None:
    body["spec"]["limits"] = []


def test_a_worker_that_outlived_the_restore_notices_at_its_next_write_f28(cluster, live, shop):
    restored(cluster, live)
    Cluster.objects.update(epoch_at=timezone.now())
    change(shop)
    settle()
    assert live.writes == []


def test_a_copy_of_the_database_that_writes_stops_the_other_f28(cluster, live, shop):
    manifest = body(CONFIG_MAP, EPOCH.name, EPOCH.namespace)
    theirs = Epoch(cluster.epoch, "c" * 32)
    live.apply_as("kubenova", EPOCH, manifest | {"data": theirs.data}, force=True)
    look(cluster)
    assert cluster.report_only == Reason.EPOCH


def test_a_worker_that_died_before_it_told_the_cluster_stops_nobody_f28(cluster, live, shop):
    Cluster.objects.update(epoch=7, epoch_stamp="d" * 32)
    change(shop)
    settle()
    cluster.refresh_from_db()
    assert not cluster.report_only
    assert epoch_of(live) == cluster.stamped == Epoch(7, "d" * 32)


def test_a_removed_epoch_is_written_again_f28(cluster, live):
    live.remove(EPOCH)
    look(cluster)
    assert epoch_of(live) == cluster.stamped and not cluster.report_only


def lost(live: MemoryCluster) -> list[Ref]:
    """What a database has made that was then restored to yesterday."""
    labels = {MANAGED_BY: MANAGER, OWNER: "access.grantplacement.0123456789abcdef"}
    refs = [
        Ref(SECRET, GRANTS_NAMESPACE, "grant-x"),
        Ref(SERVICE_ACCOUNT, GRANTS_NAMESPACE, "grant-x"),
        Ref(NAMESPACE, "", "globex--till"),
    ]
    for ref in refs:
        live.apply_as("kubenova", ref, body(ref.kind, ref.name, ref.namespace, labels=labels))
    live.writes.clear()
    return refs


def test_it_names_what_a_restored_database_does_not_know_f28(cluster, live, shop):
    lost(live)
    restored(cluster, live)
    look(cluster)
    assert sorted(cluster.unknown) == [
        "Namespace globex--till",
        f"Secret {GRANTS_NAMESPACE}/grant-x",
        f"ServiceAccount {GRANTS_NAMESPACE}/grant-x",
    ]


def test_confirmed_it_goes_on_and_ends_the_grants_that_nobody_knows_f28(cluster, live, shop):
    secret, account, namespace = lost(live)
    restored(cluster, live)
    change(shop)
    look(cluster)
    assert cluster.confirm(Reason.EPOCH, by="olga")
    settle()
    cluster.refresh_from_db()
    assert cluster.phase == "Deployed", cluster.conditions
    assert not live.exists(secret) and not live.exists(account)
    assert live.exists(namespace), "only what gives access is removed"
    assert epoch_of(live) == cluster.stamped and cluster.epoch > 2
    assert synced(shop) == ("True", "Applied")
    assert Event.objects.filter(reason="UnknownGrantsRevoked").count() == 1


def test_a_database_that_still_writes_elsewhere_holds_it_again_f28(cluster, live, shop):
    restored(cluster, live)
    look(cluster)
    manifest = body(CONFIG_MAP, EPOCH.name, EPOCH.namespace)
    live.apply_as("kubenova", EPOCH, manifest | {"data": Epoch(9, "e" * 32).data}, force=True)
    cluster.confirm(Reason.EPOCH, by="olga")
    look(cluster)
    assert cluster.report_only == Reason.EPOCH


# --- More deletions than anybody means.


@pytest.fixture
def strict(settings) -> None:
    """Three deletions are borne."""
    settings.GUARD_DELETIONS, settings.GUARD_PERCENT = 3, 0


@pytest.fixture
def many(cluster, strict) -> list[Project]:
    """Projects of one tenant: each has a namespace with objects inside."""
    tenant = make_acme(placement=PLACED)
    rows = [project(tenant, name) for name in ("till", "stock", "shop")]
    settle()
    return rows


def leave(tenant: Tenant) -> None:
    """Select the cluster no more, as a person declares."""
    tenant.refresh_from_db()
    tenant.placement = {}
    tenant.declare(by="alice")


def test_a_label_edit_that_unselects_thirty_tenants_deletes_nothing_f30(cluster, live):
    tenants = [
        Tenant(name=f"team-{n}", placement={"selector": {"region": "eu"}}) for n in range(30)
    ]
    for tenant in tenants:
        tenant.declare(by="olga")
        project(tenant)
    settle_all()
    live.writes.clear()
    cluster.refresh_from_db()
    cluster.labels = {"region": "us"}
    cluster.declare(by="olga")
    settle_all()
    assert live.writes == []
    assert synced(tenants[0]) == ("True", "NoLongerSelected")
    assert all(live.exists(Ref(NAMESPACE, "", f"team-{n}--shop")) for n in range(30))


def settle_all() -> None:
    """Take steps until nothing is due."""
    while Work.objects.due().exists():
        try:
            settle()
        except AssertionError:  # more steps than a test usually takes
            continue


def test_too_many_deletions_wait_and_all_else_goes_on_f30(many, cluster, live):
    live.writes.clear()
    leave(many[0].tenant)
    other = Tenant(name="globex", placement=PLACED)
    other.declare(by="olga")
    project(other)
    settle()
    hurry()
    assert [verb for verb, _ in live.writes if verb == "delete"] == []
    assert live.exists(Ref(NAMESPACE, "", "globex--shop"))
    cluster.refresh_from_db()
    assert cluster.report_only == Reason.DELETIONS and not cluster.stopped
    assert cluster.phase == "Deployed", "the cluster itself is well"
    assert Event.objects.get(reason="TooManyDeletions").type == "Warning"


def test_confirmed_exactly_what_waited_is_deleted_f30(many, cluster, live):
    leave(many[0].tenant)
    settle()
    hurry()
    cluster.refresh_from_db()
    spaces = {str(Ref(NAMESPACE, "", f"acme--{name}")) for name in ("shop", "stock", "till")}
    assert {str(each) for each in cluster.waiting} >= spaces, "it is told before the first goes"
    cluster.confirm(Reason.DELETIONS, by="olga")
    settle()
    hurry()
    assert not live.exists(SHOP)
    cluster.refresh_from_db()
    assert not cluster.report_only


def test_a_few_deletions_go_on_and_are_counted_f30(many, cluster, live):
    few = many[0]
    few.limits = {}
    few.declare(by="alice")
    settle()
    cluster.refresh_from_db()
    assert not cluster.report_only
    assert (
        InferredDeletion.objects.count() == InferredDeletion.objects.filter(state="counted").count()
    )


def test_what_was_asked_for_by_name_is_not_counted_f30(many, cluster, live):
    many[0].tenant.request_deletion(by="olga")
    settle()
    hurry()
    hurry()
    assert not live.exists(SHOP)
    assert not InferredDeletion.objects.exists()


def test_a_deletion_that_is_tried_again_counts_once_f30(cluster, live, settings):
    settings.GUARD_DELETIONS = 10
    row = project(make_acme(placement=PLACED))
    settle()
    live.fail_next(Unreachable("cut"), verb="delete", times=40)
    leave(row.tenant)
    for _ in range(5):
        hurry()
    cluster.refresh_from_db()
    assert not cluster.report_only
    assert 0 < InferredDeletion.objects.count() <= 10


def test_old_deletions_are_forgotten_f30(many, cluster, live):
    InferredDeletion.objects.create(
        cluster_id=cluster.pk, uid="u", object="x", row="y", state="counted"
    )
    old = timezone.now() - timedelta(hours=1)
    InferredDeletion.objects.update(noted_at=old)
    leave(many[0].tenant)
    settle()
    assert not InferredDeletion.objects.filter(uid="u").exists()


def test_what_was_confirmed_stays_so_while_the_cluster_is_away_f30(many, cluster, live):
    leave(many[0].tenant)
    settle()
    live.always(Unreachable("away"))
    cluster.refresh_from_db()
    cluster.confirm(Reason.DELETIONS, by="olga")
    settle()
    InferredDeletion.objects.update(noted_at=timezone.now() - timedelta(hours=2))
    live.heal()
    for _ in range(3):
        hurry()
    cluster.refresh_from_db()
    assert not live.exists(SHOP) and not cluster.report_only


def test_a_forgotten_cluster_leaves_no_deletion_behind(many, cluster):
    leave(many[0].tenant)
    settle()
    assert InferredDeletion.objects.exists()
    cluster.refresh_from_db()
    cluster.abandon(by="olga")
    assert not InferredDeletion.objects.exists()


# --- Shown and confirmed.


@pytest.fixture
def held(cluster, live) -> Cluster:
    lost(live)
    cluster.hold(Reason.EPOCH, epoch=9, stamp="a" * 32)
    settle()
    cluster.refresh_from_db()
    return cluster


def test_the_gravest_reason_counts(held):
    held.hold(Reason.DELETIONS)
    assert held.report_only == Reason.EPOCH
    held.hold(Reason.IDENTITY, uid="u")
    assert held.report_only == Reason.IDENTITY
    assert Event.objects.filter(reason="EpochBehind").count() == 1


def gauge(name: str, reason: str) -> float | None:
    labels = {"cluster": name, "reason": reason}
    return REGISTRY.get_sample_value("kubenova_cluster_report_only", labels)


def test_the_metrics_tell_which_guard_holds_it(held):
    assert gauge("prod-a", "EpochBehind") == 1
    held.confirm(Reason.EPOCH, by="olga")
    assert gauge("prod-a", "EpochBehind") == 0


CONFIRM = "/api/v1/clusters/prod-a:confirm"


def confirm(client: APIClient, reason: str, **headers: str):
    return client.post(CONFIRM, {"reason": reason}, format="json", **headers)


def test_the_api_tells_why_and_an_operator_confirms(held, olga):
    client = signed_in(olga)
    told = client.get("/api/v1/clusters/prod-a").json()["status"]["report_only"]
    assert told["reason"] == "EpochBehind" and "Namespace globex--till" in told["unknown"]
    assert ":confirm" in told["message"] and told["since"] and told["waiting"] == []
    answer = confirm(client, "EpochBehind", HTTP_IDEMPOTENCY_KEY="k1")
    assert answer.status_code == 202 and answer.json()["status"]["report_only"] is None
    assert confirm(client, "EpochBehind", HTTP_IDEMPOTENCY_KEY="k1").json() == answer.json()
    assert Event.objects.filter(reason="Confirmed", actor="olga").count() == 1


def test_confirming_something_else_is_refused(held, olga):
    found = problem(confirm(signed_in(olga), "ClusterIdentityChanged"), 409, "KN-CONFLICT")
    assert found["report_only"] == "EpochBehind"
    held.refresh_from_db()
    assert held.report_only == Reason.EPOCH


def test_confirming_what_nothing_holds_changes_nothing(cluster, olga):
    events = Event.objects.count()
    assert confirm(signed_in(olga), "EpochBehind").status_code == 202
    assert Event.objects.count() == events


def test_confirming_nonsense_is_refused(held, olga):
    assert pointers(problem(confirm(signed_in(olga), "Sure"), 400, "KN-INVALID")) == ["/reason"]


def test_nobody_but_operators_confirms_a24(held, alice):
    assert confirm(signed_in(alice), "EpochBehind").status_code == 404
    held.refresh_from_db()
    assert held.report_only == Reason.EPOCH


def browser(user) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_the_portal_shows_it_and_asks_for_the_name(held, olga):
    client = browser(olga)
    page = client.get(reverse("clusters")).content.decode()
    path = reverse("cluster-confirm", args=["prod-a"])
    assert "report-only" in page and path in page
    assert "kubenova-grants/grant-x" in client.get(path).content.decode()
    wrong = client.post(path, {"name": "prod", "reason": "EpochBehind"})
    assert wrong.status_code == 422
    client.post(path, {"name": "prod-a", "reason": "EpochBehind"})
    held.refresh_from_db()
    assert not held.report_only
    assert "Nothing holds this cluster" in client.get(path).content.decode()


def test_the_portal_confirms_what_was_shown_and_nothing_else(held, olga):
    path = reverse("cluster-confirm", args=["prod-a"])
    answer = browser(olga).post(path, {"name": "prod-a", "reason": "TooManyDeletions"}, follow=True)
    assert "is held for EpochBehind" in answer.content.decode()
    held.refresh_from_db()
    assert held.report_only == Reason.EPOCH


def test_the_portal_shows_no_guard_to_others_a24(held, alice):
    path = reverse("cluster-confirm", args=["prod-a"])
    assert browser(alice).get(path).status_code == 404


ACTIONS: list[tuple[str, Reason, Callable[[Cluster], None]]] = [
    ("confirm_epoch", Reason.EPOCH, lambda row: row.hold(Reason.EPOCH, epoch=9, stamp="a" * 32)),
    ("confirm_identity", Reason.IDENTITY, lambda row: row.hold(Reason.IDENTITY, uid="new")),
    ("confirm_deletions", Reason.DELETIONS, lambda row: row.hold(Reason.DELETIONS)),
]


@pytest.mark.parametrize(("action", "reason", "hold"), ACTIONS, ids=[each[0] for each in ACTIONS])
def test_the_admin_confirms_by_an_action_of_that_reason(cluster, olga, action, reason, hold):
    client = browser(olga)
    hold(cluster)
    page = reverse("admin:clusters_cluster_changelist")
    other = "confirm_epoch" if action != "confirm_epoch" else "confirm_deletions"
    for name, left in ((other, reason), (action, "")):
        data = {"action": name, "_selected_action": [cluster.pk]}
        assert client.post(page, data, follow=True).status_code == 200
        cluster.refresh_from_db()
        assert cluster.report_only == left


def test_the_admin_shows_what_an_operator_looks_at(held, olga):
    url = reverse("admin:clusters_cluster_change", args=[held.pk])
    text = browser(olga).get(url).content.decode()
    assert "EpochBehind" in text and "kubenova-grants/grant-x" in text
