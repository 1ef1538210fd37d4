"""Tenants, projects and members as rows: who sees and may what, and what a change carries along."""

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.core.exceptions import ValidationError

from clusters.kinds import CONFIG_MAP, NAMESPACE, RESOURCE_QUOTA, ROLE_BINDING
from clusters.models import Capability, Cluster
from reconcile.errors import Unreachable
from reconcile.models import Event, Work
from reconcile.refusals import Deleting, Unserved
from reconcile.values import JSON, Kind, Ref
from tenancy.intents import Role
from tenancy.models import Membership, Project, ProjectPlacement, Tenant, TenantPlacement
from tests.clusters.steps import settle
from tests.people import make_acme

pytestmark = pytest.mark.django_db


@pytest.fixture
def sandbox(fleet):
    """A registered cluster, and what stands behind it."""
    fleet.register("sandbox", labels={"region": "eu"})
    return fleet["sandbox"]


@pytest.fixture
def placed(sandbox) -> Tenant:
    """acme on the cluster, with a quota."""
    tenant = make_acme(placement={"clusters": ["sandbox"]}, quota={"pods": "10"})
    settle()
    return tenant


def make_project(name: str = "shop", **columns) -> Project:
    project = Project(tenant=Tenant.objects.get(name="acme"), name=name, **columns)
    project.declare(by="alice")
    return project


def change(tenant: Tenant, **columns) -> Tenant:
    tenant.refresh_from_db()
    for name, value in columns.items():
        setattr(tenant, name, value)
    tenant.declare(by="olga")
    return tenant


def body(cluster, kind: Kind, name: str, namespace: str = "acme--shop") -> JSON:
    return cluster.body(Ref(kind, namespace, name))


def pods(cluster, project: str) -> str:
    return body(cluster, RESOURCE_QUOTA, "kubenova", f"acme--{project}")["spec"]["hard"]["pods"]


def phases() -> dict[str, str]:
    rows = [*Tenant.objects.all(), *Project.objects.all(), *TenantPlacement.objects.all()]
    return {str(row): row.phase for row in [*rows, *ProjectPlacement.objects.all()]}


# --- Who sees what.


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        pytest.param("alice", ["acme"], id="admin: hers"),
        pytest.param("bob", ["acme"], id="developer: his"),
        pytest.param("carol", ["acme"], id="reader: hers"),
        pytest.param("charlie", ["globex"], id="stranger: not acme"),
        pytest.param("olga", ["acme", "globex"], id="operator: all"),
    ],
)
def test_people_see_their_tenants_and_what_is_inside(acme, globex, olga, name, seen):
    user = User.objects.get(username=name)
    for tenant in (acme, globex):
        Project(tenant=tenant, name="shop").declare(by="olga")

    assert [tenant.name for tenant in Tenant.objects.visible_to(user)] == seen
    assert [project.tenant.name for project in Project.objects.visible_to(user)] == seen
    members = Membership.objects.visible_to(user)
    assert sorted(set(members.values_list("tenant__name", flat=True))) == seen


@pytest.mark.parametrize("model", [Tenant, Project, Membership], ids=lambda model: model.__name__)
def test_nobody_without_an_account_sees_anything(acme, alice, model):
    Project(tenant=acme, name="shop").declare(by="olga")
    alice.is_active = False

    assert not model.objects.visible_to(AnonymousUser()).exists()
    assert not model.objects.visible_to(alice).exists()


def test_a_member_sees_a_tenant_once_however_many_share_it(acme, alice):
    assert Tenant.objects.visible_to(alice).count() == 1


MAY = {
    "view": {"alice", "bob", "carol", "olga"},
    "deliver": {"alice", "bob", "olga"},
    "change": {"alice", "olga"},
    "add_project": {"alice", "olga"},
    "manage_members": {"alice", "olga"},
    "administer": {"olga"},
    "delete": {"olga"},
    "no-such-action": {"olga"},
}


@pytest.mark.parametrize("action", MAY)
def test_who_may_do_what_with_a_tenant(acme, globex, olga, action):
    everybody = User.objects.all()
    assert {user.username for user in everybody if acme.may(user, action)} == MAY[action]


@pytest.mark.parametrize(
    ("action", "who"),
    [
        ("view", {"alice", "bob", "carol", "olga"}),
        ("deliver", {"alice", "bob", "olga"}),
        ("change", {"alice", "olga"}),
        ("delete", {"alice", "olga"}),
    ],
)
def test_who_may_do_what_with_a_project(acme, globex, olga, action, who):
    project = make_project()
    assert {user.username for user in User.objects.all() if project.may(user, action)} == who


