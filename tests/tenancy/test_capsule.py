"""Which platform serves a tenant: chosen when it is new, remembered, missed when it is gone."""

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from clusters.adapters.capsule import CAPSULE_CONFIGURATION, GLOBAL_TENANT_RESOURCE, TENANT_KIND
from clusters.kinds import CONFIG_MAP, NAMESPACE
from clusters.models import Cluster
from reconcile.errors import Forbidden, Unreachable
from reconcile.refusals import Unserved
from reconcile.values import Ref
from tenancy.models import Project, ProjectPlacement, Tenant, TenantPlacement
from tests.capsule import act, install
from tests.clusters.steps import hurry, settle
from tests.people import make_acme

pytestmark = pytest.mark.django_db

PLACED = {"clusters": ["prod-a"]}
CAPSULE, NATIVE = "tenancy.capsule", "tenancy.native"
TENANT = Ref(TENANT_KIND, "", "acme")
SPACE = Ref(NAMESPACE, "", "acme--shop")


@pytest.fixture
def live(fleet):
    """The cluster prod-a in memory, before it is registered."""
    return fleet.start("prod-a")


def rounds(live) -> None:
    """Capsule and KubeNova take turns."""
    for _ in range(4):
        act(live)
        for row in (*TenantPlacement.objects.all(), *ProjectPlacement.objects.all()):
            row.mark()
        settle()


def shop(tenant: Tenant) -> ProjectPlacement:
    Project(tenant=tenant, name="shop").declare(by="alice")
    return ProjectPlacement.objects.get()


def look(cluster: Cluster) -> None:
    cluster.reprobe(by="olga")
    settle()


def verdict(row) -> tuple[str, str]:
    row.refresh_from_db()
    return row.phase, row.conditions[0]["reason"]


# --- The choice.


def test_a_new_tenant_is_on_capsule_where_it_is_served(fleet, live):
    install(live)
    fleet.register("prod-a")
    row = shop(make_acme(placement=PLACED))
    settle()
    rounds(live)
    tenant = TenantPlacement.objects.get()
    row.refresh_from_db()
    assert (tenant.chosen_adapter, row.chosen_adapter) == (CAPSULE, CAPSULE)
    assert (tenant.phase, row.phase) == ("Deployed", "Deployed")
    assert live.exists(TENANT) and live.exists(SPACE)


def test_a_new_tenant_is_on_plain_kubernetes_elsewhere(fleet, live):
    fleet.register("prod-a")
    row = shop(make_acme(placement=PLACED))
    settle()
    row.refresh_from_db()
    assert (row.chosen_adapter, row.phase) == (NATIVE, "Deployed")


def test_a_running_tenant_is_not_moved_to_a_capsule_that_comes_later(fleet, live):
    cluster = fleet.register("prod-a")
    tenant = make_acme(placement=PLACED)
    settle()
    install(live)
    look(cluster)
    row = shop(tenant)
    rounds(live)
    row.refresh_from_db()
    assert TenantPlacement.objects.get().chosen_adapter == NATIVE
    assert (row.chosen_adapter, row.phase) == (NATIVE, "Deployed")
    assert not live.exists(TENANT)


def test_one_that_ran_before_choices_were_remembered_stays_where_it_is(fleet, live):
    cluster = fleet.register("prod-a")
    make_acme(placement=PLACED)
    settle()
    TenantPlacement.objects.update(chosen_adapter="")
    install(live)
    look(cluster)
    rounds(live)
    assert TenantPlacement.objects.get().chosen_adapter == NATIVE


def test_the_ones_of_one_tenant_may_differ_by_cluster(fleet, live):
    install(live)
    fleet.register("prod-a")
    fleet.register("prod-b")
    make_acme(placement={"clusters": ["prod-a", "prod-b"]})
    settle()
    found = {row.cluster_name: row.chosen_adapter for row in TenantPlacement.objects.all()}
    assert found == {"prod-a": CAPSULE, "prod-b": NATIVE}


