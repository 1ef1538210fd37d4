"""Forms of tenants, projects and members: the same rules as the API, spoken beside the fields."""

import pytest

from reconcile.models import Event
from tenancy.intents import Role
from tenancy.models import Project, Tenant
from tests.portal.conftest import As

BLANK = {"name": "umbrella", "isolation": "isolated"}


def errors_of(answer) -> dict[str, list[str]]:
    assert answer.status_code == 422
    return {name: list(texts) for name, texts in answer.context["form"].errors.items()}


def test_an_operator_creates_a_tenant_with_everything(prod, people, as_: As) -> None:
    form = {
        **BLANK,
        "description": "Umbrellas",
        "owners": "bob, alice",
        "labels-key": ["team", ""],
        "labels-value": ["rain", ""],
        "quota-key": ["requests.cpu", "pods"],
        "quota-value": ["4", "20"],
        "limits-default-cpu": "1",
        "limits-default-memory": "1Gi",
        "placement-clusters": ["prod-a"],
        "placement-selector-key": ["region"],
        "placement-selector-value": ["eu"],
    }
    answer = as_("olga").post("/new-tenant", form)
    assert answer["Location"] == "/tenants/umbrella"
    row = Tenant.objects.get(name="umbrella")
    assert row.owners == ["alice", "bob"]
    assert row.labels == {"team": "rain"}
    assert row.quota == {"requests.cpu": "4", "pods": "20"}
    assert row.limits == {"default": {"cpu": "1", "memory": "1Gi"}}
    assert row.placement == {"clusters": ["prod-a"], "selector": {"region": "eu"}}
    assert row.declared_by == "olga"