def test_whoever_may_add_tenants_may_administer_them(acme, charlie):
    charlie.user_permissions.add(Permission.objects.get(codename="add_tenant"))
    charlie = User.objects.get(pk=charlie.pk)
    assert acme.may(charlie, "administer") and acme.may(charlie, "delete")


def test_an_inactive_member_may_nothing(acme, alice):
    alice.is_active = False
    alice.save()
    assert acme.role_of(alice) is None and not acme.may(alice, "view")


# --- Members.


def test_a_member_has_one_role(acme, bob):
    assert acme.admit(bob, Role.ADMIN, by="alice") is True
    assert acme.role_of(bob) is Role.ADMIN
    assert acme.memberships.filter(user=bob).count() == 1


def test_the_same_role_again_changes_nothing(acme, bob):
    events = Event.objects.count()
    assert acme.admit(bob, Role.DEV, by="alice") is False
    assert Event.objects.count() == events


def test_a_membership_ends(acme, bob):
    assert acme.dismiss(bob, by="alice") is True
    assert acme.role_of(bob) is None and acme.dismiss(bob, by="alice") is False
    assert Event.objects.get(reason="MemberRemoved").actor == "alice"


def test_members_arrive_on_the_cluster_and_leave_it(placed, sandbox, bob, charlie):
    make_project()
    settle()
    placed.admit(charlie, Role.DEV, by="alice")
    placed.dismiss(bob, by="alice")
    settle()
    binding = body(sandbox, ROLE_BINDING, "kubenova:tenant-dev")

    assert [subject["name"] for subject in binding["subjects"]] == ["kubenova:charlie"]


def test_a_role_that_nobody_has_any_more_is_unbound(placed, sandbox, bob):
    make_project()
    settle()
    placed.dismiss(bob, by="alice")
    settle()

    assert not sandbox.exists(Ref(ROLE_BINDING, "acme--shop", "kubenova:tenant-dev"))


def test_a_change_of_members_writes_the_binding_and_nothing_else(placed, sandbox, charlie):
    make_project()
    settle()
    sandbox.writes.clear()
    placed.admit(charlie, Role.DEV, by="alice")
    settle()

    assert [(verb, ref.name) for verb, ref in sandbox.writes] == [("apply", "kubenova:tenant-dev")]


# --- What a tenant may say.


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        pytest.param({"name": "Acme"}, "name", id="capitals"),
        pytest.param({"name": "a--b"}, "name", id="two dashes"),
        pytest.param({"name": "a" * 41}, "name", id="too long"),
        pytest.param({"labels": {"kubernetes.io/x": "y"}}, "labels", id="reserved label"),
        pytest.param({"labels": {"a": 7}}, "labels", id="label that is no text"),
        pytest.param({"quota": {"gpus": "1"}}, "quota", id="unknown quota"),
        pytest.param({"limits": {"max": {"cpu": "x"}}}, "limits", id="bad limit"),
        pytest.param({"isolation": "some"}, "isolation", id="unknown isolation"),
        pytest.param({"placement": {"clusters": "all"}}, "placement", id="clusters as text"),
        pytest.param({"placement": {"where": []}}, "placement", id="unknown key of a placement"),
        pytest.param({"placement": []}, "placement", id="placement as a list"),
        pytest.param({"placement": None}, "placement", id="placement as null"),
        pytest.param({"placement": {"clusters": 7}}, "placement", id="clusters as a number"),
        pytest.param({"placement": {"selector": []}}, "placement", id="selector as a list"),
        pytest.param({"labels": []}, "labels", id="labels as an empty list"),
        pytest.param({"quota": ""}, "quota", id="quota as an empty text"),
        pytest.param({"limits": []}, "limits", id="limits as an empty list"),
        pytest.param({"placement": {"clusters": ["nowhere"]}}, "placement", id="no such cluster"),
        pytest.param({"placement": {"clusters": ["../x"]}}, "placement", id="no name of a cluster"),
    ],
)
def test_it_refuses_a_bad_tenant(columns, field):
    with pytest.raises(ValidationError) as refused:
        Tenant(**{"name": "acme"} | columns).declare(by="olga")

    assert set(refused.value.message_dict) == {field}
    assert not Tenant.objects.exists()