def test_the_intent_says_what_this_capsule_has(fleet, live):
    install(live)
    cluster = fleet.register("prod-a")
    make_acme(placement=PLACED, quota={"pods": "5"})
    settle()
    row = TenantPlacement.objects.get()
    assert "quota-rules" in row.intent().features
    cluster.capabilities.filter(name="tenancy.capsule.quota-rules").update(served=False)
    assert "quota-rules" not in TenantPlacement.objects.get().intent().features


# --- Waiting.


def test_a_project_waits_until_capsule_knows_the_tenant(fleet, live):
    install(live)
    fleet.register("prod-a")
    row = shop(make_acme(placement=PLACED))
    settle()
    assert verdict(row) == ("Pending", "WaitingForTenant")
    assert not live.exists(SPACE)
    rounds(live)
    assert verdict(row)[0] == "Deployed"


def test_a_change_of_the_tenant_holds_no_project_up(fleet, live):
    install(live)
    fleet.register("prod-a")
    tenant = make_acme(placement=PLACED)
    row = shop(tenant)
    settle()
    rounds(live)
    tenant.refresh_from_db()
    tenant.restrictions = {"storage_classes": ["fast"]}
    tenant.declare(by="olga")
    settle()
    assert TenantPlacement.objects.get().phase == "Applying"
    assert verdict(row)[0] == "Deployed"


def test_a_namespace_that_comes_too_early_is_tried_again(fleet, live):
    install(live)
    fleet.register("prod-a")
    row = shop(make_acme(placement=PLACED))
    settle()
    live.fail_on("apply", SPACE, Forbidden("non-owned Tenant"), times=2)
    rounds(live)
    hurry()
    rounds(live)
    assert verdict(row)[0] == "Deployed"


# --- Warnings.


def test_what_the_cluster_warns_of_is_shown_until_it_is_applied_otherwise(fleet, live, monkeypatch):
    install(live)
    fleet.register("prod-a")
    told = {"on": ("old field",)}
    monkeypatch.setattr("tests.memory_cluster.warnings_of", lambda labels, body: told["on"])
    tenant = make_acme(placement=PLACED)
    settle()
    rounds(live)
    row = TenantPlacement.objects.get()
    assert row.facts["warnings"]["Tenant acme"] == ["old field"]
    assert "The cluster warns: old field" in str(row.conditions)
    told["on"] = ()
    tenant.refresh_from_db()
    tenant.restrictions = {"storage_classes": ["fast"]}
    tenant.declare(by="olga")
    settle()
    rounds(live)
    assert "Tenant acme" not in TenantPlacement.objects.get().facts.get("warnings", {})


def test_what_the_cluster_warned_of_outlives_a_failure_later_in_the_step(fleet, live, monkeypatch):
    install(live)
    fleet.register("prod-a")
    warns = {"Tenant": ("old field",)}
    monkeypatch.setattr(
        "tests.memory_cluster.warnings_of", lambda labels, body: warns.get(body["kind"], ())
    )
    make_acme(placement=PLACED, quota={"pods": "5"})
    live.fail_on("apply", GLOBAL_TENANT_RESOURCE, Unreachable("cut"), times=1)
    rounds(live)
    hurry()
    rounds(live)
    row = TenantPlacement.objects.get()
    assert row.phase == "Deployed"
    assert row.facts["warnings"] == {"Tenant acme": ["old field"]}


# --- Loss.