def test_an_operator_restricts_a_tenant(prod, people, as_: As) -> None:
    form = {
        **BLANK,
        "restrictions-service_types": "ClusterIP, LoadBalancer",
        "restrictions-image_registries-allow": "registry.example.org/umbrella",
        "restrictions-namespaces-count": "3",
        "network-direction": ["egress"],
        "network-peer": ["10.0.0.0/8 except 10.1.0.0/16"],
        "network-ports": ["443"],
        "owner_subjects-kind": ["Group"],
        "owner_subjects-name": ["rain-makers"],
        "owner_subjects-namespace": [""],
        "quota_division": "weight",
        "cordoned": "on",
        "placement-clusters": ["prod-a"],
        "placement-max": "1",
    }
    assert as_("olga").post("/new-tenant", form)["Location"] == "/tenants/umbrella"
    row = Tenant.objects.get(name="umbrella")
    assert row.restrictions == {
        "service_types": ["ClusterIP", "LoadBalancer"],
        "image_registries": {"allow": ["registry.example.org/umbrella"]},
        "namespaces": {"count": 3},
    }
    peer = {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}
    assert row.network == [{"direction": "egress", "peers": [peer], "ports": [{"port": 443}]}]
    assert row.owner_subjects == [{"kind": "Group", "name": "rain-makers"}]
    assert (row.quota_division, row.cordoned, row.deletion_protection) == ("weight", True, False)
    assert row.placement == {"clusters": ["prod-a"], "max": 1}
    page = as_("olga").get("/tenants/umbrella").content.decode()
    for told in ("Cordoned", "allow registry.example.org/umbrella", "to 10.0.0.0/8", "rain-makers"):
        assert told in page
    text = as_("olga").get("/tenants/umbrella/edit").content.decode()
    assert 'value="10.0.0.0/8 except 10.1.0.0/16"' in text
    assert 'value="ClusterIP, LoadBalancer"' in text


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("restrictions", {"restrictions-service_types": "NodePorts"}),
        ("restrictions", {"restrictions-namespaces-count": "many"}),
        (
            "network",
            {"network-direction": ["egress"], "network-peer": ["x"], "network-ports": [""]},
        ),
        ("placement", {"placement-min": "two"}),
        ("placement", {"placement-min": "2", "placement-max": "1"}),
        ("name", {"name": "Bad_Name"}),
        ("name", {"name": "two--dashes"}),
        ("name", {"name": "acme"}),
        ("isolation", {"isolation": "half"}),
        ("owners", {"owners": "alice, nobody"}),
        ("labels", {"labels-key": ["kubernetes.io/x"], "labels-value": ["1"]}),
        ("labels", {"labels-key": ["a", "a"], "labels-value": ["1", "2"]}),
        ("labels", {"labels-key": [""], "labels-value": ["1"]}),
        ("labels", {"labels-key": ["100%s"], "labels-value": ["1"]}),
        ("quota", {"quota-key": ["cpus"], "quota-value": ["1"]}),
        ("quota", {"quota-key": ["cpu"], "quota-value": ["lots"]}),
        ("limits", {"limits-min-cpu": "2", "limits-max-cpu": "1"}),
        ("placement", {"placement-clusters": ["nowhere"]}),
        ("placement", {"placement-selector-key": ["-x"], "placement-selector-value": ["1"]}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_it_says_beside_the_field_what_is_wrong(field: str, change, acme, as_: As) -> None:
    answer = as_("olga").post("/new-tenant", BLANK | change)
    assert [*errors_of(answer)] == [field]
    assert f"id_{field}_error" in answer.content.decode()
    assert not Tenant.objects.filter(name="umbrella").exists()


def test_it_keeps_what_was_typed(acme, as_: As) -> None:
    form = BLANK | {"name": "Bad", "labels-key": ["team"], "labels-value": ["rain"]}
    text = as_("olga").post("/new-tenant", form).content.decode()
    assert 'value="Bad"' in text
    assert 'value="team"' in text
    assert 'value="rain"' in text


def test_what_was_typed_never_becomes_markup(acme, as_: As) -> None:
    evil = "<script>alert(1)</script>"
    form = BLANK | {"name": evil, "labels-key": [evil], "labels-value": [evil], "owners": evil}
    assert evil not in as_("olga").post("/new-tenant", form).content.decode()


def test_whoever_may_create_tenants_owns_what_they_create(people, as_: As) -> None:
    from django.contrib.auth.models import Permission

    people["charlie"].user_permissions.add(Permission.objects.get(codename="add_tenant"))
    assert as_("charlie").post("/new-tenant", BLANK).status_code == 302
    assert Tenant.objects.get(name="umbrella").owners == ["charlie"]


def settings_of(tenant: Tenant, **change: object) -> dict[str, object]:
    return {"generation": tenant.generation, "isolation": tenant.isolation, **change}


def test_an_admin_changes_what_is_the_tenants_own(acme, as_: As) -> None:
    form = settings_of(acme, description="New", isolation="egress-open")
    form |= {"quota-key": ["pods"], "quota-value": ["999"], "placement-clusters": []}
    assert as_("alice").post("/tenants/acme/edit", form).status_code == 302
    changed = Tenant.objects.get(name="acme")
    assert (changed.description, changed.isolation) == ("New", "egress-open")
    assert (changed.quota, changed.placement) == (acme.quota, acme.placement)


def test_rows_that_were_removed_are_gone(acme, as_: As) -> None:
    acme.labels = {"team": "rain"}
    acme.declare(by="olga")
    as_("alice").post("/tenants/acme/edit", settings_of(acme))
    assert Tenant.objects.get(name="acme").labels == {}


def test_a_change_made_meanwhile_is_not_overwritten(acme, as_: As) -> None:
    form = settings_of(acme, description="mine")
    acme.description = "theirs"
    acme.declare(by="olga")
    answer = as_("alice").post("/tenants/acme/edit", form)
    assert "changed meanwhile" in str(errors_of(answer))
    assert Tenant.objects.get(name="acme").description == "theirs"


def test_saving_without_a_change_changes_nothing(acme, as_: As) -> None:
    form = settings_of(acme, **{"limits-default-cpu": "500m", "limits-default-memory": "512Mi"})
    form |= {"limits-default_request-cpu": "100m", "limits-default_request-memory": "128Mi"}
    form |= {"placement-clusters": ["prod-a"]}
    answer = as_("olga").post("/tenants/acme/edit", form, follow=True)
    assert "Nothing changed." in answer.content.decode()
    assert Tenant.objects.get(name="acme").generation == acme.generation


@pytest.mark.parametrize("typed", ["", "acm", "ACME"], ids=["blank", "part", "case"])
def test_a_tenant_goes_only_by_its_name(typed: str, acme, as_: As) -> None:
    answer = as_("olga").post("/tenants/acme/delete", {"name": typed})
    acme.refresh_from_db()
    assert (answer.status_code, acme.deleting) == (422, False)


def test_a_tenant_goes_when_its_name_is_typed(shop, as_: As) -> None:
    page = as_("olga").get("/tenants/acme/delete").content.decode()
    assert "Project acme/shop" in page
    assert as_("olga").post("/tenants/acme/delete", {"name": "acme"})["Location"] == "/tenants"
    assert Tenant.objects.get(name="acme").deleting


def test_an_admin_creates_a_project(acme, as_: As) -> None:
    answer = as_("alice").post("/tenants/acme/new-project", {"name": "blog"})
    assert answer["Location"] == "/tenants/acme/projects/blog"
    assert Project.objects.get(tenant=acme, name="blog").declared_by == "alice"


def test_an_admin_bounds_a_project(acme, as_: As) -> None:
    form = {
        "name": "blog",
        "quota-key": ["pods"],
        "quota-value": ["3"],
        "weight": "2",
        "network-direction": ["egress"],
        "network-peer": ["10.1.0.0/16"],
        "network-ports": ["5432"],
        "annotations-key": ["contact"],
        "annotations-value": ["blog@example.org"],
    }
    assert as_("alice").post("/tenants/acme/new-project", form).status_code == 302
    row = Project.objects.get(tenant=acme, name="blog")
    assert (row.quota, row.weight) == ({"pods": "3"}, 2)
    assert row.annotations == {"contact": "blog@example.org"}
    assert row.network == [
        {"direction": "egress", "peers": [{"cidr": "10.1.0.0/16"}], "ports": [{"port": 5432}]}
    ]
    shown = as_("alice").get("/tenants/acme/projects/blog/edit").content.decode()
    assert "10.1.0.0/16" in shown


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("quota", {"quota-key": ["pods"], "quota-value": ["many"]}),
        ("weight", {"weight": "0"}),
        (
            "network",
            {"network-direction": ["egress"], "network-peer": ["x"], "network-ports": [""]},
        ),
    ],
)
def test_it_says_what_is_wrong_with_a_project(field: str, change, acme, as_: As) -> None:
    answer = as_("alice").post("/tenants/acme/new-project", {"name": "blog", **change})
    assert set(errors_of(answer)) == {field}
    assert not Project.objects.filter(name="blog").exists()