def test_it_names_the_clusters_that_are_not_registered(sandbox):
    with pytest.raises(ValidationError, match=r"No such cluster is registered: east, west\."):
        make_acme(placement={"clusters": ["east", "sandbox", "west"]})


def test_it_refuses_a_cluster_that_is_known_not_to_serve_it(sandbox):
    Capability.objects.filter(name="tenancy.native").update(served=False, reason="too old")

    with pytest.raises(Unserved) as refused:
        make_acme(placement={"clusters": ["sandbox"]})
    assert refused.value.extra["clusters"] == [] and refused.value.extra["cluster"] == "sandbox"
    assert not Tenant.objects.exists()


# --- Where a tenant is placed.


@pytest.mark.parametrize(
    ("placement", "clusters"),
    [
        pytest.param({}, [], id="nothing said: nowhere"),
        pytest.param({"clusters": []}, [], id="no names"),
        pytest.param({"selector": {}}, [], id="an empty selector selects nothing"),
        pytest.param({"clusters": ["sandbox"]}, ["sandbox"], id="by name"),
        pytest.param({"selector": {"region": "eu"}}, ["sandbox"], id="by label"),
        pytest.param({"selector": {"region": "us"}}, [], id="by a label that none has"),
        pytest.param({"selector": {"region": "eu", "tier": "a"}}, [], id="all labels must match"),
    ],
)
def test_a_placement_selects_clusters(sandbox, placement, clusters):
    tenant = make_acme(placement=placement)
    found = tenant.placements.values_list("cluster__name", flat=True)

    assert list(found) == clusters


def test_a_cluster_that_gets_the_label_gets_the_tenant(fleet, sandbox):
    make_acme(placement={"selector": {"region": "eu"}})
    make_project()
    settle()
    fleet.register("other", labels={"region": "eu"})
    settle()

    assert fleet["other"].exists(Ref(NAMESPACE, "", "acme--shop"))
    assert set(phases().values()) == {"Deployed"}


def test_a_cluster_that_loses_the_label_keeps_the_tenant_until_it_is_declared(sandbox, fleet):
    tenant = make_acme(placement={"selector": {"region": "eu"}})
    make_project()
    settle()
    cluster = Cluster.objects.get()
    cluster.labels = {}
    cluster.declare(by="olga")
    settle()
    assert tenant.placements.get().unselected and sandbox.exists(Ref(NAMESPACE, "", "acme--shop"))

    change(tenant, description="confirmed")
    settle()
    assert not TenantPlacement.objects.exists() and not ProjectPlacement.objects.exists()
    assert not sandbox.exists(Ref(NAMESPACE, "", "acme--shop"))


def test_a_tenant_that_leaves_a_cluster_takes_its_projects_along(placed, sandbox):
    make_project()
    settle()
    change(placed, placement={})
    settle()

    assert not sandbox.exists(Ref(NAMESPACE, "", "acme--shop"))
    assert not sandbox.exists(Ref(CONFIG_MAP, "kubenova-system", "tenant-acme"))
    assert phases() == {"Tenant acme": "Pending", "Project acme/shop": "Pending"}


def test_a_project_that_missed_the_leaving_of_its_tenant_goes_all_the_same(placed, sandbox):
    """A step of the project may have selected its placement again at the same moment."""
    make_project()
    settle()
    change(placed, placement={})
    ProjectPlacement.objects.update(deletion_requested_at=None, unselected=True)
    settle()

    assert not ProjectPlacement.objects.exists() and not TenantPlacement.objects.exists()


# --- Projects.


def test_a_project_waits_for_its_tenant(sandbox, fleet):
    sandbox.always(Unreachable("down"))
    make_acme(placement={"clusters": ["sandbox"]})
    make_project()
    settle()
    row = ProjectPlacement.objects.get()

    assert row.phase == "Pending" and row.conditions[0]["reason"] == "WaitingForTenant"
    assert "Tenant acme on sandbox" in row.conditions[0]["message"]

    sandbox.heal()
    TenantPlacement.objects.get().mark()
    settle()
    assert set(phases().values()) == {"Deployed"}, "its settling has marked the project"


def test_nothing_is_placed_before_the_baseline_stands(fleet):
    fleet.declare("late")
    make_acme(placement={"clusters": ["late"]})
    lease = Work.objects.claim(TenantPlacement.objects.get().work.get().pk)
    TenantPlacement.objects.get().step(lease)
    row = TenantPlacement.objects.get()

    assert row.phase == "Pending" and row.conditions[0]["reason"] == "WaitingForCluster"