def test_a_tenant_whose_capsule_is_gone_is_in_error_and_nothing_is_touched(fleet, live):
    install(live)
    cluster = fleet.register("prod-a")
    row = shop(make_acme(placement=PLACED))
    settle()
    rounds(live)
    configuration = Ref(CAPSULE_CONFIGURATION, "", "default")
    kept = live.body(configuration)["spec"]["administrators"]
    live.edit(configuration, "x", lambda body: body["spec"].update(administrators=[]))
    live.writes.clear()
    look(cluster)
    tenant = TenantPlacement.objects.get()
    assert verdict(tenant) == verdict(row) == ("Error", "CapabilityMissing")
    assert "kubectl patch capsuleconfiguration" in str(tenant.conditions)
    assert [ref for _, ref in live.writes if ref.kind not in (CONFIG_MAP,)] == []
    live.edit(configuration, "x", lambda body: body["spec"].update(administrators=kept))
    look(cluster)
    rounds(live)
    assert (verdict(tenant)[0], verdict(row)[0]) == ("Deployed", "Deployed")


def test_a_tenant_whose_capsule_is_gone_can_be_deleted(fleet, live):
    install(live)
    cluster = fleet.register("prod-a")
    tenant = make_acme(placement=PLACED)
    settle()
    rounds(live)
    live.edit(
        Ref(CAPSULE_CONFIGURATION, "", "default"),
        "x",
        lambda body: body["spec"].update(administrators=[]),
    )
    look(cluster)
    tenant.refresh_from_db()
    tenant.request_deletion(by="olga")
    settle()
    hurry()
    assert not Tenant.objects.exists()
    assert not live.exists(TENANT)


def test_a_protected_tenant_is_unlocked_on_its_way_out(fleet, live):
    install(live)
    fleet.register("prod-a")
    tenant = make_acme(placement=PLACED, deletion_protection=True)
    settle()
    rounds(live)
    assert live.body(TENANT)["spec"]["preventDeletion"] is True
    seen = []
    live.fail_on("nothing", None, Forbidden("never"))
    original = live.delete
    live.delete = lambda ref, uid, **options: (  # what the webhook would look at
        seen.append(live.body(ref)["spec"].get("preventDeletion")) if ref == TENANT else None,
        original(ref, uid, **options),
    )[1]
    Tenant.objects.filter(pk=tenant.pk).update(deletion_protection=False)
    tenant.refresh_from_db()
    tenant.request_deletion(by="olga")
    settle()
    assert seen == [False]
    assert not live.exists(TENANT)


# --- New tenants beside a faulty Capsule.

FAULTY = [
    pytest.param({"version": "0.12.0"}, "0.12.0", id="too old"),
    pytest.param({"administrators": ()}, "0.14.0", id="no administrator"),
    pytest.param({"policy": "Ignore"}, "0.14.0", id="webhooks passed by"),
]


@pytest.mark.parametrize(("how", "version"), FAULTY)
def test_a_cluster_with_a_faulty_capsule_takes_no_new_tenants(fleet, live, how, version):
    install(live, **how)
    fleet.register("prod-a")
    install(fleet.start("prod-b"))
    fleet.register("prod-b")
    with pytest.raises(Unserved) as refusal:
        make_acme(placement=PLACED)
    assert not Tenant.objects.exists()
    told = refusal.value.extra if hasattr(refusal.value, "extra") else vars(refusal.value)
    assert version in str(told) and "prod-b" in str(told)


def test_the_api_says_what_is_missing_and_where_it_is_not(fleet, live, olga: User):
    install(live, version="0.12.0")
    fleet.register("prod-a")
    client = APIClient()
    client.force_authenticate(olga)
    body = {"name": "acme", "placement": PLACED}
    answer = client.post("/api/v1/tenants", body, format="json")
    assert answer.status_code == 422
    assert (answer.json()["found"], answer.json()["needed"]) == ("0.12.0", CAPSULE)


def test_one_that_runs_there_may_still_be_changed(fleet, live):
    install(live)
    cluster = fleet.register("prod-a")
    tenant = make_acme(placement=PLACED)
    settle()
    rounds(live)
    install(live, version="0.12.0")
    look(cluster)
    tenant.refresh_from_db()
    tenant.description = "Acme"
    assert tenant.declare(by="olga")
