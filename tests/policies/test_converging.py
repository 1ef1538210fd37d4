"""From an attachment to the ConfigMaps on clusters, and back."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from policies.models import Attachment, Imposition, PolicySet
from reconcile.models import Event, Work
from tenancy.models import Project, Tenant
from tests.clusters.steps import hurry, settle
from tests.people import make_acme
from tests.policies.conftest import attach, make_set, parameters

pytestmark = pytest.mark.django_db


def phase(row: object) -> str:
    return type(row).objects.get(pk=row.pk).phase


def rest() -> None:
    """Let everything settle, and those look again who wait for others to."""
    settle()
    hurry()
    settle()


def test_it_reaches_the_namespace_of_each_project_and_leaves_it_when_detached(fleet, shop):
    assert parameters(fleet) == {}
    row = attach(make_set(service_types=["ClusterIP"]))
    rest()
    assert parameters(fleet) == {"service_types": "ClusterIP"}
    assert phase(row) == phase(row.policy_set) == phase(shop) == "Deployed"

    row.request_deletion(by="olga")
    rest()
    assert parameters(fleet) == {}
    assert not Attachment.objects.exists()
    assert phase(row.policy_set) == "Deployed"


@pytest.mark.parametrize("mode", ["warn", "audit"])
def test_what_refuses_nothing_has_a_config_map_of_its_own_that_goes_again(fleet, shop, mode):
    row = attach(make_set(service_types=["ClusterIP"]), mode=mode)
    settle()
    assert parameters(fleet) == {}
    assert parameters(fleet, mode) == {"service_types": "ClusterIP"}

    row.policy_set.request_deletion(by="olga")
    rest()
    assert parameters(fleet, mode) is None
    assert not PolicySet.objects.exists()


def test_it_is_promoted_from_audit_to_warn_to_enforce(fleet, shop):
    row = attach(make_set(), mode="audit")
    settle()
    row.refresh_from_db()
    assert row.promote("olga")
    settle()
    assert (parameters(fleet, "audit"), parameters(fleet, "warn")) == (
        None,
        {"service_types": "ClusterIP"},
    )
    row.refresh_from_db()
    row.promote("olga")
    settle()
    assert parameters(fleet, "warn") is None
    assert parameters(fleet) == {"service_types": "ClusterIP"}


def test_the_stricter_of_the_tenant_and_of_all_sets_is_what_holds(fleet, shop, acme):
    acme.restrictions = {"service_types": ["ClusterIP", "NodePort"], "storage_classes": ["fast"]}
    acme.declare(by="olga")
    attach(make_set("one", service_types=["ClusterIP", "LoadBalancer", "NodePort"]))
    attach(make_set("two", service_types=["NodePort"], image_registries={"deny": ["evil.io"]}))
    settle()
    assert parameters(fleet) == {
        "service_types": "NodePort",
        "storage_classes": "fast",
        "image_registries.deny": "evil.io",
    }


def test_a_new_version_reaches_who_follows_and_leaves_who_has_pinned(fleet, shop, globex):
    Project(tenant=globex, name="site").declare(by="charlie")
    row = make_set(service_types=["ClusterIP"])
    attach(row, "newest")
    attach(row, "pinned", tenants=["globex"], version=1)
    row.refresh_from_db()
    row.rules = {"service_types": ["NodePort"]}
    row.declare(by="olga")
    settle()
    assert parameters(fleet) == {"service_types": "NodePort"}
    assert parameters(fleet, namespace="globex--site") == {"service_types": "ClusterIP"}


def test_a_selector_follows_the_labels_of_tenants(fleet, shop, acme):
    attach(make_set(), tenant_selector="stage in (prod,qa)")
    settle()
    assert parameters(fleet) == {}
    acme.labels = {"stage": "prod"}
    acme.declare(by="olga")
    settle()
    assert parameters(fleet) == {"service_types": "ClusterIP"}
    acme.labels = {"stage": "test"}
    acme.declare(by="olga")
    settle()
    assert parameters(fleet) == {}


def test_a_new_tenant_is_bound_from_its_first_moment(fleet, prod):
    attach(make_set(), every_tenant=True)
    settle()
    acme = make_acme(placement={"clusters": ["prod-a"]})
    assert acme.imposed == {"enforce": {"service_types": ["ClusterIP"]}}
    Project(tenant=acme, name="shop").declare(by="alice")
    settle()
    assert parameters(fleet) == {"service_types": "ClusterIP"}


def test_who_was_missed_by_the_declaration_is_found_by_the_step(prod):
    """As when a tenant and an attachment come at the same time, and neither sees the other."""
    row = attach(make_set(), every_tenant=True)
    settle()
    acme = make_acme(placement={"clusters": ["prod-a"]})
    Imposition.objects.all().delete()
    Tenant.objects.update(imposed={})
    settle()
    acme.refresh_from_db()
    assert acme.imposed == {"enforce": {"service_types": ["ClusterIP"]}}
    assert row.impositions.get().tenant == acme


def test_a_project_alone_is_bound_by_its_name(fleet, shop, acme):
    Project(tenant=acme, name="blog").declare(by="alice")
    attach(make_set(), projects=["acme/blog"])
    settle()
    assert parameters(fleet) == {}
    assert parameters(fleet, namespace="acme--blog") == {"service_types": "ClusterIP"}
    acme.refresh_from_db()
    assert acme.imposed == {}


def test_a_new_project_of_that_name_is_bound_at_once(fleet, shop, acme):
    attach(make_set(), projects=["acme/shop"])
    settle()
    shop.refresh_from_db()
    shop.request_deletion(by="alice")
    rest()
    assert not Project.objects.exists()
    again = Project(tenant=acme, name="shop")
    again.declare(by="alice")
    assert Project.objects.get().imposed == {"enforce": {"service_types": ["ClusterIP"]}}


# --- Exceptions.


def spare(row: Attachment, project: str = "", **more: object) -> None:
    row.make_exception(
        "olga",
        tenant="acme",
        project=project,
        kind="service_types",
        reason="An old load balancer.",
        expires_at=timezone.now() + timedelta(hours=1),
        **more,
    )


def test_an_exception_spares_until_it_expires(fleet, shop):
    row = attach(make_set(service_types=["ClusterIP"], storage_classes=["fast"]))
    spare(row)
    settle()
    assert parameters(fleet) == {"storage_classes": "fast"}
    work = Work.objects.get(kind="policies.imposition")
    assert work.due_at > timezone.now() + timedelta(minutes=59)
    with time_machine.travel(timezone.now() + timedelta(minutes=61)):
        work.due_at = timezone.now() - timedelta(hours=2)  # the database has a clock of its own
        work.save()
        settle()
    assert parameters(fleet) == {"service_types": "ClusterIP", "storage_classes": "fast"}


def test_an_exception_of_one_project_leaves_its_siblings_bound(fleet, shop, acme):
    Project(tenant=acme, name="blog").declare(by="alice")
    row = attach(make_set())
    spare(row, "shop")
    settle()
    assert parameters(fleet) == {}
    assert parameters(fleet, namespace="acme--blog") == {"service_types": "ClusterIP"}
    acme.refresh_from_db()
    assert acme.in_force() == {"service_types": ["ClusterIP"]}
    assert acme.everywhere() == {}, "a platform that binds the whole tenant would bind the shop"


def test_an_exception_that_is_ended_spares_no_more(fleet, shop):
    row = attach(make_set())
    spare(row)
    settle()
    row.end_exception(row.exceptions.get(), "olga")
    settle()
    assert parameters(fleet) == {"service_types": "ClusterIP"}


# --- What comes in between.


def test_nothing_is_left_of_a_tenant_that_goes(fleet, shop, acme):
    row = attach(make_set(), every_tenant=True)
    settle()
    acme.refresh_from_db()
    acme.request_deletion(by="olga")
    rest()
    assert not Tenant.objects.exists() and not Imposition.objects.exists()
    assert not Work.objects.filter(kind="policies.imposition").exists()
    assert phase(row) == "Deployed"


def test_a_second_look_changes_nothing(fleet, shop):
    attach(make_set())
    rest()
    live = fleet["prod-a"]
    live.writes.clear()
    told = Event.objects.count()
    for kind in ("policies.imposition", "policies.attachment", "policies.policyset"):
        Work.objects.filter(kind=kind).mark()
    rest()
    assert live.writes == []
    assert Event.objects.count() == told


def test_a_step_that_dies_before_its_end_leaves_the_rest_to_the_next(fleet, shop, monkeypatch):
    attach(make_set())
    due = Work.objects.get(kind="policies.imposition")
    lease = Work.objects.claim(due.pk)
    monkeypatch.setattr(Tenant, "impose", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        Imposition.objects.get().step(lease)
    monkeypatch.undo()
    assert Tenant.objects.get().imposed == {}
    Work.objects.filter(pk=due.pk).update(lease_until=timezone.now() - timedelta(minutes=1))
    settle()
    assert parameters(fleet) == {"service_types": "ClusterIP"}


def test_many_tenants_follow_by_work_of_their_own(prod, django_assert_max_num_queries):
    for number in range(12):
        Tenant(name=f"team-{number}").declare("olga")
    row = make_set()
    attach(row, every_tenant=True)
    settle()
    row.refresh_from_db()
    row.rules = {"service_types": ["NodePort"]}
    with django_assert_max_num_queries(60):
        row.declare(by="olga")
    assert Work.objects.due().filter(kind="policies.imposition").count() == 12
    settle()
    assert {str(each) for each in Tenant.objects.values_list("imposed", flat=True)} == {
        "{'enforce': {'service_types': ['NodePort']}}"
    }