def test_admins_of_a_project_alone_do_not_bound_it(shop, people, as_: As) -> None:
    shop.weight = 3
    shop.declare(by="alice")
    shop.admit(people["charlie"], Role.ADMIN, by="alice")
    path = "/tenants/acme/projects/shop/edit"
    shown = as_("charlie").get(path).content.decode()
    assert 'name="weight"' not in shown and 'name="description"' in shown
    form = {"description": "Mine", "weight": "9", "generation": shop.generation}
    as_("charlie").post(path, form)
    changed = Project.objects.get(pk=shop.pk)
    assert (changed.description, changed.weight) == ("Mine", 3)


def test_a_project_cannot_have_the_name_of_another(shop, as_: As) -> None:
    answer = as_("alice").post("/tenants/acme/new-project", {"name": "shop"})
    assert errors_of(answer) == {"name": ["This name is taken. Choose another."]}


def test_a_tenant_that_goes_takes_no_projects(acme, as_: As) -> None:
    acme.request_deletion(by="olga")
    answer = as_("alice").post("/tenants/acme/new-project", {"name": "blog"})
    assert "is being deleted" in str(errors_of(answer))
    assert "New project" in answer.content.decode()  # not the page of an edit


def test_an_admin_changes_and_deletes_a_project(shop, as_: As) -> None:
    client = as_("alice")
    path = "/tenants/acme/projects/shop"
    client.post(f"{path}/edit", {"description": "Sells", "generation": shop.generation})
    assert Project.objects.get(pk=shop.pk).description == "Sells"
    assert client.post(f"{path}/delete", {"name": "shop"})["Location"] == "/tenants/acme"
    assert Project.objects.get(pk=shop.pk).deleting


def roles(tenant: Tenant) -> dict[str, str]:
    return dict(tenant.memberships.values_list("user__username", "role"))


def test_an_admin_adds_changes_and_removes_members(acme, people, as_: As) -> None:
    client, path = as_("alice"), "/tenants/acme/members"
    client.post(path, {"username": "charlie", "role": "read-only"})
    assert roles(acme)["charlie"] == "read-only"
    client.post(path, {"username": "charlie", "role": "tenant-dev"})
    assert roles(acme)["charlie"] == "tenant-dev"
    client.post(f"{path}/charlie/remove")
    assert "charlie" not in roles(acme)
    assert Event.objects.filter(reason="MemberRemoved", actor="alice").exists()


@pytest.mark.parametrize("person", ["bob", "carol"])
def test_others_manage_no_members(person: str, acme, as_: As) -> None:
    client, path = as_(person), "/tenants/acme/members"
    assert client.post(path, {"username": "bob", "role": "tenant-admin"}).status_code == 403
    assert client.post(f"{path}/alice/remove").status_code == 403
    assert roles(acme) == {"alice": "tenant-admin", "bob": "tenant-dev", "carol": "read-only"}
    assert "Add a member" not in client.get(path).content.decode()


def test_nobody_can_be_added_who_does_not_exist(acme, as_: As) -> None:
    answer = as_("alice").post("/tenants/acme/members", {"username": "zoe", "role": "read-only"})
    assert errors_of(answer) == {"username": ["There is no active user of this name."]}


@pytest.mark.parametrize("how", ["demoted", "removed"])
def test_the_last_admin_stays(how: str, acme, as_: As) -> None:
    client, path = as_("alice"), "/tenants/acme/members"
    if how == "demoted":
        answer = client.post(path, {"username": "alice", "role": "read-only"})
    else:
        answer = client.post(f"{path}/alice/remove", follow=True)
    assert "last tenant-admin" in answer.content.decode()
    assert roles(acme)["alice"] == "tenant-admin"


def test_whoever_leaves_a_tenant_sees_it_no_more(acme, people, as_: As) -> None:
    acme.admit(people["charlie"], "tenant-admin", by="olga")
    answer = as_("charlie").post("/tenants/acme/members/charlie/remove")
    assert answer["Location"] == "/tenants"
    assert as_("charlie").get("/tenants/acme").status_code == 404