def test_two_tenants_may_have_projects_of_one_name(acme, globex):
    for tenant in (acme, globex):
        Project(tenant=tenant, name="shop").declare(by="olga")
    assert Project.objects.filter(name="shop").count() == 2


def test_a_tenant_has_no_two_projects_of_one_name(acme):
    make_project()
    with pytest.raises(ValidationError):
        make_project()


def test_projects_share_the_quota_exactly(placed, sandbox):
    for name in ("shop", "blog", "wiki"):
        make_project(name)
    settle()

    assert {name: pods(sandbox, name) for name in ("blog", "shop", "wiki")} == {
        "blog": "4",
        "shop": "3",
        "wiki": "3",
    }


def test_a_project_that_goes_leaves_its_share_to_the_others(placed, sandbox):
    for name in ("shop", "blog"):
        make_project(name)
    settle()
    assert pods(sandbox, "shop") == "5"

    Project.objects.get(name="blog").request_deletion(by="alice")
    settle()
    assert pods(sandbox, "shop") == "10"


def test_a_change_of_the_quota_reaches_every_project(placed, sandbox):
    for name in ("shop", "blog"):
        make_project(name)
    settle()
    change(placed, quota={"pods": "4"})
    settle()

    assert pods(sandbox, "shop") == pods(sandbox, "blog") == "2"


def test_the_namespace_carries_the_labels_of_tenant_and_project(placed, sandbox):
    change(placed, labels={"tier": "gold", "team": "none"})
    make_project(labels={"team": "blue"})
    settle()
    labels = body(sandbox, NAMESPACE, "acme--shop", "")["metadata"]["labels"]

    assert (labels["tier"], labels["team"]) == ("gold", "blue")


# --- Going.


def test_a_tenant_goes_after_all_that_lives_inside(placed, sandbox):
    make_project()
    make_project("blog")
    settle()
    placed.request_deletion(by="olga")
    settle()

    assert not Tenant.objects.exists() and not Project.objects.exists()
    assert [ref for ref in sandbox.refs(NAMESPACE) if ref.name.startswith("acme")] == []
    deleted = Event.objects.filter(reason="Deleted").order_by("pk").values_list("name", flat=True)
    order = list(deleted)
    for name in ("shop", "blog"):
        inside = order.index(f"Project acme/{name} on sandbox")
        assert inside < order.index("Tenant acme on sandbox")
        assert inside < order.index(f"Project acme/{name}")
    assert order[-1] == "Tenant acme"


def test_a_tenant_that_goes_takes_no_new_projects(placed):
    placed.request_deletion(by="olga")
    with pytest.raises(Deleting):
        make_project()
    assert not Project.objects.exists()


def test_a_tenant_waits_for_a_cluster_that_does_not_answer(placed, sandbox):
    make_project()
    settle()
    sandbox.always(Unreachable("down"))
    placed.request_deletion(by="olga")
    settle()
    assert Tenant.objects.get().deleting and Project.objects.get().deleting

    sandbox.heal()
    Work.objects.all().mark()
    settle()
    assert not Tenant.objects.exists()


def test_a_deletion_leaves_other_tenants_alone(placed, sandbox, globex):
    change(globex, placement={"clusters": ["sandbox"]})
    Project(tenant=globex, name="shop").declare(by="charlie")
    make_project()
    settle()
    placed.request_deletion(by="olga")
    settle()

    assert sandbox.exists(Ref(NAMESPACE, "", "globex--shop"))
    assert sandbox.exists(Ref(CONFIG_MAP, "kubenova-system", "tenant-globex"))


def test_a_project_of_a_tenant_that_went_meanwhile_is_refused(acme):
    late = Project(tenant=Tenant.objects.get(pk=acme.pk), name="shop")
    acme.request_deletion(by="olga")
    with pytest.raises(Deleting, match="takes no projects"):
        late.declare(by="alice")
    settle()
    with pytest.raises(ValidationError, match="tenant"):
        late.declare(by="alice")
    with pytest.raises(Deleting, match="was deleted meanwhile"):
        late.tenant.hold_ledger()
    assert not Project.objects.exists()


def test_a_user_who_goes_ends_the_membership_alone(acme, bob):
    bob.delete()
    assert {member.user.username for member in acme.memberships.all()} == {"alice", "carol"}
